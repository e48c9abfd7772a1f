//! One message per line of JSON, on a stream that may also carry rubbish.
//!
//! A worker's standard output belongs to the protocol, but a library may print to it all the
//! same. Every message is therefore an envelope, `{"mambafleet":1,"message":{...}}`, and whatever
//! is no envelope is handed back as [`Line::Stray`] instead of ending the conversation. Stray
//! text that lacks its newline and so shares a line with a message does not cost the message.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::PROTOCOL_VERSION;

/// The longest line that is looked at, in bytes. Readers must cut off longer ones, so that a
/// stream without newlines cannot fill memory.
pub const MAX_LINE: usize = 1 << 20;

/// How every envelope begins.
const MARKER: &str = "{\"mambafleet\":";

#[derive(Serialize, Deserialize)]
struct Envelope<T> {
    mambafleet: u32,
    message: T,
}

/// What one line of a stream holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Line<T> {
    /// A message, and the stray text in front of it on the same line, if any.
    Message {
        /// The message.
        message: T,
        /// Text before it that is not ours; empty most of the time.
        stray: String,
    },
    /// Text that is no message. It may be empty.
    Stray(String),
    /// An envelope of another protocol version.
    Version(u32),
}

/// A message that could not be written as a line.
#[derive(Debug, thiserror::Error)]
#[error("cannot encode a protocol message: {0}")]
pub struct EncodeError(#[from] serde_json::Error);

/// Writes `message` as one line, newline included.
///
/// # Errors
/// [`EncodeError`] when the message has no JSON form (a path that is not UTF-8).
pub fn encode<T: Serialize>(message: &T) -> Result<String, EncodeError> {
    let mut line = serde_json::to_string(&Envelope { mambafleet: PROTOCOL_VERSION, message })?;
    line.push('\n');
    Ok(line)
}

/// Reads one line, with or without its newline. Bytes that are not UTF-8 are replaced.
#[must_use]
pub fn decode<T: DeserializeOwned>(line: &[u8]) -> Line<T> {
    let text = String::from_utf8_lossy(line);
    let text = text.trim_end_matches(['\n', '\r']);
    // The envelope is the last thing on its line, so the first marker from which the rest
    // parses as a whole is the one.
    for (start, _) in text.match_indices(MARKER) {
        let (stray, body) = text.split_at(start);
        if let Ok(Envelope { mambafleet: PROTOCOL_VERSION, message }) = serde_json::from_str(body) {
            return Line::Message { message, stray: stray.to_owned() };
        }
        if let Ok(Envelope::<serde::de::IgnoredAny> { mambafleet, .. }) = serde_json::from_str(body)
            && mambafleet != PROTOCOL_VERSION
        {
            return Line::Version(mambafleet);
        }
    }
    Line::Stray(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FailureKind, JobResult, Symbol, WorkerEvent};
    use proptest::prelude::*;

    fn event(symbol: &str, cause: String) -> WorkerEvent {
        WorkerEvent::Finished {
            symbol: Symbol::new(symbol).unwrap(),
            attempt: 1,
            seconds: 0.25,
            times: crate::StageTimes::default(),
            result: JobResult::Failed { kind: FailureKind::Data, cause, hint: None },
        }
    }

    #[test]
    fn a_message_survives_stray_text_on_its_line() {
        let message = event("AAPL", "a {\"mambafleet\":1 inside".into());
        let line = format!("warning: {{\"mambafleet\":x}} no newline{}", encode(&message).unwrap());
        let Line::Message { message: read, stray } = decode(line.as_bytes()) else {
            panic!("lost the message");
        };
        assert_eq!((read, stray.contains("no newline")), (message, true));
    }

    #[test]
    fn rubbish_is_stray_and_other_versions_are_named() {
        for text in ["", "hello", "{}", "{\"mambafleet\":1}", "{\"mambafleet\":1,\"message\":3}"] {
            assert_eq!(decode::<WorkerEvent>(text.as_bytes()), Line::Stray(text.into()));
        }
        let other = b"{\"mambafleet\":9,\"message\":{\"type\":\"new\"}}\n";
        assert_eq!(decode::<WorkerEvent>(other), Line::Version(9));
        assert!(matches!(decode::<WorkerEvent>(&[0xff, 0xfe, b'\n']), Line::Stray(_)));
    }

    proptest! {
        #[test]
        fn every_message_round_trips_as_one_line(text in "\\PC*", junk in "[^\n{]*") {
            let message = event("BRK.B", text);
            let line = encode(&message).unwrap();
            prop_assert_eq!(line.matches('\n').count(), 1);
            let expected = Line::Message { message, stray: junk.clone() };
            prop_assert_eq!(decode::<WorkerEvent>(format!("{junk}{line}").as_bytes()), expected);
        }

        #[test]
        fn no_input_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode::<WorkerEvent>(&bytes);
        }
    }
}

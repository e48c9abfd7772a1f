//! The lines that go to and come from a program; `docs/command-backend.md` describes them.

use std::path::Path;

use mambafleet_backend::{ModelConfig, OptimizerConfig, ReportedKind};
use mambafleet_protocol::{RunId, Symbol, TaskSpec, TrainSpec};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Version of the protocol.
pub(crate) const VERSION: u64 = 1;

/// The member that makes a line a message.
const KEY: &str = "mambafleet";

/// The only member of a line that a guard adds.
const GUARD_KEY: &str = "mambafleet_guard";

/// What is asked of a program.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Request<'a> {
    /// Train a model and leave its weights.
    Train {
        windows: &'a Path,
        weights: &'a Path,
        staging: &'a Path,
        /// Weights to start from.
        #[serde(skip_serializing_if = "Option::is_none")]
        init: Option<&'a Path>,
        job: Job<'a>,
    },
    /// Forecast, with weights left earlier.
    Predict {
        samples: usize,
        outputs: usize,
        threads: usize,
        weights: &'a Path,
        inputs: &'a Path,
        predictions: &'a Path,
        model: &'a ModelConfig,
    },
}

/// The resolved job, without what a program has no use for.
#[derive(Debug, Serialize)]
pub(crate) struct Job<'a> {
    pub(crate) symbol: &'a Symbol,
    pub(crate) run: &'a RunId,
    pub(crate) attempt: u32,
    pub(crate) threads: usize,
    pub(crate) task: &'a TaskSpec,
    pub(crate) model: &'a ModelConfig,
    pub(crate) train: &'a TrainSpec,
    pub(crate) optimizer: &'a OptimizerConfig,
}

/// What a program says.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(crate) enum Answer {
    /// The first message of every process.
    Hello { name: Option<String>, version: Option<String> },
    /// An epoch ended.
    Progress {
        epoch: usize,
        train_loss: f64,
        validation_loss: f64,
        #[serde(default)]
        learning_rate: f64,
    },
    /// Training ended, and the weights are there.
    Done {
        best_epoch: Option<usize>,
        #[serde(default)]
        metrics: Map<String, Value>,
    },
    /// The forecasts are there.
    Predicted,
    /// The program gives up.
    Error { kind: ReportedKind, message: String },
}

/// How a program ended. Its guard says so, in a line that follows everything else.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum End {
    Code(i32),
    Signal(i32),
    NotStarted(String),
    Unknown,
}

/// What one line of a program's standard output is.
#[derive(Debug, PartialEq)]
pub(crate) enum Line {
    Message(Answer),
    Ended(End),
    Stray(String),
    /// It claims to be a message and is none; or it is one of another version.
    Broken(String),
}

/// Writes a request as one line.
pub(crate) fn encode(request: &Request<'_>) -> Result<String, serde_json::Error> {
    #[derive(Serialize)]
    struct Envelope<'a> {
        mambafleet: u64,
        #[serde(flatten)]
        request: &'a Request<'a>,
    }
    Ok(serde_json::to_string(&Envelope { mambafleet: VERSION, request })? + "\n")
}

/// The line of a guard that says how the program ended, on a line of its own whatever the program
/// printed last.
pub(crate) fn encode_end(end: &End) -> Result<String, serde_json::Error> {
    Ok(format!("\n{{\"{GUARD_KEY}\":{}}}\n", serde_json::to_string(end)?))
}

/// Reads one line.
pub(crate) fn decode(line: &[u8]) -> Line {
    let text = String::from_utf8_lossy(line).trim().to_owned();
    let cut = |text: &str| text.chars().take(200).collect::<String>();
    let mut object = match serde_json::from_str::<Map<String, Value>>(&text) {
        Ok(object) if object.contains_key(KEY) => object,
        Ok(mut object) if object.contains_key(GUARD_KEY) => {
            let end = object.remove(GUARD_KEY).unwrap_or_default();
            return Line::Ended(serde_json::from_value(end).unwrap_or(End::Unknown));
        }
        Err(error) if text.starts_with("{\"mambafleet\"") => {
            return Line::Broken(format!("printed what is not JSON ({error}): {}", cut(&text)));
        }
        Ok(_) | Err(_) => return Line::Stray(text),
    };
    match object.remove(KEY) {
        Some(version) if version == VERSION => {}
        version => {
            let version = version.unwrap_or_default();
            return Line::Broken(format!("speaks protocol {version}, not {VERSION}"));
        }
    }
    match serde_json::from_value(Value::Object(object)) {
        Ok(answer) => Line::Message(answer),
        Err(error) => Line::Broken(format!("printed no message ({error}): {}", cut(&text))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_told_from_stray_text_and_from_broken_ones() {
        let read = |text: &str| decode(text.as_bytes());
        assert_eq!(
            read(r#"{"mambafleet":1,"type":"predicted"}"#),
            Line::Message(Answer::Predicted)
        );
        assert_eq!(
            read(r#"{"type":"hello","more":[1],"mambafleet":1}"#),
            Line::Message(Answer::Hello { name: None, version: None })
        );
        for end in [End::Code(3), End::Signal(9), End::NotStarted("no \"x\"".into()), End::Unknown]
        {
            let line = encode_end(&end).unwrap();
            assert_eq!(read(&line), Line::Ended(end));
        }
        for text in ["", "epoch 1", "{}", "[1]", r#"{"type":"predicted"}"#, "{\"mamba"] {
            assert_eq!(read(text), Line::Stray(text.to_owned()));
        }
        for (text, part) in [
            (r#"{"mambafleet":2,"type":"hello"}"#, "protocol 2, not 1"),
            (r#"{"mambafleet":1,"type":"nonsense"}"#, "nonsense"),
            (r#"{"mambafleet":1,"type":"progress","epoch":1,"train_loss":NaN}"#, "not JSON"),
            (r#"{"mambafleet":1,"type":"progress","epoch":1}"#, "train_loss"),
        ] {
            let Line::Broken(why) = read(text) else { panic!("{text}") };
            assert!(why.contains(part), "{why}");
        }
    }
}

//! Data on standard output, talk on standard error.

use std::io::{ErrorKind, Write};

use serde::Serialize;

use crate::args::Format;
use crate::error::CliError;
use crate::reporters::put_above;

/// Version of the JSON that commands print.
pub(crate) const OUTPUT_SCHEMA: u32 = 1;

/// What every human output on synthetic data says.
pub(crate) const SYNTHETIC_NOTE: &str =
    "synthetic demo data: these prices come from a generator, not a market";

/// Where results go, and in which form.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    format: Format,
}

#[derive(Serialize)]
struct Envelope<'a, T> {
    schema: u32,
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(flatten)]
    value: T,
}

#[derive(Serialize)]
struct ErrorValue<'a> {
    kind: &'static str,
    message: &'a str,
    hint: Option<&'a str>,
    exit_code: u8,
}

impl Output {
    pub(crate) fn new(format: Format) -> Self {
        Self { format }
    }

    pub(crate) fn is_json(self) -> bool {
        self.format == Format::Json
    }

    /// Prints a result: `value` as one JSON object of type `kind`, or `human` as it is.
    pub(crate) fn result<T: Serialize>(
        self,
        kind: &str,
        value: T,
        human: impl FnOnce() -> String,
    ) -> Result<(), CliError> {
        if self.is_json() {
            write_out(json_text(kind, value)?.as_bytes())
        } else {
            print(human().trim_end())
        }
    }

    /// In JSON, prints a result as one line, for a command whose output is somebody else's.
    pub(crate) fn last_line<T: Serialize>(self, kind: &str, value: T) -> Result<(), CliError> {
        if !self.is_json() {
            return Ok(());
        }
        print(&json_line(kind, value)?)
    }

    /// Writes a result that is no text for people, as it is.
    pub(crate) fn bytes(self, bytes: &[u8]) -> Result<(), CliError> {
        write_out(bytes)
    }

    /// Prints one line to standard output.
    pub(crate) fn line(self, line: &str) -> Result<(), CliError> {
        print(line)
    }

    /// Says something to the person at the terminal; silent in JSON.
    pub(crate) fn say(self, text: &str) {
        if !self.is_json() {
            say(text);
        }
    }

    /// Reports what ended the command; in JSON on one line, so that it fits behind whatever was printed
    /// before.
    pub(crate) fn error(self, error: &CliError) {
        let (message, hint, exit_code) = (error.message(), error.hint(), error.exit().code());
        if self.is_json() {
            let kind = error.exit().kind();
            if let Ok(text) = json_line("error", ErrorValue { kind, message, hint, exit_code }) {
                let _ = print(&text);
            }
            return;
        }
        let message = message.strip_prefix("error: ").unwrap_or(message);
        say(&format!("error: {message}"));
        if let Some(hint) = hint {
            say(&format!("hint: {hint}"));
        }
    }
}

/// A value of type `kind` as JSON on one line.
pub(crate) fn json_line<T: Serialize>(kind: &str, value: T) -> Result<String, serde_json::Error> {
    serde_json::to_string(&Envelope { schema: OUTPUT_SCHEMA, kind, value })
}

/// A value of type `kind` as JSON on some lines.
pub(crate) fn json_text<T: Serialize>(kind: &str, value: T) -> Result<String, serde_json::Error> {
    let envelope = Envelope { schema: OUTPUT_SCHEMA, kind, value };
    serde_json::to_string_pretty(&envelope).map(|text| text + "\n")
}

/// Writes a line to standard output.
fn print(text: &str) -> Result<(), CliError> {
    write_out(format!("{text}\n").as_bytes())
}

/// Writes to standard output. A reader that has seen enough (`| head`) is no error.
fn write_out(bytes: &[u8]) -> Result<(), CliError> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// Writes a line to standard error, above the live display if there is one; there is nowhere to complain
/// if that fails.
pub(crate) fn say(text: &str) {
    if put_above(text) {
        return;
    }
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

//! A line of a log, and what it says.

use std::fmt::Write;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};

/// The levels of log lines.
const LEVELS: [&str; 5] = ["ERROR", "WARN", "INFO", "DEBUG", "TRACE"];

/// What a line says.
#[derive(Debug, Default, PartialEq, Serialize)]
pub(super) struct LogLine {
    pub(super) symbol: Option<String>,
    pub(super) attempt: Option<u64>,
    /// Nothing of these three where a program wrote the line.
    pub(super) at: Option<Timestamp>,
    pub(super) level: Option<String>,
    pub(super) target: Option<String>,
    pub(super) text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) fields: Option<Map<String, Value>>,
}

impl LogLine {
    /// A line of an attempt's log: `TIME LEVEL target: text`, or what else a program writes.
    pub(super) fn of_attempt(line: &str) -> Self {
        let parts = || {
            let (time, rest) = line.split_once(' ')?;
            let at: Timestamp = time.parse().ok()?;
            let (level, rest) = rest.trim_start().split_once(' ')?;
            let (target, text) = rest.split_once(": ")?;
            let ours = LEVELS.contains(&level) && !target.contains(' ');
            ours.then(|| (at, level.to_owned(), target.to_owned(), text.to_owned()))
        };
        match parts() {
            Some((at, level, target, text)) => Self {
                at: Some(at),
                level: Some(level),
                target: Some(target),
                text,
                ..Self::default()
            },
            None => Self { text: line.to_owned(), ..Self::default() },
        }
    }

    /// A line of a run's log: JSON, whose `spans` say what it belongs to. What is none is its own text.
    pub(super) fn of_run(line: &str) -> Self {
        let Ok(mut fields) = serde_json::from_str::<Map<String, Value>>(line) else {
            return Self { text: line.to_owned(), ..Self::default() };
        };
        let spans = fields.remove("spans");
        let spans = spans.iter().filter_map(Value::as_array).flatten().filter_map(Value::as_object);
        for (key, value) in spans.rev().flatten() {
            if key != "name" && key != "run" && !fields.contains_key(key) {
                fields.insert(key.clone(), value.clone());
            }
        }
        let mut text = |key: &str| match fields.remove(key) {
            Some(Value::String(text)) => Some(text),
            _ => None,
        };
        let at = text("timestamp").and_then(|text| text.parse().ok());
        let (level, target, symbol) = (text("level"), text("target"), text("symbol"));
        let text = text("message").unwrap_or_default();
        let attempt = fields.remove("attempt").and_then(|attempt| attempt.as_u64());
        Self { symbol, attempt, at, level, target, text, fields: Some(fields) }
    }

    /// The line as people read it.
    pub(super) fn human(&self) -> String {
        let mut line = String::new();
        if let (Some(at), Some(level), Some(target)) = (&self.at, &self.level, &self.target) {
            let _ = write!(line, "{at:.6} {level:>5} {target}: ");
        }
        match (&self.symbol, self.attempt) {
            (Some(symbol), Some(attempt)) => {
                let _ = write!(line, "{symbol}, attempt {attempt}: ");
            }
            (Some(symbol), None) => {
                let _ = write!(line, "{symbol}: ");
            }
            _ => {}
        }
        line.push_str(&self.text);
        for (key, value) in self.fields.iter().flatten() {
            let _ = match value {
                Value::String(text) if !text.is_empty() && !text.contains([' ', '"']) => {
                    write!(line, " {key}={text}")
                }
                value => write!(line, " {key}={value}"),
            };
        }
        line
    }
}

/// The line without anything that a terminal would obey: control characters, what turns the direction of
/// text, and bytes that are no UTF-8 are spelt out.
pub(super) fn tame(line: &[u8]) -> String {
    let mut tame = String::with_capacity(line.len());
    for chunk in line.utf8_chunks() {
        for c in chunk.valid().chars() {
            if (c.is_control() && c != '\t') || turns(c) {
                tame.extend(c.escape_unicode());
            } else {
                tame.push(c);
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(tame, "\\x{byte:02x}");
        }
    }
    tame
}

/// Whether a character changes the direction in which others are shown.
fn turns(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_an_attempt_has_time_level_target_and_text() {
        let line =
            "2026-11-29T06:40:00.123456Z  INFO mambafleet_worker::attempt: data: ready bars=9";
        let read = LogLine::of_attempt(line);
        assert_eq!(read.level.as_deref(), Some("INFO"));
        assert_eq!(read.target.as_deref(), Some("mambafleet_worker::attempt"));
        assert_eq!((read.text.as_str(), read.human().as_str()), ("data: ready bars=9", line));
    }

    #[test]
    fn what_a_program_wrote_is_text() {
        for line in [
            "",
            "Traceback (most recent call last):",
            "2026-11-29T06:40:00Z it began",
            "2026-11-29T06:40:00Z NOISE target: text",
            "2026-11-29T06:40:00Z INFO said she: text",
        ] {
            let read = LogLine::of_attempt(line);
            assert_eq!(read, LogLine { text: line.to_owned(), ..LogLine::default() });
            assert_eq!(read.human(), line);
        }
    }

    #[test]
    fn a_line_of_a_run_says_what_it_belongs_to() {
        let line = r#"{"timestamp":"2026-11-29T06:40:00.5Z","level":"WARN","message":"attempt failed",
            "cause":"no such file","attempt":2,"kind":"data","target":"mambafleet::run",
            "spans":[{"run":"20261129","name":"run"},{"symbol":"^GSPC","attempt":1,"worker":3,"name":"attempt"}]}"#;
        let read = LogLine::of_run(line);
        assert_eq!((read.symbol.as_deref(), read.attempt), (Some("^GSPC"), Some(2)));
        assert_eq!(
            read.human(),
            "2026-11-29T06:40:00.500000Z  WARN mambafleet::run: ^GSPC, attempt 2: attempt failed \
             cause=\"no such file\" kind=data worker=3"
        );
        assert_eq!(LogLine::of_run("half a li").human(), "half a li");
        assert_eq!(LogLine::of_run("{}").human(), "");
    }

    #[test]
    fn a_terminal_is_given_nothing_to_obey() {
        assert_eq!(tame("größe\t1".as_bytes()), "größe\t1");
        assert_eq!(tame(b"\x1b[2J\x07a\rb\x7f"), r"\u{1b}[2J\u{7}a\u{d}b\u{7f}");
        assert_eq!(tame(b"a\xff\xc3"), r"a\xff\xc3");
        assert_eq!(tame("\u{9b}31m \u{202e}x".as_bytes()), r"\u{9b}31m \u{202e}x");
    }
}

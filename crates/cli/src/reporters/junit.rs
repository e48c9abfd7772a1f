//! A run as JUnit XML, for whatever draws test results: a suite per run, a case per symbol.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use jiff::Timestamp;
use mambafleet_orchestrator::{RunSummary, SymbolSummary};
use mambafleet_protocol::Outcome;

use crate::error::CliError;

/// What is shown of a log: the last lines, up to so many bytes.
const TAIL_LINES: usize = 20;
const TAIL_BYTES: u64 = 8192;

/// The class of all cases.
const CLASS: &str = "mambafleet.train";

/// A case that did not pass.
struct Blemish<'a> {
    /// `failure`, `error` or `skipped`.
    element: &'static str,
    /// Its kind, unless it was skipped.
    kind: Option<String>,
    message: &'a str,
    text: String,
}

struct Case<'a> {
    name: &'a str,
    seconds: f64,
    blemish: Option<Blemish<'a>>,
}

/// A run that ended, with the ends of the logs of what failed.
pub(crate) fn junit(summary: &RunSummary) -> String {
    let cases: Vec<_> = summary.symbols.iter().map(|symbol| case(symbol, &tail)).collect();
    render(summary.run.as_str(), summary.started_at, summary.seconds, &cases)
}

/// An error that ended `train` before there was a run: one case, which did not pass.
pub(crate) fn junit_error(error: &CliError) -> String {
    let blemish = Blemish {
        element: "error",
        kind: Some(error.exit().kind().to_owned()),
        message: error.message(),
        text: error.hint().unwrap_or_default().to_owned(),
    };
    let case = Case { name: "train", seconds: 0.0, blemish: Some(blemish) };
    render("mambafleet train", Timestamp::now(), 0.0, &[case])
}

fn case<'a>(symbol: &'a SymbolSummary, tail: &dyn Fn(&Path) -> io::Result<String>) -> Case<'a> {
    let blemish = match &symbol.outcome {
        Outcome::Trained { .. } | Outcome::UpToDate { .. } | Outcome::Kept { .. } => None,
        Outcome::Failed { kind, cause, hint, attempts, log } => {
            let mut text = format!("attempts: {attempts}\nlog: {}\n", log.display());
            if let Some(hint) = hint {
                let _ = writeln!(text, "hint: {hint}");
            }
            // There is none of an attempt that never began.
            if let Ok(tail) = tail(log) {
                let _ = write!(text, "\n{tail}");
            }
            let kind = Some(kind.to_string().replace(' ', "_"));
            Some(Blemish { element: "failure", kind, message: cause, text })
        }
        Outcome::Skipped { why, .. } => {
            Some(Blemish { element: "skipped", kind: None, message: why, text: String::new() })
        }
        Outcome::Interrupted { started: true } => Some(Blemish {
            element: "error",
            kind: Some("interrupted".to_owned()),
            message: "the run was interrupted in the middle of it",
            text: String::new(),
        }),
        Outcome::Interrupted { started: false } => Some(Blemish {
            element: "skipped",
            kind: None,
            message: "the run was interrupted first",
            text: String::new(),
        }),
    };
    Case { name: symbol.symbol.as_str(), seconds: symbol.attempt_seconds, blemish }
}

/// The last lines of a file.
fn tail(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
    let mut bytes = Vec::new();
    file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<_> = text.lines().collect();
    Ok(lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n"))
}

fn render(suite: &str, began: Timestamp, seconds: f64, cases: &[Case<'_>]) -> String {
    let count = |element| {
        let of = |case: &&Case<'_>| case.blemish.as_ref().is_some_and(|b| b.element == element);
        cases.iter().filter(of).count()
    };
    let counts = format!(
        "tests=\"{}\" failures=\"{}\" errors=\"{}\" time=\"{seconds:.3}\"",
        cases.len(),
        count("failure"),
        count("error"),
    );
    // The schema that Jenkins checks with knows skipped cases of a suite alone.
    let (suite, skipped) = (attribute(suite), count("skipped"));
    let began = began.strftime("%Y-%m-%dT%H:%M:%S");
    let mut xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"mambafleet\" {counts}>\n  \
         <testsuite name=\"{suite}\" timestamp=\"{began}\" {counts} skipped=\"{skipped}\">\n",
    );
    for Case { name, seconds, blemish } in cases {
        let name = attribute(name);
        let _ = write!(
            xml,
            "    <testcase classname=\"{CLASS}\" name=\"{name}\" time=\"{seconds:.3}\""
        );
        let Some(Blemish { element, kind, message, text }) = blemish else {
            xml.push_str("/>\n");
            continue;
        };
        let _ = write!(xml, ">\n      <{element}");
        if let Some(kind) = kind {
            let _ = write!(xml, " type=\"{}\"", attribute(kind));
        }
        let (message, text) = (attribute(message), content(text));
        let _ = write!(xml, " message=\"{message}\">{text}</{element}>\n    </testcase>\n");
    }
    xml.push_str("  </testsuite>\n</testsuites>\n");
    xml
}

/// Text between two tags.
fn content(text: &str) -> String {
    escape(text, |c| matches!(c, '\t' | '\n'))
}

/// Text between two double quotes, where a parser takes white space for a blank unless it is escaped.
fn attribute(text: &str) -> String {
    escape(text, |_| false)
}

/// Escapes what means something in XML; `as_is` says of which white space it does not. What XML cannot
/// hold in any form becomes the replacement character.
fn escape(text: &str, as_is: impl Fn(char) -> bool) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\t' | '\n' | '\r' if !as_is(c) => {
                let _ = write!(escaped, "&#{};", u32::from(c));
            }
            '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'.. => escaped.push(c),
            _ => escaped.push(char::REPLACEMENT_CHARACTER),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use mambafleet_protocol::{FailureKind, SkipReason, Symbol};
    use proptest::prelude::*;
    use roxmltree::Document;

    use super::*;

    fn symbol(name: &str, outcome: Outcome) -> SymbolSummary {
        let symbol = Symbol::new(name).unwrap();
        SymbolSummary { symbol, last_success: None, attempt_seconds: 1.25, outcome }
    }

    fn failed(cause: String, hint: Option<String>) -> Outcome {
        let log = PathBuf::from("no/such.log");
        Outcome::Failed { kind: FailureKind::OutOfMemory, cause, hint, attempts: 2, log }
    }

    /// What a parser can get back of a text.
    fn readable(text: &str) -> String {
        let odd = |c: char| (c < ' ' && !"\t\n\r".contains(c)) || "\u{fffe}\u{ffff}".contains(c);
        text.chars().map(|c| if odd(c) { char::REPLACEMENT_CHARACTER } else { c }).collect()
    }

    fn xml(symbols: &[SymbolSummary], log: &str) -> String {
        let log = |_: &Path| Ok(log.to_owned());
        let cases: Vec<_> = symbols.iter().map(|symbol| case(symbol, &log)).collect();
        render("a run", "2026-11-24T03:12:00.5Z".parse().unwrap(), 2.0, &cases)
    }

    #[test]
    fn every_outcome_has_its_place() {
        let symbols = [
            symbol("A", Outcome::UpToDate { generation: 3 }),
            symbol("B", failed("went wrong".into(), Some("mend it".into()))),
            symbol(
                "C",
                Outcome::Skipped {
                    reason: SkipReason::Deadline,
                    attempts: 0,
                    why: "too late".into(),
                },
            ),
            symbol("D", Outcome::Interrupted { started: true }),
            symbol("E", Outcome::Interrupted { started: false }),
        ];
        insta::assert_snapshot!(xml(&symbols, "last words"), @r#"
        <?xml version="1.0" encoding="UTF-8"?>
        <testsuites name="mambafleet" tests="5" failures="1" errors="1" time="2.000">
          <testsuite name="a run" timestamp="2026-11-24T03:12:00" tests="5" failures="1" errors="1" time="2.000" skipped="2">
            <testcase classname="mambafleet.train" name="A" time="1.250"/>
            <testcase classname="mambafleet.train" name="B" time="1.250">
              <failure type="out_of_memory" message="went wrong">attempts: 2
        log: no/such.log
        hint: mend it

        last words</failure>
            </testcase>
            <testcase classname="mambafleet.train" name="C" time="1.250">
              <skipped message="too late"></skipped>
            </testcase>
            <testcase classname="mambafleet.train" name="D" time="1.250">
              <error type="interrupted" message="the run was interrupted in the middle of it"></error>
            </testcase>
            <testcase classname="mambafleet.train" name="E" time="1.250">
              <skipped message="the run was interrupted first"></skipped>
            </testcase>
          </testsuite>
        </testsuites>
        "#);
    }

    #[test]
    fn of_a_log_the_last_lines_are_shown() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        assert_eq!(tail(file.path()).unwrap(), "");
        let lines: String = (0..5000).map(|number| format!("line {number}\n")).collect();
        io::Write::write_all(&mut file, lines.as_bytes()).unwrap();
        let shown = tail(file.path()).unwrap();
        assert!(shown.starts_with("line 4980\n") && shown.ends_with("\nline 4999"), "{shown}");
        io::Write::write_all(&mut file, &[0xff; 20_000]).unwrap();
        assert_eq!(tail(file.path()).unwrap().chars().count(), 8192);
        assert!(tail(Path::new("no/such.log")).is_err());
    }

    /// Any text, and above all what may be taken for XML or is none.
    fn hostile() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            any::<char>().prop_map(String::from),
            (0_u8..0xa0).prop_map(|byte| char::from(byte).to_string()),
            proptest::sample::select(vec![
                "]]>",
                "<![CDATA[",
                "<",
                "</failure>",
                "&",
                "&amp;",
                "&#0;",
                "\"",
                "'",
                "--",
                "\r\n",
                "\r",
                "\t",
                "\u{1b}[31m",
                "\0",
                "\u{fffe}",
                "\u{ffff}",
                "\u{85}",
                "\u{2028}",
                "<?xml",
            ])
            .prop_map(str::to_owned),
        ];
        proptest::collection::vec(piece, 0..30).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn whatever_failed_with_whatever_message_can_be_read_back(
            cause in hostile(), hint in hostile(), log in hostile(), why in hostile(),
        ) {
            let (reason, attempts) = (SkipReason::Deadline, 0);
            let symbols = [
                symbol("A", failed(cause.clone(), Some(hint.clone()))),
                symbol("^B", Outcome::Skipped { reason, attempts, why: why.clone() }),
            ];
            let xml = xml(&symbols, &log);
            let document = Document::parse(&xml).unwrap();
            let named = |name| document.descendants().find(|node| node.has_tag_name(name)).unwrap();
            let failure = named("failure");
            prop_assert_eq!(failure.attribute("message").unwrap(), readable(&cause));
            let text = failure.text().unwrap().to_owned();
            let (hint, log) = (readable(&hint), readable(&log));
            prop_assert_eq!(text, format!("attempts: 2\nlog: no/such.log\nhint: {hint}\n\n{log}"));
            prop_assert_eq!(named("skipped").attribute("message").unwrap(), readable(&why));
            prop_assert_eq!(document.descendants().filter(|n| n.has_tag_name("testcase")).count(), 2);
        }
    }
}

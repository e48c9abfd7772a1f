//! What stays above the live lines: how symbols ended, and what else is worth a line.

use std::path::Path;

use mambafleet_orchestrator::RunEvent;
use mambafleet_protocol::{Outcome, Symbol};

use super::super::plain::{count, describe};
use crate::style::{Page, Tone, pad, width};
use crate::table::{against, number, seconds};

/// Columns of the longest word for an outcome but one.
const OUTCOME: usize = 10;

/// Text about an event for a terminal; none for what the live lines show, or nobody needs to know.
/// Symbols take `symbols` columns.
pub(super) fn scrolled(event: &RunEvent, symbols: usize, page: Page) -> Option<String> {
    let tone = match event {
        RunEvent::AttemptStarted { .. } | RunEvent::Loaded(_) | RunEvent::Progress(_) => {
            return None;
        }
        RunEvent::SymbolFinished { symbol, outcome } => {
            return Some(finished(symbol, outcome, symbols, page));
        }
        RunEvent::WorkerLost { .. }
        | RunEvent::AttemptFailed { .. }
        | RunEvent::Slow { .. }
        | RunEvent::Draining { .. }
        | RunEvent::Killing { .. }
        | RunEvent::Notified(_) => Some(Tone::Warn),
        _ => None,
    };
    let text = page.wrap(&describe(event)?, 2);
    Some(tone.map_or(text.clone(), |tone| painted(&text, tone, page)))
}

/// Each line in a colour of its own, so that none runs on.
fn painted(text: &str, tone: Tone, page: Page) -> String {
    text.lines().map(|line| page.look.paint(tone, line)).collect::<Vec<_>>().join("\n")
}

/// How a symbol ended: as much of it as fits into a line if it went well, all of it if not.
fn finished(symbol: &Symbol, outcome: &Outcome, symbols: usize, page: Page) -> String {
    let name = page.look.paint(Tone::Strong, &pad(symbol.as_str(), symbols, false));
    let label = outcome.label();
    let word = page.look.word(label) + &" ".repeat(OUTCOME.saturating_sub(width(label)));
    let head = format!("{name}  {word}  ");
    match outcome {
        Outcome::Trained { generation, attempts, seconds: time, headline } => {
            let mut parts = vec![
                format!(
                    "test {} ({})",
                    number(headline.test_loss),
                    against(headline.test_loss, headline.baseline_loss)
                ),
                seconds(*time),
                format!("generation {generation}"),
                format!(
                    "validation {} -> {}",
                    number(headline.first_validation_loss),
                    number(headline.best_validation_loss)
                ),
            ];
            if *attempts > 1 {
                parts.insert(1, count(*attempts as usize, "attempt"));
            }
            fitting(&head, &parts, page)
        }
        Outcome::UpToDate { generation } => {
            fitting(&head, &[format!("generation {generation}")], page)
        }
        Outcome::Kept { comparison, seconds: time, .. } => fitting(
            &head,
            &[
                format!("generation {} stays", comparison.generation),
                format!(
                    "{} new, {} old on {}",
                    number(comparison.new_loss),
                    number(comparison.old_loss),
                    count(comparison.samples, "common sample")
                ),
                seconds(*time),
            ],
            page,
        ),
        Outcome::Failed { kind, cause, hint, attempts, log } => {
            let tries =
                if *attempts > 1 { format!(", {attempts} attempts") } else { String::new() };
            let mut lines = vec![page.wrap(&format!("{head}({kind}{tries}) {cause}"), 2)];
            lines.extend(hint.iter().map(|hint| page.wrap(&format!("  hint: {hint}"), 2)));
            lines.push(page.wrap(&format!("  log:  {}", near(log)), 2));
            lines.join("\n")
        }
        Outcome::Skipped { why, .. } => page.wrap(&(head + why), 2),
        Outcome::Interrupted { started: true } => page.wrap(&(head + "in the middle of it"), 2),
        Outcome::Interrupted { started: false } => page.wrap(&(head + "not started"), 2),
    }
}

/// The first parts, as many as fit into a line; the first one always.
fn fitting(head: &str, parts: &[String], page: Page) -> String {
    let mut line = head.to_owned();
    for (index, part) in parts.iter().enumerate() {
        let more = if index == 0 { part.clone() } else { format!(", {part}") };
        if index > 0 && page.width.is_some_and(|columns| width(&line) + width(&more) > columns) {
            break;
        }
        line += &more;
    }
    line.trim_end().to_owned()
}

/// A path as it is found from here, if it lies below.
fn near(path: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(here).unwrap_or(path).display().to_string()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use mambafleet_protocol::{FailureKind, Headline};

    use super::*;
    use crate::style::Look;

    fn shown(outcome: Outcome, columns: usize) -> String {
        let page = Page { look: Look::default(), width: Some(columns) };
        let symbol = Symbol::new("BRK.B").unwrap();
        scrolled(&RunEvent::SymbolFinished { symbol, outcome }, 6, page).unwrap()
    }

    fn trained(attempts: u32) -> Outcome {
        let headline = Headline {
            epochs: 20,
            first_validation_loss: 0.3,
            best_validation_loss: 0.2,
            test_loss: 0.25,
            baseline_loss: 0.26,
        };
        Outcome::Trained { generation: 1, attempts, seconds: 60.0, headline }
    }

    #[test]
    fn what_went_well_takes_one_line_with_what_matters_first() {
        assert_eq!(
            shown(trained(2), 120),
            "BRK.B   trained     test 0.2500 (+3.8 %), 2 attempts, 1m 0s, generation 1, validation 0.3000 -> 0.2000"
        );
        assert_eq!(shown(trained(1), 50), "BRK.B   trained     test 0.2500 (+3.8 %), 1m 0s");
        assert_eq!(shown(trained(1), 40), "BRK.B   trained     test 0.2500 (+3.8 %)");
        assert_eq!(
            shown(Outcome::UpToDate { generation: 7 }, 40),
            "BRK.B   up to date  generation 7"
        );
    }

    #[test]
    fn a_failure_is_told_whole_and_its_log_is_near() {
        let log = std::env::current_dir().unwrap().join("store/runs/R/logs/BRK.B.1.log");
        let failed = |log| Outcome::Failed {
            kind: FailureKind::Data,
            cause: "line 17 has no close".into(),
            hint: Some("mend the file".into()),
            attempts: 1,
            log,
        };
        insta::assert_snapshot!(shown(failed(log), 40), @"
        BRK.B   failed      (data) line 17 has
          no close
          hint: mend the file
          log:  store/runs/R/logs/BRK.B.1.log
        ");
        assert!(
            shown(failed(PathBuf::from("/elsewhere/x.log")), 40)
                .ends_with("log:  /elsewhere/x.log")
        );
    }

    #[test]
    fn what_the_live_lines_show_is_not_said_twice() {
        let page = Page::default();
        let symbol = Symbol::new("A").unwrap();
        let started = RunEvent::AttemptStarted { symbol, attempt: 1, worker: 1, pid: 1 };
        assert_eq!(scrolled(&started, 6, page), None);
        let lost = RunEvent::WorkerLost { worker: 1, pid: None, cause: "worker 1 died".into() };
        assert_eq!(scrolled(&lost, 6, page).unwrap(), "worker 1 died");
    }
}

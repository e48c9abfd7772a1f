//! What a person is told when a run has ended.

use std::fmt::Write;
use std::path::Path;

use jiff::Timestamp;
use mambafleet_orchestrator::{CompleteRun, LockWaits, RunSummary, RunTime, SymbolSummary};
use mambafleet_protocol::{FailureKind, Outcome, Symbol};

use super::plain::count;
use crate::output::SYNTHETIC_NOTE;
use crate::since::Change;
use crate::style::{Page, Tone};
use crate::table::{Column, Table, against, bytes, local, number, percent, seconds};

const COLUMNS: [Column<'_>; 8] = [
    ("symbol", false),
    ("outcome", false),
    ("gen", true),
    ("epochs", true),
    ("validation loss", true),
    ("test loss", true),
    ("vs baseline", true),
    ("time", true),
];

/// Columns that a narrow terminal does without.
const SPARE: [&str; 5] = ["epochs", "validation loss", "gen", "time", "vs baseline"];

/// With more symbols a terminal shows no row for each of them.
const MANY: usize = 40;

/// How many failures are told in full if there is no row for each symbol.
const FAILURES: usize = 10;

/// How many symbols are named that were slow or became worse.
const NAMED: usize = 5;

/// A run that ended, and what is to be said of it.
pub(crate) struct Closing<'a> {
    pub(crate) summary: &'a RunSummary,
    /// Directory of the run's record.
    pub(crate) record: &'a Path,
    pub(crate) synthetic: bool,
    /// What the new models are worth beside those before them, the worst first.
    pub(crate) changes: &'a [Change],
    /// Every symbol has its row, however many there are.
    pub(crate) whole: bool,
}

/// Everything a person wants to see when a run has ended: a row per symbol, each failure with cause,
/// hint and log, what stands out, the counts and where the time went. With many symbols a terminal
/// shows what stands out alone; a file or a pipe gets all rows.
pub(crate) fn summary_table(closing: &Closing<'_>, page: Page) -> String {
    let Closing { summary, record, synthetic, changes, whole } = *closing;
    let whole = whole || !page.is_terminal() || summary.symbols.len() <= MANY;
    let mut parts = Vec::new();
    if whole {
        let rows = summary.symbols.iter().map(row).collect();
        parts.push(Table::new(&COLUMNS, rows).spare(&SPARE).lay_out(page));
    }
    parts.extend(misses(summary, if whole { usize::MAX } else { FAILURES }, page));
    parts.extend(worst(changes, page));
    let mut text = format!("{} in {}", painted_counts(summary, page), seconds(summary.seconds));
    text.extend(slowest(summary));
    text.push_str(&time(summary));
    text.extend(locks(summary));
    if !summary.all_good() {
        let _ = write!(text, "\n{}", last_complete(summary));
    }
    if synthetic {
        let _ = write!(text, "\n{SYNTHETIC_NOTE}");
    }
    if !whole {
        let all = count(summary.symbols.len(), "symbol");
        let _ = write!(text, "\na row for each of {all}: mambafleet runs {} --all", summary.run);
    }
    let _ = write!(text, "\nrecord: {}", record.display());
    parts.push(text);
    page.wrap(&parts.join("\n\n"), 2)
}

/// Each symbol that failed or was skipped, with cause, hint and log: so many of them, and the names of
/// the others.
fn misses(summary: &RunSummary, most: usize, page: Page) -> Vec<String> {
    let all: Vec<_> = summary.symbols.iter().filter_map(|symbol| miss(symbol, page)).collect();
    let mut told: Vec<_> = all.iter().take(most).map(|(_, text)| text.clone()).collect();
    if let Some((first, others)) = all.get(most..).and_then(<[_]>::split_first) {
        let names =
            others.iter().fold(first.0.to_string(), |names, (name, _)| format!("{names}, {name}"));
        told.push(format!("and {} more: {names}", 1 + others.len()));
    }
    told
}

fn miss(symbol: &SymbolSummary, page: Page) -> Option<(&Symbol, String)> {
    let SymbolSummary { symbol, last_success, outcome, .. } = symbol;
    let last = last_trained(*last_success);
    let word = page.look.word(outcome.label());
    let text = match outcome {
        Outcome::Failed { kind, cause, hint, attempts, log } => {
            let attempts = count(*attempts as usize, "attempt");
            let hint = hint.as_ref().map_or_else(String::new, |hint| format!("\n  hint: {hint}"));
            let log = log.display();
            format!("{symbol} {word} ({kind}, {attempts}): {cause}{hint}\n  log:  {log}\n  {last}")
        }
        Outcome::Skipped { why, .. } => format!("{symbol} {word}: {why}\n  {last}"),
        _ => return None,
    };
    Some((symbol, text))
}

/// The symbols whose loss has risen most against the generation before.
fn worst(changes: &[Change], page: Page) -> Option<String> {
    const COLUMNS: [Column<'_>; 6] = [
        ("symbol", false),
        ("gen", false),
        ("was", true),
        ("is", true),
        ("change", true),
        ("compared on", false),
    ];
    if changes.is_empty() {
        return None;
    }
    let shown = &changes[..changes.len().min(NAMED)];
    let row = |change: &Change| {
        let generations = match change.new {
            Some(new) => format!("{} -> {new}", change.old),
            None => format!("{} kept", change.old),
        };
        let samples = change.common_samples.map(|samples| count(samples, "common sample"));
        vec![
            change.symbol.to_string(),
            generations,
            number(change.old_loss),
            number(change.new_loss),
            percent(change.rise()),
            samples.unwrap_or_else(|| "own test parts".to_owned()),
        ]
    };
    let table = Table::new(&COLUMNS, shown.iter().map(row).collect());
    let table = table.spare(&["was", "is", "gen"]).lay_out(page);
    let of = match changes.len() - shown.len() {
        0 => String::new(),
        _ => format!(", the worst {NAMED} of {}", changes.len()),
    };
    let mut text = format!("against the generation before{of}:\n{table}");
    if shown.iter().any(|change| change.common_samples.is_none()) {
        text += "\nown test parts: each model's test loss, on the newest days it had, which may be others";
    }
    Some(text)
}

/// The symbols that took longest.
fn slowest(summary: &RunSummary) -> Option<String> {
    let mut symbols: Vec<_> =
        summary.symbols.iter().filter(|symbol| symbol.attempt_seconds > 0.0).collect();
    if symbols.len() <= NAMED {
        return None;
    }
    symbols.sort_by(|a, b| b.attempt_seconds.total_cmp(&a.attempt_seconds));
    let named = symbols.iter().take(NAMED).map(|symbol| {
        let tries = match symbol.outcome {
            Outcome::Trained { attempts, .. }
            | Outcome::Kept { attempts, .. }
            | Outcome::Failed { attempts, .. }
                if attempts > 1 =>
            {
                format!(" in {attempts} attempts")
            }
            _ => String::new(),
        };
        format!("{} {}{tries}", symbol.symbol, seconds(symbol.attempt_seconds))
    });
    Some(format!("\nslowest: {}", named.collect::<Vec<_>>().join(", ")))
}

/// What commits waited for locks; nothing where there was none, or nobody counted.
fn locks(summary: &RunSummary) -> Option<String> {
    let LockWaits { commits, waited, seconds: sum, longest_seconds } = summary.time.locks;
    let busy = summary.symbols.iter().filter(|symbol| {
        matches!(symbol.outcome, Outcome::Failed { kind: FailureKind::LockBusy, .. })
    });
    let gave_up = match busy.count() {
        0 => String::new(),
        number => format!("; {} gave up", count(number, "symbol")),
    };
    let waits = match (commits, waited) {
        (0, _) if gave_up.is_empty() => return None,
        (_, 0) => format!("none of {} waited", count(commits, "commit")),
        _ => format!(
            "{waited} of {} waited, {} in all, {} at most",
            count(commits, "commit"),
            seconds(sum),
            seconds(longest_seconds)
        ),
    };
    Some(format!("\nlocks: {waits}{gave_up}"))
}

/// What there is of a symbol that has no new generation.
fn last_trained(last_success: Option<Timestamp>) -> String {
    match last_success {
        Some(moment) => format!("last trained {}", local(moment)),
        None => "never trained before".to_owned(),
    }
}

/// When all went well the last time.
pub(crate) fn last_complete(summary: &RunSummary) -> String {
    match &summary.last_successful_run {
        Some(CompleteRun { run, finished_at }) => {
            format!(
                "last time that all of these symbols went well: {} ({run})",
                local(*finished_at)
            )
        }
        None => "not all of these symbols have ever gone well in one run".to_owned(),
    }
}

/// Where the workers' time went, and the processor's; nothing for a run without attempts.
fn time(summary: &RunSummary) -> String {
    let RunTime { workers, stages, idle_seconds, orchestrator_cpu_seconds, worker_memory, .. } =
        summary.time;
    let mut parts: Vec<_> =
        stages.named().into_iter().map(|(name, spent)| (name, spent.seconds)).collect();
    parts.push(("idle", idle_seconds));
    if stages.total().seconds == 0.0 {
        return String::new();
    }
    let parts = shares(&parts);
    let mut text = format!("\ntime of {}: {parts}", count(workers, "worker"));
    let used = summary.time.cpu_seconds();
    if stages.total().cpu_seconds > 0.0 {
        let in_training = 100.0 * stages.train.cpu_seconds / used;
        let own = 100.0 * orchestrator_cpu_seconds / used;
        let _ = write!(
            text,
            "\nprocessor time {}: {in_training:.1} % in training steps, {own:.1} % orchestrator",
            seconds(used)
        );
    }
    if let Some(memory) = worker_memory {
        let _ = write!(text, "\nmemory of a worker: at most {}", bytes(memory));
    }
    text
}

/// `load 0.4 %, train 99.6 %`.
fn shares(parts: &[(&str, f64)]) -> String {
    let sum = parts.iter().map(|(_, part)| part).sum::<f64>().max(f64::MIN_POSITIVE);
    let share = |(name, part): &(&str, f64)| format!("{name} {:.1} %", 100.0 * part / sum);
    parts.iter().map(share).collect::<Vec<_>>().join(", ")
}

/// `2 trained, 1 failed`.
pub(crate) fn counts(summary: &RunSummary) -> String {
    counted(summary).map(|(n, label)| format!("{n} {label}")).collect::<Vec<_>>().join(", ")
}

fn painted_counts(summary: &RunSummary, page: Page) -> String {
    let shown = counted(summary).map(|(n, label)| {
        let text = format!("{n} {label}");
        Tone::of(label).map_or(text.clone(), |tone| page.look.paint(tone, &text))
    });
    shown.collect::<Vec<_>>().join(", ")
}

/// Outcomes that there are, with their numbers.
fn counted(summary: &RunSummary) -> impl Iterator<Item = (usize, &'static str)> {
    let labels = ["trained", "up to date", "kept", "failed", "skipped", "interrupted"];
    labels.into_iter().map(|label| (summary.count(label), label)).filter(|(n, _)| *n > 0)
}

fn row(SymbolSummary { symbol, outcome, .. }: &SymbolSummary) -> Vec<String> {
    let blank = String::new;
    match outcome {
        Outcome::Trained { generation, seconds: time, headline, .. } => vec![
            symbol.to_string(),
            outcome.label().to_owned(),
            generation.to_string(),
            headline.epochs.to_string(),
            format!(
                "{} -> {}",
                number(headline.first_validation_loss),
                number(headline.best_validation_loss)
            ),
            number(headline.test_loss),
            against(headline.test_loss, headline.baseline_loss),
            seconds(*time),
        ],
        Outcome::UpToDate { generation } => short(symbol, outcome, generation.to_string()),
        Outcome::Kept { comparison, seconds: time, .. } => vec![
            symbol.to_string(),
            outcome.label().to_owned(),
            comparison.generation.to_string(),
            blank(),
            blank(),
            number(comparison.new_loss),
            format!("old {}", number(comparison.old_loss)),
            seconds(*time),
        ],
        Outcome::Failed { .. } | Outcome::Skipped { .. } | Outcome::Interrupted { .. } => {
            short(symbol, outcome, blank())
        }
    }
}

fn short(symbol: &Symbol, outcome: &Outcome, generation: String) -> Vec<String> {
    let mut row = vec![symbol.to_string(), outcome.label().to_owned(), generation];
    row.resize(COLUMNS.len(), String::new());
    row
}

#[cfg(test)]
#[path = "summary_tests.rs"]
mod tests;

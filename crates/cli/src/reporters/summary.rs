//! The table at the end of a run.

use std::fmt::Write;
use std::path::Path;

use jiff::Timestamp;
use mambafleet_orchestrator::{CompleteRun, RunSummary, RunTime, SymbolSummary};
use mambafleet_protocol::{Outcome, Symbol};

use super::plain::count;
use crate::output::SYNTHETIC_NOTE;
use crate::table::{Column, against, bytes, local, number, render, seconds};

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

/// Everything a person wants to see when a run has ended: a row per symbol, each failure with
/// cause, hint and log, and the counts.
pub(crate) fn summary_table(summary: &RunSummary, record: &Path, synthetic: bool) -> String {
    let rows = summary.symbols.iter().map(row).collect();
    let mut text = render(&COLUMNS, rows);
    text.push('\n');
    for SymbolSummary { symbol, last_success, outcome, .. } in &summary.symbols {
        if let Outcome::Failed { kind, cause, hint, attempts, log } = outcome {
            let attempts = count(*attempts as usize, "attempt");
            let _ = write!(text, "\n{symbol} failed ({kind}, {attempts}): {cause}\n");
            if let Some(hint) = hint {
                let _ = writeln!(text, "  hint: {hint}");
            }
            let _ = writeln!(text, "  log:  {}", log.display());
            let _ = writeln!(text, "  {}", last_trained(*last_success));
        }
        if let Outcome::Skipped { why, .. } = outcome {
            let _ = write!(text, "\n{symbol} skipped: {why}\n  {}\n", last_trained(*last_success));
        }
    }
    let _ = write!(text, "\n{} in {}", counts(summary), seconds(summary.seconds));
    text.push_str(&time(summary));
    if !summary.all_good() {
        let _ = write!(text, "\n{}", last_complete(summary));
    }
    if synthetic {
        let _ = write!(text, "\n{SYNTHETIC_NOTE}");
    }
    let _ = write!(text, "\nrecord: {}", record.display());
    text
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
    let labels = ["trained", "up to date", "kept", "failed", "skipped", "interrupted"];
    let counted = labels.iter().map(|label| (summary.count(label), label));
    let shown = counted.filter(|(n, _)| *n > 0).map(|(n, label)| format!("{n} {label}"));
    shown.collect::<Vec<_>>().join(", ")
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

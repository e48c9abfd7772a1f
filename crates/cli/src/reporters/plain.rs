//! A plain line per event, for logs and pipes.

use mambafleet_orchestrator::{Reporter, RunEvent, RunningNow, StampedEvent, Status};
use mambafleet_protocol::{Comparison, EpochReport, Outcome, SampleCounts, Symbol};

use crate::notify::warning;
use crate::output::say;
use crate::table::{against, bytes as bytes_text, local, number, seconds};

/// Writes one line per event to standard error.
pub(crate) struct PlainReporter;

impl Reporter for PlainReporter {
    fn on_event(&mut self, event: &StampedEvent) {
        if let Some(line) = describe(&event.event) {
            say(&line);
        }
    }
}

/// One line about an event; `None` for events that only programs care about.
pub(crate) fn describe(event: &RunEvent) -> Option<String> {
    Some(match event {
        RunEvent::RunStarted { run, symbols, workers, threads, synthetic, deadline, .. } => {
            let symbols = count(*symbols, "symbol");
            let demo = if *synthetic { " on synthetic demo data" } else { "" };
            let until = deadline.map_or_else(String::new, |at| format!(", until {}", local(at)));
            format!("run {run}: {symbols}{demo}, {}{until}", fleet(*workers, *threads))
        }
        RunEvent::WorkerStarted { .. }
        | RunEvent::Stored(_)
        | RunEvent::AttemptEnded { .. }
        | RunEvent::Pulse(_)
        | RunEvent::RunFinished { .. } => return None,
        RunEvent::WorkerLost { pid, cause, .. } => {
            let pid = pid.map_or_else(String::new, |pid| format!(" (pid {pid})"));
            format!("{cause}{pid}")
        }
        RunEvent::Stray { worker, text } => format!("worker {worker} wrote: {text}"),
        RunEvent::AttemptStarted { symbol, attempt, worker, .. } => {
            format!("{symbol}: attempt {attempt} on worker {worker}")
        }
        RunEvent::Loaded(SampleCounts { symbol, bars, train, validation, test }) => {
            format!("{symbol}: {bars} bars; {train} train, {validation} validation, {test} test")
        }
        RunEvent::Progress(report) => epoch(report),
        RunEvent::AttemptFailed { symbol, attempt, kind, cause, retry_in } => {
            let next = retry_in.map_or_else(String::new, |s| format!("; again in {s:.1} s"));
            format!("{symbol}: attempt {attempt} failed ({kind}): {cause}{next}")
        }
        RunEvent::SymbolFinished { symbol, outcome } => finished(symbol, outcome),
        RunEvent::Slow { symbol, seconds: so_far, expected, .. } => format!(
            "{symbol}: slow, {} so far and {} the last time",
            seconds(*so_far),
            seconds(*expected)
        ),
        RunEvent::Status(now) => status(now),
        RunEvent::Suspended => "suspended, the workers too".to_owned(),
        RunEvent::Resumed { seconds: pause } => {
            format!("going on after {}, which count for no limit", seconds(*pause))
        }
        RunEvent::Draining { signal, running, grace } => {
            let within = grace.map_or_else(String::new, |grace| format!(" within {grace} s"));
            let running = count(*running, "attempt");
            format!("{signal}: starting nothing new; {running} may finish{within} (again to kill)")
        }
        RunEvent::Killing { reason } => format!("killing the workers: {reason}"),
        RunEvent::Notified(told) => return Some(format!("warning: {}", warning(told)?)),
    })
}

/// A line for each attempt that runs, and how many symbols wait.
fn status(Status { running, waiting }: &Status) -> String {
    let mut lines = vec![format!("{} running, {waiting} waiting", running.len())];
    for now in running {
        let RunningNow { symbol, attempt, worker, last, .. } = now;
        let pid = now.pid.map_or_else(String::new, |pid| format!(" (pid {pid})"));
        let memory =
            now.memory.map_or_else(String::new, |bytes| format!(", {}", bytes_text(bytes)));
        lines.push(format!(
            "  {symbol}: attempt {attempt} on worker {worker}{pid} for {}{memory}; {} ago: {last}",
            seconds(now.seconds),
            seconds(now.silent_seconds)
        ));
    }
    lines.join("\n")
}

/// One line about an epoch.
fn epoch(report: &EpochReport) -> String {
    format!(
        "{}: epoch {}/{}, train {}, validation {}, {} samples/s",
        report.symbol,
        report.epoch,
        report.epochs,
        number(report.train_loss),
        number(report.validation_loss),
        report.samples_per_second.round(),
    )
}

/// One line about how a symbol ended.
pub(crate) fn finished(symbol: &Symbol, outcome: &Outcome) -> String {
    match outcome {
        Outcome::Trained { generation, seconds: time, headline, .. } => format!(
            "{symbol}: generation {generation} in {}, validation {} -> {}, test {} ({})",
            seconds(*time),
            number(headline.first_validation_loss),
            number(headline.best_validation_loss),
            number(headline.test_loss),
            against(headline.test_loss, headline.baseline_loss),
        ),
        Outcome::UpToDate { generation } => {
            format!("{symbol}: up to date, generation {generation}")
        }
        Outcome::Kept { comparison, seconds: time, .. } => format!(
            "{symbol}: generation {} kept after {}: {}",
            comparison.generation,
            seconds(*time),
            compared(comparison)
        ),
        Outcome::Failed { kind, cause, hint, .. } => {
            let hint = hint.as_ref().map_or_else(String::new, |hint| format!("\n  hint: {hint}"));
            format!("{symbol}: failed ({kind}): {cause}{hint}")
        }
        Outcome::Skipped { why, .. } => format!("{symbol}: skipped: {why}"),
        Outcome::Interrupted { started: true } => format!("{symbol}: interrupted"),
        Outcome::Interrupted { started: false } => format!("{symbol}: not started"),
    }
}

/// `the new model's loss on the 250 newest samples is 0.31, the old one's 0.3`.
pub(crate) fn compared(comparison: &Comparison) -> String {
    let Comparison { samples, new_loss, old_loss, margin, .. } = *comparison;
    let allowed = match margin {
        0.0 => String::new(),
        margin => format!(", {} % more are allowed", number(100.0 * margin)),
    };
    format!(
        "the new model's loss on {} is {}, the old one's {}{allowed}",
        count(samples, "common sample"),
        number(new_loss),
        number(old_loss)
    )
}

/// `2 workers of 1 thread each`.
pub(crate) fn fleet(workers: usize, threads: usize) -> String {
    format!("{} of {} each", count(workers, "worker"), count(threads, "thread"))
}

/// A number with its noun: `1 symbol`, `3 symbols`.
pub(crate) fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

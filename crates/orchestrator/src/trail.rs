//! The events of a run as log lines, for those who read its log and not its events.

use mambafleet_protocol::{Outcome, Symbol};

use crate::{RunEvent, Told};

/// The target of these lines: reporters tell the same events to people.
pub const TRAIL: &str = "mambafleet::run";

/// Logs one event.
pub(crate) fn log(event: &RunEvent) {
    match event {
        RunEvent::RunStarted { store, symbols, workers, threads, synthetic, .. } => {
            let store = store.display();
            tracing::info!(target: TRAIL, %store, symbols, workers, threads, synthetic, "run begins");
        }
        RunEvent::Slow { symbol, attempt, seconds, expected } => {
            tracing::warn!(target: TRAIL, %symbol, attempt, seconds, expected, "slow");
        }
        RunEvent::SymbolFinished { symbol, outcome } => finished(symbol, outcome),
        RunEvent::Suspended => tracing::info!(target: TRAIL, "suspended"),
        RunEvent::Resumed { seconds } => tracing::info!(target: TRAIL, seconds, "going on"),
        RunEvent::Draining { signal, running, grace } => {
            tracing::warn!(target: TRAIL, signal, running, grace, "starting nothing new");
        }
        RunEvent::Killing { reason } => {
            tracing::warn!(target: TRAIL, reason, "killing the workers");
        }
        RunEvent::Notified(Told { by, seconds, failure: Some(error) }) => {
            tracing::warn!(target: TRAIL, ?by, seconds, error, "nobody was told");
        }
        RunEvent::Notified(Told { by, seconds, failure: None }) => {
            tracing::info!(target: TRAIL, ?by, seconds, "somebody was told");
        }
        RunEvent::RunFinished { summary } => {
            let (seconds, signal) = (summary.seconds, summary.signal);
            tracing::info!(target: TRAIL, seconds, signal, "run ended");
        }
        RunEvent::Status(_) | RunEvent::Pulse(_) => {}
        other => log_attempt(other),
    }
}

/// What a worker does and what becomes of it.
fn log_attempt(event: &RunEvent) {
    match event {
        RunEvent::WorkerStarted { worker, pid } => {
            tracing::debug!(target: TRAIL, worker, pid, "worker begins");
        }
        RunEvent::WorkerLost { worker, pid, cause } => {
            tracing::warn!(target: TRAIL, worker, pid, cause, "worker lost");
        }
        RunEvent::Stray { worker, text } => {
            tracing::debug!(target: TRAIL, worker, text, "stray text");
        }
        RunEvent::AttemptStarted { symbol, attempt, worker, pid } => {
            tracing::info!(target: TRAIL, %symbol, attempt, worker, pid, "attempt begins");
        }
        RunEvent::Loaded(counts) => {
            let (symbol, bars, train) = (&counts.symbol, counts.bars, counts.train);
            tracing::debug!(target: TRAIL, %symbol, bars, train, "data ready");
        }
        // They are as many as all other lines together, and stand among the events.
        RunEvent::Progress(report) => {
            let (symbol, epoch, loss) = (&report.symbol, report.epoch, report.validation_loss);
            tracing::trace!(target: TRAIL, %symbol, epoch, validation_loss = loss, "epoch done");
        }
        RunEvent::Stored(report) => {
            let (symbol, generation, bytes) = (&report.symbol, report.generation, report.bytes);
            let (seconds, lock_wait_seconds) = (report.seconds, report.lock_wait_seconds);
            tracing::info!(target: TRAIL, %symbol, generation, bytes, seconds, lock_wait_seconds, "committed");
        }
        RunEvent::AttemptEnded { symbol, attempt, worker, seconds, memory, .. } => {
            tracing::info!(target: TRAIL, %symbol, attempt, worker, seconds, memory, "attempt ended");
        }
        RunEvent::AttemptFailed { symbol, attempt, kind, cause, retry_in } => {
            tracing::warn!(target: TRAIL, %symbol, attempt, %kind, cause, retry_in, "attempt failed");
        }
        _ => {}
    }
}

fn finished(symbol: &Symbol, outcome: &Outcome) {
    let label = outcome.label();
    match outcome {
        Outcome::Trained { generation, attempts, seconds, .. } => {
            tracing::info!(target: TRAIL, %symbol, outcome = label, generation, attempts, seconds, "symbol done");
        }
        Outcome::UpToDate { generation } => {
            tracing::info!(target: TRAIL, %symbol, outcome = label, generation, "symbol done");
        }
        Outcome::Kept { attempts, seconds, .. } => {
            tracing::info!(target: TRAIL, %symbol, outcome = label, attempts, seconds, "symbol done");
        }
        Outcome::Failed { kind, cause, attempts, .. } => {
            tracing::error!(target: TRAIL, %symbol, outcome = label, %kind, cause, attempts, "symbol done");
        }
        Outcome::Skipped { why, attempts, .. } => {
            tracing::warn!(target: TRAIL, %symbol, outcome = label, why, attempts, "symbol done");
        }
        Outcome::Interrupted { started } => {
            tracing::warn!(target: TRAIL, %symbol, outcome = label, started, "symbol done");
        }
    }
}

//! Live bars on a terminal: one for the run, one for each symbol in training.

use std::collections::BTreeMap;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use mambafleet_orchestrator::{Reporter, RunEvent, StampedEvent};
use mambafleet_protocol::{EpochReport, Symbol};

use super::plain::{count, describe, finished};
use crate::table::number;

/// Redraws per second at most.
const REFRESH_HZ: u8 = 10;

/// Draws bars on standard error. Finished symbols scroll away above them.
pub(crate) struct ProgressReporter {
    bars: MultiProgress,
    total: Option<ProgressBar>,
    symbols: BTreeMap<Symbol, ProgressBar>,
}

impl ProgressReporter {
    pub(crate) fn new() -> Self {
        let target = ProgressDrawTarget::stderr_with_hz(REFRESH_HZ);
        let bars = MultiProgress::with_draw_target(target);
        Self { bars, total: None, symbols: BTreeMap::new() }
    }

    /// Puts a line above the bars.
    fn scroll(&self, line: &str) {
        // A terminal that is gone is no reason to stop a run.
        let _ = self.bars.println(line);
    }

    fn begin(&mut self, symbols: usize) {
        // A bar that is not part of the group yet would draw itself.
        let total = self.bars.add(ProgressBar::new(symbols as u64));
        total.set_style(style("{msg:<12} {bar:24} {pos}/{len} symbols, {elapsed}"));
        total.set_message("total");
        total.enable_steady_tick(Duration::from_secs(1));
        self.total = Some(total);
    }

    fn attempt(&mut self, symbol: &Symbol, attempt: u32) {
        let bar = match &self.total {
            Some(total) => self.bars.insert_before(total, ProgressBar::new(1)),
            None => self.bars.add(ProgressBar::new(1)),
        };
        bar.set_style(style("{prefix:<12} {bar:24} {msg}"));
        bar.set_prefix(symbol.to_string());
        bar.set_message(if attempt == 1 { "loading".into() } else { format!("attempt {attempt}") });
        self.symbols.insert(symbol.clone(), bar);
    }

    fn epoch(&self, report: &EpochReport) {
        let Some(bar) = self.symbols.get(&report.symbol) else { return };
        bar.set_length(report.epochs as u64);
        bar.set_position(report.epoch as u64);
        bar.set_message(format!(
            "epoch {}/{}  train {}  validation {}",
            report.epoch,
            report.epochs,
            number(report.train_loss),
            number(report.validation_loss)
        ));
    }

    fn end(&mut self, symbol: &Symbol) {
        if let Some(bar) = self.symbols.remove(symbol) {
            bar.finish_and_clear();
            self.bars.remove(&bar);
        }
    }
}

pub(super) fn style(template: &str) -> ProgressStyle {
    let plain = ProgressStyle::default_bar();
    let style = ProgressStyle::with_template(template).unwrap_or(plain);
    style.progress_chars("=> ")
}

impl Reporter for ProgressReporter {
    fn on_event(&mut self, event: &StampedEvent) {
        match &event.event {
            RunEvent::RunStarted { symbols, .. } => {
                self.scroll(&describe(&event.event).unwrap_or_default());
                self.begin(*symbols);
            }
            RunEvent::AttemptStarted { symbol, attempt, .. } => self.attempt(symbol, *attempt),
            RunEvent::Loaded(counts) => {
                if let Some(bar) = self.symbols.get(&counts.symbol) {
                    bar.set_message(count(counts.train, "training sample"));
                }
            }
            RunEvent::Progress(report) => self.epoch(report),
            RunEvent::AttemptFailed { symbol, .. } => {
                self.end(symbol);
                self.scroll(&describe(&event.event).unwrap_or_default());
            }
            RunEvent::SymbolFinished { symbol, outcome } => {
                self.end(symbol);
                self.scroll(&finished(symbol, outcome));
                if let Some(total) = &self.total {
                    total.inc(1);
                }
            }
            RunEvent::RunFinished { .. } => {
                if let Some(total) = self.total.take() {
                    total.finish_and_clear();
                }
            }
            other => {
                if let Some(line) = describe(other) {
                    self.scroll(&line);
                }
            }
        }
    }
}

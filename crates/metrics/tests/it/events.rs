//! Events as they stand in a run's record.

use mambafleet_metrics::Meter;
use mambafleet_orchestrator::StampedEvent;
use serde_json::{Value, json};

use crate::page::Page;

/// Any moment, and seconds after it.
pub(crate) const START: i64 = 1_790_000_000;

/// A meter that hears one event per second.
pub(crate) struct Run {
    pub(crate) meter: Meter,
    seconds: i64,
}

/// A symbol's end with this outcome.
pub(crate) fn finished(symbol: &str, outcome: Value) -> Value {
    json!({"type": "symbol_finished", "symbol": symbol, "outcome": outcome})
}

pub(crate) fn trained() -> Value {
    let headline = json!({"epochs": 2, "first_validation_loss": 1.0, "best_validation_loss": 0.5,
        "test_loss": 0.6, "baseline_loss": 0.7});
    json!({"outcome": "trained", "generation": 1, "attempts": 1, "seconds": 2.0, "headline": headline})
}

pub(crate) fn failed(kind: &str) -> Value {
    json!({"outcome": "failed", "kind": kind, "cause": "why", "hint": null, "attempts": 1, "log": "log"})
}

pub(crate) fn kept() -> Value {
    json!({"outcome": "kept", "attempts": 1, "seconds": 1.0, "comparison": {"generation": 3,
        "samples": 10, "new_loss": 2.0, "old_loss": 1.0, "margin": 0.0}})
}

pub(crate) fn attempt(symbol: &str, number: u32, worker: u64) -> Value {
    json!({"type": "attempt_started", "symbol": symbol, "attempt": number, "worker": worker, "pid": 9})
}

pub(crate) fn again(symbol: &str, kind: &str) -> Value {
    json!({"type": "attempt_failed", "symbol": symbol, "attempt": 1, "kind": kind, "cause": "why",
        "retry_in": 0.5})
}

/// An attempt that ended by itself after so many seconds, each stage a quarter of a second.
pub(crate) fn ended(symbol: &str, seconds: f64) -> Value {
    let spent = json!({"seconds": 0.25, "cpu_seconds": 0.5});
    let times = json!({"load": spent, "train": spent, "validate": spent, "evaluate": spent,
        "commit": spent, "other": spent});
    json!({"type": "attempt_ended", "symbol": symbol, "attempt": 1, "worker": 1, "seconds": seconds,
        "times": times, "memory": 5000})
}

pub(crate) fn lost(worker: u64) -> Value {
    json!({"type": "worker_lost", "worker": worker, "pid": 9, "cause": "killed"})
}

pub(crate) fn stored(symbol: &str, lock_wait: f64) -> Value {
    json!({"type": "stored", "symbol": symbol, "generation": 1, "bytes": 1000,
        "seconds": lock_wait + 0.02, "lock_wait_seconds": lock_wait})
}

pub(crate) fn epoch(symbol: &str, rate: f64) -> Value {
    json!({"type": "progress", "symbol": symbol, "epoch": 1, "epochs": 2, "train_loss": 1.0,
        "validation_loss": 1.0, "samples_per_second": rate})
}

pub(crate) fn loaded(symbol: &str, train: usize) -> Value {
    json!({"type": "loaded", "symbol": symbol, "bars": 900, "train": train, "validation": 5, "test": 6})
}

pub(crate) fn pulse(running: &[(&str, u64, u64)]) -> Value {
    let now = |(symbol, worker, memory): &(&str, u64, u64)| {
        json!({"symbol": symbol, "attempt": 1, "worker": worker, "pid": 9, "seconds": 1.0,
            "silent_seconds": 0.0, "last": "", "memory": memory})
    };
    let running: Vec<_> = running.iter().map(now).collect();
    json!({"type": "pulse", "running": running, "waiting": 0})
}

/// The end of a run, ten seconds after its start; symbols with outcome and the second of their last success.
pub(crate) fn over(signal: Option<i32>, symbols: &[(&str, Value, Option<i64>)]) -> Value {
    let at = |second: i64| jiff::Timestamp::from_second(START + second).unwrap().to_string();
    let good = |outcome: &Value| {
        ["trained", "up_to_date", "kept"].contains(&outcome["outcome"].as_str().unwrap())
    };
    let all_good = symbols.iter().all(|(_, outcome, _)| good(outcome));
    let run = "20261125-123611-712-88cb";
    let last = all_good.then(|| json!({"run": run, "finished_at": at(10)}));
    let symbols = symbols.iter().map(|(symbol, outcome, last)| {
        let mut value = outcome.clone();
        value["symbol"] = (*symbol).into();
        value["last_success"] = json!(last.map(at));
        value
    });
    let symbols: Vec<_> = symbols.collect();
    let zero = json!({"seconds": 0.0, "cpu_seconds": 0.0});
    let stages = json!({"load": zero, "train": zero, "validate": zero, "evaluate": zero,
        "commit": zero, "other": zero});
    let time = json!({"workers": 2, "stages": stages, "idle_seconds": 3.0,
        "orchestrator_cpu_seconds": 0.125});
    json!({"type": "run_finished", "summary": {"schema": 1, "run": run, "started_at": at(0),
        "finished_at": at(10), "seconds": 10.0, "signal": signal, "time": time,
        "last_successful_run": last, "symbols": symbols}})
}

impl Run {
    /// A run of so many symbols that has begun at [`START`].
    pub(crate) fn of(symbols: usize) -> Self {
        let mut run = Self { meter: Meter::new("test", "0.1.0"), seconds: 0 };
        run.hear(json!({"type": "run_started", "run": "20261125-123611-712-88cb", "store": "s",
            "record": "r", "symbols": symbols, "workers": 2, "threads": 1, "synthetic": true}));
        run
    }

    /// An event, a second after the one before.
    pub(crate) fn hear(&mut self, mut event: Value) {
        let at = jiff::Timestamp::from_second(START + self.seconds).unwrap();
        event["schema"] = 1.into();
        event["at"] = at.to_string().into();
        let event: StampedEvent = serde_json::from_value(event).unwrap();
        self.meter.on_event(&event);
        self.seconds += 1;
    }

    pub(crate) fn hear_all(&mut self, events: impl IntoIterator<Item = Value>) -> Page {
        events.into_iter().for_each(|event| self.hear(event));
        self.page()
    }

    pub(crate) fn page(&self) -> Page {
        Page::read(&self.meter.render())
    }
}

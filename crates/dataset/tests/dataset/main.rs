//! The crate from outside: files in, windows out.

#![cfg(test)]

mod csv_files;
mod features;
mod findings;
mod layouts;
mod parquet_files;
mod real_files;
mod samples;
mod series;
mod sources;
mod synthetic;

use mambafleet_dataset::Bars;
use mambafleet_dataset::feature::FEATURES;
use mambafleet_protocol::{ReturnsSpec, SplitSpec, Symbol};

fn symbol(text: &str) -> Symbol {
    Symbol::new(text).unwrap()
}

/// A task with every feature.
fn task() -> ReturnsSpec {
    ReturnsSpec {
        features: FEATURES.iter().map(|feature| feature.name.to_owned()).collect(),
        lookback: 16,
        horizons: vec![1, 5],
        quantiles: vec![0.05, 0.5, 0.95],
        volatility_halflife: 10.0,
        split: SplitSpec { train: 0.6, validation: 0.2 },
    }
}

/// Synthetic bars.
fn bars(count: usize) -> Bars {
    mambafleet_dataset::synthesize(&symbol("AAPL"), count, 3)
}

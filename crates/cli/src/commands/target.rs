//! A generation as people name it.

use mambafleet_artifacts::{Snapshot, SymbolStore};
use mambafleet_protocol::Symbol;

use crate::error::CliError;

/// `AAPL`, which means its newest intact generation, or `AAPL@3`.
pub(super) struct Target {
    pub(super) symbol: Symbol,
    pub(super) generation: Option<u64>,
}

impl Target {
    pub(super) fn parse(text: &str) -> Result<Self, CliError> {
        let Some((symbol, number)) = text.split_once('@') else {
            return Ok(Self { symbol: Symbol::new(text)?, generation: None });
        };
        let generation = number.parse().map_err(|_| {
            let message = format!("\"{number}\" is no generation number in \"{text}\"");
            CliError::usage(message).with_hint("write it as in AAPL@3")
        })?;
        Ok(Self { symbol: Symbol::new(symbol)?, generation: Some(generation) })
    }

    /// The generation, whole and verified.
    pub(super) fn snapshot(&self, store: &SymbolStore) -> Result<Snapshot, CliError> {
        match self.generation {
            Some(generation) => Ok(store.snapshot(generation)?),
            None => store.latest()?.ok_or_else(|| CliError::no_generation(&self.symbol)),
        }
    }
}

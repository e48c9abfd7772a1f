//! Marks in the log: what the store had promised by then.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use mambafleet_protocol::Symbol;

use crate::LabError;

/// Something that the workload put on record, without blanks: dm-log-writes takes one word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mark {
    /// The store had been created.
    Store,
    /// A commit had been acknowledged.
    Acknowledged {
        /// The symbol.
        symbol: Symbol,
        /// The generation.
        generation: u64,
        /// What its files hold: see [`content`](crate::content).
        id: u64,
    },
    /// Generations up to this one may be removed from now on.
    Removable {
        /// The symbol.
        symbol: Symbol,
        /// The newest generation that may be removed.
        up_to: u64,
    },
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store => write!(f, "store"),
            Self::Acknowledged { symbol, generation, id } => {
                write!(f, "ack:{}:{generation}:{id}", symbol.dir_name())
            }
            Self::Removable { symbol, up_to } => write!(f, "gc:{}:{up_to}", symbol.dir_name()),
        }
    }
}

impl FromStr for Mark {
    type Err = LabError;

    fn from_str(text: &str) -> Result<Self, LabError> {
        let bad = || LabError::Parse(text.to_owned());
        let symbol = |name| Symbol::from_dir_name(name).map_err(|_| bad());
        let number = |digits: &str| digits.parse().map_err(|_| bad());
        match *text.split(':').collect::<Vec<_>>() {
            ["store"] => Ok(Self::Store),
            ["ack", name, generation, id] => Ok(Self::Acknowledged {
                symbol: symbol(name)?,
                generation: number(generation)?,
                id: number(id)?,
            }),
            ["gc", name, up_to] => {
                Ok(Self::Removable { symbol: symbol(name)?, up_to: number(up_to)? })
            }
            _ => Err(bad()),
        }
    }
}

/// Everything that had been promised at some moment.
#[derive(Debug, Clone, Default)]
pub struct Promises {
    /// Whether the store had been created.
    pub store: bool,
    /// What had been promised of each symbol.
    pub symbols: BTreeMap<Symbol, SymbolPromises>,
}

/// What had been promised of one symbol.
#[derive(Debug, Clone, Default)]
pub struct SymbolPromises {
    /// The acknowledged generations, and what their files hold.
    pub acknowledged: BTreeMap<u64, u64>,
    /// Generations up to this one may be gone.
    pub removable: u64,
}

impl Promises {
    /// Takes note of a mark.
    pub fn note(&mut self, mark: &Mark) {
        match mark {
            Mark::Store => self.store = true,
            Mark::Acknowledged { symbol, generation, id } => {
                let promises = self.symbols.entry(symbol.clone()).or_default();
                promises.acknowledged.insert(*generation, *id);
            }
            Mark::Removable { symbol, up_to } => {
                let promises = self.symbols.entry(symbol.clone()).or_default();
                promises.removable = promises.removable.max(*up_to);
            }
        }
    }

    /// How many generations have been acknowledged.
    #[must_use]
    pub fn acknowledged(&self) -> usize {
        self.symbols.values().map(|promises| promises.acknowledged.len()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_read_back() {
        let symbol: Symbol = "BTC/USD".parse().unwrap();
        for mark in [
            Mark::Store,
            Mark::Acknowledged { symbol: symbol.clone(), generation: 7, id: 1_000_003 },
            Mark::Removable { symbol, up_to: 3 },
        ] {
            assert_eq!(mark.to_string().parse::<Mark>().unwrap(), mark);
            assert!(!mark.to_string().contains(' '));
        }
        assert!("dm-log-writes-end".parse::<Mark>().is_err());
        assert!("ack:AAPL:x:1".parse::<Mark>().is_err());
    }
}

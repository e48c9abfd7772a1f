//! The files that a call is about; more of them may appear while it goes on.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use mambafleet_protocol::Symbol;

use super::growing::Growing;
use super::printer::{Of, Printer};
use crate::error::CliError;
use crate::logging::RUN_LOG;

/// What is to be printed.
pub(super) enum Wanted {
    /// The run's own log.
    Run,
    /// The logs of the attempts at a symbol.
    Attempts {
        symbol: Symbol,
        /// The one attempt, if not all.
        only: Option<u32>,
    },
}

/// The logs of a run's record that are to be printed.
pub(super) struct Files {
    record: PathBuf,
    pub(super) wanted: Wanted,
    /// By attempt; the run's own log is number 0.
    open: BTreeMap<u32, Growing>,
}

impl Files {
    pub(super) fn new(record: PathBuf, wanted: Wanted) -> Self {
        Self { record, wanted, open: BTreeMap::new() }
    }

    /// Whether nothing of what is wanted has been there so far.
    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Prints everything that was added since the last time.
    pub(super) fn print(&mut self, printer: &mut Printer<'_>) -> Result<(), CliError> {
        self.look();
        let newest = self.open.keys().next_back().copied();
        for (number, file) in &mut self.open {
            let of = of(&self.wanted, *number);
            file.read_on(&mut |line| printer.line(of, line))?;
            if Some(*number) != newest {
                // The attempt is over: its last line stays as it is.
                file.finish(&mut |line| printer.line(of, line))?;
            }
        }
        printer.flush()
    }

    /// Prints last lines that nobody has ended.
    pub(super) fn finish(&mut self, printer: &mut Printer<'_>) -> Result<(), CliError> {
        for (number, file) in &mut self.open {
            let of = of(&self.wanted, *number);
            file.finish(&mut |line| printer.line(of, line))?;
        }
        printer.flush()
    }

    /// Takes in what has appeared.
    fn look(&mut self) {
        let found = match &self.wanted {
            Wanted::Run => {
                let log = self.record.join(RUN_LOG);
                log.is_file().then_some((0, log)).into_iter().collect()
            }
            Wanted::Attempts { symbol, only } => {
                let numbers = self.attempts().into_iter();
                let numbers = numbers.filter(|number| only.is_none_or(|only| only == *number));
                let path = |number| self.logs().join(log_name(symbol, number));
                numbers.map(|number| (number, path(number))).collect::<Vec<_>>()
            }
        };
        for (number, path) in found {
            self.open.entry(number).or_insert_with(|| Growing::new(path));
        }
    }

    /// The attempts at the symbol that have a log.
    pub(super) fn attempts(&self) -> BTreeSet<u32> {
        let Wanted::Attempts { symbol, .. } = &self.wanted else { return BTreeSet::new() };
        let entries = std::fs::read_dir(self.logs()).into_iter().flatten();
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        names.filter_map(|name| number(symbol, &name)).collect()
    }

    fn logs(&self) -> PathBuf {
        self.record.join("logs")
    }
}

/// Whose lines these are.
fn of(wanted: &Wanted, number: u32) -> Of<'_> {
    match wanted {
        Wanted::Run => Of::Run,
        Wanted::Attempts { symbol, .. } => Of::Attempt(symbol, number),
    }
}

fn log_name(symbol: &Symbol, attempt: u32) -> String {
    format!("{}.{attempt}.log", symbol.dir_name())
}

/// The attempt whose log has this name, if it is one at the symbol.
fn number(symbol: &Symbol, name: &str) -> Option<u32> {
    let rest = name.strip_prefix(&symbol.dir_name())?.strip_prefix('.')?;
    let number = rest.strip_suffix(".log")?.parse().ok()?;
    (name == log_name(symbol, number)).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_belongs_to_one_symbol_and_one_attempt() {
        let number = |symbol: &str, name: &str| number(&Symbol::new(symbol).unwrap(), name);
        assert_eq!(number("AAPL", "AAPL.12.log"), Some(12));
        assert_eq!(number("^GSPC", "%5EGSPC.1.log"), Some(1));
        assert_eq!(number("BRK.B", "BRK.B.2.log"), Some(2));
        for (symbol, name) in [
            ("BRK", "BRK.B.2.log"),
            ("AAPL", "AAPL.1.log.gz"),
            ("AAPL", "AAPL.+1.log"),
            ("AAPL", "AAPLX.1.log"),
            ("AAPL", "AAPL.log"),
        ] {
            assert_eq!(number(symbol, name), None, "{name}");
        }
    }
}

//! `mambafleet logs`.

mod files;
mod growing;
mod line;
mod printer;

use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use mambafleet_orchestrator::{EventLog, RunEvent, RunRecord};
use mambafleet_protocol::{RunId, Symbol};

use super::open_store;
use super::run_name::find_run;
use crate::args::{Common, LogsArgs};
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::Output;

use files::{Files, Wanted};
use printer::Printer;

/// How often a log that is followed is looked at.
const TICK: Duration = Duration::from_millis(200);

/// How many symbols a hint names.
const NAMED: usize = 5;

/// Prints the log of a run, or those of the attempts at a symbol.
pub(crate) fn run(common: &Common, args: &LogsArgs, output: Output) -> Result<Exit, CliError> {
    let runs = open_store(common)?.runs_dir();
    let run = find_run(&runs, &args.run)?;
    let wanted = match &args.symbol {
        None => Wanted::Run,
        Some(text) => Wanted::Attempts { symbol: planned(&runs, &run, text)?, only: args.attempt },
    };
    let mut files = Files::new(RunRecord::dir_of(&runs, &run), wanted);
    let mut printer = Printer::new(&run, output);
    if args.follow {
        let end = End { runs: &runs, run: &run, events: EventLog::of(&runs, &run) };
        follow(&mut files, &mut printer, end)?;
    }
    files.print(&mut printer)?;
    files.finish(&mut printer)?;
    if files.is_empty() { Err(nothing(&files, &run)) } else { Ok(Exit::Success) }
}

/// Prints until nothing more will be written, or nobody reads any more.
fn follow(files: &mut Files, printer: &mut Printer<'_>, mut end: End<'_>) -> Result<(), CliError> {
    loop {
        // First this, then the rest: what was written before the end is printed.
        let ended = end.has_come(&files.wanted)?;
        files.print(printer)?;
        if ended || printer.is_closed() {
            return Ok(());
        }
        sleep(TICK);
    }
}

/// The symbol, which must be one of the run's.
fn planned(runs: &Path, run: &RunId, text: &str) -> Result<Symbol, CliError> {
    let symbol = Symbol::new(text)?;
    let Some(plan) = RunRecord::plan(runs, run)? else { return Ok(symbol) };
    let all: Vec<_> = plan.jobs.iter().map(|job| job.symbol.as_str()).collect();
    if all.contains(&symbol.as_str()) {
        return Ok(symbol);
    }
    let message = format!("run {run} has no symbol {symbol}");
    Err(CliError::new(Exit::NothingSelected, message).with_hint(others(&symbol, &all)))
}

/// The symbol spelt most like `symbol`, or else some of those there are.
fn others(symbol: &Symbol, all: &[&str]) -> String {
    let wanted = symbol.as_str().to_uppercase();
    let distance = |one: &str| strsim::damerau_levenshtein(&one.to_uppercase(), &wanted);
    let nearest = all.iter().map(|one| (distance(one), one)).min();
    match nearest {
        Some((distance, one)) if distance <= wanted.len() / 3 => format!("did you mean {one}?"),
        _ => {
            let more = match all.len().saturating_sub(NAMED) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            format!("it has {}{more}", all[..all.len().min(NAMED)].join(", "))
        }
    }
}

/// Tells when nothing more will be written.
struct End<'a> {
    runs: &'a Path,
    run: &'a RunId,
    events: EventLog,
}

impl End<'_> {
    fn has_come(&mut self, wanted: &Wanted) -> Result<bool, CliError> {
        if !RunRecord::is_running(self.runs, self.run)? {
            return Ok(true);
        }
        let Wanted::Attempts { symbol, only } = wanted else { return Ok(false) };
        let ended = |event: &RunEvent| match event {
            RunEvent::SymbolFinished { symbol: of, .. } => of == symbol,
            RunEvent::AttemptFailed { symbol: of, attempt, .. } => {
                of == symbol && Some(*attempt) == *only
            }
            _ => false,
        };
        Ok(self.events.read_all()?.iter().any(|stamped| ended(&stamped.event)))
    }
}

/// Why nothing was printed.
fn nothing(files: &Files, run: &RunId) -> CliError {
    let error = |message: String| CliError::new(Exit::NothingSelected, message);
    match &files.wanted {
        Wanted::Run => error(format!("run {run} has no log"))
            .with_hint("an earlier version made it; its events are in events.jsonl"),
        Wanted::Attempts { symbol, only } => {
            let there = files.attempts();
            let all: Vec<_> = there.iter().map(u32::to_string).collect();
            match only {
                Some(n) if !all.is_empty() => {
                    error(format!("run {run} has no log of attempt {n} at {symbol}"))
                        .with_hint(format!("there are logs of attempt {}", all.join(", ")))
                }
                _ => error(format!("run {run} has no log of an attempt at {symbol}")),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_symbol_that_is_not_there_is_answered_with_what_is() {
        let others = |text: &str, all: &[&str]| others(&Symbol::new(text).unwrap(), all);
        assert_eq!(others("aapl", &["MSFT", "AAPL"]), "did you mean AAPL?");
        assert_eq!(others("GOOGL", &["GOOG", "AAPL"]), "did you mean GOOG?");
        assert_eq!(others("X", &["A", "B"]), "it has A, B");
        let many = ["A1", "A2", "A3", "A4", "A5", "A6", "A7"];
        assert_eq!(others("TSLA", &many), "it has A1, A2, A3, A4, A5 and 2 more");
    }
}

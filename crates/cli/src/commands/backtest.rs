//! `mambafleet backtest`.

use std::collections::BTreeSet;
use std::fmt::Write;

use mambafleet_worker::{Backtest, BacktestRow, backtest};

use super::open_store;
use super::target::Target;
use crate::args::{Common, Format};
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::Output;
use crate::table::render;

/// How many days a person is shown.
const SHOWN: usize = 10;

/// Writes the out-of-sample forecasts of a generation beside what happened.
pub(crate) fn run(common: &Common, target: &str, output: Output) -> Result<Exit, CliError> {
    let target = Target::parse(target)?;
    let snapshot = target.snapshot(&open_store(common)?.symbol(&target.symbol))?;
    let kept = backtest(&snapshot)?;
    if common.format == Format::Csv {
        output.bytes(csv(&kept).as_bytes())?;
    } else {
        output.result("backtest", &kept, || text(&kept))?;
    }
    Ok(if snapshot.skipped().is_empty() { Exit::Success } else { Exit::Damaged })
}

/// One line per day and horizon.
fn csv(kept: &Backtest) -> String {
    let mut text = "symbol,generation,as_of,fold,close,volatility,horizon,point".to_owned();
    for level in &kept.levels {
        let _ = write!(text, ",q{level}");
    }
    text.push_str(",outcome\n");
    for row in &kept.rows {
        let BacktestRow { as_of, fold, close, volatility, horizon, point, outcome, .. } = row;
        let (symbol, generation) = (&kept.symbol, kept.generation);
        let _ = write!(
            text,
            "{symbol},{generation},{as_of},{fold},{close},{volatility},{horizon},{point}"
        );
        for quantile in &row.log_returns {
            let _ = write!(text, ",{quantile}");
        }
        let _ = writeln!(text, ",{outcome}");
    }
    text
}

fn text(kept: &Backtest) -> String {
    let days: BTreeSet<_> = kept.rows.iter().map(|row| row.as_of).collect();
    let first_shown = days.iter().rev().nth(SHOWN - 1).or(days.first()).copied();
    let titles: Vec<String> =
        kept.levels.iter().map(|level| format!("p{:02.0}", 100.0 * level)).collect();
    let mut columns = vec![("as of", false), ("close", true), ("bars", true)];
    columns.extend(titles.iter().map(|title| (title.as_str(), true)));
    columns.extend([("happened", true), ("", false)]);
    let percent = |log_return: f64| format!("{:+.2} %", 100.0 * log_return);
    let row = |row: &BacktestRow| {
        let mut cells =
            vec![row.as_of.to_string(), format!("{:.4}", row.close), format!("+{}", row.horizon)];
        cells.extend(row.log_returns.iter().map(|q| percent(*q)));
        let inside = row.log_returns.first().is_some_and(|low| *low <= row.outcome)
            && row.log_returns.last().is_some_and(|high| row.outcome <= *high);
        cells.push(percent(row.outcome));
        cells.push(if inside { String::new() } else { "outside".to_owned() });
        cells
    };
    let shown = kept.rows.iter().filter(|row| Some(row.as_of) >= first_shown);
    let mut text = render(&columns, shown.map(row).collect());
    let (first, last) = (days.first(), days.last());
    if let (Some(first), Some(last)) = (first, last) {
        let _ = write!(
            text,
            "\n\n{} of generation {}: {} out-of-sample days, {first} to {last}; --format csv has them all. \
             Log returns.",
            kept.symbol,
            kept.generation,
            days.len()
        );
    }
    if kept.synthetic {
        text.push_str("\nsynthetic demo data: these prices come from a generator, not a market");
    }
    text
}

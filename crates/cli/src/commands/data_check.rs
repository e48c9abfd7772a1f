//! `mambafleet data check`.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use mambafleet_dataset::quality::{
    Effect, Files, FindingKind as Kind, Inspection, Settings, Verdict, compare, files, inspect,
};
use mambafleet_protocol::Symbol;
use rayon::prelude::*;
use serde::Serialize;

use crate::args::Common;
use crate::config::{Config, Loaded, Overrides};
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::Output;
use crate::plan::configuration;
use crate::reporters::count;
use crate::style::Page;
use crate::table::{Column, Table};

#[derive(Serialize)]
struct Checked {
    symbols: Vec<Inspection>,
    /// What is there beside the files of prices.
    other_files: Vec<PathBuf>,
}

/// The columns of counts.
const COUNTS: [(&str, Kind); 9] = [
    ("blank", Kind::BlankCells),
    ("gaps", Kind::MissingSessions),
    ("double", Kind::Duplicates),
    ("unsorted", Kind::Unsorted),
    ("ohlc", Kind::Inconsistent),
    ("no volume", Kind::ZeroVolume),
    ("stale", Kind::StaleCloses),
    ("splits?", Kind::SuspectedSplits),
    ("extreme", Kind::ExtremeMoves),
];

/// Columns that a narrow terminal does without.
const SPARE: [&str; 12] = [
    "layout",
    "stale",
    "no volume",
    "unsorted",
    "extreme",
    "ohlc",
    "double",
    "blank",
    "first",
    "splits?",
    "gaps",
    "last",
];

/// Inspects a directory or a file; what training would refuse is named with its cause.
pub(crate) fn run(common: &Common, path: Option<&Path>, output: Output) -> Result<Exit, CliError> {
    let loaded = configuration(common, Overrides::new())?;
    let path = path.unwrap_or(&loaded.config.data.dir);
    if path.as_os_str().is_empty() {
        let error = CliError::usage("nothing to check: data.dir is empty, and nothing is named");
        return Err(error.with_hint("name a directory or a file"));
    }
    let shared = !path.is_dir();
    let Files { prices, others } = list(path)?;
    if prices.is_empty() {
        let message = format!("{} holds no files of prices", path.display());
        let hint = "their names end in .csv, .parquet, .tsv or .txt, also with .gz or .zst behind";
        return Err(CliError::new(Exit::NothingSelected, message).with_hint(hint));
    }
    let own = own_settings(&loaded)?;
    let all = settings(&loaded.config);
    if loaded.config.task.is_series() {
        let error = CliError::usage("data check looks at prices, and task.kind is \"series\"");
        return Err(
            error.with_hint("training reads a series whole, and names what is wrong with it")
        );
    }
    let of = |symbol: Option<&Symbol>| symbol.and_then(|s| own.get(s)).unwrap_or(&all).clone();
    let inspections = prices.par_iter().flat_map_iter(|file| inspect(file, shared, &of));
    let mut checked = Checked { symbols: inspections.collect(), other_files: others };
    compare(&mut checked.symbols);
    output.result("data_checked", &checked, || text(&checked))?;
    let refused = checked.symbols.iter().any(|one| one.verdict == Verdict::Refused);
    Ok(if refused { Exit::SomeFailed } else { Exit::Success })
}

/// The files of a directory, or the one that is named.
fn list(path: &Path) -> Result<Files, CliError> {
    if path.is_file() {
        return Ok(Files { prices: vec![path.to_owned()], others: Vec::new() });
    }
    files(path).map_err(|error| {
        let message = format!("cannot read {}: {error}", path.display());
        match error.kind() {
            ErrorKind::NotFound | ErrorKind::NotADirectory => CliError::usage(message)
                .with_hint("name a directory with files of prices, or one such file"),
            _ => CliError::new(Exit::Internal, message),
        }
    })
}

fn settings(config: &Config) -> Settings {
    let (policy, task) = (config.data.policy(), config.task.returns());
    Settings { policy, task, evaluate: config.evaluate }
}

/// The settings of symbols that have some of their own, be it through a group.
fn own_settings(loaded: &Loaded) -> Result<BTreeMap<Symbol, Settings>, CliError> {
    let mut own = BTreeMap::new();
    for (name, _) in loaded.special() {
        let members = match name.strip_prefix('@') {
            Some(group) => loaded.config.groups.get(group).cloned().unwrap_or_default(),
            None => vec![name.to_owned()],
        };
        for symbol in members.iter().filter_map(|member| Symbol::new(member.as_str()).ok()) {
            let settled = loaded.of_symbol(&symbol)?;
            own.insert(symbol, settings(&settled.config));
        }
    }
    Ok(own)
}

fn text(checked: &Checked) -> String {
    let mut columns: Vec<Column<'_>> = vec![
        ("symbol", false),
        ("layout", false),
        ("bars", true),
        ("first", false),
        ("last", false),
    ];
    columns.extend(COUNTS.iter().map(|(title, _)| (*title, true)));
    columns.push(("verdict", false));
    let rows = checked.symbols.iter().map(row).collect();
    let page = Page::stdout();
    let mut lines = vec![Table::new(&columns, rows).spare(&SPARE).lay_out(page), String::new()];
    lines.extend(checked.symbols.iter().flat_map(remarks));
    lines.extend(
        checked.other_files.iter().map(|file| {
            format!("{}: not looked at: not named like a file of prices", file.display())
        }),
    );
    lines.push(summary(checked));
    page.wrap(&lines.join("\n"), 2)
}

fn row(one: &Inspection) -> Vec<String> {
    let date = |date: Option<_>| date.map_or_else(String::new, |date| format!("{date}"));
    let layout = one.reading.as_ref().map_or("", |reading| reading.layout.name());
    let mut row = vec![
        one.symbol.clone(),
        layout.to_owned(),
        one.bars.to_string(),
        date(one.first),
        date(one.last),
    ];
    let shown = |count: usize| if count == 0 { String::new() } else { count.to_string() };
    row.extend(COUNTS.iter().map(|(_, kind)| shown(one.count(*kind))));
    row.push(one.verdict.to_string());
    row
}

/// What there is to say of a symbol beyond its row: how it was adjusted, what is mended or refused and
/// why, where its gaps are.
fn remarks(one: &Inspection) -> Vec<String> {
    use mambafleet_dataset::Adjustment;
    let mut lines = Vec::new();
    if let Some(cause) = &one.cause {
        lines.push(format!("{}: refused: {cause}", one.symbol));
        lines.extend(one.hint.iter().map(|hint| format!("hint: {hint}")));
    }
    if let Some(reading) = &one.reading
        && reading.adjustment != Adjustment::None
    {
        let (splits, dividends) =
            (count(reading.splits, "split"), count(reading.dividends, "dividend"));
        let stated = match (reading.splits, reading.dividends) {
            (0, 0) => String::new(),
            _ => format!(" ({splits} and {dividends} stated)"),
        };
        lines.push(format!("{}: adjusted by {}{stated}", one.symbol, reading.adjustment.words()));
    }
    let told = one.findings.iter().filter(|finding| {
        let gaps = matches!(finding.kind, Kind::MissingSessions | Kind::SuspectedSplits);
        let in_cause = matches!(finding.kind, Kind::Unreadable | Kind::ShortHistory);
        (finding.effect != Effect::Note || gaps) && !in_cause
    });
    lines.extend(told.map(|finding| {
        let what = name(finding.kind, finding.count);
        format!("{}: {what}: {}", one.symbol, finding.detail)
    }));
    lines
}

/// A finding in words.
fn name(kind: Kind, number: usize) -> String {
    match kind {
        Kind::Unreadable => count(number, "unreadable cell"),
        Kind::BlankCells => count(number, "blank cell"),
        Kind::MissingSessions => count(number, "missing session"),
        Kind::Duplicates => count(number, "repeated row"),
        Kind::Unsorted => format!("{} out of order", count(number, "row")),
        Kind::Inconsistent => count(number, "inconsistent row"),
        Kind::ZeroVolume => format!("{} without volume", count(number, "day")),
        Kind::StaleCloses => count(number, "stale day"),
        Kind::SuspectedSplits => count(number, "suspected split"),
        Kind::ExtremeMoves => count(number, "extreme move"),
        Kind::ShortHistory => "short history".to_owned(),
    }
}

fn summary(checked: &Checked) -> String {
    let mut parts = Vec::new();
    for verdict in [Verdict::Clean, Verdict::Notes, Verdict::Mended, Verdict::Refused] {
        let number = checked.symbols.iter().filter(|one| one.verdict == verdict).count();
        if number > 0 {
            parts.push(match verdict {
                Verdict::Notes => format!("{number} with notes"),
                verdict => format!("{number} {verdict}"),
            });
        }
    }
    format!("{}: {}", count(checked.symbols.len(), "symbol"), parts.join(", "))
}

//! Looking at files.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use jiff::civil::Date;
use mambafleet_protocol::{
    BlankSpec, DuplicateSpec, EvaluateSpec, InconsistentSpec, PolicySpec, ReturnsSpec,
    SuspectedSplitSpec, Symbol, UnsortedSpec,
};

use super::{Calendar, Effect, FindingKind as Kind, Inspection, Verdict, suspected_splits};
use crate::feature;
use crate::read::{Group, RawFile, content, has_header};
use crate::source::{data_stem, is_plain_text};
use crate::split::Split;
use crate::treat::{Treated, treat};
use crate::{Bar, DataError, Reading};

/// A daily move is extreme if the logarithm of the quotient of its closes is beyond this: up by more
/// than 35 % or down by more than 26 %.
pub const EXTREME_MOVE: f64 = 0.3;

/// What applies to a symbol.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What is done about blemishes.
    pub policy: PolicySpec,
    /// What the bars are for.
    pub task: ReturnsSpec,
    /// How models of them are judged.
    pub evaluate: EvaluateSpec,
}

/// The files of a directory.
#[derive(Debug, Default)]
pub struct Files {
    /// Those with prices, going by their names; a `.txt` must also begin like one.
    pub prices: Vec<PathBuf>,
    /// All others but hidden ones.
    pub others: Vec<PathBuf>,
}

/// What there is in `dir`, sorted by name.
///
/// # Errors
/// Whatever the system says of the directory.
pub fn files(dir: &Path) -> io::Result<Files> {
    let mut files = Files::default();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let hidden = path.file_name().is_some_and(|n| n.as_encoded_bytes().starts_with(b"."));
        if hidden || path.is_dir() {
            continue;
        }
        let named = data_stem(&path).is_some();
        let prices = named && (!is_plain_text(&path) || has_header(&path));
        if prices { &mut files.prices } else { &mut files.others }.push(path);
    }
    files.prices.sort();
    files.others.sort();
    Ok(files)
}

/// Reads a file as training would, and says what training would do with the rows of each symbol in it,
/// under the settings that `settings` has for the symbol. A file of a directory holds the symbol it is
/// named after; one that is given for all symbols (`shared`) may hold many. Whatever is in the file,
/// there is a verdict.
#[must_use]
pub fn inspect(
    path: &Path,
    shared: bool,
    settings: &impl Fn(Option<&Symbol>) -> Settings,
) -> Vec<Inspection> {
    let stem = data_stem(path).or_else(|| Some(path.file_stem()?.to_str()?.to_owned()));
    let stem = stem.unwrap_or_else(|| path.display().to_string());
    let stem = Symbol::from_dir_name(&stem).map_or(stem, |symbol| symbol.to_string());
    let columns = feature::columns(&settings(None).task.features);
    let parse = |content: Vec<u8>| RawFile::parse(path, &content, None, &columns);
    let file = match content(path).and_then(parse) {
        Ok(file) => file,
        Err(error) => return vec![refused(path, stem, &error)],
    };
    let symbols = file.groups.len();
    if symbols > 1 && !shared {
        return vec![refused(
            path,
            stem,
            &DataError::ManySymbols { path: path.to_owned(), symbols },
        )];
    }
    let inspection = |group: &Group| {
        let name = group.name.as_ref().filter(|_| shared).unwrap_or(&stem).clone();
        let symbol = Symbol::new(name.as_str());
        let settings = settings(symbol.as_ref().ok());
        let mut inspection = group_of(path, name, group, &file, &settings);
        match symbol.map(|symbol| file.select(&symbol, path).map(drop)) {
            Ok(Ok(())) => {}
            Ok(Err(error)) => inspection.refuse(&error),
            Err(error) => inspection.refuse_because(format!("{}: {error}", path.display()), None),
        }
        inspection
    };
    file.groups.iter().map(inspection).collect()
}

/// A file of which nothing can be read.
fn refused(path: &Path, symbol: String, error: &DataError) -> Inspection {
    let mut inspection = empty(path, symbol);
    inspection.refuse(error);
    inspection
}

fn empty(path: &Path, symbol: String) -> Inspection {
    Inspection {
        symbol,
        file: path.to_owned(),
        verdict: Verdict::Clean,
        bars: 0,
        first: None,
        last: None,
        reading: None,
        findings: Vec::new(),
        cause: None,
        hint: None,
        dates: Vec::new(),
    }
}

impl Inspection {
    fn refuse(&mut self, error: &DataError) {
        self.refuse_because(error.to_string(), error.hint());
    }

    /// The first cause stands.
    fn refuse_because(&mut self, cause: String, hint: Option<String>) {
        self.verdict = Verdict::Refused;
        if self.cause.is_none() {
            (self.cause, self.hint) = (Some(cause), hint);
        }
    }
}

fn group_of(
    path: &Path,
    name: String,
    group: &Group,
    file: &RawFile,
    settings: &Settings,
) -> Inspection {
    let Settings { policy, task, evaluate } = settings;
    let treated = treat(group, file, policy);
    let mut inspection = empty(path, name);
    let Treated { bars, dates, reading, .. } = &treated;
    (inspection.bars, inspection.dates) = (bars.len(), dates.clone());
    (inspection.first, inspection.last) =
        (bars.first().map(|bar| bar.date), bars.last().map(|bar| bar.date));
    let unreadable = group.problems.total() + file.stray.total();
    inspection.add(Kind::Unreadable, unreadable, Effect::Refused, || "see the cause".to_owned());
    of_reading(&mut inspection, reading, policy);
    of_bars(&mut inspection, bars, policy);
    inspection.reading = Some(reading.clone());
    let short = Split::fold(bars.len(), task, evaluate, 0).err();
    let bars = bars.len();
    if let Err(error) = treated.finish(path, policy) {
        inspection.refuse(&error);
    }
    if let Some(needed) = short {
        let detail = || format!("{bars} bars, but the task takes {needed}");
        inspection.add(Kind::ShortHistory, 1, Effect::Refused, detail);
        inspection.refuse_because(format!("{}: {}", path.display(), detail()), None);
    }
    inspection
}

/// What was found while rows were treated.
fn of_reading(inspection: &mut Inspection, reading: &Reading, policy: &PolicySpec) {
    let effect = |refused| if refused { Effect::Refused } else { Effect::Mended };
    let Reading { blank_cells, blank_rows, duplicates, conflicting, .. } = *reading;
    let refused = policy.blank == BlankSpec::Refuse;
    inspection.add(Kind::BlankCells, blank_cells, effect(refused), || {
        let rows = if blank_rows == 1 { "1 row".to_owned() } else { format!("{blank_rows} rows") };
        format!("in {rows}{}", if refused { "" } else { ", which are left out" })
    });
    let refused = match policy.duplicates {
        DuplicateSpec::Refuse => true,
        DuplicateSpec::Equal => conflicting > 0,
        DuplicateSpec::Last => false,
    };
    inspection.add(Kind::Duplicates, duplicates, effect(refused), || match conflicting {
        0 => "equal to the rows for the same days".to_owned(),
        n if refused => format!("{n} with other values than the rows for the same days"),
        n => format!("{n} with other values than the rows for the same days; the last ones count"),
    });
    let refused = policy.unsorted == UnsortedSpec::Refuse;
    inspection.add(Kind::Unsorted, reading.unsorted, effect(refused), || {
        if refused { "older than a row before" } else { "older than a row before; sorted" }
            .to_owned()
    });
    let (refused, detail) = match policy.inconsistent {
        InconsistentSpec::Refuse => (true, "open or close outside the day's range"),
        InconsistentSpec::Drop => (false, "open or close outside the day's range; left out"),
        InconsistentSpec::Clip => {
            (false, "open or close outside the day's range, which is widened")
        }
    };
    inspection.add(Kind::Inconsistent, reading.inconsistent, effect(refused), || detail.to_owned());
}

/// What was found in the bars.
fn of_bars(inspection: &mut Inspection, bars: &[Bar], policy: &PolicySpec) {
    let zero = bars.iter().filter(|bar| bar.volume == 0.0).map(|bar| bar.date);
    note(inspection, Kind::ZeroVolume, &zero.collect::<Vec<_>>());
    note(inspection, Kind::StaleCloses, &stale(bars));
    let pairs = || bars.windows(2);
    let splits = suspected_splits(bars);
    let refused = policy.suspected_splits == SuspectedSplitSpec::Refuse;
    let effect = if refused { Effect::Refused } else { Effect::Note };
    inspection.add(Kind::SuspectedSplits, splits.len(), effect, || {
        splits.first().map(ToString::to_string).unwrap_or_default()
    });
    let size = |pair: &[Bar]| libm::log(pair[1].close / pair[0].close);
    let mut extreme: Vec<(Date, f64)> = pairs()
        .map(|pair| (pair[1].date, size(pair)))
        .filter(|m| m.1.abs() > EXTREME_MOVE)
        .collect();
    extreme.sort_by(|a, b| b.1.abs().total_cmp(&a.1.abs()));
    inspection.add(Kind::ExtremeMoves, extreme.len(), Effect::Note, || {
        let (date, size) = extreme.first().copied().unwrap_or_default();
        format!("the largest is {:+.0} % on {date}", 100.0 * libm::expm1(size))
    });
}

/// Days that repeat the day before: all of its prices, or its close for the second time or more. One
/// close like the one before is no sign of anything: with prices in cents it happens every few weeks.
fn stale(bars: &[Bar]) -> Vec<Date> {
    let same = |a: &Bar, b: &Bar| a.close == b.close;
    let whole = |a: &Bar, b: &Bar| (a.open, a.high, a.low) == (b.open, b.high, b.low) && same(a, b);
    let mut days = Vec::new();
    for (index, pair) in bars.windows(2).enumerate() {
        let earlier = index.checked_sub(1).and_then(|index| bars.get(index));
        let third = same(&pair[0], &pair[1]) && earlier.is_some_and(|bar| same(bar, &pair[0]));
        if third || whole(&pair[0], &pair[1]) {
            days.push(pair[1].date);
        }
    }
    days
}

/// Adds a finding that has no effect.
fn note(inspection: &mut Inspection, kind: Kind, days: &[Date]) {
    inspection.add(kind, days.len(), Effect::Note, || listed(days));
}

/// The first days, and how many more there are.
fn listed(days: &[Date]) -> String {
    const SHOWN: usize = 3;
    let shown: Vec<String> = days.iter().take(SHOWN).map(ToString::to_string).collect();
    let more = days.len().saturating_sub(SHOWN);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", shown.join(", "))
}

/// Holds the histories of several symbols against each other: of each, which sessions it misses that
/// most have.
pub fn compare(inspections: &mut [Inspection]) {
    let calendar = Calendar::common(inspections.iter().map(|one| one.dates.as_slice()));
    for one in inspections {
        let missing = calendar.missing(&one.dates);
        note(one, Kind::MissingSessions, &missing);
    }
}

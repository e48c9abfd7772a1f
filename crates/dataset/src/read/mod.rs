//! Reading files of prices: from bytes to rows, as they stand in the file.

mod compression;
mod dates;
mod dialect;
mod header;
mod layout;
mod problems;
mod records;
mod row;
mod shared;
mod table;
mod table_of_numbers;
mod text;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use mambafleet_protocol::{PolicySpec, Symbol};

use crate::nearest::nearest;
use crate::source::data_stem;
use crate::treat::{Treated, treat};
use crate::{Bar, Bars, DataError, Origin, Unit, parquet};
use dialect::Dialect;
use header::Columns;
use records::Records;
use row::{Cell, RowReader};

pub use layout::Layout;
pub(crate) use problems::Problems;
pub use problems::REPORTED_PROBLEMS;
pub(crate) use row::{BLANK, FURTHER, MAX_VOLUME, PRICES, Row};
pub(crate) use table_of_numbers::{SeriesRecords, unpacked};
pub(crate) use text::quoted;

/// Reads the bars of `symbol` from the file at `path`, and treats its blemishes as `policy` says;
/// see [`parse_file`] for what is accepted.
///
/// # Errors
/// [`DataError::Io`] when the file cannot be read, otherwise as [`parse_file`].
pub fn read_file(symbol: &Symbol, path: &Path, policy: &PolicySpec) -> Result<Bars, DataError> {
    parse_file(symbol, path, &content(path)?, policy)
}

/// The content of a file.
pub(crate) fn content(path: &Path) -> Result<Vec<u8>, DataError> {
    let failed = |source| DataError::Io { path: path.to_owned(), source };
    let about = fs::metadata(path).map_err(failed)?;
    if !about.is_file() {
        // A pipe may wait for ever.
        return Err(failed(io::Error::other("this is no regular file")));
    }
    fs::read(path).map_err(failed)
}

/// Whether the file begins with a header that can be understood.
pub(crate) fn has_header(path: &Path) -> bool {
    let find = || -> Result<bool, DataError> {
        let content = content(path)?;
        let mut records = Records::new(path, &content);
        match records.next()? {
            Some(line) => Columns::find(&records.record, path, line).map(|_| true),
            None => Ok(false),
        }
    };
    find().unwrap_or(false)
}

/// The bars of `symbol` in the content of a file; `path` names it in errors, and its symbol where
/// no column does.
///
/// Accepted is Parquet with flat columns, and UTF-8 text, plain or compressed with gzip or zstd, with a
/// header that names the columns of [`CSV_COLUMNS`](crate::CSV_COLUMNS) in any order and capitals, or in one of the
/// [`Layout`]s of vendors; further columns are passed over. A byte order mark, CRLF and blank lines do
/// no harm. Cells are separated by `,`, `;` or tabs; with `;` numbers may have decimal commas.
/// Dates are ISO, or written in another way that can be read in one way only. With a column for
/// the symbol, one file may hold many.
///
/// Every row has as many cells as the header, a date, and in every cell that counts a number or
/// nothing: prices finite and above 0, volumes not below 0. What else may be wrong with a row is
/// treated as `policy` says.
///
/// # Errors
/// [`DataError::Packed`], [`DataError::NotText`], [`DataError::Empty`], [`DataError::NoBars`], the
/// header's errors ([`DataError::Separator`], [`DataError::MissingColumn`],
/// [`DataError::RepeatedColumn`]), [`DataError::AmbiguousDates`], [`DataError::NotInFile`],
/// [`DataError::OtherSymbol`], [`DataError::Malformed`], [`DataError::TooManyDropped`] or
/// [`DataError::SuspectedSplit`].
pub fn parse_file(
    symbol: &Symbol,
    path: &Path,
    content: &[u8],
    policy: &PolicySpec,
) -> Result<Bars, DataError> {
    parse_with(symbol, path, content, policy, &[])
}

/// The same with further columns of numbers, by their names in the header.
///
/// # Errors
/// As [`parse_file`], and [`DataError::NoColumn`].
pub(crate) fn parse_with(
    symbol: &Symbol,
    path: &Path,
    content: &[u8],
    policy: &PolicySpec,
    columns: &[String],
) -> Result<Bars, DataError> {
    RawFile::parse(path, content, Some(symbol), columns)?.bars(symbol, path, policy)
}

/// Reads the bars of `symbol` from a file that may hold others' too: its name tells whose it is only
/// where it is the symbol's own.
///
/// # Errors
/// As [`read_file`], and [`DataError::NoSymbolColumn`].
pub(crate) fn read_shared(
    symbol: &Symbol,
    path: &Path,
    policy: &PolicySpec,
    columns: &[String],
) -> Result<Bars, DataError> {
    let file = shared::read(path, symbol, columns)?;
    let unnamed = file.groups.iter().all(|group| group.name.is_none());
    if unnamed && !data_stem(path).is_some_and(|stem| is_of(&stem, symbol)) {
        let (path, symbol) = (path.to_owned(), symbol.clone());
        return Err(DataError::NoSymbolColumn { path, symbol });
    }
    file.bars(symbol, path, policy)
}

/// Whether a file of this name, without what says its kind, is of `symbol`.
fn is_of(stem: &str, symbol: &Symbol) -> bool {
    stem == symbol.as_str() || stem == symbol.dir_name() || may_be(&stem.to_uppercase(), symbol)
}

/// Parses the content of a file that holds one symbol, as [`parse_file`] does.
///
/// # Errors
/// As [`parse_file`].
pub fn parse_csv(path: &Path, content: &[u8], policy: &PolicySpec) -> Result<Vec<Bar>, DataError> {
    let file = RawFile::parse(path, content, None, &[])?;
    match file.groups.as_slice() {
        [group] => {
            let treated = treat(group, &file, policy);
            Ok(treated.finish(path, policy)?.bars)
        }
        groups => {
            let symbols = groups.len();
            Err(DataError::ManySymbols { path: path.to_owned(), symbols })
        }
    }
}

/// What stands in a file.
#[derive(Debug)]
pub(crate) struct RawFile {
    /// Whose layout it is.
    pub(crate) layout: Layout,
    /// Which columns there are beyond those of every file.
    pub(crate) has: Has,
    /// The further columns that were asked for.
    pub(crate) extra: Vec<String>,
    /// The rows of each symbol, in the order in which the symbols come up; where only one was
    /// wanted, of that one and of the first.
    pub(crate) groups: Vec<Group>,
    /// The symbols whose rows were passed over.
    others: Vec<String>,
    /// Rows of which it cannot be told whose they are.
    pub(crate) stray: Problems,
}

/// Which columns a file has.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Has {
    /// A close adjusted for splits and dividends.
    pub(crate) adjusted: bool,
    /// Dividends.
    pub(crate) dividend: bool,
    /// Splits, of prices and volumes that do not know of them yet.
    pub(crate) split: bool,
}

/// Where each symbol's rows go; none for those that nobody asked for.
type Places = BTreeMap<Vec<u8>, Option<usize>>;

/// The rows of one symbol.
#[derive(Debug, Default)]
pub(crate) struct Group {
    /// What the column for the symbol says; none without such a column.
    pub(crate) name: Option<String>,
    /// The rows that can be read, as they come in the file.
    pub(crate) rows: Vec<Row>,
    /// What is wrong with the others.
    pub(crate) problems: Problems,
}

impl RawFile {
    /// Reads all rows, or those of `wanted` alone.
    pub(crate) fn parse(
        path: &Path,
        content: &[u8],
        wanted: Option<&Symbol>,
        extra: &[String],
    ) -> Result<Self, DataError> {
        let unpacked = compression::unpack(path, content)?;
        let content = &*unpacked;
        if content.starts_with(parquet::MAGIC) {
            return table::parse(path, content, wanted, extra);
        }
        text::check(path, content)?;
        let mut records = Records::new(path, content);
        let Some(line) = records.next()? else {
            return Err(DataError::Empty { path: path.to_owned() });
        };
        let columns = Columns::find(&records.record, path, line)?;
        let columns = columns.with(extra, &records.record, path)?;
        let mut survey = Records::new(path, content);
        survey.next()?;
        let dialect = Dialect::find(survey, &columns, content, path)?;
        let mut file = Self::empty(&columns, extra, Unit::Line);
        let reader = RowReader { columns: &columns, dialect };
        let mut places = BTreeMap::new();
        while let Some(line) = records.next()? {
            let record = &records.record;
            if columns.fit(record, line, &mut file.stray) {
                let cell = |place| Cell::Text(header::cell(record, place));
                file.take(&reader, &cell, line, wanted, &mut places);
            }
        }
        file.finish(path)
    }

    fn empty(columns: &Columns, extra: &[String], unit: Unit) -> Self {
        let has = Has {
            adjusted: columns.adjusted.is_some(),
            dividend: columns.dividend.is_some(),
            split: columns.split.is_some(),
        };
        Self {
            layout: columns.layout,
            has,
            extra: extra.to_vec(),
            groups: Vec::new(),
            others: Vec::new(),
            stray: Problems::of(unit),
        }
    }

    /// The file, unless there is nothing in it.
    fn finish(mut self, path: &Path) -> Result<Self, DataError> {
        if self.groups.is_empty() && self.stray.total() == 0 {
            return Err(DataError::NoBars { path: path.to_owned() });
        }
        if self.groups.is_empty() {
            self.groups.push(Group::default());
        }
        Ok(self)
    }

    /// Takes in a row.
    fn take<'a>(
        &mut self,
        reader: &RowReader<'_>,
        cell: &impl Fn(usize) -> Cell<'a>,
        line: u64,
        wanted: Option<&Symbol>,
        places: &mut Places,
    ) {
        let named = reader.columns.symbol.map(cell);
        let name = named.as_ref().map(Cell::text);
        let key = name.as_deref().unwrap_or_default();
        let place = match places.get(key) {
            Some(place) => *place,
            None => {
                let place = self.place(name.as_deref(), wanted);
                places.insert(key.to_owned(), place);
                place
            }
        };
        let Some(group) = place.and_then(|place| self.groups.get_mut(place)) else { return };
        if name.is_some_and(|name| name.is_empty()) {
            self.stray.add(line, Some("symbol"), || BLANK.to_owned());
        }
        if let Some(row) = reader.read(cell, line, &mut group.problems) {
            group.rows.push(row);
        }
    }

    /// A place for the rows of a symbol that has not come up before.
    fn place(&mut self, name: Option<&[u8]>, wanted: Option<&Symbol>) -> Option<usize> {
        let name = name.map(|name| String::from_utf8_lossy(name).into_owned());
        let is_wanted = match (&name, wanted) {
            (Some(name), Some(wanted)) => {
                name.is_empty() || self.groups.is_empty() || name == wanted.as_str()
            }
            _ => true,
        };
        if !is_wanted {
            self.others.extend(name);
            return None;
        }
        let problems = Problems::of(self.stray.unit);
        self.groups.push(Group { name, problems, rows: Vec::new() });
        Some(self.groups.len() - 1)
    }

    /// The bars of `symbol`, treated.
    fn bars(&self, symbol: &Symbol, path: &Path, policy: &PolicySpec) -> Result<Bars, DataError> {
        let treated = treat(self.select(symbol, path)?, self, policy);
        let Treated { bars, columns, reading, .. } = treated.finish(path, policy)?;
        let origin = Origin::Csv { path: path.to_owned() };
        Ok(Bars { symbol: symbol.clone(), origin, bars, columns, reading: Some(reading) })
    }

    /// How many symbols the file holds.
    fn symbols(&self) -> usize {
        self.groups.len() + self.others.len()
    }

    /// The rows of `symbol`. A file with many symbols must name it; one with a single symbol must
    /// not name another: `DHR.kaggle.csv` may say `DHR`, and any file the name of a company.
    ///
    /// # Errors
    /// [`DataError::NotInFile`] or [`DataError::OtherSymbol`].
    pub(crate) fn select(&self, symbol: &Symbol, path: &Path) -> Result<&Group, DataError> {
        let is_it = |group: &&Group| group.name.as_deref() == Some(symbol.as_str());
        if let Some(group) = self.groups.iter().find(is_it) {
            return Ok(group);
        }
        let path = path.to_owned();
        match self.groups.as_slice() {
            [group] if self.others.is_empty() => match &group.name {
                Some(name) if !may_be(name, symbol) => {
                    let (symbol, found) = (symbol.clone(), name.clone());
                    Err(DataError::OtherSymbol { path, symbol, found })
                }
                _ => Ok(group),
            },
            groups => {
                let names = groups.iter().filter_map(|group| group.name.as_ref());
                let names = names.chain(&self.others).map(String::as_str);
                let nearest = nearest(symbol.as_str(), names).map(str::to_owned);
                let symbols = self.symbols();
                Err(DataError::NotInFile { symbol: symbol.clone(), path, nearest, symbols })
            }
        }
    }
}

/// Whether a file of `symbol` may call it `name`. What has small letters or spaces is no ticker but
/// a company, and says nothing.
fn may_be(name: &str, symbol: &Symbol) -> bool {
    let ticker = name.len() <= 12 && !name.contains(|c: char| c.is_lowercase() || c == ' ');
    let (name, symbol) = (name.to_ascii_uppercase(), symbol.as_str().to_ascii_uppercase());
    let begins = |long: &str, short: &str| {
        long.strip_prefix(short).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    !ticker || begins(&name, &symbol) || begins(&symbol, &name)
}

//! The header: which column stands where, and whose layout that is.

use std::path::Path;

use csv::ByteRecord;

use super::Layout;
use super::problems::Problems;
use super::text::quoted;
use crate::{CSV_COLUMNS, DataError};

/// Names of the columns of [`CSV_COLUMNS`], as [`plain`] makes them: English, and Stooq's Polish.
const NAMES: [&[&str]; 6] = [
    &["date", "timestamp", "data"],
    &["open", "otwarcie"],
    &["high", "najwyzszy"],
    &["low", "najnizszy"],
    &["close", "zamkniecie"],
    &["volume", "vol", "wolumen"],
];
const ADJUSTED: &[&str] = &["adjclose", "adjustedclose"];
const DIVIDEND: &[&str] = &["dividendamount", "dividends", "dividend"];
const SPLIT: &[&str] = &["splitcoefficient", "splitfactor"];
/// Yahoo's own splits: its prices and volumes know of them already.
const KNOWN_SPLIT: &[&str] = &["stocksplits"];
const SYMBOL: [&[&str]; 3] = [&["symbol"], &["ticker"], &["name"]];

/// Where the columns of a file stand.
pub(super) struct Columns {
    positions: [usize; 6],
    /// The close adjusted for splits and dividends.
    pub(super) adjusted: Option<usize>,
    /// Cash dividends per share, on the day from which on shares trade without them.
    pub(super) dividend: Option<usize>,
    /// New shares for each old one.
    pub(super) split: Option<usize>,
    /// The symbol.
    pub(super) symbol: Option<usize>,
    /// Further columns that are wanted.
    pub(super) extra: Vec<usize>,
    /// Whose layout it is.
    pub(super) layout: Layout,
    /// Cells of every row.
    cells: usize,
}

impl Columns {
    /// Finds every column in the header, which stands on this line; 0 where there are no lines.
    pub(super) fn find(header: &ByteRecord, path: &Path, line: u64) -> Result<Self, DataError> {
        check_separator(header, path, line)?;
        let names: Vec<String> = header.iter().map(plain).collect();
        let find = |known: &[&str]| {
            let mut places = names.iter().enumerate().filter(|(_, n)| known.contains(&n.as_str()));
            (places.next().map(|(place, _)| place), places.next().is_some())
        };
        let mut positions = [0; 6];
        for ((position, known), column) in positions.iter_mut().zip(NAMES).zip(CSV_COLUMNS) {
            let path = || path.to_owned();
            *position = match find(known) {
                (Some(_), true) => {
                    return Err(DataError::RepeatedColumn { path: path(), line, column });
                }
                (Some(place), false) => place,
                (None, _) => {
                    let found = describe(header);
                    return Err(DataError::MissingColumn { path: path(), line, column, found });
                }
            };
        }
        let one = |known| find(known).0;
        let adjusted_already = one(KNOWN_SPLIT).is_some() && one(ADJUSTED).is_none();
        let mut columns = Self {
            positions,
            adjusted: one(ADJUSTED),
            dividend: one(DIVIDEND).filter(|_| !adjusted_already),
            split: one(SPLIT),
            symbol: SYMBOL.into_iter().find_map(one),
            extra: Vec::new(),
            layout: Layout::Plain,
            cells: header.len(),
        };
        let stooq = header.iter().any(|cell| cell.trim_ascii().starts_with(b"<"));
        columns.layout = if stooq || names.iter().any(|name| name == "zamkniecie") {
            Layout::Stooq
        } else if columns.split.is_some() {
            Layout::AlphaVantage
        } else if columns.adjusted.is_some() || one(KNOWN_SPLIT).is_some() {
            Layout::Yahoo
        } else {
            match columns.symbol.map(|place| names[place].as_str()) {
                Some("name") => Layout::Kaggle,
                Some(_) => Layout::Long,
                None => Layout::Plain,
            }
        };
        Ok(columns)
    }

    /// The same with further columns, which are found by their exact names.
    ///
    /// # Errors
    /// [`DataError::NoColumn`] names one that is not there, or stands there twice.
    pub(super) fn with(
        mut self,
        names: &[String],
        header: &ByteRecord,
        path: &Path,
    ) -> Result<Self, DataError> {
        for name in names {
            let is_it = |(_, cell): &(usize, &[u8])| cell.trim_ascii() == name.as_bytes();
            let mut places = header.iter().enumerate().filter(is_it).map(|(place, _)| place);
            match (places.next(), places.next()) {
                (Some(place), None) => self.extra.push(place),
                _ => {
                    let (name, found) = (name.clone(), describe(header));
                    return Err(DataError::NoColumn {
                        origin: path.display().to_string(),
                        name,
                        found,
                    });
                }
            }
        }
        Ok(self)
    }

    /// Where column number `column` of [`CSV_COLUMNS`] stands.
    pub(super) fn place(&self, column: usize) -> usize {
        self.positions[column]
    }

    /// Where the columns stand that count.
    pub(super) fn places(&self) -> impl Iterator<Item = usize> {
        let more = [self.adjusted, self.dividend, self.split, self.symbol];
        self.positions
            .into_iter()
            .chain(more.into_iter().flatten())
            .chain(self.extra.iter().copied())
    }

    /// The trimmed cell of column number `column` of [`CSV_COLUMNS`].
    pub(super) fn cell<'r>(&self, record: &'r ByteRecord, column: usize) -> &'r [u8] {
        cell(record, self.positions[column])
    }

    /// The cells that must be numbers.
    pub(super) fn numbers<'r>(&self, record: &'r ByteRecord) -> impl Iterator<Item = &'r [u8]> {
        let more = [self.adjusted, self.dividend, self.split].into_iter().flatten();
        self.positions
            .into_iter()
            .skip(1)
            .chain(more)
            .chain(self.extra.iter().copied())
            .map(|place| cell(record, place))
    }

    /// Whether the row has as many cells as the header; if not, says so.
    pub(super) fn fit(&self, record: &ByteRecord, line: u64, problems: &mut Problems) -> bool {
        let (found, wanted) = (record.len(), self.cells);
        if found == wanted {
            return true;
        }
        problems.add(line, None, || {
            let torn = record.iter().find(|cell| cell.contains(&b'\n'));
            let cells = if found == 1 { "cell" } else { "cells" };
            let numbers = format!("{found} {cells} where the header has {wanted}");
            match torn {
                Some(cell) => format!("{numbers}; is a quote left open at {}?", quoted(cell)),
                None => numbers + "; one value per column, no thousands separators",
            }
        });
        false
    }
}

/// The trimmed cell at this place.
pub(super) fn cell(record: &ByteRecord, place: usize) -> &[u8] {
    record.get(place).unwrap_or_default().trim_ascii()
}

/// The header's cell without what vendors spell in different ways: capitals, spaces, `_`, `<>`, and
/// a number in front, as in `5. adjusted close`.
fn plain(cell: &[u8]) -> String {
    let text =
        String::from_utf8_lossy(cell).to_lowercase().replace('\u{17c}', "z").replace('ę', "e");
    let text = match text.trim().split_once(". ") {
        Some((number, name)) if number.bytes().all(|byte| byte.is_ascii_digit()) => name.to_owned(),
        _ => text,
    };
    text.chars().filter(|c| !c.is_whitespace() && !"_-<>".contains(*c)).collect()
}

/// Recognises a file whose cells are separated in a way that is not known here.
fn check_separator(header: &ByteRecord, path: &Path, line: u64) -> Result<(), DataError> {
    if header.len() == 1 && header[0].contains(&b'|') {
        return Err(DataError::Separator { path: path.to_owned(), line, separator: '|' });
    }
    Ok(())
}

/// The first cells of the header, for a message.
fn describe(header: &ByteRecord) -> String {
    const SHOWN: usize = 12;
    let cells: Vec<String> =
        header.iter().take(SHOWN).map(|cell| quoted(cell.trim_ascii())).collect();
    let more = if header.len() > SHOWN { ", ..." } else { "" };
    format!("found {}{more}", cells.join(", "))
}

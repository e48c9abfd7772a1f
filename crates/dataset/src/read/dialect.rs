//! How a file writes cells, numbers and dates: settled for the whole file before any row is read.

use std::path::Path;

use csv::ReaderBuilder;

use super::dates::{DateForm, Evidence, evidence};
use super::header::Columns;
use super::records::Records;
use super::row::Cell;
use super::text::quoted;
use crate::{DataError, Unit};

/// How a file writes numbers and dates.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dialect {
    /// Whether a comma stands before the decimals; only where cells are separated by `;`.
    pub(super) decimal_comma: bool,
    pub(super) dates: DateForm,
}

/// What separates the cells of the first line that is not blank: whichever of `,`, `;` and tab
/// stands there most often outside quotes.
pub(super) fn separator(content: &[u8]) -> u8 {
    let content = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content);
    let lines = content.split(|byte| matches!(byte, b'\n' | b'\r'));
    let header = lines.into_iter().find(|line| !line.trim_ascii().is_empty()).unwrap_or_default();
    let mut counts = [(b',', 0), (b';', 0), (b'\t', 0)];
    let mut quotes = false;
    for byte in header {
        quotes ^= *byte == b'"';
        let hit = counts.iter_mut().find(|(separator, _)| separator == byte && !quotes);
        if let Some((_, count)) = hit {
            *count += 1;
        }
    }
    // Of equals, the first.
    let mut best = counts[0];
    for count in counts {
        if count.1 > best.1 {
            best = count;
        }
    }
    best.0
}

/// The reader of such cells.
pub(super) fn reader(content: &[u8], separator: u8) -> csv::Reader<&[u8]> {
    ReaderBuilder::new().has_headers(false).flexible(true).delimiter(separator).from_reader(content)
}

impl Dialect {
    /// Looks at as many rows as it takes: at one, for most files.
    pub(super) fn find(
        mut records: Records<'_>,
        columns: &Columns,
        content: &[u8],
        path: &Path,
    ) -> Result<Self, DataError> {
        let mut commas = records.separator == b';' && content.contains(&b',');
        let mut decimal_comma = false;
        let (mut dates, mut either) = (None, None);
        while dates.is_none() || commas {
            let Some(line) = records.next()? else { break };
            let record = &records.record;
            let date = columns.cell(record, 0);
            match evidence(date) {
                Evidence::Settled(form) => dates = dates.or(Some(form)),
                Evidence::Either if either.is_none() => either = Some((line, quoted(date))),
                Evidence::Either | Evidence::None => {}
            }
            if commas && columns.numbers(record).any(|cell| cell.contains(&b',')) {
                (decimal_comma, commas) = (true, false);
            }
        }
        match (dates, either) {
            (None, Some((line, date))) => {
                let (path, unit) = (path.to_owned(), Unit::Line);
                Err(DataError::AmbiguousDates { path, unit, line, date })
            }
            (dates, _) => Ok(Self { decimal_comma, dates: dates.unwrap_or(DateForm::YearFirst) }),
        }
    }

    /// That of a file that knows of types, but may have its dates as text or numbers: `dates` are these.
    pub(super) fn of_dates<'a>(
        dates: impl Iterator<Item = Cell<'a>>,
        path: &Path,
    ) -> Result<Self, DataError> {
        let mut either = None;
        for (cell, line) in dates.zip(1..) {
            if matches!(cell, Cell::Date(_)) {
                break;
            }
            match evidence(&cell.text()) {
                Evidence::Settled(dates) => return Ok(Self { decimal_comma: false, dates }),
                Evidence::Either if either.is_none() => either = Some((line, quoted(&cell.text()))),
                Evidence::Either | Evidence::None => {}
            }
        }
        match either {
            Some((line, date)) => {
                let (path, unit) = (path.to_owned(), Unit::Row);
                Err(DataError::AmbiguousDates { path, unit, line, date })
            }
            None => Ok(Self { decimal_comma: false, dates: DateForm::YearFirst }),
        }
    }
}

//! The header: which column stands where.

use std::path::Path;

use csv::ByteRecord;

use super::Problems;
use super::text::quoted;
use crate::{CSV_COLUMNS, DataError};

/// Where the columns of [`CSV_COLUMNS`] stand in a file.
pub(super) struct Columns {
    positions: [usize; 6],
    /// Cells of every row.
    cells: usize,
}

impl Columns {
    /// Finds every column in the header.
    pub(super) fn find(header: &ByteRecord, path: &Path, line: u64) -> Result<Self, DataError> {
        check_separator(header, path, line)?;
        let mut positions = [0; 6];
        for (position, column) in positions.iter_mut().zip(CSV_COLUMNS) {
            let mut places = header.iter().enumerate().filter(|(_, cell)| names(cell, column));
            let path = || path.to_owned();
            let Some((place, _)) = places.next() else {
                let found = describe(header);
                return Err(DataError::MissingColumn { path: path(), line, column, found });
            };
            if places.next().is_some() {
                return Err(DataError::RepeatedColumn { path: path(), line, column });
            }
            *position = place;
        }
        Ok(Self { positions, cells: header.len() })
    }

    /// The trimmed cell of column number `column` of [`CSV_COLUMNS`].
    pub(super) fn cell<'r>(&self, record: &'r ByteRecord, column: usize) -> &'r [u8] {
        record.get(self.positions[column]).unwrap_or_default().trim_ascii()
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

/// Whether the header cell names `column`.
fn names(cell: &[u8], column: &str) -> bool {
    cell.trim_ascii().eq_ignore_ascii_case(column.as_bytes())
}

/// Recognises a file whose cells are separated by something else than commas.
fn check_separator(header: &ByteRecord, path: &Path, line: u64) -> Result<(), DataError> {
    let other = [';', '\t', '|'].into_iter().find(|c| header[0].contains(&(*c as u8)));
    match other {
        Some(separator) if header.len() == 1 => {
            Err(DataError::Separator { path: path.to_owned(), line, separator })
        }
        _ => Ok(()),
    }
}

/// The first cells of the header, for a message.
fn describe(header: &ByteRecord) -> String {
    const SHOWN: usize = 12;
    let cells: Vec<String> =
        header.iter().take(SHOWN).map(|cell| quoted(cell.trim_ascii())).collect();
    let more = if header.len() > SHOWN { ", ..." } else { "" };
    format!("found {}{more}", cells.join(", "))
}

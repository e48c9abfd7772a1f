//! Parquet: a table whose columns have types.

use std::collections::BTreeMap;
use std::path::Path;

use csv::ByteRecord;
use mambafleet_protocol::Symbol;

use super::RawFile;
use super::dialect::Dialect;
use super::header::Columns;
use super::row::{Cell, RowReader};
use crate::parquet::{Cells, Fault, File};
use crate::{DataError, Unit};

/// Reads all rows, or those of `wanted` alone. Only columns that count are decoded.
pub(super) fn parse(
    path: &Path,
    content: &[u8],
    wanted: Option<&Symbol>,
    extra: &[String],
) -> Result<RawFile, DataError> {
    let fault = |Fault(fault)| DataError::Parquet { path: path.to_owned(), fault };
    let table = File::open(content).map_err(fault)?;
    let header: ByteRecord = table.names().collect();
    let columns = Columns::find(&header, path, 0)?.with(extra, &header, path)?;
    let mut cells: BTreeMap<usize, Cells> = BTreeMap::new();
    for place in columns.places() {
        cells.insert(place, table.column(place).map_err(fault)?);
    }
    let by_place: Vec<Option<&Cells>> = (0..header.len()).map(|place| cells.get(&place)).collect();
    let cell = |place: usize, row: usize| at(by_place.get(place).copied().flatten(), row);
    let dates = (0..table.rows()).map(|row| cell(columns.place(0), row));
    let dialect = Dialect::of_dates(dates, path)?;
    let mut file = RawFile::empty(&columns, extra, Unit::Row);
    let reader = RowReader { columns: &columns, dialect };
    let mut places = BTreeMap::new();
    for (row, number) in (0..table.rows()).zip(1..) {
        file.take(&reader, &|place| cell(place, row), number, wanted, &mut places);
    }
    file.finish(path)
}

/// The cell of a row.
fn at(cells: Option<&Cells>, row: usize) -> Cell<'_> {
    match cells {
        Some(Cells::Numbers(cells)) => cells.get(row).copied().flatten().map(Cell::Number),
        Some(Cells::Dates(cells)) => cells.get(row).copied().flatten().map(Cell::Date),
        Some(Cells::Texts(all, places)) => places.get(row).and_then(|(start, end)| {
            all.get(*start..*end).map(|text| Cell::Text(text.trim_ascii()))
        }),
        None => None,
    }
    .unwrap_or(Cell::Blank)
}

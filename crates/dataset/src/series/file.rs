//! Reading the columns of a series.

use std::path::{Path, PathBuf};

use csv::ByteRecord;
use mambafleet_protocol::{ChannelsSpec, DataSource, SeriesSpec, Symbol};

use super::SeriesError;
use crate::DataError;
use crate::read::{SeriesRecords, quoted, unpacked};
use crate::source::content_of;

/// The columns of a file that a task wants.
#[derive(Debug, Clone, PartialEq)]
pub struct SeriesFile {
    /// The file.
    pub path: PathBuf,
    /// Columns that are forecast, by name.
    pub targets: Vec<String>,
    /// All columns that are wanted, by name: the targets, then the other inputs.
    pub columns: Vec<String>,
    /// Indices into `columns` of what the model sees.
    pub inputs: Vec<usize>,
    /// The numbers: (rows, columns), row-major.
    pub values: Vec<f64>,
    /// What stands in the first cell of each row: a date, or whatever names the row.
    pub labels: Vec<String>,
}

impl SeriesFile {
    /// Reads the file of `symbol`: the one in the directory that is named after it, or the source
    /// itself.
    ///
    /// # Errors
    /// [`DataError`] when there is no such file, or it cannot be read as text; [`SeriesError`] for what
    /// stands in it.
    pub fn load(
        symbol: &Symbol,
        source: &DataSource,
        task: &SeriesSpec,
    ) -> Result<Self, DataError> {
        match source {
            DataSource::Synthetic { .. } => Err(SeriesError::NoFile.into()),
            DataSource::Csv { dir, .. } => {
                let (path, content) = content_of(symbol, dir)?;
                Self::parse(&path, &content, task)
            }
        }
    }

    /// Reads the content of a file: text with a header, plain or compressed, whose cells are separated by
    /// `,`, `;` or tabs; with `;` numbers may have decimal commas. Without names in the task, the
    /// columns are those whose first cell is a number.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn parse(path: &Path, content: &[u8], task: &SeriesSpec) -> Result<Self, DataError> {
        let content = unpacked(path, content)?;
        let mut records = SeriesRecords::new(path, &content);
        let no_rows = || SeriesError::NoRows { path: path.to_owned() };
        let header_line = records.next()?.ok_or_else(no_rows)?;
        let header: Vec<String> = records.record().iter().map(text).collect();
        let first_line = records.next()?.ok_or_else(no_rows)?;
        let comma = records.may_have_decimal_commas();
        let wanted = Wanted { path, header: &header, header_line, first_line, comma };
        let mut file = wanted.file(records.record(), task)?;
        let places = file.columns.iter().map(|name| wanted.place(name));
        let places = places.collect::<Result<Vec<_>, _>>()?;
        let mut line = first_line;
        loop {
            wanted.row(records.record(), line, &places, &mut file)?;
            match records.next()? {
                Some(next) => line = next,
                None => return Ok(file),
            }
        }
    }

    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.labels.len()
    }

    /// The BLAKE3 hash (64 hexadecimal digits) of the content: names of columns and the bit pattern of
    /// every number.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let mut hasher = blake3::Hasher::new_derive_key("mambafleet 2026 series v1");
        for name in &self.columns {
            hasher.update(&(name.len() as u64).to_le_bytes());
            hasher.update(name.as_bytes());
        }
        for value in &self.values {
            hasher.update(&value.to_bits().to_le_bytes());
        }
        hasher.finalize().to_hex().to_string()
    }
}

/// What a header makes of the wishes of a task.
struct Wanted<'a> {
    path: &'a Path,
    header: &'a [String],
    header_line: u64,
    first_line: u64,
    /// Whether numbers may have decimal commas.
    comma: bool,
}

impl Wanted<'_> {
    /// The file with the columns that the task wants, and no rows yet.
    fn file(&self, first: &ByteRecord, task: &SeriesSpec) -> Result<SeriesFile, SeriesError> {
        let numbers = || -> Result<Vec<String>, SeriesError> {
            // The first cell of a row is its name.
            let cells = self.header.iter().zip(first).skip(1);
            let numeric = cells.filter(|(_, cell)| number(cell, self.comma).is_some());
            let names: Vec<String> = numeric.map(|(name, _)| name.clone()).collect();
            let (path, line) = (self.path.to_owned(), self.first_line);
            if names.is_empty() { Err(SeriesError::NoNumbers { path, line }) } else { Ok(names) }
        };
        let independent = task.channels == ChannelsSpec::Independent;
        let inputs = match (task.inputs.as_slice(), task.targets.as_slice()) {
            ([], targets) if independent && !targets.is_empty() => targets.to_vec(),
            ([], _) => numbers()?,
            (inputs, _) => inputs.to_vec(),
        };
        let targets = if task.targets.is_empty() { inputs.clone() } else { task.targets.clone() };
        let mut columns = targets.clone();
        columns.extend(inputs.iter().filter(|name| !targets.contains(name)).cloned());
        let place = |name: &String| columns.iter().position(|column| column == name);
        let inputs = inputs.iter().filter_map(place).collect();
        let (path, values, labels) = (self.path.to_owned(), Vec::new(), Vec::new());
        Ok(SeriesFile { path, targets, columns, inputs, values, labels })
    }

    /// Where a column stands.
    fn place(&self, name: &str) -> Result<usize, SeriesError> {
        let mut places = (0..self.header.len()).filter(|place| self.header[*place] == name);
        let (path, line, column) = (self.path.to_owned(), self.header_line, name.to_owned());
        match (places.next(), places.next()) {
            (Some(place), None) => Ok(place),
            (Some(_), Some(_)) => Err(SeriesError::RepeatedColumn { path, line, column }),
            (None, _) => {
                let found = self.header.join(", ");
                Err(SeriesError::MissingColumn { path, line, column, found })
            }
        }
    }

    /// Adds a row to the file.
    fn row(
        &self,
        record: &ByteRecord,
        line: u64,
        places: &[usize],
        file: &mut SeriesFile,
    ) -> Result<(), SeriesError> {
        let (found, wanted) = (record.len(), self.header.len());
        let path = || self.path.to_owned();
        if found != wanted {
            return Err(SeriesError::Cells { path: path(), line, found, wanted });
        }
        for (place, column) in places.iter().zip(&file.columns) {
            let cell = record.get(*place).unwrap_or_default().trim_ascii();
            let value = number(cell, self.comma).ok_or_else(|| SeriesError::NotANumber {
                path: path(),
                line,
                column: column.clone(),
                cell: quoted(cell),
            })?;
            file.values.push(value);
        }
        file.labels.push(text(record.get(0).unwrap_or_default()));
        Ok(())
    }
}

/// A cell without blanks around it.
fn text(cell: &[u8]) -> String {
    String::from_utf8_lossy(cell.trim_ascii()).into_owned()
}

/// The finite number in a cell.
fn number(cell: &[u8], comma: bool) -> Option<f64> {
    let text = std::str::from_utf8(cell).ok()?.trim();
    let value: f64 = if comma && text.contains(',') && !text.contains('.') {
        text.replace(',', ".").parse().ok()?
    } else {
        text.parse().ok()?
    };
    value.is_finite().then_some(value)
}

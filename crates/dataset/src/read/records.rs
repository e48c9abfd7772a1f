//! The records of a file with their lines.

use std::path::Path;

use csv::ByteRecord;

use super::dialect;
use super::text::LineCounter;
use crate::DataError;

/// The records of a file with the lines on which they begin; blank lines are passed over.
pub(super) struct Records<'a> {
    path: &'a Path,
    reader: csv::Reader<&'a [u8]>,
    lines: LineCounter<'a>,
    /// What stands between cells.
    pub(super) separator: u8,
    /// The newest record.
    pub(super) record: ByteRecord,
}

impl<'a> Records<'a> {
    pub(super) fn new(path: &'a Path, content: &'a [u8]) -> Self {
        let separator = dialect::separator(content);
        Self {
            path,
            reader: dialect::reader(content, separator),
            lines: LineCounter::new(content),
            separator,
            record: ByteRecord::new(),
        }
    }

    /// Reads the next record and gives the line on which it begins.
    pub(super) fn next(&mut self) -> Result<Option<u64>, DataError> {
        loop {
            let more = self.reader.read_byte_record(&mut self.record);
            let path = || self.path.to_owned();
            if !more.map_err(|error| DataError::Io { path: path(), source: error.into() })? {
                return Ok(None);
            }
            let blank = self.record.iter().all(|cell| cell.trim_ascii().is_empty());
            if !(blank && (self.record.len() == 1 || self.separator == b'\t')) {
                let start = self.record.position().map_or(0, csv::Position::byte);
                return Ok(Some(self.lines.at(start)));
            }
        }
    }
}

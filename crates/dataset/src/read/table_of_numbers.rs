//! Records of files that hold no prices.

use std::borrow::Cow;
use std::path::Path;

use csv::ByteRecord;

use super::records::Records;
use super::{compression, text};
use crate::DataError;

/// The text in a file, unpacked if it is compressed.
pub(crate) fn unpacked<'a>(path: &Path, content: &'a [u8]) -> Result<Cow<'a, [u8]>, DataError> {
    let unpacked = compression::unpack(path, content)?;
    text::check(path, &unpacked)?;
    Ok(unpacked)
}

/// The records of a text, whatever its columns are.
pub(crate) struct SeriesRecords<'a>(Records<'a>);

impl<'a> SeriesRecords<'a> {
    pub(crate) fn new(path: &'a Path, content: &'a [u8]) -> Self {
        Self(Records::new(path, content))
    }

    /// Reads the next record and gives the line on which it begins.
    pub(crate) fn next(&mut self) -> Result<Option<u64>, DataError> {
        self.0.next()
    }

    /// The newest record.
    pub(crate) fn record(&self) -> &ByteRecord {
        &self.0.record
    }

    /// Whether a comma in a number stands before its decimals.
    pub(crate) fn may_have_decimal_commas(&self) -> bool {
        self.0.separator == b';'
    }
}

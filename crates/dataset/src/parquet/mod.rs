//! Parquet files of flat columns, read and written.
//!
//! The format is that of <https://parquet.apache.org/docs/file-format/>: pages of values, compressed one by
//! one, and behind them a footer in Thrift's compact protocol that says where they are. What is read is
//! what writers of tables make (pyarrow, polars, DuckDB, Spark): columns that are not nested, pages of
//! either version, plain, dictionary, delta and byte-stream-split encodings, uncompressed or in Snappy,
//! gzip or zstd. Nothing else is guessed at: there is an error that names it.

mod column;
mod compression;
mod delta;
mod footer;
mod page;
#[cfg(test)]
mod round_trip;
mod thrift;
mod values;
mod write;

pub(crate) use column::Cells;
pub(crate) use footer::File;
pub use write::{Column, Unwritable, Values, parquet};

/// What every Parquet file begins and ends with.
pub(crate) const MAGIC: &[u8] = b"PAR1";

/// Why a file cannot be read, continuing "cannot read it as Parquet:".
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault(pub(crate) String);

impl Fault {
    /// Something that is not read.
    fn unread(what: impl std::fmt::Display) -> Self {
        Self(format!("{what} is not read here"))
    }

    /// The file ends too early, or contradicts itself.
    fn torn(what: &str) -> Self {
        Self(format!("its {what} is damaged or cut short"))
    }
}

/// Physical types, by their numbers in the format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Physical {
    Boolean,
    Int32,
    Int64,
    /// Nanoseconds of the day and a Julian day.
    Int96,
    Float,
    Double,
    Bytes,
    /// So many bytes each.
    Fixed(usize),
}

/// Encodings that are read, by their numbers in the format.
mod encoding {
    pub(super) const PLAIN: i64 = 0;
    pub(super) const PLAIN_DICTIONARY: i64 = 2;
    pub(super) const RLE: i64 = 3;
    pub(super) const DELTA_BINARY_PACKED: i64 = 5;
    pub(super) const DELTA_LENGTH_BYTE_ARRAY: i64 = 6;
    pub(super) const DELTA_BYTE_ARRAY: i64 = 7;
    pub(super) const RLE_DICTIONARY: i64 = 8;
    pub(super) const BYTE_STREAM_SPLIT: i64 = 9;
}

/// Compression codecs, by their numbers in the format.
mod codec {
    pub(super) const NONE: i64 = 0;
    pub(super) const SNAPPY: i64 = 1;
    pub(super) const GZIP: i64 = 2;
    pub(super) const ZSTD: i64 = 6;
}

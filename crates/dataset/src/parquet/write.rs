//! Tables as Parquet: one group of rows, one page per column, plain values in Snappy.

use jiff::civil::Date;

use super::thrift::Writer;
use super::{MAGIC, codec, encoding};

/// A column of a table.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// Its values, one per row.
    pub values: Values,
}

/// The values of a column.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    /// Texts (`STRING`).
    Text(Vec<String>),
    /// Whole numbers (`INT64`).
    Whole(Vec<i64>),
    /// Numbers (`DOUBLE`).
    Number(Vec<f64>),
    /// Numbers, or nothing (`DOUBLE`, optional).
    Maybe(Vec<Option<f64>>),
    /// Days (`DATE`).
    Date(Vec<Date>),
    /// Truth values (`BOOLEAN`).
    Flag(Vec<bool>),
}

/// Why a table cannot be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unwritable {
    /// The columns differ in length.
    #[error("column {name} has {found} rows where the first one has {wanted}")]
    Uneven {
        /// The column.
        name: &'static str,
        /// Its rows.
        found: usize,
        /// Those of the first column.
        wanted: usize,
    },
    /// A page would be larger than the format allows.
    #[error("column {name} takes more than 2 GiB; write fewer rows")]
    TooLarge {
        /// The column.
        name: &'static str,
    },
}

/// Physical type, repetition, converted type and logical type of a column, by their numbers.
struct Schema {
    physical: i32,
    optional: i32,
    converted: Option<i32>,
    logical: Option<i16>,
}

impl Values {
    fn len(&self) -> usize {
        match self {
            Self::Text(values) => values.len(),
            Self::Whole(values) => values.len(),
            Self::Number(values) => values.len(),
            Self::Maybe(values) => values.len(),
            Self::Date(values) => values.len(),
            Self::Flag(values) => values.len(),
        }
    }

    fn schema(&self) -> Schema {
        let (physical, optional, converted, logical) = match self {
            Self::Text(_) => (6, 0, Some(0), Some(1)),
            Self::Whole(_) => (2, 0, None, None),
            Self::Number(_) => (5, 0, None, None),
            Self::Maybe(_) => (5, 1, None, None),
            Self::Date(_) => (1, 0, Some(6), Some(6)),
            Self::Flag(_) => (0, 0, None, None),
        };
        Schema { physical, optional, converted, logical }
    }

    /// The content of a page.
    fn page(&self) -> Vec<u8> {
        let mut page = Vec::new();
        match self {
            Self::Text(values) => {
                for text in values {
                    page.extend_from_slice(&(text.len() as u32).to_le_bytes());
                    page.extend_from_slice(text.as_bytes());
                }
            }
            Self::Whole(values) => page.extend(values.iter().flat_map(|v| v.to_le_bytes())),
            Self::Number(values) => page.extend(values.iter().flat_map(|v| v.to_le_bytes())),
            Self::Maybe(values) => {
                // Which rows have a value: bits in groups of eight, behind their length.
                let groups = values.len().div_ceil(8);
                let mut levels = Vec::new();
                let mut head = (groups as u64) << 1 | 1;
                while head >= 0x80 {
                    levels.push(head as u8 | 0x80);
                    head >>= 7;
                }
                levels.push(head as u8);
                levels.extend(bits(values.iter().map(Option::is_some)));
                page.extend_from_slice(&(levels.len() as u32).to_le_bytes());
                page.extend(levels);
                page.extend(values.iter().flatten().flat_map(|v| v.to_le_bytes()));
            }
            Self::Date(values) => page.extend(values.iter().flat_map(|v| days(*v).to_le_bytes())),
            Self::Flag(values) => page.extend(bits(values.iter().copied())),
        }
        page
    }
}

/// Days since 1970.
fn days(date: Date) -> i32 {
    date.since(Date::constant(1970, 1, 1)).map_or(0, |span| span.get_days())
}

/// Bits in bytes, the lowest first.
fn bits(flags: impl Iterator<Item = bool>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (index, flag) in flags.enumerate() {
        if index % 8 == 0 {
            bytes.push(0);
        }
        if let Some(last) = bytes.last_mut() {
            *last |= u8::from(flag) << (index % 8);
        }
    }
    bytes
}

/// Where the page of a column is.
struct Written {
    at: usize,
    length: usize,
    unpacked: usize,
}

/// The table as the content of a Parquet file.
///
/// # Errors
/// [`Unwritable`] when the columns differ in length, or one is too large.
pub fn parquet(columns: &[Column]) -> Result<Vec<u8>, Unwritable> {
    let rows = columns.first().map_or(0, |column| column.values.len());
    let mut file = MAGIC.to_vec();
    let mut pages = Vec::new();
    for Column { name, values } in columns {
        if values.len() != rows {
            return Err(Unwritable::Uneven { name, found: values.len(), wanted: rows });
        }
        pages.push(write_page(&mut file, values).ok_or(Unwritable::TooLarge { name })?);
    }
    let footer = footer(columns, rows, &pages);
    file.extend_from_slice(&footer);
    file.extend_from_slice(&(footer.len() as u32).to_le_bytes());
    file.extend_from_slice(MAGIC);
    Ok(file)
}

/// Adds the page of a column; none if it is too large.
fn write_page(file: &mut Vec<u8>, values: &Values) -> Option<Written> {
    let content = values.page();
    let packed = snap::raw::Encoder::new().compress_vec(&content).ok()?;
    let size = |bytes: &[u8]| i32::try_from(bytes.len()).ok();
    let mut header = Writer::default();
    header.begin();
    header.i32(1, 0);
    header.i32(2, size(&content)?);
    header.i32(3, size(&packed)?);
    header.structure(5);
    header.begin();
    header.i32(1, i32::try_from(values.len()).ok()?);
    header.i32(2, encoding::PLAIN as i32);
    header.i32(3, encoding::RLE as i32);
    header.i32(4, encoding::RLE as i32);
    header.end();
    header.end();
    let at = file.len();
    file.extend_from_slice(&header.bytes);
    file.extend_from_slice(&packed);
    let length = file.len() - at;
    Some(Written { at, length, unpacked: header.bytes.len() + content.len() })
}

fn footer(columns: &[Column], rows: usize, pages: &[Written]) -> Vec<u8> {
    let mut out = Writer::default();
    let number = |size: usize| i64::try_from(size).unwrap_or(i64::MAX);
    out.begin();
    out.i32(1, 1);
    out.list(2, columns.len() + 1, 12);
    out.begin();
    out.text(4, "schema");
    out.i32(5, columns.len() as i32);
    out.end();
    for column in columns {
        element(&mut out, column);
    }
    out.i64(3, number(rows));
    out.list(4, 1, 12);
    out.begin();
    out.list(1, columns.len(), 12);
    for (Column { name, values }, page) in columns.iter().zip(pages) {
        out.begin();
        out.i64(2, number(page.at));
        out.structure(3);
        out.begin();
        out.i32(1, values.schema().physical);
        out.list(2, 2, 5);
        out.item_i32(encoding::PLAIN as i32);
        out.item_i32(encoding::RLE as i32);
        out.list(3, 1, 8);
        out.item_text(name);
        out.i32(4, codec::SNAPPY as i32);
        out.i64(5, number(values.len()));
        out.i64(6, number(page.unpacked));
        out.i64(7, number(page.length));
        out.i64(9, number(page.at));
        out.end();
        out.end();
    }
    out.i64(2, number(pages.iter().map(|page| page.unpacked).sum()));
    out.i64(3, number(rows));
    out.end();
    out.text(6, concat!("mambafleet ", env!("CARGO_PKG_VERSION")));
    out.end();
    out.bytes
}

/// A column's place in the schema.
fn element(out: &mut Writer, column: &Column) {
    let Schema { physical, optional, converted, logical } = column.values.schema();
    out.begin();
    out.i32(1, physical);
    out.i32(3, optional);
    out.text(4, column.name);
    if let Some(converted) = converted {
        out.i32(6, converted);
    }
    if let Some(logical) = logical {
        out.structure(10);
        out.begin();
        out.structure(logical);
        out.begin();
        out.end();
        out.end();
    }
    out.end();
}

//! The footer: which columns there are, and where their pages.

use super::column::{Cells, Meaning};
use super::page::{Chunk, Leaf};
use super::thrift::{Bytes, Value};
use super::{Fault, MAGIC, Physical};

/// More rows than these are not read: no market has so many daily bars.
const MAX_ROWS: usize = 1 << 26;

/// A Parquet file whose footer is read.
#[derive(Debug)]
pub(crate) struct File<'a> {
    content: &'a [u8],
    footer: Value<'a>,
    columns: Vec<Field>,
    rows: usize,
}

/// A column at the top of the schema.
#[derive(Debug)]
struct Field {
    name: String,
    /// Which of the leaves it is, and how to read it; none if it is nested.
    leaf: Option<(usize, Leaf, Meaning)>,
}

impl<'a> File<'a> {
    /// Reads the footer.
    pub(crate) fn open(content: &'a [u8]) -> Result<Self, Fault> {
        let torn = || Fault::torn("footer");
        let body = content.strip_suffix(MAGIC).ok_or_else(torn)?;
        let (body, length) = body.split_last_chunk::<4>().ok_or_else(torn)?;
        let length = u32::from_le_bytes(*length) as usize;
        let start = body.len().checked_sub(length).ok_or_else(torn)?;
        let footer = Bytes(&body[start..]).structure().ok_or_else(torn)?;
        let columns = fields(footer.list(2)).ok_or_else(torn)?;
        let rows = footer.size(3).ok_or_else(torn)?;
        if rows > MAX_ROWS {
            return Err(Fault(format!("it has {rows} rows, more than {MAX_ROWS}")));
        }
        Ok(Self { content, footer, columns, rows })
    }

    /// The names of the columns at the top, nested ones included.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|column| column.name.as_str())
    }

    /// How many rows there are.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Every cell of a column.
    pub(crate) fn column(&self, index: usize) -> Result<Cells, Fault> {
        let field = self.columns.get(index).ok_or_else(|| Fault::torn("schema"))?;
        let name = &field.name;
        let named = |Fault(fault): Fault| Fault(format!("column {name:?}: {fault}"));
        let Some((leaf_index, leaf, meaning)) = &field.leaf else {
            return Err(named(Fault::unread("a nested column")));
        };
        if *meaning == Meaning::Other {
            return Err(named(Fault::unread("a column of this type")));
        }
        let mut cells = Cells::new(meaning);
        let mut rows = 0;
        for group in self.footer.list(4) {
            let torn = || named(Fault::torn("footer"));
            let chunk = group.list(1).get(*leaf_index).ok_or_else(torn)?;
            if chunk.field(1).is_some() {
                return Err(named(Fault::unread("data in another file")));
            }
            let of_group = group.size(3).filter(|n| *n <= self.rows - rows).ok_or_else(torn)?;
            let chunk = Chunk::new(self.content, chunk.field(3).ok_or_else(torn)?, of_group);
            chunk.ok_or_else(torn)?.read(leaf, meaning, &mut cells).map_err(named)?;
            rows += of_group;
            if cells.len() != rows {
                return Err(named(Fault::torn("data")));
            }
        }
        if rows == self.rows { Ok(cells) } else { Err(named(Fault::torn("footer"))) }
    }
}

/// The columns at the top of a schema, which is a tree in the order of a walk through it.
fn fields(schema: &[Value<'_>]) -> Option<Vec<Field>> {
    let (root, mut rest) = schema.split_first()?;
    let (mut columns, mut leaves) = (Vec::new(), 0);
    for _ in 0..root.size(5)? {
        let (element, below) = rest.split_first()?;
        let name = String::from_utf8_lossy(element.bytes(4)?).into_owned();
        rest = below;
        let nested = element.size(5).unwrap_or(0);
        let repeated = element.int(3) == Some(2);
        let leaf = if nested > 0 || repeated { None } else { leaf(element) };
        columns.push(Field { name, leaf: leaf.map(|(leaf, meaning)| (leaves, leaf, meaning)) });
        let mut open = nested;
        leaves += usize::from(nested == 0);
        while open > 0 {
            let (element, below) = rest.split_first()?;
            rest = below;
            let children = element.size(5).unwrap_or(0);
            leaves += usize::from(children == 0);
            open = (open - 1).checked_add(children)?;
        }
    }
    Some(columns)
}

/// How to read a column, if it is of a kind that is read.
fn leaf(element: &Value<'_>) -> Option<(Leaf, Meaning)> {
    let physical = match element.int(1)? {
        0 => Physical::Boolean,
        1 => Physical::Int32,
        2 => Physical::Int64,
        3 => Physical::Int96,
        4 => Physical::Float,
        5 => Physical::Double,
        6 => Physical::Bytes,
        7 => Physical::Fixed(element.size(2).filter(|length| *length > 0)?),
        _ => return None,
    };
    let optional = element.int(3) == Some(1);
    Some((Leaf { physical, optional }, Meaning::of(physical, element)))
}

//! Pages: from the bytes of a column to its values.

use super::column::{Cells, Meaning};
use super::compression::unpack;
use super::thrift::{Bytes, Value};
use super::values::{Raw, hybrid};
use super::{Fault, Physical, encoding};

/// How the values of a column lie in its pages.
#[derive(Debug, Clone, Copy)]
pub(super) struct Leaf {
    pub(super) physical: Physical,
    /// Whether a row may have no value.
    pub(super) optional: bool,
}

/// The pages of one column in one group of rows.
#[derive(Debug)]
pub(super) struct Chunk<'a> {
    pages: &'a [u8],
    codec: i64,
    rows: usize,
}

/// One page.
struct Page<'a> {
    /// The page's kind: data (0, or 3 in the second version) or a dictionary (2).
    kind: i64,
    header: Value<'a>,
    content: &'a [u8],
    /// How large the content is, unpacked.
    size: usize,
}

/// Takes the values of a page, and which rows have one where not all do.
type Take<'a> = dyn FnMut(&Raw<'_>, Option<&[u32]>) -> Result<(), Fault> + 'a;

impl<'a> Chunk<'a> {
    /// Where its metadata says; none if that is outside the file.
    pub(super) fn new(content: &'a [u8], metadata: &Value<'_>, rows: usize) -> Option<Self> {
        let data = metadata.size(9)?;
        // Some writers say 0 where there is no dictionary.
        let dictionary = metadata.size(11).filter(|at| *at > 0);
        let start = dictionary.map_or(data, |at| at.min(data));
        let end = start.checked_add(metadata.size(7)?)?;
        Some(Self { pages: content.get(start..end)?, codec: metadata.int(4)?, rows })
    }

    /// Adds all values to `cells`.
    pub(super) fn read(
        &self,
        leaf: &Leaf,
        meaning: &Meaning,
        cells: &mut Cells,
    ) -> Result<(), Fault> {
        let torn = || Fault::torn("data");
        let mut rest = Bytes(self.pages);
        let (mut dictionary, mut done): (Option<Raw<'static>>, _) = (None, 0);
        while done < self.rows {
            let page = Page::next(&mut rest).ok_or_else(torn)?;
            match page.kind {
                0 | 3 => {
                    let rows = page.rows().filter(|rows| *rows <= self.rows - done);
                    let rows = rows.ok_or_else(torn)?;
                    page.data(self.codec, leaf, dictionary.as_ref(), &mut |raw, present| {
                        cells.extend(meaning, raw, present, rows)
                    })?;
                    done += rows;
                }
                2 if dictionary.is_none() => {
                    let count = page.header.size(1).ok_or_else(torn)?;
                    let content = unpack(self.codec, page.content, page.size)?;
                    let raw = Raw::plain(leaf.physical, &content, count).ok_or_else(torn)?;
                    dictionary = Some(raw.into_owned());
                }
                // An index, or something of a later version, to be passed over.
                _ => {}
            }
        }
        Ok(())
    }
}

impl<'a> Page<'a> {
    fn next(rest: &mut Bytes<'a>) -> Option<Self> {
        let Value::Struct(fields) = rest.structure()? else { return None };
        let whole = Value::Struct(fields);
        let kind = whole.int(1)?;
        let (size, packed) = (whole.size(2)?, whole.size(3)?);
        let header = whole.field(match kind {
            0 => 5,
            2 => 7,
            3 => 8,
            _ => 6,
        });
        let header = header.cloned().unwrap_or(Value::Struct(Vec::new()));
        Some(Self { kind, header, content: rest.take(packed)?, size })
    }

    /// How many rows it has; the columns are flat, so there is a value or none for each.
    fn rows(&self) -> Option<usize> {
        self.header.size(1)
    }

    /// Decodes the values, and tells which rows have one.
    fn data(
        &self,
        codec: i64,
        leaf: &Leaf,
        dictionary: Option<&Raw<'_>>,
        take: &mut Take<'_>,
    ) -> Result<(), Fault> {
        let torn = || Fault::torn("data");
        let rows = self.rows().ok_or_else(torn)?;
        let whole;
        let (levels, values) = if self.kind == 0 {
            whole = unpack(codec, self.content, self.size)?;
            let mut rest = Bytes(&whole);
            let mut levels = None;
            if leaf.optional {
                if self.header.int(3) != Some(encoding::RLE) {
                    return Err(Fault::unread("an old encoding of what is missing"));
                }
                let length = rest.u32().ok_or_else(torn)? as usize;
                levels = Some(rest.take(length).ok_or_else(torn)?);
            }
            (levels, rest.0)
        } else {
            let mut rest = Bytes(self.content);
            let repetitions = self.header.size(6).unwrap_or(0);
            let length = self.header.size(5).unwrap_or(0);
            rest.take(repetitions).ok_or_else(torn)?;
            let levels = rest.take(length).ok_or_else(torn)?;
            let packed = self.header.flag(7).unwrap_or(true) && !rest.0.is_empty();
            let size = self.size.checked_sub(repetitions + length).ok_or_else(torn)?;
            whole = unpack(if packed { codec } else { super::codec::NONE }, rest.0, size)?;
            (leaf.optional.then_some(levels), &*whole)
        };
        let present = levels.map(|levels| hybrid(levels, 1, rows).ok_or_else(torn)).transpose()?;
        let count =
            present.as_ref().map_or(rows, |levels| levels.iter().filter(|l| **l == 1).count());
        let encoding = self.header.int(if self.kind == 0 { 2 } else { 4 }).ok_or_else(torn)?;
        let raw = Raw::decode(encoding, leaf.physical, values, count, dictionary)?;
        take(&raw, present.as_deref())
    }
}

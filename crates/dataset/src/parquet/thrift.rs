//! Thrift's compact protocol: what footers and the headers of pages are written in.

/// How deeply structures may be nested.
const DEEPEST: usize = 32;

/// Any value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value<'a> {
    Bool(bool),
    Int(i64),
    /// A floating-point number, which nothing here needs.
    Double,
    Bytes(&'a [u8]),
    List(Vec<Value<'a>>),
    Struct(Vec<(i16, Value<'a>)>),
}

impl<'a> Value<'a> {
    /// The field of a structure.
    pub(super) fn field(&self, id: i16) -> Option<&Self> {
        match self {
            Self::Struct(fields) => fields.iter().find(|field| field.0 == id).map(|field| &field.1),
            _ => None,
        }
    }

    /// A field that is a number.
    pub(super) fn int(&self, id: i16) -> Option<i64> {
        match self.field(id)? {
            Self::Int(number) => Some(*number),
            _ => None,
        }
    }

    /// A field that is a number not below 0.
    pub(super) fn size(&self, id: i16) -> Option<usize> {
        usize::try_from(self.int(id)?).ok()
    }

    /// A field that is a truth value.
    pub(super) fn flag(&self, id: i16) -> Option<bool> {
        match self.field(id)? {
            Self::Bool(flag) => Some(*flag),
            _ => None,
        }
    }

    /// A field that is text.
    pub(super) fn bytes(&self, id: i16) -> Option<&'a [u8]> {
        match self.field(id)? {
            Self::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// A field that is a list; an empty one if there is none.
    pub(super) fn list(&self, id: i16) -> &[Self] {
        match self.field(id) {
            Some(Self::List(list)) => list,
            _ => &[],
        }
    }
}

/// Takes bytes from the front.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bytes<'a>(pub(super) &'a [u8]);

impl<'a> Bytes<'a> {
    pub(super) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    /// A 32-bit number, the lowest byte first.
    pub(super) fn u32(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }

    /// A number of seven bits per byte, the lowest first.
    pub(super) fn varint(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    /// A number whose lowest bit is its sign.
    pub(super) fn zigzag(&mut self) -> Option<i64> {
        let number = self.varint()?;
        Some((number >> 1) as i64 ^ -((number & 1) as i64))
    }

    /// A structure.
    pub(super) fn structure(&mut self) -> Option<Value<'a>> {
        self.fields(0)
    }

    fn fields(&mut self, depth: usize) -> Option<Value<'a>> {
        let (mut fields, mut id) = (Vec::new(), 0_i16);
        loop {
            let head = self.byte()?;
            if head == 0 {
                return Some(Value::Struct(fields));
            }
            id = match head >> 4 {
                0 => i16::try_from(self.zigzag()?).ok()?,
                step => id.checked_add(i16::from(step))?,
            };
            let value = match head & 0x0f {
                1 => Value::Bool(true),
                2 => Value::Bool(false),
                kind => self.value(kind, depth)?,
            };
            fields.push((id, value));
        }
    }

    fn value(&mut self, kind: u8, depth: usize) -> Option<Value<'a>> {
        if depth > DEEPEST {
            return None;
        }
        Some(match kind {
            1 | 2 => Value::Bool(self.byte()? == 1),
            3 => Value::Int(i64::from(self.byte()? as i8)),
            4..=6 => Value::Int(self.zigzag()?),
            7 => self.take(8).map(|_| Value::Double)?,
            8 => {
                let length = usize::try_from(self.varint()?).ok()?;
                Value::Bytes(self.take(length)?)
            }
            9 | 10 => self.items(depth)?,
            12 => self.fields(depth + 1)?,
            _ => return None,
        })
    }

    fn items(&mut self, depth: usize) -> Option<Value<'a>> {
        let head = self.byte()?;
        let count = match head >> 4 {
            15 => usize::try_from(self.varint()?).ok()?,
            count => usize::from(count),
        };
        // Every item takes a byte at least.
        if count > self.0.len() {
            return None;
        }
        let items = (0..count).map(|_| self.value(head & 0x0f, depth + 1));
        Some(Value::List(items.collect::<Option<_>>()?))
    }
}

/// Writes structures.
#[derive(Debug, Default)]
pub(super) struct Writer {
    pub(super) bytes: Vec<u8>,
    /// The field that was written last, of this structure and of those around it.
    last: Vec<i16>,
}

impl Writer {
    pub(super) fn begin(&mut self) {
        self.last.push(0);
    }

    pub(super) fn end(&mut self) {
        self.bytes.push(0);
        self.last.pop();
    }

    fn head(&mut self, id: i16, kind: u8) {
        let last = self.last.last_mut();
        let step = last.map_or(id, |last| id - std::mem::replace(last, id));
        // Fields are written in their order, in steps below 16.
        self.bytes.push((step as u8) << 4 | kind);
    }

    fn varint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.bytes.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.bytes.push(number as u8);
    }

    fn zigzag(&mut self, number: i64) {
        self.varint((number << 1 ^ number >> 63) as u64);
    }

    pub(super) fn i32(&mut self, id: i16, number: i32) {
        self.head(id, 5);
        self.zigzag(i64::from(number));
    }

    pub(super) fn i64(&mut self, id: i16, number: i64) {
        self.head(id, 6);
        self.zigzag(number);
    }

    pub(super) fn text(&mut self, id: i16, text: &str) {
        self.head(id, 8);
        self.item_text(text);
    }

    pub(super) fn item_text(&mut self, text: &str) {
        self.varint(text.len() as u64);
        self.bytes.extend_from_slice(text.as_bytes());
    }

    pub(super) fn item_i32(&mut self, number: i32) {
        self.zigzag(i64::from(number));
    }

    /// The field is a structure; [`begin`](Self::begin) and [`end`](Self::end) follow.
    pub(super) fn structure(&mut self, id: i16) {
        self.head(id, 12);
    }

    /// The field is a list of so many structures (12), texts (8) or numbers (5), which follow.
    pub(super) fn list(&mut self, id: i16, count: usize, kind: u8) {
        self.head(id, 9);
        if count < 15 {
            self.bytes.push((count as u8) << 4 | kind);
        } else {
            self.bytes.push(0xf0 | kind);
            self.varint(count as u64);
        }
    }
}

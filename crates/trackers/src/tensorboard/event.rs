//! TensorBoard's events in the wire format of protocol buffers: as much of `event.proto`,
//! `summary.proto` and `tensor.proto` as is written here.

/// One event of a file.
pub(super) struct Event<'a> {
    /// Seconds since 1970.
    pub(super) wall_time: f64,
    /// The step.
    pub(super) step: i64,
    /// What happened.
    pub(super) what: What<'a>,
}

/// What an event tells.
pub(super) enum What<'a> {
    /// First event of every file: the version of its layout.
    Version,
    /// A program begins. What an earlier file of the directory says of this step and later ones no
    /// longer counts.
    Start,
    /// Numbers by name, in single precision as the format has them.
    Scalars(&'a [(&'a str, f64)]),
    /// A text in Markdown with its name.
    Text(&'a str, &'a str),
}

/// A message under construction.
#[derive(Default)]
struct Message(Vec<u8>);

/// How the wire format stores a value.
#[derive(Clone, Copy)]
enum Wire {
    Varint = 0,
    Eight = 1,
    Bytes = 2,
    Four = 5,
}

impl Message {
    fn raw(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn key(&mut self, field: u64, wire: Wire) {
        self.raw(field << 3 | wire as u64);
    }

    /// A whole number. Zero is the default, which is left out.
    fn integer(mut self, field: u64, value: u64) -> Self {
        if value != 0 {
            self.key(field, Wire::Varint);
            self.raw(value);
        }
        self
    }

    fn double(mut self, field: u64, value: f64) -> Self {
        self.key(field, Wire::Eight);
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    /// A single-precision number, written even if it is zero: it is one of several that a value can be.
    fn float(mut self, field: u64, value: f32) -> Self {
        self.key(field, Wire::Four);
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    fn bytes(mut self, field: u64, bytes: &[u8]) -> Self {
        self.key(field, Wire::Bytes);
        self.raw(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
        self
    }

    fn message(self, field: u64, message: Self) -> Self {
        self.bytes(field, &message.0)
    }
}

/// `DT_STRING` of `types.proto`.
const STRINGS: u64 = 7;

/// `START` of `SessionLog.SessionStatus`.
const START: u64 = 1;

impl Event<'_> {
    /// The event's bytes.
    pub(super) fn encode(&self) -> Vec<u8> {
        let event = Message::default().double(1, self.wall_time).integer(2, self.step as u64);
        let event = match self.what {
            What::Version => event.bytes(3, b"brain.Event:2"),
            What::Start => event.message(7, Message::default().integer(1, START)),
            What::Scalars(scalars) => event.message(5, summary(scalars)),
            What::Text(tag, text) => {
                event.message(5, Message::default().message(1, note(tag, text)))
            }
        };
        event.0
    }
}

/// A summary of numbers.
fn summary(scalars: &[(&str, f64)]) -> Message {
    scalars.iter().fold(Message::default(), |summary, (tag, value)| {
        let value = Message::default().bytes(1, tag.as_bytes()).float(2, *value as f32);
        summary.message(1, value)
    })
}

/// A value of the text plugin: a tensor that holds one string.
fn note(tag: &str, text: &str) -> Message {
    let dimension = Message::default().integer(1, 1);
    let shape = Message::default().message(2, dimension);
    let tensor = Message::default().integer(1, STRINGS).message(2, shape).bytes(8, text.as_bytes());
    let plugin = Message::default().bytes(1, b"text");
    let metadata = Message::default().message(1, plugin);
    Message::default().bytes(1, tag.as_bytes()).message(8, tensor).message(9, metadata)
}

//! The file as text: what it must not be, and where its lines are.

use std::path::Path;

use crate::DataError;

/// Beginnings of files that people mistake for CSV, and what to say about them.
const MAGIC: [(&[u8], &str); 4] = [
    (b"BZh", "is bzip2-compressed"),
    (b"PK\x03\x04", "is a ZIP archive or a spreadsheet"),
    (b"\xff\xfe", "is UTF-16 text"),
    (b"\xfe\xff", "is UTF-16 text"),
];

/// Checks that `content` is UTF-8 text; a byte order mark is for the CSV reader to drop.
pub(super) fn check(path: &Path, content: &[u8]) -> Result<(), DataError> {
    let not_text = |appearance| Err(DataError::NotText { path: path.to_owned(), appearance });
    if let Some((_, appearance)) = MAGIC.iter().find(|(start, _)| content.starts_with(start)) {
        return not_text(appearance);
    }
    if content.contains(&0) {
        return not_text("holds binary data");
    }
    if std::str::from_utf8(content).is_err() {
        return not_text("holds bytes that are not UTF-8");
    }
    Ok(())
}

/// Counts lines on the way through a file. A line ends at `\n`, `\r\n` or a lone `\r`.
pub(super) struct LineCounter<'a> {
    content: &'a [u8],
    position: usize,
    line: u64,
}

impl<'a> LineCounter<'a> {
    pub(super) fn new(content: &'a [u8]) -> Self {
        Self { content, position: 0, line: 1 }
    }

    /// The line, from 1, of the record that the reader found at byte `start`. Line ends there
    /// belong to blank lines, or to the record before: the record itself begins behind them.
    /// Starts must not decrease from call to call.
    pub(super) fn at(&mut self, start: u64) -> u64 {
        let start = usize::try_from(start).unwrap_or(usize::MAX);
        while let Some(&byte) = self.content.get(self.position) {
            if self.position >= start && !matches!(byte, b'\r' | b'\n') {
                break;
            }
            let next = self.content.get(self.position + 1);
            self.line += u64::from(byte == b'\n' || (byte == b'\r' && next != Some(&b'\n')));
            self.position += 1;
        }
        self.line
    }
}

/// `text` in quotes, shortened and with control characters spelled out, to be shown in a message.
pub(crate) fn quoted(text: &[u8]) -> String {
    const SHOWN: usize = 40;
    let text = String::from_utf8_lossy(text);
    let mut shown: String = text.chars().take(SHOWN).collect();
    if text.chars().nth(SHOWN).is_some() {
        shown.push_str("...");
    }
    format!("{shown:?}")
}

//! The ends of logs.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use crate::model::LogTail;

/// The most that is shown of a log, in bytes.
const TAIL: u64 = 8 << 10;

/// The end of a log in a run's record; nothing if there is no such log.
pub(super) fn of(record: &Path, name: &str) -> Option<LogTail> {
    let text = read(&record.join("logs").join(name)).ok()?;
    Some(LogTail { file: name.to_owned(), text })
}

/// The last lines of a file that are not longer than [`TAIL`] together; what is no text stands as `U+FFFD`.
fn read(path: &Path) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let begin = length.saturating_sub(TAIL);
    file.seek(SeekFrom::Start(begin))?;
    let mut bytes = Vec::new();
    file.take(TAIL).read_to_end(&mut bytes)?;
    // Half a line says little; a line that fills it all is cut at a character.
    let whole = match bytes.iter().position(|byte| *byte == b'\n') {
        Some(end) if begin > 0 && end + 1 < bytes.len() => &bytes[end + 1..],
        _ if begin > 0 => {
            let start = bytes.iter().take(4).position(|byte| byte & 0xc0 != 0x80);
            &bytes[start.unwrap_or_default()..]
        }
        _ => &bytes[..],
    };
    Ok(String::from_utf8_lossy(whole).into_owned())
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "test files need not survive a power cut")]
mod tests {
    use super::*;

    #[test]
    fn the_end_begins_with_a_whole_line_or_at_least_a_whole_character() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let tail = |content: &[u8]| {
            std::fs::write(&path, content).unwrap();
            read(&path).unwrap()
        };
        assert_eq!(tail(b"one\ntwo\n"), "one\ntwo\n");
        assert_eq!(tail(b""), "");
        assert_eq!(tail(b"\xff</script>\n"), "\u{fffd}</script>\n");
        let lines: String = (0..5000).map(|n| format!("line {n}\n")).collect();
        let end = tail(lines.as_bytes());
        assert!(end.starts_with("line ") && end.ends_with("line 4999\n"), "{end}");
        assert!(end.len() > 8000 && end.len() <= 8192, "{}", end.len());
        let one = tail("xx€".repeat(5000).as_bytes());
        assert!(!one.contains('\u{fffd}') && one.len() > 8180, "{}", one.len());
        assert!(of(dir.path(), "none").is_none());
    }
}

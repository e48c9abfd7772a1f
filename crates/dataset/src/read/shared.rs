//! Files that hold many symbols: parsed once for all of them.
//!
//! A worker does one job after another, and `predict` many at once; each reads the same file for another
//! symbol. So what a process has parsed last is kept, as long as the file has the same length and time
//! of change; what policies make of it is done anew for each.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use mambafleet_protocol::Symbol;

use super::{RawFile, content};
use crate::DataError;

/// What is kept has no more rows than these: a quarter of a gigabyte.
const MAX_ROWS: usize = 2_000_000;

/// Larger files are parsed for each symbol by itself, in bytes: they would not be kept.
const MAX_BYTES: u64 = 256 << 20;

/// A file that has changed so lately may change again without a change of its time.
const SETTLED: Duration = Duration::from_secs(2);

/// What tells one content of a file from another.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Key {
    path: PathBuf,
    length: u64,
    modified: SystemTime,
    columns: Vec<String>,
}

/// The file that was parsed last.
static LAST: Mutex<Option<(Key, Arc<RawFile>)>> = Mutex::new(None);

/// What stands in the file: all of it, or of a very large one the rows of `symbol` alone. Whoever comes
/// while another parses waits, and gets the same.
pub(super) fn read(
    path: &Path,
    symbol: &Symbol,
    columns: &[String],
) -> Result<Arc<RawFile>, DataError> {
    let Some(key) = key(path, columns) else {
        return Ok(Arc::new(RawFile::parse(path, &content(path)?, Some(symbol), columns)?));
    };
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, file)) = last.as_ref().filter(|(kept, _)| *kept == key) {
        return Ok(Arc::clone(file));
    }
    let file = Arc::new(RawFile::parse(path, &content(path)?, None, columns)?);
    let rows: usize = file.groups.iter().map(|group| group.rows.len()).sum();
    let settled = key.modified.elapsed().is_ok_and(|age| age > SETTLED);
    if settled && rows <= MAX_ROWS {
        *last = Some((key, Arc::clone(&file)));
    }
    Ok(file)
}

/// What tells this content of the file from others; none if it would not be kept.
fn key(path: &Path, columns: &[String]) -> Option<Key> {
    let about = fs::metadata(path).ok()?;
    let (length, modified) = (about.len(), about.modified().ok()?);
    let (path, columns) = (path.to_owned(), columns.to_vec());
    (length <= MAX_BYTES).then_some(Key { path, length, modified, columns })
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use mambafleet_protocol::{DataSource, PolicySpec};

    use super::*;
    use crate::load;

    /// Two symbols with this close, in a file that was changed last at this time.
    #[expect(clippy::disallowed_methods, reason = "test files need no atomic write")]
    fn store(path: &Path, close: &str, modified: SystemTime) {
        let row = |symbol| format!("{symbol},2024-01-02,1,99,1,{close},9,{close}\n");
        let header = "symbol,date,open,high,low,close,volume,mood\n";
        fs::write(path, format!("{header}{}{}", row("AAPL"), row("MSFT"))).unwrap();
        File::options().write(true).open(path).unwrap().set_modified(modified).unwrap();
    }

    fn close(path: &Path, symbol: &str) -> f64 {
        let source = DataSource::Csv { dir: path.to_owned(), policy: PolicySpec::USUAL };
        load(&Symbol::new(symbol).unwrap(), &source).unwrap().bars[0].close
    }

    /// One test, because a process keeps one file.
    #[test]
    fn a_file_is_read_again_only_when_it_may_be_another() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("all.csv");
        let then = SystemTime::now() - Duration::from_secs(60);
        store(&path, "10", then);
        assert_eq!(close(&path, "AAPL"), 10.0);
        // Nobody looks into the file for the other symbol.
        store(&path, "20", then);
        assert_eq!((close(&path, "MSFT"), close(&path, "AAPL")), (10.0, 10.0));
        store(&path, "20", then + Duration::from_secs(1));
        assert_eq!((close(&path, "MSFT"), close(&path, "AAPL")), (20.0, 20.0));
        // Another length.
        store(&path, "30.5", then + Duration::from_secs(1));
        assert_eq!(close(&path, "AAPL"), 30.5);
        // Another path, of a file with the same length and time.
        let copy = dir.path().join("copy.csv");
        store(&copy, "40.5", then + Duration::from_secs(1));
        assert_eq!((close(&copy, "AAPL"), close(&path, "AAPL")), (40.5, 30.5));
        // Further columns are not among what was kept without them.
        let symbol = Symbol::new("AAPL").unwrap();
        let file = read(&path, &symbol, &["mood".to_owned()]).unwrap();
        assert_eq!(file.groups[0].rows[0].extra, [Some(30.5)]);

        // What has changed just now may change again within the same time.
        let now = SystemTime::now();
        store(&path, "50.5", now);
        assert_eq!(close(&path, "AAPL"), 50.5);
        store(&path, "60.5", now);
        assert_eq!(close(&path, "MSFT"), 60.5);
    }
}

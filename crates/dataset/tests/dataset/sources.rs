//! Which file holds a symbol, and what is said when none does.

use std::path::Path;

use mambafleet_dataset::{DataError, Origin, csv_path, load};
use mambafleet_protocol::{DataSource, PolicySpec};

use crate::symbol;

const ONE_BAR: &str = "date,open,high,low,close,volume\n2024-01-02,1,2,1,2,9\n";

/// A directory with these files, each with one bar.
#[expect(clippy::disallowed_methods, reason = "test files need no atomic write")]
fn directory(names: &[&str]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for name in names {
        std::fs::write(dir.path().join(name), ONE_BAR).unwrap();
    }
    dir
}

fn source(dir: &Path) -> DataSource {
    DataSource::Csv { dir: dir.to_owned(), policy: PolicySpec::USUAL }
}

#[test]
fn plain_symbols_keep_their_name_and_others_are_escaped() {
    let dir = Path::new("data");
    for (text, file) in [
        ("AAPL", "AAPL.csv"),
        ("BRK.B", "BRK.B.csv"),
        ("BF-B", "BF-B.csv"),
        ("^GSPC", "^GSPC.csv"),
        ("EURUSD=X", "EURUSD=X.csv"),
        ("BRKb", "BRKb.csv"),
        ("CONN", "CONN.csv"),
        ("BTC/USD", "BTC%2FUSD.csv"),
        ("../../A", "%2E.%2F..%2FA.csv"),
        (".A", "%2EA.csv"),
        ("-A", "%2DA.csv"),
        ("CON", "%43ON.csv"),
        ("con", "%63%6F%6E.csv"),
        ("$SPX", "%24SPX.csv"),
    ] {
        assert_eq!(csv_path(dir, &symbol(text)), dir.join(file), "{text}");
    }
}

#[test]
fn the_escaped_file_serves_where_there_is_no_plain_one() {
    let both = directory(&["^GSPC.csv", "%5EGSPC.csv"]);
    assert!(csv_path(both.path(), &symbol("^GSPC")).ends_with("^GSPC.csv"));
    let escaped = directory(&["%5EGSPC.csv"]);
    let bars = load(&symbol("^GSPC"), &source(escaped.path())).unwrap();
    assert_eq!(bars.bars.len(), 1);
    assert_eq!(bars.origin, Origin::Csv { path: escaped.path().join("%5EGSPC.csv") });
}

#[test]
fn a_missing_file_is_named_with_its_nearest_neighbour() {
    let dir = directory(&["AAPL.csv", "MSFT.CSV", "notes.txt"]);
    let missing = |text| load(&symbol(text), &source(dir.path())).unwrap_err();
    let error = missing("APPL");
    let path = dir.path().join("APPL.csv");
    assert_eq!(error.to_string(), format!("no data for APPL: {} does not exist", path.display()));
    let hint = error.hint().unwrap();
    assert_eq!(hint, "the directory holds 2 files of prices; the nearest name is AAPL.csv");
    assert!(missing("MSFTT").hint().unwrap().ends_with("the nearest name is MSFT.CSV"));
    let hint = missing("NOPE").hint().unwrap();
    assert_eq!(hint, "the directory holds 2 files of prices; add NOPE.csv or leave the symbol out");
}

#[test]
fn a_missing_directory_is_something_else() {
    let dir = directory(&["AAPL.csv"]);
    let error = load(&symbol("AAPL"), &source(&dir.path().join("gone"))).unwrap_err();
    assert!(matches!(error, DataError::MissingDirectory { .. }), "{error}");
    assert!(error.hint().unwrap().contains("SYMBOL.csv"));
}

#[test]
fn endings_may_differ() {
    let dir = directory(&["MSFT.CSV", "V.txt", "KO.tsv", "%5EGSPC.txt", "AAPL.csv", "AAPL.txt"]);
    for (text, file) in [
        ("MSFT", "MSFT.CSV"),
        ("V", "V.txt"),
        ("KO", "KO.tsv"),
        ("^GSPC", "%5EGSPC.txt"),
        ("AAPL", "AAPL.csv"),
    ] {
        let bars = load(&symbol(text), &source(dir.path())).unwrap();
        assert_eq!(bars.origin, Origin::Csv { path: dir.path().join(file) });
    }
}

#[test]
fn a_file_that_names_no_symbol_serves_its_own_alone() {
    let dir = directory(&["AAPL.csv"]);
    let file = source(&dir.path().join("AAPL.csv"));
    assert_eq!(load(&symbol("AAPL"), &file).unwrap().bars.len(), 1);
    let error = load(&symbol("MSFT"), &file).unwrap_err();
    assert!(matches!(error, DataError::NoSymbolColumn { .. }), "{error}");
    assert!(error.hint().unwrap().contains("column named symbol"));
}

#[test]
fn what_cannot_be_read_is_not_called_missing() {
    let dir = directory(&[]);
    std::fs::create_dir(dir.path().join("AAPL.csv")).unwrap();
    let error = load(&symbol("AAPL"), &source(dir.path())).unwrap_err();
    assert!(matches!(error, DataError::Io { .. }), "{error}");
}

//! Parquet: what this crate writes, what other writers write, and what nobody should have written.

use std::path::Path;
use std::process::Command;

use jiff::civil::date;
use mambafleet_dataset::columns::{Column, Unwritable, Values, parquet};
use mambafleet_dataset::quality::{FindingKind, Settings, Verdict, inspect};
use mambafleet_dataset::{Bar, Bars, DataError, Layout, load, parse_file};
use mambafleet_protocol::{
    BlankSpec, DataSource, DuplicateSpec, EvaluateSpec, PolicySpec, ReturnsSpec,
};
use proptest::prelude::*;

use crate::{bars, symbol};

fn column(name: &'static str, values: Values) -> Column {
    Column { name, values }
}

fn numbers(bars: &[Bar], of: impl Fn(&Bar) -> f64) -> Values {
    Values::Number(bars.iter().map(of).collect())
}

/// A table of bars.
fn table(bars: &[Bar]) -> Vec<Column> {
    vec![
        column("Date", Values::Date(bars.iter().map(|bar| bar.date).collect())),
        column("Open", numbers(bars, |bar| bar.open)),
        column("High", numbers(bars, |bar| bar.high)),
        column("Low", numbers(bars, |bar| bar.low)),
        column("Close", numbers(bars, |bar| bar.close)),
        column("Volume", Values::Whole(bars.iter().map(|bar| bar.volume as i64).collect())),
    ]
}

fn read(content: &[u8], policy: PolicySpec) -> Result<Bars, DataError> {
    parse_file(&symbol("AAPL"), Path::new("AAPL.parquet"), content, &policy)
}

#[expect(clippy::disallowed_methods, reason = "test files need no atomic write")]
fn store(path: &Path, content: &[u8]) {
    std::fs::write(path, content).unwrap();
}

#[test]
fn what_is_written_is_read_to_the_bit() {
    let bars = bars(500);
    let read = read(&parquet(&table(&bars.bars)).unwrap(), PolicySpec::STRICT).unwrap();
    assert_eq!(read.bars, bars.bars);
    assert_eq!(read.fingerprint(), bars.fingerprint());
    assert_eq!(read.reading.unwrap().layout, Layout::Plain);
}

#[test]
fn a_missing_number_is_a_blank_cell_and_errors_name_file_row_and_column() {
    let bars = bars(100).bars;
    let mut columns = table(&bars);
    let closes = bars.iter().enumerate().map(|(i, bar)| (i != 40).then_some(bar.close));
    columns[4].values = Values::Maybe(closes.collect());
    let content = parquet(&columns).unwrap();
    let mended = read(&content, PolicySpec::USUAL).unwrap();
    let reading = mended.reading.unwrap();
    assert_eq!((reading.blank_cells, reading.dropped, mended.bars.len()), (1, 1, 99));
    let refuse = PolicySpec { blank: BlankSpec::Refuse, ..PolicySpec::USUAL };
    let error = read(&content, refuse).unwrap_err().to_string();
    assert!(error.starts_with("AAPL.parquet, row 41, column close: the cell is blank"), "{error}");

    let mut columns = table(&bars);
    columns[1].values = Values::Number(
        bars.iter().enumerate().map(|(i, b)| b.open * [1.0, -1.0][i / 99]).collect(),
    );
    let error = read(&parquet(&columns).unwrap(), PolicySpec::USUAL).unwrap_err().to_string();
    assert!(error.starts_with("AAPL.parquet, row 100, column open: \"-"), "{error}");

    let mut twice = bars.clone();
    twice.push(bars[98]);
    let refuse = PolicySpec { duplicates: DuplicateSpec::Refuse, ..PolicySpec::USUAL };
    let error = read(&parquet(&table(&twice)).unwrap(), refuse).unwrap_err().to_string();
    assert!(
        error.contains("row 101, column date") && error.contains("already on row 99"),
        "{error}"
    );
}

#[test]
fn dates_may_be_texts_or_numbers_and_are_held_to_the_same_rules() {
    let bars = bars(60).bars;
    let read_dates = |values: Values| {
        let mut columns = table(&bars);
        columns[0].values = values;
        read(&parquet(&columns).unwrap(), PolicySpec::STRICT)
    };
    let texts = |form: &str| {
        Values::Text(bars.iter().map(|bar| bar.date.strftime(form).to_string()).collect())
    };
    let compact = |bar: &Bar| bar.date.strftime("%Y%m%d").to_string().parse().unwrap();
    for values in [
        texts("%Y-%m-%d"),
        texts("%d.%m.%Y"),
        texts("%Y-%m-%d 00:00:00"),
        Values::Whole(bars.iter().map(compact).collect()),
    ] {
        assert_eq!(read_dates(values).unwrap().bars, bars);
    }
    let early = bars.iter().map(|_| "01/02/2024".to_owned()).collect();
    let error = read_dates(Values::Text(early)).unwrap_err();
    let text = "AAPL.parquet, row 1: \"01/02/2024\" can be read in two ways";
    assert!(error.to_string().starts_with(text), "{error}");
    let error = read_dates(Values::Number(vec![0.5; 60])).unwrap_err().to_string();
    assert!(error.contains("row 1, column date: \"0.5\" is not a date"), "{error}");
}

#[test]
fn columns_are_recognised_as_in_csv() {
    let bars = bars(60).bars;
    let mut yahoo = table(&bars);
    yahoo.push(column("Adj Close", numbers(&bars, |bar| bar.close / 2.0)));
    yahoo.push(column("Remark", Values::Flag(vec![true; 60])));
    let read_yahoo = read(&parquet(&yahoo).unwrap(), PolicySpec::STRICT).unwrap();
    assert_eq!(read_yahoo.reading.unwrap().layout, Layout::Yahoo);
    assert_eq!(read_yahoo.bars[7].open, bars[7].open * 0.5);
    let error = read(&parquet(&table(&bars)[..5]).unwrap(), PolicySpec::STRICT).unwrap_err();
    let text = "AAPL.parquet: no column \"volume\" in the header (found \"Date\", \"Open\"";
    assert!(error.to_string().starts_with(text), "{error}");
    let mut flags = table(&bars);
    flags[5].values = Values::Flag(vec![true; 60]);
    let error = read(&parquet(&flags).unwrap(), PolicySpec::STRICT).unwrap_err().to_string();
    assert!(error.contains("column \"Volume\": ") && error.contains("not read here"), "{error}");
}

#[test]
fn one_file_per_symbol_or_one_for_all() {
    let dir = tempfile::tempdir().unwrap();
    let bars = bars(80);
    store(&dir.path().join("AAPL.parquet"), &parquet(&table(&bars.bars)).unwrap());
    let source = |path: &Path| DataSource::Csv { dir: path.to_owned(), policy: PolicySpec::STRICT };
    assert_eq!(load(&symbol("AAPL"), &source(dir.path())).unwrap().bars, bars.bars);

    let both: Vec<Bar> = bars.bars.iter().chain(&bars.bars[..50]).copied().collect();
    let mut columns = table(&both);
    let names = (0..both.len()).map(|row| ["AAPL", "MSFT"][row / 80].to_owned());
    columns.push(column("ticker", Values::Text(names.collect())));
    let long = dir.path().join("all.parquet");
    store(&long, &parquet(&columns).unwrap());
    assert_eq!(load(&symbol("AAPL"), &source(&long)).unwrap().bars, bars.bars);
    assert_eq!(load(&symbol("MSFT"), &source(&long)).unwrap().bars, bars.bars[..50]);
    let error = load(&symbol("MSF"), &source(&long)).unwrap_err();
    assert!(matches!(error, DataError::NotInFile { symbols: 2, .. }), "{error}");
    let settings = |_: Option<&_>| Settings {
        policy: PolicySpec::USUAL,
        task: ReturnsSpec::usual(),
        evaluate: EvaluateSpec::USUAL,
    };
    let found = inspect(&long, true, &settings);
    assert_eq!(found.len(), 2);
    assert_eq!((found[0].bars, found[0].count(FindingKind::Unreadable)), (80, 0));
}

#[test]
fn uneven_columns_are_not_written() {
    let columns = [column("a", Values::Whole(vec![1, 2])), column("b", Values::Number(vec![1.0]))];
    let error = Unwritable::Uneven { name: "b", found: 1, wanted: 2 };
    assert_eq!(parquet(&columns), Err(error));
}

/// What other writers make of the same bars. Each file's last two rows are 2024-01-02 and 2024-01-03.
const WRITERS: &str = r#"
import sys, datetime, decimal
import pyarrow as pa, pyarrow.parquet as pq
out = sys.argv[1]
n = 3000
start = datetime.date(2024, 1, 3) - datetime.timedelta(days=n - 1)
dates = [start + datetime.timedelta(days=i) for i in range(n)]
prices = [100 + (i * 7919 % 1000) / 64 for i in range(n)]
volumes = [1000 + i * 31 % 977 for i in range(n)]
def table(date, price, volume):
    return pa.table({"date": date, "open": price, "high": price, "low": price, "close": price, "volume": volume,
                     "nested": [[1, 2]] * n, "sector": ["a", "b", None] * (n // 3)})
d32, f64, i64 = pa.array(dates, pa.date32()), pa.array(prices, pa.float64()), pa.array(volumes, pa.int64())
plain = table(d32, f64, i64)
for codec in ["none", "snappy", "gzip", "zstd"]:
    for version in ["1.0", "2.0"]:
        pq.write_table(plain, f"{out}/{codec}-{version}.parquet", compression=codec, data_page_version=version,
                       row_group_size=1100, data_page_size=4096)
encodings = {"date": "DELTA_BINARY_PACKED", "open": "BYTE_STREAM_SPLIT", "high": "PLAIN", "low": "BYTE_STREAM_SPLIT",
             "close": "PLAIN", "volume": "DELTA_BINARY_PACKED"}
pq.write_table(plain, f"{out}/encodings.parquet", use_dictionary=False, column_encoding=encodings)
for unit in ["ms", "us", "ns"]:
    stamps = pa.array([datetime.datetime(d.year, d.month, d.day) for d in dates], pa.timestamp(unit))
    pq.write_table(table(stamps, f64, i64), f"{out}/stamp-{unit}.parquet")
pq.write_table(table(pa.array([datetime.datetime(d.year, d.month, d.day) for d in dates], pa.timestamp("ns")), f64, i64),
               f"{out}/int96.parquet", use_deprecated_int96_timestamps=True)
new_york = pa.array([datetime.datetime(d.year, d.month, d.day, 5) for d in dates], pa.timestamp("us", "America/New_York"))
pq.write_table(table(new_york, f64, i64), f"{out}/zone.parquet")
tokyo = pa.array([datetime.datetime(d.year, d.month, d.day, 15) for d in dates], pa.timestamp("us", "Asia/Tokyo"))
pq.write_table(table(tokyo, f64, i64), f"{out}/refused-tokyo.parquet")
texts = [d.isoformat() for d in dates]
for name, encoding in [("delta", "DELTA_BYTE_ARRAY"), ("lengths", "DELTA_LENGTH_BYTE_ARRAY")]:
    pq.write_table(table(pa.array(texts), f64, i64), f"{out}/text-{name}.parquet", use_dictionary=False,
                   column_encoding={"date": encoding})
pq.write_table(table(pa.array(texts), f64, i64), f"{out}/text.parquet")
for precision in [9, 18, 30]:
    decimals = pa.array([decimal.Decimal(p).quantize(decimal.Decimal("0.000001")) for p in prices], pa.decimal128(precision, 6))
    pq.write_table(table(d32, decimals, i64), f"{out}/decimal-{precision}.parquet", store_decimal_as_integer=precision < 20)
pq.write_table(table(d32, pa.array(prices, pa.float32()), pa.array(volumes, pa.uint32())), f"{out}/narrow.parquet")
pq.write_table(plain, f"{out}/refused-brotli.parquet", compression="brotli")
nulls = pa.array([None if i == 1500 else p for i, p in enumerate(prices)], pa.float64())
for version in ["1.0", "2.0"]:
    pq.write_table(table(d32, nulls, i64), f"{out}/blank-{version}.parquet", data_page_version=version)
try:
    import polars
    polars.from_arrow(plain).write_parquet(f"{out}/polars.parquet")
    import duckdb
    duckdb.sql(f"copy (from plain) to '{out}/duckdb.parquet'")
    duckdb.sql(f"copy (from plain) to '{out}/duckdb-v2.parquet' (parquet_version v2, codec zstd)")
except ImportError:
    pass
"#;

#[test]
fn what_other_writers_write_is_read_or_refused_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let made = Command::new("python3").args(["-c", WRITERS]).arg(dir.path()).output();
    let Some(made) = made.ok().filter(|made| {
        made.status.success() || !String::from_utf8_lossy(&made.stderr).contains("No module named")
    }) else {
        println!("skipped: no python3 with pyarrow on this machine");
        return;
    };
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let mut files = 0;
    for entry in std::fs::read_dir(dir.path()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let content = std::fs::read(&path).unwrap();
        let read = parse_file(&symbol("AAPL"), &path, &content, &PolicySpec::USUAL);
        if let Some(why) = name.strip_prefix("refused-") {
            let why = if why == "tokyo" { "15 o'clock in UTC" } else { "Brotli compression" };
            assert!(read.unwrap_err().to_string().contains(why), "{name}");
            continue;
        }
        let bars = read.unwrap_or_else(|error| panic!("{name}: {error}")).bars;
        let blank = name.starts_with("blank");
        assert_eq!(bars.len(), 3000 - usize::from(blank), "{name}");
        assert_eq!(bars.last().unwrap().date, date(2024, 1, 3), "{name}");
        for (row, bar) in (0..3000).filter(|row| !blank || *row != 1500).zip(&bars) {
            let price = 100.0 + f64::from(row * 7919 % 1000) / 64.0;
            assert_eq!((bar.open, bar.close), (price, price), "{name}, row {row}");
            assert_eq!(bar.volume, f64::from(1000 + row * 31 % 977), "{name}, row {row}");
        }
        files += 1;
    }
    assert!(files >= 20, "{files}");
    println!("{files} files of other writers read");
}

proptest! {
    #[test]
    fn a_damaged_file_is_refused_and_never_more(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        end in any::<prop::sample::Index>(),
        cut in any::<bool>(),
    ) {
        let bars = bars(40).bars;
        let mut columns = table(&bars);
        columns[4].values = Values::Maybe(bars.iter().map(|bar| Some(bar.close)).collect());
        let mut content = parquet(&columns).unwrap();
        for (at, byte) in changes {
            let at = at.index(content.len());
            content[at] = byte;
        }
        if cut {
            content.truncate(end.index(content.len()));
        }
        // Whatever comes of it, it comes without a panic and within bounds.
        if let Ok(read) = read(&content, PolicySpec::USUAL) {
            prop_assert!(read.bars.len() <= 40);
        }
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("AAPL.parquet");
        store(&path, &content);
        let settings = |_: Option<&_>| Settings { policy: PolicySpec::USUAL, task: ReturnsSpec::usual(), evaluate: EvaluateSpec::USUAL };
        for one in inspect(&path, true, &settings) {
            prop_assert_eq!(one.verdict == Verdict::Refused, one.cause.is_some());
        }
    }
}

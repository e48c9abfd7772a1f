//! What reading the prices of one symbol costs, in each format. `just bench-reading` runs it.
//!
//! The files are in the page cache: this is parsing and treating, not the disk. The table at the end lets
//! the formats take turns, so that their ratios do not depend on what else the machine does.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints, and ends when something fails"
)]

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use criterion::Criterion;
use mambafleet_dataset::columns::{Column, Values, parquet};
use mambafleet_dataset::{Bar, load, synthesize, write_csv};
use mambafleet_protocol::{DataSource, PolicySpec, Symbol};
use tempfile::TempDir;

/// Sixteen years of days.
const ROWS: usize = 4000;

/// Symbols in the long file.
const SYMBOLS: usize = 50;

/// How often the table reads each file.
const ROUNDS: usize = 41;

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let cases = Case::all(&dir);
    let mut group = criterion.benchmark_group("read");
    for case in &cases {
        group.bench_function(case.name, |bencher| {
            bencher.iter_custom(|times| (0..times).map(|_| case.time()).sum());
        });
    }
    group.finish();
    criterion.final_summary();
    // `cargo test` calls without this argument, and lists and tests with another beside it.
    let args: Vec<String> = std::env::args().collect();
    let only_looks = |arg: &String| arg == "--test" || arg == "--list";
    if args.iter().any(|arg| arg == "--bench") && !args.iter().any(only_looks) {
        print_table(&cases);
    }
}

/// A file, and the symbol that is read from it.
struct Case {
    name: &'static str,
    symbol: Symbol,
    path: PathBuf,
    source: DataSource,
    /// Whether the file is made to look as if nobody had read it.
    anew: bool,
}

impl Case {
    fn all(dir: &TempDir) -> Vec<Self> {
        let one = symbol(0);
        let bars = synthesize(&one, ROWS, 1);
        let mut csv = Vec::new();
        write_csv(&bars, &mut csv).unwrap();
        let (gzip, zstd, table) = (gzip(&csv), zstd(&csv), parquet(&table(&bars.bars)).unwrap());
        let alone = |name, file: &str, content: &[u8]| {
            // In a directory of its own, where the file is looked for.
            let dir = dir.path().join(name);
            let path = dir.join(file);
            store(&path, content);
            Self { name, symbol: symbol(0), path, source: source(dir), anew: false }
        };
        let mut cases = vec![
            alone("CSV", "S0.csv", &csv),
            alone("CSV, gzip", "S0.csv.gz", &gzip),
            alone("CSV, zstd", "S0.csv.zst", &zstd),
            alone("Parquet", "S0.parquet", &table),
        ];
        let path = dir.path().join("long.csv");
        store(&path, &long());
        age(&path);
        for (name, number, anew) in
            [("long, first", 0, true), ("long, following", SYMBOLS - 1, false)]
        {
            let (path, source) = (path.clone(), source(path.clone()));
            cases.push(Self { name, symbol: symbol(number), path, source, anew });
        }
        cases
    }

    /// Reads the symbol once.
    fn time(&self) -> Duration {
        if self.anew {
            age(&self.path);
        }
        let started = Instant::now();
        let bars = load(&self.symbol, &self.source).unwrap();
        let elapsed = started.elapsed();
        assert_eq!(bars.bars.len(), ROWS);
        elapsed
    }
}

fn symbol(number: usize) -> Symbol {
    Symbol::new(format!("S{number}")).unwrap()
}

fn source(dir: PathBuf) -> DataSource {
    DataSource::Csv { dir, policy: PolicySpec::USUAL }
}

#[expect(clippy::disallowed_methods, reason = "nobody needs the files afterwards")]
fn store(path: &Path, content: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

/// Gives the file a time of change that it has not had, and that lies back far enough for it to be kept.
fn age(path: &Path) {
    let modified = fs::metadata(path).unwrap().modified().unwrap();
    let hour = Duration::from_secs(3600);
    let then = modified.min(SystemTime::now() - hour) - Duration::from_secs(1);
    File::options().write(true).open(path).unwrap().set_modified(then).unwrap();
}

/// All symbols in one file, one after the other.
fn long() -> Vec<u8> {
    let mut text = b"symbol,date,open,high,low,close,volume\n".to_vec();
    for number in 0..SYMBOLS {
        let symbol = symbol(number);
        for bar in synthesize(&symbol, ROWS, 1).bars {
            let Bar { date, open, high, low, close, volume } = bar;
            writeln!(text, "{symbol},{date},{open},{high},{low},{close},{volume}").unwrap();
        }
    }
    text
}

fn table(bars: &[Bar]) -> Vec<Column> {
    let numbers = |of: fn(&Bar) -> f64| Values::Number(bars.iter().map(of).collect());
    let column = |name, values| Column { name, values };
    vec![
        column("date", Values::Date(bars.iter().map(|bar| bar.date).collect())),
        column("open", numbers(|bar| bar.open)),
        column("high", numbers(|bar| bar.high)),
        column("low", numbers(|bar| bar.low)),
        column("close", numbers(|bar| bar.close)),
        column("volume", numbers(|bar| bar.volume)),
    ]
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn zstd(content: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(content, ruzstd::encoding::CompressionLevel::Fastest)
}

fn print_table(cases: &[Case]) {
    let mut times = vec![Vec::new(); cases.len()];
    for _ in 0..ROUNDS {
        for (case, times) in cases.iter().zip(&mut times) {
            times.push(case.time());
        }
    }
    println!(
        "\nMEDIANS OF {ROUNDS} ROUNDS, {ROWS} ROWS OF A SYMBOL ({SYMBOLS} SYMBOLS IN THE LONG FILE)"
    );
    println!("{:<16} {:>10} {:>12}", "", "KB", "ms");
    for (case, mut times) in cases.iter().zip(times) {
        times.sort();
        let median = times[ROUNDS / 2].as_secs_f64() * 1e3;
        let size = fs::metadata(&case.path).unwrap().len() / 1000;
        println!("{:<16} {size:>10} {median:>12.2}", case.name);
    }
}

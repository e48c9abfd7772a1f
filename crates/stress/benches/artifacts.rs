//! What saving, locking, reading and collecting cost. `just bench-artifacts` runs it.
//!
//! Criterion measures one thing after the other; the table at the end lets the ways of saving take
//! turns within one run, so that their ratios do not depend on what else the machine does.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints, and ends when something fails"
)]

use std::fs;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, SamplingMode, Throughput};
use mambafleet_artifacts::{Retention, Store, SymbolStore, Wait};
use mambafleet_protocol::Symbol;
use mambafleet_stress::cost::{self, Costs};
use mambafleet_stress::{Set, Way};
use tempfile::TempDir;

const SIZES: [(&str, usize); 2] = [("300 KB", 300_000), ("10 MB", 10_000_000)];
const WAYS: [Way; 3] = [Way::Ours, Way::ThreeRenames, Way::Unsafe];

/// Threads that keep the lock busy in the contended case.
const RIVALS: usize = 3;

/// Generations that are collected at once.
const GENERATIONS: u32 = 1000;

/// How often the table collects them.
const COLLECTIONS: u32 = 5;

/// How often the table measures what takes no turns.
const ROUNDS: u32 = 101;

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    commits(&mut criterion);
    locks(&mut criterion);
    reads(&mut criterion);
    collections(&mut criterion);
    criterion.final_summary();
    // `cargo test` calls without this argument, and lists and tests with another beside it.
    let args: Vec<String> = std::env::args().collect();
    let only_looks = |arg: &String| arg == "--test" || arg == "--list";
    if args.iter().any(|arg| arg == "--bench") && !args.iter().any(only_looks) {
        print_table();
    }
}

/// A directory on the disk that the target directory is on: `/tmp` may be in memory.
fn scratch() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

fn symbol() -> Symbol {
    Symbol::new("S1").unwrap()
}

/// A store in which the symbol has one generation with so many bytes of weights.
fn store_with(bytes: usize, dir: &Path) -> SymbolStore {
    Way::Ours.prepare(dir, &[symbol()]).unwrap();
    let saver = Way::Ours.open(dir, Duration::ZERO).unwrap();
    saver.save(&symbol(), &Set::new(0, 0, bytes).unwrap()).unwrap();
    Store::open(dir).unwrap().symbol(&symbol())
}

fn commits(criterion: &mut Criterion) {
    for (name, bytes) in SIZES {
        let mut group = criterion.benchmark_group(format!("commit {name}"));
        group.sampling_mode(SamplingMode::Flat).throughput(Throughput::Bytes(bytes as u64));
        let set = Set::new(0, 0, bytes).unwrap();
        for way in WAYS {
            group.bench_function(BenchmarkId::from_parameter(way.name()), |bencher| {
                bencher.iter_custom(|iterations| save(way, &set, iterations));
            });
        }
        group.finish();
    }
}

/// Saves so often, in a directory of its own, so that the disk does not fill up.
fn save(way: Way, set: &Set, iterations: u64) -> Duration {
    let dir = scratch();
    way.prepare(dir.path(), &[symbol()]).unwrap();
    let saver = way.open(dir.path(), Duration::ZERO).unwrap();
    let mut elapsed = Duration::ZERO;
    for _ in 0..iterations {
        let started = Instant::now();
        saver.save(&symbol(), set).unwrap();
        elapsed += started.elapsed();
        saver.settle(&symbol()).unwrap();
    }
    elapsed
}

fn locks(criterion: &mut Criterion) {
    let dir = scratch();
    let symbol = store_with(1000, dir.path());
    let mut group = criterion.benchmark_group("lock");
    group.bench_function("free", |bencher| bencher.iter(|| turn(&symbol)));
    group.bench_function(format!("{RIVALS} rivals"), |bencher| {
        bencher.iter_custom(|iterations| {
            among_rivals(&symbol, || (0..iterations).map(|_| turn(&symbol)).sum())
        });
    });
    group.finish();
}

/// Takes the lock and gives it back.
fn turn(symbol: &SymbolStore) -> Duration {
    let started = Instant::now();
    drop(symbol.lock(Wait::Until(Duration::from_secs(60))).unwrap());
    started.elapsed()
}

/// Does something while other threads take the lock again and again.
fn among_rivals<T>(symbol: &SymbolStore, work: impl FnOnce() -> T) -> T {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..RIVALS {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    turn(symbol);
                }
            });
        }
        let done = work();
        over.store(true, Ordering::Relaxed);
        done
    })
}

fn reads(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("verified read");
    for (name, bytes) in SIZES {
        let dir = scratch();
        let symbol = store_with(bytes, dir.path());
        group.throughput(Throughput::Bytes(bytes as u64));
        group.bench_function(name, |bencher| bencher.iter(|| symbol.latest().unwrap()));
    }
    group.finish();
}

fn collections(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("collect");
    group.sampling_mode(SamplingMode::Flat);
    let mut old = None;
    group.bench_function(format!("{GENERATIONS} generations"), |bencher| {
        let old = old.get_or_insert_with(OldStore::new);
        bencher.iter_custom(|iterations| (0..iterations).map(|_| old.collect()).sum());
    });
    group.finish();
}

/// A store with many generations, of which copies are collected.
struct OldStore(TempDir);

impl OldStore {
    fn new() -> Self {
        let dir = scratch();
        Way::Ours.prepare(dir.path(), &[symbol()]).unwrap();
        let saver = Way::Ours.open(dir.path(), Duration::ZERO).unwrap();
        for number in 0..=GENERATIONS {
            saver.save(&symbol(), &Set::new(0, number, 1000).unwrap()).unwrap();
        }
        Self(dir)
    }

    /// Collects all generations of a copy but the newest.
    fn collect(&self) -> Duration {
        let copy = scratch();
        link_tree(self.0.path(), copy.path());
        let symbol = Store::open(copy.path()).unwrap().symbol(&symbol());
        let retention = Retention { keep: NonZeroUsize::MIN, min_age: Duration::ZERO };
        let started = Instant::now();
        let collected = symbol.gc(&retention, false).unwrap();
        let elapsed = started.elapsed();
        assert_eq!(collected.removed.len(), GENERATIONS as usize);
        elapsed
    }
}

/// Makes `to` a copy of the directory `from`, the files being the same ones.
#[expect(clippy::disallowed_methods, reason = "a copy of the store, not a part of it, is made")]
fn link_tree(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            fs::create_dir(&target).unwrap();
            link_tree(&entry.path(), &target);
        } else if kind.is_file() {
            fs::hard_link(entry.path(), &target).unwrap();
        }
    }
}

fn print_table() {
    println!("\nMEDIANS OF ONE RUN, THE WAYS OF SAVING IN TURNS");
    println!(
        "{:<26} {:>10} {:>14} {:>10} {:>16} {:>12}",
        "", "ours", "three renames", "unsafe", "ours / renames", "ours/unsafe"
    );
    let mut shares = Vec::new();
    for (name, bytes) in SIZES {
        let dir = scratch();
        let costs = cost::measure(dir.path(), bytes, cost::rounds(bytes), || true);
        let costs = costs.unwrap().unwrap();
        print_costs(name, &costs);
        shares.push((name, costs));
    }
    for (name, costs) in shares {
        println!(
            "locking {:.3} ms and hashing {:.3} ms are {:.1} % of our commit at {name}",
            costs.locking_ms,
            costs.hashing_ms,
            costs.locking_and_hashing_share * 100.0
        );
    }
    println!();
    let dir = scratch();
    let symbol = store_with(1000, dir.path());
    print_median("lock, free", || turn(&symbol));
    among_rivals(&symbol, || {
        print_median(&format!("lock, {RIVALS} rivals"), || turn(&symbol));
    });
    for (name, bytes) in SIZES {
        let dir = scratch();
        let symbol = store_with(bytes, dir.path());
        print_median(&format!("verified read, {name}"), || {
            let started = Instant::now();
            symbol.latest().unwrap();
            started.elapsed()
        });
    }
    let old = OldStore::new();
    let collected = cost::median((0..COLLECTIONS).map(|_| old.collect()).collect());
    println!(
        "{:<26} {collected:>7.1} ms, {:.3} ms for each",
        format!("collect {GENERATIONS} generations"),
        collected / f64::from(GENERATIONS)
    );
}

fn print_costs(name: &str, costs: &Costs) {
    println!(
        "{:<26} {:>7.2} ms {:>11.2} ms {:>7.2} ms {:>16.2} {:>12.1}",
        format!("commit, {name}"),
        costs.ours_ms,
        costs.three_renames_ms,
        costs.unsafe_ms,
        costs.ours_to_three_renames,
        costs.ours_to_unsafe
    );
}

fn print_median(name: &str, mut once: impl FnMut() -> Duration) {
    let median = cost::median((0..ROUNDS).map(|_| once()).collect());
    println!("{name:<26} {median:>7.3} ms");
}

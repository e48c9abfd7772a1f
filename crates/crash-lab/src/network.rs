//! Two mounts of one NFS export, each with a cache of its own: writers and readers on both.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use mambafleet_artifacts::{Store, StoreError, Wait};
use mambafleet_protocol::Symbol;
use serde::{Deserialize, Serialize};

use crate::check::describe;
use crate::marks::{Mark, Promises};
use crate::summary::Report;
use crate::workload::{self, Outcome, Workload, symbols};
use crate::{Context, LabError, check, content};

/// Processes that write, and as many that read, on each mount.
const PROCESSES: u64 = 2;

/// What to try.
#[derive(Debug, Clone)]
pub struct Options {
    /// What the report calls it.
    pub label: String,
    /// The directory where each client sees the export.
    pub mounts: [PathBuf; 2],
    /// A directory that is not on NFS, for what the writers put on record.
    pub dir: PathBuf,
    /// For how long, in seconds.
    pub seconds: u64,
    /// Decides everything that is random.
    pub seed: u64,
}

/// What a reader saw.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Readings {
    /// How many generations it read.
    pub reads: u64,
    /// How many of them were older than one acknowledged before the read began.
    pub stale: u64,
    /// How many of them were older than the one it had read before.
    pub backwards: u64,
    /// Reads that the store or the file system refused, though nothing was wrong with the content.
    pub refused: Vec<String>,
    /// What was torn or mixed.
    pub faults: Vec<String>,
}

/// Starts writers and readers on both mounts and checks everything once they are done.
///
/// # Errors
/// When the lab itself cannot do its work; what is wrong with the store is in the report.
pub fn run(options: &Options) -> Result<Report, LabError> {
    let started = Instant::now();
    let (stage, subject) = ("nfs".to_owned(), options.label.clone());
    let mut report = Report { stage, subject, ..Report::default() };
    let mut writers = Vec::new();
    let mut readers = Vec::new();
    for process in 0..PROCESSES {
        for (mount, path) in (0..).zip(&options.mounts) {
            let number = process * 2 + mount;
            writers.push(child("write", path, options, number)?);
            readers.push(child("read", path, options, number)?);
        }
    }
    for writer in writers {
        let outcome: Outcome = result(writer)?;
        report.acknowledged += outcome.acknowledged;
        report.add("commits refused", outcome.refused.len() as u64);
        report.notes.extend(outcome.refused.into_iter().take(1));
    }
    for reader in readers {
        let readings: Readings = result(reader)?;
        report.cases += readings.reads;
        report.bad += readings.faults.len() as u64;
        report.examples.extend(readings.faults);
        report.add("stale reads", readings.stale);
        report.add("reads older than the one before", readings.backwards);
        report.add("reads refused", readings.refused.len() as u64);
        report.notes.extend(readings.refused.into_iter().take(1));
    }
    check_all(options, &mut report)?;
    report.seconds = started.elapsed().as_secs_f64();
    Ok(report)
}

/// No number was given out twice, and both clients see everything that was acknowledged.
fn check_all(options: &Options, report: &mut Report) -> Result<(), LabError> {
    let mut promises = Promises::default();
    let mut taken: BTreeMap<(Symbol, u64), u64> = BTreeMap::new();
    for number in 0..PROCESSES * 2 {
        for mark in read_marks(&marks_file(&options.dir, number))? {
            promises.note(&mark);
            let Mark::Acknowledged { symbol, generation, id } = mark else { continue };
            if let Some(other) = taken.insert((symbol.clone(), generation), id) {
                let twice = format!("{symbol}: {generation} went to both {other} and {id}");
                report.count("numbers", &[twice]);
            }
        }
    }
    let probe = symbols(1)?.remove(0);
    for path in &options.mounts {
        // Cached listings of directories may be old for a while: nothing promises otherwise.
        let deadline = Instant::now() + Duration::from_secs(90);
        let mut faults = check::check(&path.join("store"), &promises, &probe);
        while !faults.is_empty() && Instant::now() < deadline {
            report.add("seconds until a client saw everything", 1);
            thread::sleep(Duration::from_secs(1));
            faults = check::check(&path.join("store"), &promises, &probe);
        }
        report.count(&format!("at the end, on {}", path.display()), &faults);
    }
    let exclusive = lock_excludes(&options.mounts, &probe)?;
    let word = if exclusive { "excludes" } else { "does not exclude" };
    report.notes.push(format!("a lock on one mount {word} writers on the other"));
    Ok(())
}

fn marks_file(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("marks-{number}"))
}

fn read_marks(path: &Path) -> Result<Vec<Mark>, LabError> {
    match std::fs::read_to_string(path) {
        // A line that is being written has no end yet.
        Ok(text) => text
            .split_inclusive('\n')
            .filter(|line| line.ends_with('\n'))
            .map(|line| line.trim_end().parse())
            .collect(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error).context(|| format!("read {}", path.display())),
    }
}

/// Starts this program again as a writer or reader.
fn child(part: &str, mount: &Path, options: &Options, number: u64) -> Result<Child, LabError> {
    let program = std::env::current_exe().context(|| "find this program".to_owned())?;
    Command::new(program)
        .args([part, "--root"])
        .arg(mount.join("store"))
        .arg("--dir")
        .arg(&options.dir)
        .args(["--number", &number.to_string(), "--seed", &options.seed.to_string()])
        .args(["--seconds", &options.seconds.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context(|| format!("start a process to {part}"))
}

fn result<T: for<'a> Deserialize<'a>>(child: Child) -> Result<T, LabError> {
    let output = child.wait_with_output().context(|| "wait for a process".to_owned())?;
    serde_json::from_slice(&output.stdout).context(|| "understand a process".to_owned())
}

/// Whether a lock that a process holds on the first mount keeps the second one out.
fn lock_excludes(mounts: &[PathBuf; 2], symbol: &Symbol) -> Result<bool, LabError> {
    let program = std::env::current_exe().context(|| "find this program".to_owned())?;
    let mut holder = Command::new(program)
        .args(["hold", "--root"])
        .arg(mounts[0].join("store"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context(|| "start a process to hold a lock".to_owned())?;
    let mut line = String::new();
    if let Some(stdout) = holder.stdout.take() {
        BufReader::new(stdout).read_line(&mut line).context(|| "read from it".to_owned())?;
    }
    let other = Store::open(mounts[1].join("store"))?.symbol(symbol);
    let excluded = match other.lock(Wait::Fail) {
        Ok(_lock) => false,
        Err(error) if error.is_lock_timeout() => line.starts_with("held"),
        Err(error) => return Err(error.into()),
    };
    drop(holder.stdin.take());
    holder.wait().context(|| "wait for a process".to_owned())?;
    Ok(excluded)
}

/// The part of a process that holds the lock of the first symbol until its standard input ends.
///
/// # Errors
/// When the lock cannot be taken.
pub fn hold(root: &Path) -> Result<(), LabError> {
    let symbol = Store::open(root)?.symbol(&symbols(1)?.remove(0));
    let _held = symbol.lock(Wait::Fail)?;
    let mut out = std::io::stdout();
    writeln!(out, "held").and_then(|()| out.flush()).context(|| "say so".to_owned())?;
    let _ = std::io::stdin().read(&mut [0]);
    Ok(())
}

/// The part of a process that writes.
///
/// # Errors
/// When the store cannot be created or a mark cannot be put on record.
pub fn write(
    root: &Path,
    dir: &Path,
    number: u64,
    seed: u64,
    seconds: u64,
) -> Result<Outcome, LabError> {
    let path = marks_file(dir, number);
    let opened = OpenOptions::new().create(true).append(true).open(&path);
    let marks = Mutex::new(opened.context(|| format!("open {}", path.display()))?);
    let record = |mark: &Mark| {
        let mut marks = marks.lock().unwrap_or_else(PoisonError::into_inner);
        writeln!(marks, "{mark}").context(|| "put a mark on record".to_owned())
    };
    let workload = Workload {
        alone: false,
        writers: 1,
        commits: 50_000,
        symbols: 3,
        seed: seed * PROCESSES * 2 + number,
    };
    let stop = AtomicBool::new(false);
    let (done, wait) = std::sync::mpsc::channel::<()>();
    thread::scope(|scope| {
        let stop = &stop;
        scope.spawn(move || {
            let _ = wait.recv_timeout(Duration::from_secs(seconds));
            stop.store(true, Relaxed);
        });
        let outcome = workload::run(workload, root, &record, stop);
        drop(done);
        outcome
    })
}

/// The part of a process that reads.
///
/// # Errors
/// When the marks cannot be read.
pub fn read(root: &Path, dir: &Path, seconds: u64) -> Result<Readings, LabError> {
    let deadline = Instant::now() + Duration::from_secs(seconds);
    let mut readings = Readings::default();
    let mut last: BTreeMap<Symbol, u64> = BTreeMap::new();
    let symbols = symbols(3)?;
    while Instant::now() < deadline {
        let Ok(store) = Store::open(root) else {
            thread::sleep(Duration::from_millis(10));
            continue;
        };
        for symbol in &symbols {
            let mut promises = Promises::default();
            for number in 0..PROCESSES * 2 {
                read_marks(&marks_file(dir, number))?.iter().for_each(|mark| promises.note(mark));
            }
            let promised = promises.symbols.get(symbol);
            let promised = promised.and_then(|p| p.acknowledged.keys().next_back().copied());
            let before = last.entry(symbol.clone()).or_default();
            let latest = store.symbol(symbol).latest();
            readings.note(symbol, latest, promised.unwrap_or(0), before);
        }
        thread::sleep(Duration::from_millis(5));
    }
    Ok(readings)
}

impl Readings {
    fn note(
        &mut self,
        symbol: &Symbol,
        latest: Result<Option<mambafleet_artifacts::Snapshot>, StoreError>,
        promised: u64,
        before: &mut u64,
    ) {
        let found = match latest {
            Ok(None) => 0,
            Ok(Some(snapshot)) => {
                self.faults.extend(snapshot.skipped().iter().map(|f| format!("{symbol}: {f}")));
                let fault = content::id_of(&snapshot).err();
                self.faults.extend(fault.map(|fault| format!("{symbol}: {fault}")));
                snapshot.generation()
            }
            Err(error) if error.is_corrupt() => {
                self.faults.push(describe(&error));
                return;
            }
            Err(error) => {
                self.refused.push(describe(&error));
                return;
            }
        };
        self.reads += 1;
        self.stale += u64::from(found < promised);
        self.backwards += u64::from(found < *before);
        *before = found;
    }
}

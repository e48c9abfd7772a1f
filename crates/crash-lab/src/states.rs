//! All states that a crash may leave a disk in, mounted and checked one after another.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use crate::broken::{self, Flaw};
use crate::device::{Disk, FileSystem, run as run_program};
use crate::image::{Image, Pristine};
use crate::log::{self, Entry};
use crate::marks::{Mark, Promises};
use crate::plan::{CrashState, crash_states};
use crate::summary::Report;
use crate::workload::{self, Workload, symbols};
use crate::{Context, LabError, check};

/// The recorded device's name.
const RECORDED: &str = "recorded";

/// What a log may hold at most.
const LOG_SIZE: u64 = 1 << 30;

/// What to check.
#[derive(Debug, Clone)]
pub struct Options {
    /// The file system.
    pub file_system: FileSystem,
    /// A deliberately wrong writer in place of the store.
    pub flaw: Option<Flaw>,
    /// How many states.
    pub states: u64,
    /// How many random sets of unflushed writes for each interval between flushes.
    pub sets: usize,
    /// Decides everything that is random.
    pub seed: u64,
    /// A directory in memory.
    pub dir: PathBuf,
}

/// One file system, three disks: what the workload writes to, its log, and the crash states.
struct Lab<'a> {
    options: &'a Options,
    pristine: Pristine,
    recorded: Disk,
    log: Disk,
    crashed: Disk,
    mount_point: PathBuf,
    /// Time spent on setting the disk, mounting, checking and unmounting.
    spent: [Duration; 4],
}

/// Records workloads and checks their crash states until there are enough of them.
///
/// # Errors
/// When the lab itself cannot do its work; what is wrong with the store is in the report.
pub fn run(options: &Options) -> Result<Report, LabError> {
    let started = Instant::now();
    let mut lab = Lab::new(options)?;
    let mut report = Report {
        stage: "states".to_owned(),
        subject: match options.flaw {
            None => options.file_system.name().to_owned(),
            Some(flaw) => format!("{} {flaw:?}", options.file_system.name()),
        },
        must_fail: options.flaw.is_some(),
        ..Report::default()
    };
    let mut round = 0;
    while report.cases < options.states {
        let seed = options.seed + round;
        let entries = lab.record(seed, &mut report)?;
        lab.check(&entries, seed, &mut report)?;
        round += 1;
    }
    report.add("rounds", round);
    for (name, spent) in ["set", "mount", "check", "unmount"].iter().zip(lab.spent) {
        report.add(&format!("s to {name}"), spent.as_secs());
    }
    report.seconds = started.elapsed().as_secs_f64();
    Ok(report)
}

impl<'a> Lab<'a> {
    fn new(options: &'a Options) -> Result<Self, LabError> {
        let Options { dir, file_system, .. } = options;
        let mount_point = dir.join("mnt");
        std::fs::create_dir_all(&mount_point).context(|| "create the mount point".to_owned())?;
        let empty = dir.join("empty");
        file_system.make(&empty)?;
        let pristine = std::fs::read(&empty).context(|| "read the empty image".to_owned())?;
        std::fs::remove_file(&empty).context(|| "remove the empty image".to_owned())?;
        Ok(Self {
            options,
            pristine: Pristine::new(&pristine),
            crashed: Disk::new(&dir.join("crashed"), 0, file_system.size())?,
            recorded: Disk::new(&dir.join("recorded"), 1, file_system.size())?,
            log: Disk::new(&dir.join("log"), 2, LOG_SIZE)?,
            mount_point,
            spent: [Duration::ZERO; 4],
        })
    }

    /// Where the writers write, in the mounted file system.
    fn root(&self) -> PathBuf {
        self.mount_point.join("store")
    }

    /// Runs a workload on an empty file system and returns the log of its disk.
    fn record(&mut self, seed: u64, report: &mut Report) -> Result<Vec<Entry>, LabError> {
        self.recorded.clear()?;
        self.recorded.set(&mut Image::new(&self.pristine))?;
        self.log.clear()?;
        let (disk, log) = (self.recorded.device().display(), self.log.device().display());
        let sectors = self.options.file_system.size() / 512;
        let table = format!("0 {sectors} log-writes {disk} {log}");
        run_program("dmsetup", &["create", RECORDED, "--table", &table])?;
        let device = Path::new("/dev/mapper").join(RECORDED);
        let mounted = self.options.file_system.mount(&device, &self.mount_point)?;
        self.write(seed, report)?;
        mounted.unmount()?;
        // This waits for the log to be complete.
        run_program("dmsetup", &["remove", RECORDED])?;
        let entries = log::parse(&self.log.read()?)?;
        report.add("log entries", entries.len() as u64);
        Ok(entries)
    }

    fn write(&self, seed: u64, report: &mut Report) -> Result<(), LabError> {
        let record = |mark: &Mark| {
            run_program("dmsetup", &["message", RECORDED, "0", "mark", &mark.to_string()])
        };
        if let Some(flaw) = self.options.flaw {
            let commits = 20;
            broken::run(flaw, commits, &self.root(), &record)?;
            report.acknowledged += commits;
            return Ok(());
        }
        let workload = Workload { alone: true, writers: 3, commits: 6, symbols: 4, seed };
        let outcome = workload::run(workload, &self.root(), &record, &AtomicBool::new(false))?;
        report.acknowledged += outcome.acknowledged;
        if !outcome.refused.is_empty() {
            report.count("on a sound disk", &outcome.refused);
        }
        Ok(())
    }

    fn check(&mut self, log: &[Entry], seed: u64, report: &mut Report) -> Result<(), LabError> {
        let marks: Vec<(usize, Mark)> = log
            .iter()
            .enumerate()
            .filter_map(|(at, entry)| match entry {
                // The kernel's own mark at the end is none of ours.
                Entry::Mark(text) => Some((at, text.parse().ok()?)),
                _ => None,
            })
            .collect();
        let mut image = Image::new(&self.pristine);
        let mut applied = 0;
        for state in crash_states(log, self.options.sets, seed) {
            for entry in &log[applied..state.settled] {
                image.apply(entry, all(entry));
            }
            applied = state.settled;
            let mut promises = Promises::default();
            let before = marks.iter().take_while(|(at, _)| *at < state.happened);
            before.for_each(|(_, mark)| promises.note(mark));
            let faults = self.check_state(log, &state, &mut image, &promises)?;
            let kind = if state.pieces.is_empty() { "in order" } else { "random sets" };
            report.add(kind, 1);
            for kind in ["lost", "torn", "mixed"] {
                let is_kind = |fault: &String| fault.contains(kind);
                report.add(kind, u64::from(faults.iter().any(is_kind)));
            }
            let (entries, pieces) = (state.settled, state.pieces.len());
            let what =
                format!("seed {seed}, after {entries} entries and {pieces} unflushed writes");
            report.count(&what, &faults);
            if report.cases >= self.options.states {
                break;
            }
        }
        Ok(())
    }

    fn check_state(
        &mut self,
        log: &[Entry],
        state: &CrashState,
        image: &mut Image,
        promises: &Promises,
    ) -> Result<Vec<String>, LabError> {
        let started = Instant::now();
        let pieces = state.pieces.iter();
        let undo: Vec<_> = pieces
            .filter_map(|piece| image.apply(&log[piece.entry], piece.range.clone()))
            .collect();
        self.crashed.set(image)?;
        undo.iter().rev().for_each(|undo| image.undo(undo));
        let set = Instant::now();
        let mounted = self.options.file_system.mount(self.crashed.device(), &self.mount_point);
        let mounted = match mounted {
            Ok(mounted) => mounted,
            Err(error) => return Ok(vec![check::describe(&error)]),
        };
        let mount = Instant::now();
        let faults = match self.options.flaw {
            Some(flaw) => broken::check(flaw, &self.root(), promises),
            None => {
                let mut probes = symbols(workload::SYMBOLS.len())?;
                let probe = probes.swap_remove(state.happened % probes.len());
                check::check(&self.root(), promises, &probe)
            }
        };
        let checked = Instant::now();
        mounted.unmount()?;
        let steps = [set - started, mount - set, checked - mount, checked.elapsed()];
        self.spent.iter_mut().zip(steps).for_each(|(sum, step)| *sum += step);
        Ok(faults)
    }
}

fn all(entry: &Entry) -> std::ops::Range<usize> {
    match entry {
        Entry::Write { data, .. } => 0..data.len(),
        Entry::Discard { length, .. } => 0..usize::try_from(*length).unwrap_or(0),
        Entry::Mark(_) => 0..0,
    }
}

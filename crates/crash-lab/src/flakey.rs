//! Disks that begin to fail under a running workload.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::device::{Disk, FileSystem, run as run_program};
use crate::image::{Image, Pristine};
use crate::marks::{Mark, Promises};
use crate::summary::Report;
use crate::workload::{self, Outcome, Workload, symbols};
use crate::{Context, LabError, check};

/// The failing device's name.
const DEVICE: &str = "failing";

/// Refusals that are quoted.
const NOTES: usize = 3;

/// What to try.
#[derive(Debug, Clone)]
pub struct Options {
    /// The file system.
    pub file_system: FileSystem,
    /// How often.
    pub rounds: u64,
    /// Decides everything that is random.
    pub seed: u64,
    /// A directory in memory.
    pub dir: PathBuf,
}

/// How the disk fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Failure {
    /// Writes are lost, and reported as done.
    Drop,
    /// Writes are refused.
    Error,
    /// Writes are refused every other second.
    Intervals,
}

impl Failure {
    const ALL: [Self; 3] = [Self::Drop, Self::Error, Self::Intervals];

    /// The end of dm-flakey's table: seconds up, seconds down, features.
    fn table(self) -> &'static str {
        match self {
            Self::Drop => "0 3600 1 drop_writes",
            Self::Error => "0 3600 1 error_writes",
            Self::Intervals => "1 1 1 error_writes",
        }
    }
}

/// A sound disk, as dm-flakey's table says it.
const SOUND: &str = "3600 0";

/// Lets disks fail under the workload, and checks what is left on each of them afterwards.
///
/// # Errors
/// When the lab itself cannot do its work; what is wrong with the store is in the report.
pub fn run(options: &Options) -> Result<Report, LabError> {
    let started = Instant::now();
    let Options { file_system, dir, .. } = options;
    let mount_point = dir.join("mnt");
    std::fs::create_dir_all(&mount_point).context(|| "create the mount point".to_owned())?;
    let empty = dir.join("empty");
    file_system.make(&empty)?;
    let bytes = std::fs::read(&empty).context(|| "read the empty image".to_owned())?;
    let pristine = Pristine::new(&bytes);
    let mut disk = Disk::new(&dir.join("disk"), 0, file_system.size())?;
    let mut report = Report {
        stage: "flakey".to_owned(),
        subject: file_system.name().to_owned(),
        ..Report::default()
    };
    for round in 0..options.rounds {
        disk.clear()?;
        disk.set(&mut Image::new(&pristine))?;
        let failure = Failure::ALL[usize::try_from(round % 3).unwrap_or(0)];
        let trial =
            Trial { file_system: *file_system, disk: disk.device(), mount_point: &mount_point };
        trial.run(failure, options.seed + round, &mut report)?;
    }
    report.seconds = started.elapsed().as_secs_f64();
    Ok(report)
}

struct Trial<'a> {
    file_system: FileSystem,
    disk: &'a Path,
    mount_point: &'a Path,
}

impl Trial<'_> {
    fn table(&self, end: &str) -> String {
        let sectors = self.file_system.size() / 512;
        format!("0 {sectors} flakey {} 0 {end}", self.disk.display())
    }

    /// Replaces the table without letting the file system prepare for it.
    fn switch(&self, end: &str) -> Result<(), LabError> {
        run_program("dmsetup", &["load", DEVICE, "--table", &self.table(end)])?;
        run_program("dmsetup", &["suspend", "--nolockfs", "--noflush", DEVICE])?;
        run_program("dmsetup", &["resume", DEVICE])
    }

    fn run(&self, failure: Failure, seed: u64, report: &mut Report) -> Result<(), LabError> {
        let device = Path::new("/dev/mapper").join(DEVICE);
        run_program("dmsetup", &["create", DEVICE, "--table", &self.table(SOUND)])?;
        let mounted = self.file_system.mount(&device, self.mount_point)?;
        let (promises, outcome) = self.write(failure, seed, report)?;
        mounted.unmount()?;
        self.switch(SOUND)?;

        report.acknowledged += outcome.acknowledged;
        report.add("refused", outcome.refused.len() as u64);
        let notes = outcome.refused.into_iter().map(|refusal| format!("refused: {refusal}"));
        report.notes.extend(notes.take(1).filter(|_| failure != Failure::Drop));
        report.notes.truncate(NOTES);
        let faults = match self.file_system.mount(&device, self.mount_point) {
            Err(error) => vec![check::describe(&error)],
            Ok(mounted) => {
                let probe = symbols(1)?.remove(0);
                let faults = check::check(&self.root(), &promises, &probe);
                mounted.unmount()?;
                faults
            }
        };
        report.add("acknowledged and promised", promises.acknowledged() as u64);
        report.add(&format!("remounts after {failure:?}"), 1);
        report.count(&format!("seed {seed}, {failure:?}"), &faults);
        run_program("dmsetup", &["remove", DEVICE])
    }

    fn root(&self) -> PathBuf {
        self.mount_point.join("store")
    }

    /// Runs writers, lets the disk fail under them, and returns what must survive.
    fn write(
        &self,
        failure: Failure,
        seed: u64,
        report: &mut Report,
    ) -> Result<(Promises, Outcome), LabError> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut pause = |from, to| Duration::from_millis(random.random_range(from..to));
        let (failing, stop) = (AtomicBool::new(false), AtomicBool::new(false));
        let (promises, while_failing) = (Mutex::new(Promises::default()), Mutex::new(0));
        let record = |mark: &Mark| {
            let failing = failing.load(SeqCst);
            if failing {
                *while_failing.lock().unwrap_or_else(PoisonError::into_inner) += 1;
            }
            // A disk that reports lost writes as done cannot be relied on from then on; but what it
            // was told to remove may be gone.
            let removable = matches!(mark, Mark::Removable { .. });
            if !failing || failure != Failure::Drop || removable {
                promises.lock().unwrap_or_else(PoisonError::into_inner).note(mark);
            }
            Ok(())
        };
        let workload = Workload { alone: true, writers: 3, commits: 300, symbols: 4, seed };
        let root = self.root();
        let outcome = thread::scope(|scope| {
            let writers = scope.spawn(|| workload::run(workload, &root, &record, &stop));
            thread::sleep(pause(500, 2000));
            failing.store(true, SeqCst);
            let switched = self.switch(failure.table());
            thread::sleep(pause(300, 1500));
            stop.store(true, SeqCst);
            let outcome = writers.join();
            switched?;
            outcome.unwrap_or(Err(LabError::Parse("a panic".to_owned())))
        })?;
        let acknowledged = while_failing.into_inner().unwrap_or_else(PoisonError::into_inner);
        report.add("acknowledged while failing", acknowledged);
        Ok((promises.into_inner().unwrap_or_else(PoisonError::into_inner), outcome))
    }
}

//! A whole test: the costs, then one way after the other.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::task::JoinError;

use crate::StressError;
use crate::cost::{self, Costs};
use crate::fleet::Fleet;
use crate::plan::Workload;
use crate::process::MemberCommand;
use crate::report::{Report, WayReport};
use crate::signals::Signals;
use crate::tally::Tally;
use crate::ways::{Checked, Way};

/// A test to be carried out.
#[derive(Debug, Clone)]
pub struct Test {
    /// The load.
    pub workload: Workload,
    /// Whether the naive way bears the same load.
    pub in_place: bool,
    /// Whether all ways bear it, and the cost of one commit is measured.
    pub compare: bool,
    /// An empty directory to work in. What is written there is left there.
    pub root: PathBuf,
    /// How to start a member.
    pub command: MemberCommand,
}

/// How far a test has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// So many of so many saves were tried in this way.
    Saving(Way, u64, u64),
    /// The sets of this way are being checked.
    Checking(Way),
    /// The cost of one commit is being measured.
    Measuring,
}

/// Hears of progress.
pub type Observer<'a> = &'a mut (dyn FnMut(Progress) + Send);

/// Carries out a test. SIGINT and SIGTERM break it off; in every case all its processes are gone
/// when this returns.
///
/// # Errors
/// [`StressError`] when the test cannot be carried out or is interrupted. What it finds, damage
/// included, is no error but a report.
pub fn run(test: &Test, observer: Observer<'_>) -> Result<Report, StressError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(StressError::Processes)?;
    runtime.block_on(async {
        let signals = Signals::listen().map_err(StressError::Processes)?;
        Course { test, signals, observer }.run().await
    })
}

/// A test under way.
struct Course<'a> {
    test: &'a Test,
    signals: Signals,
    observer: Observer<'a>,
}

impl Course<'_> {
    async fn run(mut self) -> Result<Report, StressError> {
        let Test { compare, in_place, .. } = *self.test;
        // First, because what the others remove burdens the file system for minutes: ext4 looks at
        // every inode that was freed lately before it takes one.
        let costs = if compare { Some(self.measure().await?) } else { None };
        let ours = self.bear(Way::Ours).await?;
        let three_renames = if compare { Some(self.bear(Way::ThreeRenames).await?) } else { None };
        let in_place = if compare || in_place { Some(self.bear(Way::Unsafe).await?) } else { None };
        let workload = self.test.workload.clone();
        Ok(Report { workload, ours, three_renames, in_place, costs })
    }

    /// One way under the load, and what is there in the end.
    async fn bear(&mut self, way: Way) -> Result<WayReport, StressError> {
        let Test { workload, root, command, .. } = self.test;
        let symbols = workload.symbol_list();
        let symbols = symbols.map_err(|error| StressError::Encode(error.to_string()))?;
        let dir = root.join(way.name().replace(' ', "-"));
        way.prepare(&dir, &symbols)?;
        let fleet = Fleet::start(workload, way, &dir, &symbols, command).await?;
        let observer = &mut *self.observer;
        let saves = workload.saves();
        observer(Progress::Saving(way, 0, saves));
        let mut progress = |tried| observer(Progress::Saving(way, tried, saves));
        let tally = fleet.run(&mut self.signals, &mut progress).await?;
        (self.observer)(Progress::Checking(way));
        let saver = way.open(&dir, workload.lock_timeout)?;
        let receipts = tally.receipts.clone();
        let checked = self.blocking(move |running| {
            let mut checked = Checked::default();
            for symbol in symbols.iter().take_while(|_| running()) {
                let receipts = receipts.get(symbol).map_or(&[][..], Vec::as_slice);
                checked.add(saver.check(symbol, receipts)?);
            }
            Ok(checked)
        });
        Ok(Tally::report(tally, way, workload, checked.await?))
    }

    async fn measure(&mut self) -> Result<Costs, StressError> {
        (self.observer)(Progress::Measuring);
        let (bytes, root) = (self.test.workload.bytes, self.test.root.join("costs"));
        self.blocking(move |running| cost::measure(&root, bytes, cost::rounds(bytes), running))
            .await?
            // Only an interruption keeps it from the end, and that is reported before.
            .ok_or(StressError::Interrupted { signal: 0 })
    }

    /// Does work on another thread, so that signals are heard meanwhile. `work` can ask whether
    /// its result is still wanted.
    async fn blocking<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&dyn Fn() -> bool) -> Result<T, StressError> + Send + 'static,
    ) -> Result<T, StressError> {
        let wanted = Arc::new(AtomicBool::new(true));
        let ask = Arc::clone(&wanted);
        let mut task = tokio::task::spawn_blocking(move || work(&|| ask.load(Ordering::Relaxed)));
        tokio::select! {
            result = &mut task => joined(result),
            signal = self.signals.next() => {
                wanted.store(false, Ordering::Relaxed);
                joined(task.await)?;
                Err(StressError::Interrupted { signal })
            }
        }
    }
}

fn joined<T>(result: Result<Result<T, StressError>, JoinError>) -> Result<T, StressError> {
    result.unwrap_or_else(|error| Err(StressError::Processes(error.into())))
}

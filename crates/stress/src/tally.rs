//! What members say, added up.

use std::collections::BTreeMap;
use std::time::Duration;

use mambafleet_protocol::Symbol;

use crate::plan::Workload;
use crate::report::{LockWait, Turns, WayReport};
use crate::stats::{Percentiles, ranks};
use crate::ways::{Checked, LockTimes, Receipt, Way};
use crate::wire::Observations;

/// How many faults are kept in words; all are counted.
const FAULTS: usize = 20;

/// Sums of one test.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) receipts: BTreeMap<Symbol, Vec<Receipt>>,
    pub(crate) seconds: f64,
    errors: u64,
    timeouts: u64,
    seen: Observations,
    waited: Vec<Duration>,
    held: Vec<Duration>,
    took: Vec<Duration>,
    faults: Vec<String>,
}

impl Tally {
    pub(crate) fn saved(
        &mut self,
        symbol: Symbol,
        receipt: Receipt,
        lock: Option<LockTimes>,
        took: Duration,
    ) {
        self.receipts.entry(symbol).or_default().push(receipt);
        self.took.push(took);
        if let Some(lock) = lock {
            self.waited.push(lock.waited);
            self.held.push(lock.held);
        }
    }

    /// A save that failed.
    pub(crate) fn failed(&mut self, timeout: bool, cause: String) {
        if timeout {
            self.timeouts += 1;
            self.faults.push(cause);
        } else {
            self.error(cause);
        }
    }

    pub(crate) fn error(&mut self, cause: String) {
        self.errors += 1;
        self.faults.push(cause);
    }

    /// What a reader saw.
    pub(crate) fn observed(&mut self, reader: &str, seen: Observations) {
        self.seen.reads += seen.reads;
        self.seen.torn += seen.torn;
        self.seen.mixed += seen.mixed;
        self.errors += seen.errors;
        self.faults.extend(seen.faults.into_iter().map(|fault| format!("{reader}: {fault}")));
    }

    fn commits(&self) -> u64 {
        self.took.len() as u64
    }

    /// Saves that ended one way or the other.
    pub(crate) fn tried(&self) -> u64 {
        self.commits() + self.timeouts + self.errors
    }

    /// The report, given what was found in the end.
    pub(crate) fn report(self, way: Way, workload: &Workload, checked: Checked) -> WayReport {
        let commits = self.commits();
        let rate = if self.seconds > 0.0 { commits as f64 / self.seconds } else { 0.0 };
        let others_between = others_between(self.receipts.values());
        let mut faults = self.faults;
        faults.extend(checked.faults);
        faults.truncate(FAULTS);
        WayReport {
            way,
            commits,
            errors: self.errors,
            timeouts: self.timeouts,
            reads: self.seen.reads,
            torn_reads: self.seen.torn,
            mixed_reads: self.seen.mixed,
            sets_checked: checked.sets,
            corrupt_files: checked.corrupt_files,
            mixed_sets: checked.mixed_sets,
            lost_commits: checked.lost,
            seconds: self.seconds,
            commits_per_s: rate,
            commit_ms: Percentiles::of(self.took),
            lock_wait_ms: lock_wait(self.waited, self.held, others_between, workload),
            faults,
        }
    }
}

fn lock_wait(
    waited: Vec<Duration>,
    held: Vec<Duration>,
    others_between: Option<Turns>,
    workload: &Workload,
) -> Option<LockWait> {
    let waited = Percentiles::of(waited)?;
    let held = Percentiles::of(held)?;
    let ideal = workload.ideal_wait(held.mean);
    let p99_to_ideal = (ideal > 0.0).then(|| waited.p99 / ideal);
    Some(LockWait { waited, held, ideal, p99_to_ideal, others_between })
}

/// What lies between each commit and the same worker's next on the same symbol: as generations are
/// numbered without gaps, their numbers tell.
fn others_between<'a>(symbols: impl Iterator<Item = &'a Vec<Receipt>>) -> Option<Turns> {
    let mut turns = Vec::new();
    for receipts in symbols {
        let mut by_worker = BTreeMap::<u32, Vec<u64>>::new();
        for Receipt { worker, generation, .. } in receipts {
            by_worker.entry(*worker).or_default().extend(generation);
        }
        // A worker's receipts are in order: it saves one set after the other.
        let pairs = by_worker.values().flat_map(|generations| generations.windows(2));
        turns.extend(pairs.map(|pair| pair[1].saturating_sub(pair[0] + 1)));
    }
    turns.sort_unstable();
    ranks(&turns).map(|[p50, p99, max]| Turns { p50, p99, max })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generations_tell_who_came_in_between() {
        let receipt = |(worker, generation)| Receipt {
            id: String::new(),
            worker,
            generation: Some(generation),
        };
        let in_turn: Vec<_> = [(0, 1), (1, 2), (2, 3), (0, 4), (1, 5), (2, 6)].map(receipt).into();
        let alone: Vec<_> = [(0, 1), (0, 2)].map(receipt).into();
        let turns = |symbols: &[Vec<Receipt>]| {
            others_between(symbols.iter()).map(|turns| (turns.p50, turns.p99, turns.max))
        };
        assert_eq!(turns(std::slice::from_ref(&in_turn)), Some((2, 2, 2)));
        assert_eq!(turns(&[in_turn.clone(), alone]), Some((2, 2, 2)));
        let overtaken = [in_turn, [(0, 7), (0, 8), (1, 11)].map(receipt).into()].concat();
        assert_eq!(turns(&[overtaken]), Some((2, 5, 5)));
        assert_eq!(turns(&[vec![receipt((0, 1))]]), None);
    }
}

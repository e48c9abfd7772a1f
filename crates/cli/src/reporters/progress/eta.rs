//! When a run will be done, by what its symbols took before.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// What the symbols took that are done: what is learned of the others from them.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Done {
    /// Symbols that were trained, and the seconds of it.
    trained: usize,
    trained_seconds: f64,
    /// Seconds that symbols with a history took, and what they had taken the last time.
    taken: f64,
    expected: f64,
}

/// An attempt that runs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Running {
    /// What its symbol took the last time, in seconds.
    pub(super) expected: Option<f64>,
    /// Seconds since it began.
    pub(super) elapsed: f64,
    /// The share of its epochs that is done.
    pub(super) share: f64,
}

impl Done {
    /// Counts a symbol that went well: whether it was trained or was up to date, what that took, and
    /// what it took the last time.
    pub(super) fn add(&mut self, trained: bool, seconds: f64, expected: Option<f64>) {
        if trained {
            self.trained += 1;
            self.trained_seconds += seconds;
        }
        if let Some(expected) = expected {
            self.taken += seconds;
            self.expected += expected;
        }
    }

    /// By how much symbols take longer than the last time, or less. `usual` is what one takes: as long
    /// as little is known, the last time weighs as much as one symbol.
    fn pace(&self, usual: f64) -> f64 {
        let known = self.expected + usual;
        if known > 0.0 { (self.taken + usual) / known } else { 1.0 }
    }
}

impl Running {
    /// What it will take in all at the speed of its epochs so far. It may stop early.
    fn projected(&self) -> Option<f64> {
        (self.share > 0.0).then(|| self.elapsed / self.share)
    }
}

/// Seconds until the last symbol is done, if each worker takes the next of those that wait (each with
/// what it took the last time) when it is through; none as long as nothing is known of one of them.
/// A symbol without a history takes as long as those that were trained in this run, on average; while
/// there are none, as long as the others took the last time, or as the epochs so far let expect.
pub(super) fn left(
    running: &[Running],
    waiting: &[Option<f64>],
    done: &Done,
    workers: usize,
) -> Option<f64> {
    let history = running.iter().map(|one| one.expected).chain(waiting.iter().copied());
    let usual = mean(history.flatten());
    let projected = || mean(running.iter().filter_map(Running::projected));
    let trained = (done.trained > 0).then(|| done.trained_seconds / done.trained as f64);
    let unknown = trained.or(usual).or_else(projected);
    let pace = usual.map_or(1.0, |usual| done.pace(usual));
    let guess = |expected: Option<f64>| expected.map(|seconds| seconds * pace).or(unknown);
    let of_running = running.iter().map(|one| {
        let whole = guess(one.expected).filter(|seconds| *seconds > one.elapsed);
        // Of one that is beyond all that is known of it nothing can be said.
        Some((whole.or_else(|| one.projected())? - one.elapsed).max(0.0))
    });
    let of_running: Vec<f64> = of_running.collect::<Option<_>>()?;
    let of_waiting: Vec<f64> = waiting.iter().map(|one| guess(*one)).collect::<Option<_>>()?;
    Some(makespan(of_running, of_waiting, workers))
}

/// When the last one is done of those that run and of those that wait, one after another on the worker
/// that is free first.
fn makespan(running: Vec<f64>, waiting: Vec<f64>, workers: usize) -> f64 {
    let millis = |seconds: f64| (seconds * 1000.0) as u64;
    let idle = workers.saturating_sub(running.len()).max(usize::from(running.is_empty()));
    let busy = running.into_iter().map(millis);
    let mut free: BinaryHeap<_> = busy.chain(std::iter::repeat_n(0, idle)).map(Reverse).collect();
    for seconds in waiting {
        if let Some(Reverse(at)) = free.pop() {
            free.push(Reverse(at.saturating_add(millis(seconds))));
        }
    }
    free.into_iter().map(|Reverse(at)| at).max().unwrap_or_default() as f64 / 1000.0
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (count, sum) = values.fold((0, 0.0), |(count, sum), value| (count + 1, sum + value));
    (count > 0).then(|| sum / f64::from(count))
}

/// `about 12m left`: no more exact than it can be.
pub(super) fn words(seconds: f64) -> String {
    match seconds.round() as u64 {
        0..5 => "seconds left".to_owned(),
        seconds @ 5..55 => format!("about {}s left", seconds.div_ceil(5) * 5),
        seconds @ 55..3570 => format!("about {}m left", (seconds + 30) / 60),
        seconds => {
            let minutes = (seconds + 150) / 300 * 5;
            match (minutes / 60, minutes % 60) {
                (hours, 0) => format!("about {hours}h left"),
                (hours, minutes) => format!("about {hours}h {minutes}m left"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn running(expected: Option<f64>, elapsed: f64, share: f64) -> Running {
        Running { expected, elapsed, share }
    }

    #[track_caller]
    fn assert_near(found: Option<f64>, expected: f64) {
        assert!(found.is_some_and(|found| (found - expected).abs() < 0.01), "{found:?}");
    }

    #[test]
    fn nothing_is_said_until_something_is_known() {
        let done = Done::default();
        assert_eq!(left(&[running(None, 3.0, 0.0)], &[None, None], &done, 1), None);
        assert_eq!(left(&[], &[None], &done, 1), None);
        // Its own epochs say it.
        assert_near(left(&[running(None, 3.0, 0.25)], &[], &done, 1), 9.0);
        assert_near(left(&[running(None, 3.0, 0.25)], &[None], &done, 1), 9.0 + 12.0);
    }

    #[test]
    fn what_a_symbol_took_the_last_time_counts_and_workers_share_it() {
        let done = Done::default();
        let waiting = [Some(30.0), Some(20.0), Some(10.0)];
        assert_near(left(&[], &waiting, &done, 1), 60.0);
        assert_near(left(&[], &waiting, &done, 2), 30.0);
        assert_near(left(&[], &waiting, &done, 3), 30.0);
        // One worker is busy for 40 seconds more, and takes only the last one that waits.
        assert_near(left(&[running(Some(50.0), 10.0, 0.5)], &waiting, &done, 2), 50.0);
        assert_near(left(&[running(Some(50.0), 10.0, 0.0)], &[], &done, 4), 40.0);
    }

    #[test]
    fn a_symbol_without_history_takes_what_those_took_that_were_trained() {
        let mut done = Done::default();
        done.add(true, 10.0, None);
        done.add(true, 20.0, None);
        // One that is up to date is no measure for one that was never trained.
        done.add(false, 0.1, None);
        assert_near(left(&[], &[None, None], &done, 1), 30.0);
        // Before any was trained, the others' history is all there is.
        assert_near(left(&[], &[None, Some(8.0)], &Done::default(), 1), 16.0);
    }

    #[test]
    fn a_run_that_is_slower_or_faster_than_the_last_one_is_soon_seen_through() {
        let mut done = Done::default();
        let waiting = [Some(10.0); 10];
        assert_near(left(&[], &waiting, &done, 1), 100.0);
        done.add(true, 20.0, Some(10.0));
        assert_near(left(&[], &waiting, &done, 1), 150.0);
        let mut all_up_to_date = Done::default();
        for _ in 0..99 {
            all_up_to_date.add(false, 0.0, Some(10.0));
        }
        assert_near(left(&[], &waiting, &all_up_to_date, 1), 1.0);
    }

    #[test]
    fn an_attempt_beyond_what_was_expected_goes_by_its_epochs() {
        let done = Done::default();
        assert_near(left(&[running(Some(10.0), 20.0, 0.8)], &[], &done, 1), 5.0);
        assert_eq!(left(&[running(Some(10.0), 20.0, 0.0)], &[], &done, 1), None);
    }

    #[test]
    fn it_is_said_no_more_exactly_than_it_is_known() {
        let said = [0.0, 4.0, 12.0, 50.0, 58.0, 754.0, 3580.0, 7900.0, 7000.0].map(words);
        let expected = [
            "seconds left",
            "seconds left",
            "about 15s left",
            "about 50s left",
            "about 1m left",
            "about 13m left",
            "about 1h left",
            "about 2h 10m left",
            "about 1h 55m left",
        ];
        assert_eq!(said, expected);
    }
}

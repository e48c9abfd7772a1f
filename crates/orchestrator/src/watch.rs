//! Running attempts under watch: what they may take, and what is known of them.

use std::time::{Duration, Instant};

use mambafleet_protocol::{FailureKind, WorkerEvent};

use crate::Limits;

/// An attempt is called slow when it has taken this many times what its symbol took before.
const SLOW: u32 = 3;

/// Nothing that is done within this time is slow.
const NEVER_SLOW: Duration = Duration::from_secs(10);

/// Lines without a message that an attempt may print. A library that prints now and then is no
/// reason to stop; an attempt that floods the pipe is.
const MAX_STRAY: u32 = 1000;

/// An attempt that a worker was handed.
#[derive(Debug)]
pub(crate) struct Running {
    /// Index of its job in the plan.
    pub(crate) job: usize,
    /// Which attempt it is, from 1.
    pub(crate) attempt: u32,
    pub(crate) started: Instant,
    /// When something was last heard of it.
    pub(crate) heard: Instant,
    /// What was last heard of it, in words.
    pub(crate) last: String,
    stray: u32,
    /// When it is slow; none when that is not known, or has been said.
    slow_at: Option<Instant>,
}

impl Running {
    /// An attempt that begins now, on a symbol that took `expected` before.
    pub(crate) fn new(job: usize, attempt: u32, now: Instant, expected: Option<Duration>) -> Self {
        let slow_at = expected
            .and_then(|expected| now.checked_add(expected.checked_mul(SLOW)?.max(NEVER_SLOW)));
        let last = "started".to_owned();
        Self { job, attempt, started: now, heard: now, last, stray: 0, slow_at }
    }

    /// Something was heard of it.
    pub(crate) fn heard(&mut self, now: Instant, what: Option<String>) {
        self.heard = now;
        if let Some(what) = what {
            self.last = what;
        }
    }

    /// A line was heard that is no message. What is wrong with it, if that is one too many.
    pub(crate) fn stray(&mut self) -> Option<String> {
        self.stray += 1;
        (self.stray > MAX_STRAY).then(|| format!("printed {MAX_STRAY} lines that are no messages"))
    }

    /// When [`fault`](Self::fault) or [`is_slow`](Self::is_slow) may next have something to say.
    pub(crate) fn due(&self, limits: &Limits) -> Option<Instant> {
        let end = |since: Instant, limit: Option<Duration>| since.checked_add(limit?);
        let timeout = end(self.started, limits.timeout);
        let stall = end(self.heard, limits.stall_timeout);
        [timeout, stall, self.slow_at].into_iter().flatten().min()
    }

    /// Which limit it has passed, and in words.
    pub(crate) fn fault(&self, now: Instant, limits: &Limits) -> Option<(FailureKind, String)> {
        let passed = |since: Instant, limit: Option<Duration>| {
            limit.filter(|limit| now.saturating_duration_since(since) >= *limit)
        };
        if let Some(limit) = passed(self.started, limits.timeout) {
            let limit = seconds(limit);
            return Some((
                FailureKind::TimedOut,
                format!("took longer than {limit} (run.timeout); last heard: {}", self.last),
            ));
        }
        let limit = seconds(passed(self.heard, limits.stall_timeout)?);
        Some((
            FailureKind::Stalled,
            format!("was silent for {limit} (run.stall_timeout); last heard: {}", self.last),
        ))
    }

    /// How long it has taken, once, when that is slow for its symbol.
    pub(crate) fn is_slow(&mut self, now: Instant) -> Option<Duration> {
        self.slow_at.take_if(|at| *at <= now)?;
        Some(now.saturating_duration_since(self.started))
    }

    /// Leaves a pause out of all its times.
    pub(crate) fn shift(&mut self, pause: Duration) {
        self.started += pause;
        self.heard += pause;
        self.slow_at = self.slow_at.map(|at| at + pause);
    }
}

/// What an event says of an attempt; nothing if it is only a sign of life.
pub(crate) fn in_words(event: &WorkerEvent) -> Option<String> {
    match event {
        WorkerEvent::Loaded(_) => Some("data ready".to_owned()),
        WorkerEvent::Progress(report) => {
            Some(format!("epoch {} of {}", report.epoch, report.epochs))
        }
        WorkerEvent::Stored(report) => Some(format!("generation {}", report.generation)),
        WorkerEvent::Hello { .. }
        | WorkerEvent::Started { .. }
        | WorkerEvent::Alive { .. }
        | WorkerEvent::Finished { .. } => None,
    }
}

fn seconds(time: Duration) -> String {
    format!("{} s", time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn limits_count_from_the_start_and_from_the_last_word() {
        let start = Instant::now();
        let at = |n: u32| start + n * SECOND;
        let limits = Limits {
            timeout: Some(10 * SECOND),
            stall_timeout: Some(4 * SECOND),
            ..Limits::default()
        };
        let mut running = Running::new(0, 1, start, None);
        assert_eq!(running.fault(at(3), &limits), None);
        assert_eq!(running.due(&limits), Some(at(4)));
        let (kind, why) = running.fault(at(4), &limits).unwrap();
        assert_eq!(kind, FailureKind::Stalled);
        assert!(why.contains("silent for 4 s") && why.contains("started"), "{why}");
        running.heard(at(4), Some("epoch 2 of 9".to_owned()));
        running.heard(at(7), None);
        assert_eq!((running.fault(at(9), &limits), running.due(&limits)), (None, Some(at(10))));
        let (kind, why) = running.fault(at(10), &limits).unwrap();
        assert_eq!(kind, FailureKind::TimedOut);
        assert!(why.contains("epoch 2 of 9"), "{why}");
        // A pause does not count.
        running.shift(5 * SECOND);
        assert_eq!((running.fault(at(14), &limits), running.due(&limits)), (None, Some(at(15))));
        assert_eq!(running.fault(at(3600), &Limits::default()), None);
    }

    #[test]
    fn slow_is_said_once_and_only_of_what_is_known() {
        let start = Instant::now();
        let mut running = Running::new(0, 1, start, Some(20 * SECOND));
        assert_eq!(running.is_slow(start + 59 * SECOND), None);
        assert_eq!(running.is_slow(start + 60 * SECOND), Some(60 * SECOND));
        assert_eq!(running.is_slow(start + 61 * SECOND), None);
        let mut quick = Running::new(0, 1, start, Some(SECOND / 10));
        assert_eq!(quick.is_slow(start + 9 * SECOND), None);
        assert_eq!(Running::new(0, 1, start, None).is_slow(start + 9999 * SECOND), None);
    }

    #[test]
    fn some_stray_lines_are_suffered() {
        let mut running = Running::new(0, 1, Instant::now(), None);
        assert!((0..MAX_STRAY).all(|_| running.stray().is_none()));
        assert!(running.stray().is_some());
    }
}

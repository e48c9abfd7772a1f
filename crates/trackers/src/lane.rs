//! A tracker in a thread of its own, behind a queue.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use mambafleet_orchestrator::{RunEvent, StampedEvent};
use tokio::sync::oneshot;

use crate::tally::{Counts, Tally};

/// Epochs that may wait for a tracker; further ones are dropped. Of all other events there are a few
/// per attempt, and without them what is tracked would have no beginning or no end: they always find
/// room.
pub(crate) const MOST_EPOCHS: usize = 16_384;

/// Takes the events of a run off its queue.
pub(crate) trait Track {
    /// The next event. What arrives is noted in the tally.
    fn on_event(&mut self, event: &StampedEvent, counts: Counts);

    /// Nothing more waits at the moment.
    fn on_idle(&mut self) {}

    /// No event will come any more.
    fn on_end(&mut self) {}
}

/// What the thread of a tracker and its lane both hold.
#[derive(Clone, Default)]
pub(crate) struct Shared {
    pub(crate) tally: Arc<Tally>,
    pub(crate) closing: Arc<Closing>,
}

/// By when a tracker must have ended.
#[derive(Debug, Default)]
pub(crate) struct Closing {
    by: Mutex<Option<Instant>>,
    changed: Condvar,
}

impl Closing {
    fn by(&self) -> MutexGuard<'_, Option<Instant>> {
        self.by.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The run has ended; so much time is left.
    pub(crate) fn begin(&self, patience: Duration) {
        // A time that no clock can show is no limit.
        *self.by() = Instant::now().checked_add(patience);
        self.changed.notify_all();
    }

    /// The time that a step may take that would like to have this much; `None` if all is over.
    pub(crate) fn within(&self, wanted: Duration) -> Option<Duration> {
        let Some(by) = *self.by() else { return Some(wanted) };
        let left = by.saturating_duration_since(Instant::now());
        (!left.is_zero()).then_some(left.min(wanted))
    }

    /// Waits, but not beyond the time that is left, and no longer once the run has ended in between.
    pub(crate) fn pause(&self, wanted: Duration) {
        let Some(wait) = self.within(wanted) else { return };
        let by = self.by();
        let before = *by;
        let unchanged = |by: &mut Option<Instant>| *by == before;
        drop(self.changed.wait_timeout_while(by, wait, unchanged));
    }
}

/// Where events come in.
pub(crate) struct Entrance {
    sender: Sender<(StampedEvent, Counts)>,
    waiting: Arc<AtomicUsize>,
    tally: Arc<Tally>,
}

impl Entrance {
    /// Takes the event if it is of use, and there is room.
    pub(crate) fn offer(&self, event: &StampedEvent) {
        let Some(counts) = Counts::of(&event.event) else { return };
        self.tally.given(counts);
        if matches!(event.event, RunEvent::Progress(_)) {
            if self.waiting.load(Ordering::Relaxed) >= MOST_EPOCHS {
                return;
            }
            self.waiting.fetch_add(1, Ordering::Relaxed);
        }
        // Without a receiver the thread has died, which the tally shows in the end.
        let _ = self.sender.send((event.clone(), counts));
    }
}

/// A tracker at work.
pub(crate) struct Lane {
    name: String,
    patience: Duration,
    shared: Shared,
    ended: oneshot::Receiver<()>,
}

impl Lane {
    /// Starts a thread with a tracker that is made in it.
    pub(crate) fn start<T: Track>(
        thread: &str,
        name: String,
        patience: Duration,
        make: impl FnOnce(Shared) -> T + Send + 'static,
    ) -> std::io::Result<(Entrance, Self)> {
        let (sender, receiver) = channel();
        let (end, ended) = oneshot::channel();
        let shared = Shared::default();
        let waiting = Arc::new(AtomicUsize::new(0));
        let (own, left) = (shared.clone(), Arc::clone(&waiting));
        std::thread::Builder::new().name(thread.to_owned()).spawn(move || {
            work(&mut make(own), &receiver, &left);
            drop(end);
        })?;
        let entrance = Entrance { sender, waiting, tally: Arc::clone(&shared.tally) };
        Ok((entrance, Self { name, patience, shared, ended }))
    }

    /// What the thread holds too.
    #[cfg(test)]
    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Says that the run has ended.
    pub(crate) fn close(&self) {
        self.shared.closing.begin(self.patience);
    }

    /// Waits for the thread until its time is over, and a moment more.
    pub(crate) async fn ended(&mut self) {
        const MOMENT: Duration = Duration::from_millis(100);
        let Some(left) = self.shared.closing.within(Duration::MAX) else { return };
        let _ = tokio::time::timeout(left.saturating_add(MOMENT), &mut self.ended).await;
    }

    /// What the tracker did not get.
    pub(crate) fn missing(&self) -> Option<String> {
        let missing = self.shared.tally.missing()?;
        Some(format!("{} did not get all of this run: {missing}", self.name))
    }
}

/// Works off the queue until nobody can put anything into it.
fn work(track: &mut impl Track, queue: &Receiver<(StampedEvent, Counts)>, waiting: &AtomicUsize) {
    loop {
        let next = match queue.try_recv() {
            Ok(next) => Some(next),
            Err(TryRecvError::Disconnected) => None,
            Err(TryRecvError::Empty) => {
                track.on_idle();
                queue.recv().ok()
            }
        };
        let Some((event, counts)) = next else { break };
        if counts.epochs > 0 {
            waiting.fetch_sub(1, Ordering::Relaxed);
        }
        track.on_event(&event, counts);
    }
    track.on_end();
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{SyncSender, sync_channel};

    use mambafleet_protocol::EpochReport;

    use super::*;

    /// Takes nothing before it is let go.
    struct Stuck {
        go: Receiver<()>,
        tally: Arc<Tally>,
    }

    impl Track for Stuck {
        fn on_event(&mut self, _: &StampedEvent, counts: Counts) {
            let _ = self.go.recv();
            self.tally.arrived(counts);
        }
    }

    fn stuck(patience: Duration) -> (Entrance, Lane, SyncSender<()>) {
        let (go, gone) = sync_channel(0);
        let (entrance, lane) = Lane::start("stuck", "it".to_owned(), patience, |shared| Stuck {
            go: gone,
            tally: shared.tally,
        })
        .unwrap();
        (entrance, lane, go)
    }

    fn epoch() -> StampedEvent {
        StampedEvent::now(RunEvent::Progress(EpochReport {
            symbol: "A".parse().unwrap(),
            epoch: 1,
            epochs: 1,
            train_loss: 1.0,
            validation_loss: 1.0,
            samples_per_second: 1.0,
        }))
    }

    fn finish(mut lane: Lane) -> Option<String> {
        lane.close();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(lane.ended());
        lane.missing()
    }

    #[test]
    fn a_tracker_that_hangs_costs_what_it_was_given_and_nothing_else() {
        let (entrance, lane, go) = stuck(Duration::from_millis(20));
        for _ in 0..3 {
            entrance.offer(&epoch());
        }
        entrance.offer(&StampedEvent::now(RunEvent::Suspended));
        drop(entrance);
        let missing = finish(lane).unwrap();
        let expected = "it did not get all of this run: 3 of 3 epochs are missing: there was no";
        assert!(missing.starts_with(expected), "{missing}");
        drop(go);
    }

    #[test]
    fn what_finds_no_room_is_counted_and_all_else_arrives() {
        let (entrance, lane, go) = stuck(Duration::from_secs(600));
        // The first may be in the tracker's hands already.
        for _ in 0..MOST_EPOCHS + 5 {
            entrance.offer(&epoch());
        }
        let failed = RunEvent::AttemptFailed {
            symbol: "A".parse().unwrap(),
            attempt: 1,
            kind: mambafleet_protocol::FailureKind::Data,
            cause: String::new(),
            retry_in: None,
        };
        entrance.offer(&StampedEvent::now(failed));
        drop((entrance, go));
        let missing = finish(lane).unwrap();
        let some = |lost: usize| format!(": {lost} of {} epochs are missing:", MOST_EPOCHS + 5);
        assert!(missing.contains(&some(5)) || missing.contains(&some(4)), "{missing}");
        assert!(!missing.contains("other events"), "{missing}");
    }

    #[test]
    fn a_pause_ends_with_the_run() {
        let closing = Arc::new(Closing::default());
        let pausing = Arc::clone(&closing);
        let thread = std::thread::spawn(move || pausing.pause(Duration::from_secs(3600)));
        closing.begin(Duration::ZERO);
        thread.join().unwrap();
        assert_eq!(closing.within(Duration::from_secs(1)), None);
        closing.pause(Duration::from_secs(3600));
    }
}

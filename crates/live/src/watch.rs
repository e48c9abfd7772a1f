//! The thread that follows what is listened to.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use mambafleet_protocol::RunId;
use mambafleet_web::Bytes;

use crate::hub::{Hub, locked};
use crate::messages;

/// How often events are read on, and clients are told: four times per second, as long as they are few.
const TICK: Duration = Duration::from_millis(250);

/// So many are few. Each one more makes the time longer, for each costs the run the same.
const FEW: usize = 50;

/// What each of them adds.
const EACH: Duration = Duration::from_millis(1);

/// The longest time, whatever their number.
const LONGEST_TICK: Duration = Duration::from_millis(500);

/// How often runs are looked for.
const RUNS: Duration = Duration::from_secs(1);

/// How often something is sent that says nothing.
const KEEP: Duration = Duration::from_secs(15);

/// Follows what clients listen to until it is dropped. It sleeps while there are none.
pub(crate) struct Watch {
    hub: Arc<Hub>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// What the thread remembers.
struct Watching {
    hub: Arc<Hub>,
    newest: Option<RunId>,
    /// The version of the runs that clients know.
    runs: u64,
    looked: Option<Instant>,
    kept: Instant,
}

impl Watch {
    pub(crate) fn start(hub: Arc<Hub>) -> std::io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let (watched, stopped) = (Arc::clone(&hub), Arc::clone(&stop));
        let thread = std::thread::Builder::new().name("watch".into());
        let thread = thread.spawn(move || Watching::new(watched).run(&stopped))?;
        Ok(Self { hub, stop, thread: Some(thread) })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        // Under the lock, so that it is not about to sleep.
        let channels = locked(&self.hub.channels);
        self.hub.wake.notify_all();
        drop(channels);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that follows runs has panicked");
        }
    }
}

impl Watching {
    fn new(hub: Arc<Hub>) -> Self {
        Self { hub, newest: None, runs: 0, looked: None, kept: Instant::now() }
    }

    fn run(mut self, stop: &AtomicBool) {
        let mut next = Instant::now();
        loop {
            // The thread sleeps without a time while nobody listens.
            let mut channels = locked(&self.hub.channels);
            while channels.is_silent() && !stop.load(Ordering::Acquire) {
                channels =
                    self.hub.wake.wait(channels).unwrap_or_else(std::sync::PoisonError::into_inner);
            }
            drop(channels);
            if stop.load(Ordering::Acquire) {
                return;
            }
            self.tick();
            next = (next + self.pace()).max(Instant::now());
            self.rest(next, stop);
        }
    }

    /// The time from one tick to the next.
    fn pace(&self) -> Duration {
        pace(locked(&self.hub.channels).clients())
    }

    /// Sleeps until the next tick, or the end.
    fn rest(&self, until: Instant, stop: &AtomicBool) {
        let mut channels = locked(&self.hub.channels);
        while !stop.load(Ordering::Acquire)
            && let Some(left) = until.checked_duration_since(Instant::now())
        {
            let waited = self.hub.wake.wait_timeout(channels, left);
            channels = waited.unwrap_or_else(std::sync::PoisonError::into_inner).0;
        }
    }

    fn tick(&mut self) {
        let whole = self.looked.is_none_or(|looked| looked.elapsed() >= RUNS);
        if whole {
            self.looked = Some(Instant::now());
            self.look_for_runs();
        }
        let topics = locked(&self.hub.channels).topics();
        let heard: Vec<_> = topics.iter().filter_map(|(topic, _)| topic.as_ref()).collect();
        for (topic, joined) in &topics {
            let Some(run) = topic else { continue };
            let Some(follower) = self.hub.follower(run) else { continue };
            let news = {
                let mut follower = locked(&follower);
                follower.look();
                follower.news(*joined)
            };
            let channels = locked(&self.hub.channels);
            news.into_iter().for_each(|message| channels.send(topic, message));
        }
        if whole {
            self.hub.tidy(&heard);
        }
        if self.kept.elapsed() >= KEEP {
            self.kept = Instant::now();
            locked(&self.hub.channels).send_all(&Bytes::from_static(messages::KEEP));
        }
    }

    /// Tells everybody of runs that have come or ended, and of a new newest one those who follow it.
    fn look_for_runs(&mut self) {
        self.hub.look_for_runs();
        let (runs, version) = self.hub.runs();
        if std::mem::replace(&mut self.runs, version) == version {
            return;
        }
        let message = messages::runs(&runs);
        let newest = self.hub.newest();
        let channels = locked(&self.hub.channels);
        channels.send_all(&message);
        if newest != self.newest {
            channels.send(&None, Bytes::from_static(messages::PAGE));
            self.newest = newest;
        }
    }
}

/// The time from one tick to the next for so many clients.
fn pace(clients: usize) -> Duration {
    let more = u32::try_from(clients.saturating_sub(FEW)).unwrap_or(u32::MAX);
    TICK.saturating_add(EACH.saturating_mul(more)).min(LONGEST_TICK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_clients_are_told_less_often_but_soon_enough() {
        let paces = [0, 1, 50, 200, 1000, usize::MAX].map(|clients| pace(clients).as_millis());
        assert_eq!(paces, [250, 250, 250, 400, 500, 500]);
    }
}

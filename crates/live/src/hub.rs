//! What is known of the store and its runs, for whoever asks and whoever listens.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use mambafleet_artifacts::Store;
use mambafleet_protocol::{RunId, Symbol};
use mambafleet_report::model::RunLine;
use mambafleet_web::{Bytes, Subscription};

use crate::channels::{Channels, Topic};
use crate::details::Details;
use crate::follower::Follower;
use crate::runs::Runs;

/// The runs are not looked at again within this time, whoever asks.
const FRESH: Duration = Duration::from_millis(900);

/// Runs that are kept in memory, those that are listened to aside.
const KEPT: usize = 4;

/// What is known of the store and its runs. Locks are taken in the order of the fields.
pub(crate) struct Hub {
    root: PathBuf,
    store: Mutex<Option<Store>>,
    details: Mutex<Details>,
    runs: Mutex<(Runs, Option<Instant>)>,
    /// Held by whoever reads a run that is not in memory.
    opening: Mutex<()>,
    followers: Mutex<Followers>,
    pub(crate) channels: Mutex<Channels>,
    pub(crate) wake: Condvar,
}

type Shared = Arc<Mutex<Follower>>;

/// Runs in memory, with the time when they were last wanted.
type Followers = BTreeMap<RunId, (Instant, Shared)>;

/// Why something is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Missing {
    /// There is no run at all.
    #[error("there is no run yet")]
    Runs,
    /// Not this one.
    #[error("there is no such run")]
    Run,
    /// The run has no such symbol.
    #[error("the run has no such symbol")]
    Symbol,
    /// It is there, but cannot be told.
    #[error("this cannot be told at the moment")]
    Unreadable,
}

/// The content of a mutex, also if a thread has panicked with it: what is kept here is made anew.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Hub {
    pub(crate) fn new(root: PathBuf) -> Self {
        Self {
            root,
            store: Mutex::default(),
            details: Mutex::default(),
            runs: Mutex::default(),
            opening: Mutex::default(),
            followers: Mutex::default(),
            channels: Mutex::default(),
            wake: Condvar::new(),
        }
    }

    /// The store, once there is one.
    fn store(&self) -> Option<Store> {
        let mut store = locked(&self.store);
        if store.is_none() {
            // Not being there yet is what is expected; what else is wrong, `mambafleet ls` says.
            *store = Store::open(&self.root)
                .inspect_err(|error| tracing::debug!(%error, "the store cannot be opened"))
                .ok();
        }
        store.clone()
    }

    /// Looks for runs, unless that was done a moment ago.
    pub(crate) fn look_for_runs(&self) {
        let Some(store) = self.store() else { return };
        let mut runs = locked(&self.runs);
        let (runs, looked) = &mut *runs;
        if looked.is_some_and(|looked| looked.elapsed() < FRESH) {
            return;
        }
        *looked = Some(Instant::now());
        if let Err(error) = runs.look(&store.runs_dir()) {
            tracing::warn!(%error, "runs cannot be listed");
        }
    }

    /// The runs as of the last look, and their version.
    pub(crate) fn runs(&self) -> (Vec<RunLine>, u64) {
        let (runs, _) = &*locked(&self.runs);
        (runs.lines().to_vec(), runs.version())
    }

    /// The newest run as of the last look.
    pub(crate) fn newest(&self) -> Option<RunId> {
        locked(&self.runs).0.newest().cloned()
    }

    /// A run that is followed from now on, if it has begun.
    pub(crate) fn follower(&self, run: &RunId) -> Option<Shared> {
        if let Some(follower) = self.in_memory(run) {
            return Some(follower);
        }
        let store = self.store()?;
        // It is read once, however many ask for it, and those that are in memory are to be had meanwhile.
        let _opening = locked(&self.opening);
        if let Some(follower) = self.in_memory(run) {
            return Some(follower);
        }
        let follower = Arc::new(Mutex::new(Follower::open(&store, run)?));
        let known = (Instant::now(), Arc::clone(&follower));
        locked(&self.followers).insert(run.clone(), known);
        Some(follower)
    }

    #[cfg(test)]
    pub(crate) fn in_memory_now(&self) -> Vec<RunId> {
        locked(&self.followers).keys().cloned().collect()
    }

    fn in_memory(&self, run: &RunId) -> Option<Shared> {
        let mut followers = locked(&self.followers);
        let (wanted, follower) = followers.get_mut(run)?;
        *wanted = Instant::now();
        Some(Arc::clone(follower))
    }

    /// Forgets runs that nobody listens to, those first that were not asked for the longest.
    pub(crate) fn tidy(&self, listened: &[&RunId]) {
        let mut followers = locked(&self.followers);
        while followers.len() > KEPT + listened.len() {
            let unheard = followers.iter().filter(|(run, _)| !listened.contains(run));
            let Some(oldest) = unheard.min_by_key(|(_, (wanted, _))| *wanted) else { return };
            let oldest = oldest.0.clone();
            followers.remove(&oldest);
        }
    }

    /// The page of a run, or of the newest one, as JSON.
    pub(crate) fn page(&self, run: Option<RunId>) -> Result<Bytes, Missing> {
        self.look_for_runs();
        let run = match run {
            Some(run) => run,
            None => self.newest().ok_or(Missing::Runs)?,
        };
        let follower = self.follower(&run).ok_or(Missing::Run)?;
        self.tidy_unheard();
        let (runs, version) = self.runs();
        let mut follower = locked(&follower);
        follower.look();
        follower.page(&runs, version).map_err(|error| {
            tracing::error!(%error, "cannot write a page");
            Missing::Unreadable
        })
    }

    /// The details of a symbol as JSON. One after the other is read, however many ask.
    pub(crate) fn detail(&self, run: &RunId, symbol: &Symbol) -> Result<Bytes, Missing> {
        let mut details = locked(&self.details);
        let follower = self.follower(run).ok_or(Missing::Run)?;
        self.tidy_unheard();
        let mut follower = locked(&follower);
        follower.look();
        let row = follower.row(symbol).ok_or(Missing::Symbol)?;
        if let Some(json) = details.get(run, symbol, &row) {
            return Ok(json);
        }
        let detail = follower.detail(symbol).ok_or(Missing::Symbol)?;
        let json = serde_json::to_vec(&detail).map_err(|error| {
            tracing::error!(%error, "cannot write details");
            Missing::Unreadable
        })?;
        let json = Bytes::from(json);
        details.keep(run.clone(), symbol.clone(), row, json.clone());
        Ok(json)
    }

    fn tidy_unheard(&self) {
        let topics = locked(&self.channels).topics_heard();
        self.tidy(&topics.iter().flatten().collect::<Vec<_>>());
    }

    /// Listens to a run, or to which one is the newest; `None` when too many are listened to.
    pub(crate) fn subscribe(&self, topic: Topic) -> Option<Subscription> {
        let subscription = locked(&self.channels).subscribe(topic);
        self.wake.notify_all();
        subscription
    }
}

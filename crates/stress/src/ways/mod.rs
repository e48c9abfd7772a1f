//! The ways of saving a set that are compared.

mod in_place;
mod renames;
mod store;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mambafleet_artifacts::StoreError;
use mambafleet_protocol::Symbol;
use serde::{Deserialize, Serialize};

use crate::error::IoContext;
use crate::set::{Contents, FILES, Set};
use crate::{StressError, Verdict, judge};

/// How much is written at a time by the ways that are not the store's: a program that serialises a
/// model writes it piece by piece, as the store does.
const PIECE: usize = 64 * 1024;

/// How long a reader that finds a file missing waits before it looks once more.
const SECOND_LOOK: Duration = Duration::from_millis(2);

/// A way of saving a set of three files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// The artifact store: a new generation for each set, under the symbol's lock.
    Ours,
    /// For each file a temporary one, synced, renamed over the old one, and the directory synced:
    /// as durable as the store, file by file. No lock.
    ThreeRenames,
    /// Each file is opened, truncated and written. No sync, no lock.
    Unsafe,
}

impl Way {
    /// What people call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::ThreeRenames => "three renames",
            Self::Unsafe => "unsafe",
        }
    }

    /// Prepares `dir` for sets of these symbols. Called once, before anybody saves.
    ///
    /// # Errors
    /// [`StressError`] when the directories cannot be made.
    pub fn prepare(self, dir: &Path, symbols: &[Symbol]) -> Result<(), StressError> {
        if self == Self::Ours {
            mambafleet_artifacts::Store::open_or_create(dir)?;
            return Ok(());
        }
        for symbol in symbols {
            let dir = dir.join(symbol.dir_name());
            fs::create_dir_all(&dir).at("create the directory", &dir)?;
        }
        Ok(())
    }

    /// Opens what [`prepare`](Self::prepare) made.
    ///
    /// # Errors
    /// [`StressError`] when it cannot be opened.
    pub fn open(self, dir: &Path, lock_timeout: Duration) -> Result<Box<dyn Saver>, StressError> {
        Ok(match self {
            Self::Ours => Box::new(store::OurStore::open(dir, lock_timeout)?),
            Self::ThreeRenames => Box::new(renames::ThreeRenames(dir.to_owned())),
            Self::Unsafe => Box::new(in_place::InPlace(dir.to_owned())),
        })
    }
}

/// Saves and reads sets in one way.
pub trait Saver: Send + Sync {
    /// Saves a set: when this returns, every reader sees it, and it survives a power cut if the
    /// way is one that promises so.
    ///
    /// # Errors
    /// [`SaveError`] when it was not saved.
    fn save(&self, symbol: &Symbol, set: &Set) -> Result<Saved, SaveError>;

    /// Reads the newest set as a consumer would, while others save.
    ///
    /// # Errors
    /// [`StressError`] when it cannot be read at all.
    fn load(&self, symbol: &Symbol) -> Result<Loaded, StressError>;

    /// Checks everything that is there, when nobody saves any longer. `acknowledged` are the saves
    /// that writers were told are done.
    ///
    /// # Errors
    /// [`StressError`] when it cannot be read at all.
    fn check(&self, symbol: &Symbol, acknowledged: &[Receipt]) -> Result<Checked, StressError>;

    /// Brings what was saved to the disk, so that it does not burden what is measured next.
    ///
    /// # Errors
    /// [`StressError`] when the operating system refuses.
    fn settle(&self, symbol: &Symbol) -> Result<(), StressError> {
        let _ = symbol;
        Ok(())
    }
}

/// A save that is done.
#[derive(Debug, Clone, Default)]
pub struct Saved {
    /// The generation that it became, where there are generations.
    pub generation: Option<u64>,
    /// What it had to do with a lock, where there is one.
    pub lock: Option<LockTimes>,
    /// The time spent hashing, where the way measures it.
    pub hashing: Option<Duration>,
}

/// The times around a lock, from outside.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockTimes {
    /// Waiting until others let go.
    pub waited: Duration,
    /// From having it to being rid of it: the time in which nobody else can have it.
    pub held: Duration,
    /// Taking it and giving it back, without the wait: what locking itself costs.
    pub overhead: Duration,
}

/// Why a set was not saved.
#[derive(Debug, thiserror::Error)]
pub enum SaveError {
    /// The lock did not become free in time.
    #[error(transparent)]
    Timeout(StoreError),
    /// Anything else.
    #[error(transparent)]
    Other(#[from] StressError),
}

/// What a reader got.
#[derive(Debug)]
pub enum Loaded {
    /// There is no set yet.
    Absent,
    /// A set.
    Set(Contents),
    /// The way itself noticed that the newest set is damaged.
    Damaged(String),
}

/// A save that its writer was told is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The set's id.
    pub id: String,
    /// The number of the worker that saved it.
    pub worker: u32,
    /// Its generation, where there are generations.
    pub generation: Option<u64>,
}

/// What is there in the end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checked {
    /// Sets.
    pub sets: u64,
    /// Files that are not what any one writer wrote.
    pub corrupt_files: u64,
    /// Sets of whole files that are not one writer's.
    pub mixed_sets: u64,
    /// Sets that were acknowledged, are not replaced by design, and are not there.
    pub lost: u64,
    /// What is wrong, in words.
    pub faults: Vec<String>,
}

impl Checked {
    /// Adds what another check found.
    pub fn add(&mut self, other: Self) {
        self.sets += other.sets;
        self.corrupt_files += other.corrupt_files;
        self.mixed_sets += other.mixed_sets;
        self.lost += other.lost;
        self.faults.extend(other.faults);
    }

    /// Counts a set that was judged; `place` says where it is. Returns its id if it is whole.
    fn count(&mut self, place: &str, verdict: Verdict) -> Option<String> {
        self.sets += 1;
        match verdict {
            Verdict::Whole { id } => return Some(id),
            Verdict::Torn { files } => {
                self.corrupt_files += files.len() as u64;
                self.faults.extend(files.into_iter().map(|file| format!("{place}: {file}")));
            }
            Verdict::Mixed { ids } => {
                self.mixed_sets += 1;
                self.faults
                    .push(format!("{place}: files of different writers: {}", ids.join(", ")));
            }
        }
        None
    }
}

/// The files of a set that are replaced in place.
struct Replaced {
    dir: PathBuf,
}

impl Replaced {
    fn new(root: &Path, symbol: &Symbol) -> Self {
        Self { dir: root.join(symbol.dir_name()) }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Reads one file after the other. When one is missing, everything is read once more after a
    /// moment: between two files of the very first set a reader has nothing to complain about.
    fn load(&self) -> Result<Loaded, StressError> {
        let loaded = self.look()?;
        if !matches!(loaded, Loaded::Absent) {
            return Ok(loaded);
        }
        std::thread::sleep(SECOND_LOOK);
        self.look()
    }

    fn look(&self) -> Result<Loaded, StressError> {
        let mut contents = Contents::default();
        for (content, name) in contents.iter_mut().zip(FILES) {
            let path = self.path(name);
            match fs::read(&path) {
                Ok(bytes) => *content = bytes,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Loaded::Absent),
                Err(error) => return Err(error).at("read", &path),
            }
        }
        Ok(Loaded::Set(contents))
    }

    /// Only one set is left in the end; that it replaced the others is what these ways do.
    fn check(&self, symbol: &Symbol) -> Result<Checked, StressError> {
        let mut checked = Checked::default();
        if let Loaded::Set(contents) = self.look()? {
            checked.count(symbol.as_str(), judge(&contents));
        }
        Ok(checked)
    }
}

#[cfg(test)]
mod tests;

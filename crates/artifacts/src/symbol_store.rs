//! The generations of one symbol.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mambafleet_protocol::Symbol;

use crate::context::Context;
use crate::error::IoContext;
use crate::manifest::MANIFEST_FILE;
use crate::metrics::StoreMetrics;
use crate::reader::Opened;
use crate::vfs::{FileKind, Vfs};
use crate::{
    Fault, Manifest, Problem, Snapshot, StoreError, SymbolLock, Transaction, Wait, durable,
    generation, reader, staging,
};

/// The link to the newest generation that people and scripts may follow.
pub(crate) const LATEST_LINK: &str = "latest";

/// How often a read is started again when generations vanish under it.
const MAX_READS: u32 = 16;

/// How often nothing must be found before there is nothing.
const EMPTY_READS: u32 = 3;

/// The part of a [`Store`](crate::Store) that belongs to one symbol.
#[derive(Debug, Clone)]
pub struct SymbolStore {
    dir: PathBuf,
    symbol: Symbol,
    context: Arc<Context>,
}

/// What the next generation is committed on top of.
#[derive(Debug)]
pub(crate) struct Head {
    /// The highest number in use; 0 when there is none.
    pub(crate) generation: u64,
    /// The manifest of the newest generation whose manifest is intact.
    pub(crate) manifest: Option<Manifest>,
}

impl SymbolStore {
    pub(crate) fn new(dir: PathBuf, symbol: Symbol, context: Arc<Context>) -> Self {
        Self { dir, symbol, context }
    }

    pub(crate) fn vfs(&self) -> &Arc<dyn Vfs> {
        &self.context.vfs
    }

    pub(crate) fn metrics(&self) -> &dyn StoreMetrics {
        &*self.context.metrics
    }

    /// Whether this machine's kernel alone has the file system mounted.
    pub(crate) fn is_local(&self) -> bool {
        self.context.network.is_none()
    }

    /// The symbol.
    #[must_use]
    pub fn symbol(&self) -> &Symbol {
        &self.symbol
    }

    /// The symbol's directory; it need not exist yet.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The directory of a generation, which need not exist.
    #[must_use]
    pub fn generation_dir(&self, generation: u64) -> PathBuf {
        self.dir.join(generation::dir_name(generation))
    }

    /// The numbers of all generations, ascending, as the directory names say; nothing is opened.
    ///
    /// # Errors
    /// [`StoreError::Io`] when the symbol's directory cannot be listed.
    pub fn generations(&self) -> Result<Vec<u64>, StoreError> {
        Ok(numbers(&self.names()?))
    }

    /// Everything in the symbol's directory; nothing when it does not exist.
    pub(crate) fn names(&self) -> Result<Vec<(OsString, FileKind)>, StoreError> {
        match self.vfs().list(&self.dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            result => result.at("list", &self.dir),
        }
    }

    /// The newest generation, whole and verified; `None` when there is no generation.
    ///
    /// When the newest does not verify, that is logged as an error, the one before is taken, and
    /// [`Snapshot::skipped`] tells what was wrong.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when there are generations but none of them verifies;
    /// [`StoreError::Unstable`] when they vanished again and again while being read;
    /// [`StoreError::Io`] when the operating system refuses to read an intact file.
    pub fn latest(&self) -> Result<Option<Snapshot>, StoreError> {
        for attempt in 1..=MAX_READS {
            match self.newest_intact(attempt >= EMPTY_READS) {
                Err(StoreError::NotFound { generation, .. }) => {
                    tracing::debug!(symbol = %self.symbol, generation, "vanished while being read");
                }
                // A listing may miss both the generation that was collected while it ran and the
                // one that was committed: emptiness must be seen more than once.
                Ok(None) if attempt < EMPTY_READS && self.vfs().is_dir(&self.dir) => {}
                result => return result,
            }
        }
        Err(StoreError::Unstable { symbol: self.symbol.clone(), attempts: MAX_READS })
    }

    /// One attempt at [`latest`](Self::latest); not found means that something vanished. Only when
    /// `sure` is the newest taken for lost: a listing may miss what came and went while it ran.
    fn newest_intact(&self, sure: bool) -> Result<Option<Snapshot>, StoreError> {
        // What another machine's cache says of the link and of the names may differ in age.
        let hinted = self.hinted().filter(|_| self.is_local());
        let generations = self.generations()?;
        let mut skipped: Vec<Fault> = Vec::new();
        if let Some(lost) = lost(hinted, &generations) {
            if !sure {
                return Err(self.not_found(lost.generation));
            }
            tracing::error!(symbol = %self.symbol, lost.generation, "the newest generation is gone");
            skipped.push(lost);
        }
        for generation in generations.into_iter().rev() {
            match self.snapshot(generation) {
                Ok(snapshot) => return Ok(Some(snapshot.with_skipped(skipped))),
                Err(StoreError::Corrupt { generation, file, problem, .. }) => {
                    tracing::error!(
                        symbol = %self.symbol, generation, file, %problem,
                        "a generation is damaged; falling back to the one before"
                    );
                    skipped.push(Fault { generation, file, problem: *problem });
                }
                Err(error) => return Err(error),
            }
        }
        match skipped.into_iter().next() {
            None => Ok(None),
            Some(newest) => Err(StoreError::corrupt(&self.symbol, newest)),
        }
    }

    /// One generation, whole and verified.
    ///
    /// Files that its manifest does not list are no obstacle here, only to
    /// [`verify`](Self::verify): they cannot change what is read.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is no such generation, [`StoreError::Corrupt`] when it
    /// does not verify, [`StoreError::Io`] when it cannot be read.
    pub fn snapshot(&self, generation: u64) -> Result<Snapshot, StoreError> {
        self.open(generation)?.load()
    }

    /// Checks every byte of one generation against its manifest, and that nothing is there that
    /// should not be.
    ///
    /// # Errors
    /// As [`snapshot`](Self::snapshot); a superfluous file is [`StoreError::Corrupt`] too.
    pub fn verify(&self, generation: u64) -> Result<Manifest, StoreError> {
        let corrupt = |fault| StoreError::corrupt(&self.symbol, fault);
        let (manifest, faults) = self.open(generation)?.check()?;
        let manifest = manifest.map_err(corrupt)?;
        match faults.into_iter().next() {
            Some(fault) => Err(corrupt(fault)),
            None => Ok(manifest),
        }
    }

    /// Begins a new generation: files are staged where no reader looks. What writers that are
    /// certainly dead had staged is removed first.
    ///
    /// # Errors
    /// [`StoreError::Io`] when the symbol's directory or the staging directory cannot be created.
    pub fn begin(&self) -> Result<Transaction, StoreError> {
        // Whoever committed the first generation has been here: later ones need no second sync.
        let names = self.names()?;
        if numbers(&names).is_empty() {
            durable::create_one_dir_durable(&**self.vfs(), &self.dir)?;
        }
        staging::sweep(&**self.vfs(), &self.dir, &names, self.is_local());
        Transaction::begin(self.clone())
    }

    /// Takes the symbol's lock, which a commit needs.
    ///
    /// # Errors
    /// [`StoreError::LockTimeout`] when somebody else holds it for longer than `wait`;
    /// [`StoreError::Io`] when it cannot be taken at all.
    pub fn lock(&self, wait: Wait) -> Result<SymbolLock, StoreError> {
        durable::create_dir_unsynced(&**self.vfs(), &self.dir)?;
        SymbolLock::acquire(self, wait)
    }

    pub(crate) fn not_found(&self, generation: u64) -> StoreError {
        StoreError::NotFound { symbol: self.symbol.clone(), generation }
    }

    /// Opens a generation for reading.
    pub(crate) fn open(&self, generation: u64) -> Result<Opened, StoreError> {
        let vfs = self.vfs().clone();
        reader::open(vfs, self.generation_dir(generation), &self.symbol, generation)
    }

    /// The generation that the link to the newest names. It is made only once that generation is
    /// durable.
    pub(crate) fn hinted(&self) -> Option<u64> {
        let target = self.vfs().read_link(&self.dir.join(LATEST_LINK)).ok()?;
        generation::from_dir_name(target.to_str()?)
    }

    /// Makes the newest generation durable before something is built on it: whoever committed it
    /// may have died between giving it its name and syncing that.
    pub(crate) fn settle(&self, newest: u64) -> Result<(), StoreError> {
        if newest == 0 || self.hinted() == Some(newest) {
            return Ok(());
        }
        durable::sync_dir(&**self.vfs(), &self.dir)
    }

    /// What the next commit goes on top of; an error when the disk refuses to tell. A damaged
    /// manifest is stepped over, loudly, and one that was removed meanwhile quietly: the next
    /// generation's number is above both all the same.
    pub(crate) fn head(&self) -> Result<Head, StoreError> {
        // The number of a generation that somebody removed by hand is not given out again.
        let hinted = self.hinted().unwrap_or(0);
        let generations = self.generations()?;
        let newest = generations.last().copied().unwrap_or(0).max(hinted);
        for &generation in generations.iter().rev() {
            match self.manifest(generation) {
                Ok(Ok(manifest)) => {
                    return Ok(Head { generation: newest, manifest: Some(manifest) });
                }
                // The disk may yet give it back, and would then find its successor beside it.
                Ok(Err(Fault { problem: Problem::Unreadable { reason }, .. })) => {
                    let path = self.generation_dir(generation).join(MANIFEST_FILE);
                    return Err(io::Error::other(reason)).at("read", &path);
                }
                Ok(Err(fault)) => tracing::error!(symbol = %self.symbol, %fault, "damaged"),
                Err(StoreError::NotFound { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Head { generation: newest, manifest: None })
    }
}

/// The generation that the link named before `generations` were listed, if it is not among them:
/// the link is made after the generation, so that one was lost.
pub(crate) fn lost(hinted: Option<u64>, generations: &[u64]) -> Option<Fault> {
    let generation = hinted.filter(|hinted| generations.last() < Some(hinted))?;
    Some(Fault { generation, file: MANIFEST_FILE.to_owned(), problem: Problem::Missing })
}

/// The numbers of the generations among the names in a directory, ascending.
fn numbers(names: &[(OsString, FileKind)]) -> Vec<u64> {
    let number = |(name, kind): &(OsString, FileKind)| {
        let generation = name.to_str().and_then(generation::from_dir_name)?;
        (*kind == FileKind::Directory).then_some(generation)
    };
    let mut generations: Vec<u64> = names.iter().filter_map(number).collect();
    generations.sort_unstable();
    generations
}

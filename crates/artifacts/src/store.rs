//! The store as a whole.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mambafleet_protocol::Symbol;
use serde::{Deserialize, Serialize};

use crate::context::Context;
use crate::error::IoContext;
use crate::file_lock::try_lock;
use crate::metrics::{NoMetrics, StoreMetrics};
use crate::symbol_store::SymbolStore;
use crate::vfs::{self, FileKind, RealVfs, Vfs};
use crate::{StoreError, durable};

/// The version of the on-disk format that this program writes, and the newest that it reads.
pub const FORMAT_VERSION: u32 = 1;

const STORE_FILE: &str = "store.json";
const SYMBOLS_DIR: &str = "symbols";
const RUNS_DIR: &str = "runs";

/// Locked for a moment at every opening, to see whether locks do anything.
const PROBE_FILE: &str = ".lock-probe";

/// The content of `store.json`.
#[derive(Debug, Serialize, Deserialize)]
struct StoreFile {
    format_version: u32,
}

/// How to open a store.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    vfs: Arc<dyn Vfs>,
    metrics: Arc<dyn StoreMetrics>,
    require_locks: bool,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self { vfs: Arc::new(RealVfs), metrics: Arc::new(NoMetrics), require_locks: true }
    }
}

impl StoreOptions {
    /// Uses another file system than the operating system's.
    #[must_use]
    pub fn vfs(self, vfs: Arc<dyn Vfs>) -> Self {
        Self { vfs, ..self }
    }

    /// Tells `metrics` what happens.
    #[must_use]
    pub fn metrics(self, metrics: Arc<dyn StoreMetrics>) -> Self {
        Self { metrics, ..self }
    }

    /// Whether to refuse a file system on which locks do nothing (the default), or to go on with a
    /// warning: generations stay whole there too, but writers are served in no order, and a commit
    /// that loses too many races fails.
    #[must_use]
    pub fn require_locks(self, require_locks: bool) -> Self {
        Self { require_locks, ..self }
    }

    /// Opens the store in the directory `root`, and makes one there first when there is none.
    ///
    /// # Errors
    /// [`StoreError::Io`] when the directory cannot be created or read; otherwise as
    /// [`open`](Self::open).
    pub fn open_or_create(&self, root: impl AsRef<Path>) -> Result<Store, StoreError> {
        let root = root.as_ref();
        let wanted = std::path::absolute(root).at("find the working directory for", root)?;
        durable::create_dirs(&*self.vfs, &wanted)?;
        let store = self.at(&wanted)?;
        match store.check_format() {
            Err(StoreError::NotAStore { .. }) => store.initialise()?,
            // Its creator may not have got as far as this sync.
            result => result.and_then(|()| durable::sync_dir(&*self.vfs, &store.root))?,
        }
        self.probe(&store)?;
        // Said to those who come to write, not to every reader.
        if let Some(network) = store.network() {
            tracing::warn!(
                store = %store.root.display(), network,
                "a network file system: locks may not reach writers on other machines; generations \
                 stay whole all the same"
            );
        }
        Ok(store)
    }

    /// Opens the store in the directory `root`.
    ///
    /// # Errors
    /// [`StoreError::NotAStore`] when there is none, [`StoreError::FormatVersion`] when a newer
    /// version of this program wrote it, [`StoreError::BadStoreFile`] when `store.json` makes no
    /// sense, [`StoreError::LocksDoNothing`] when its file system ignores locks and
    /// [`require_locks`](Self::require_locks) is set, [`StoreError::Io`] when it cannot be read.
    pub fn open(&self, root: impl AsRef<Path>) -> Result<Store, StoreError> {
        let root = root.as_ref();
        if !self.vfs.is_dir(root) {
            return Err(StoreError::NotAStore { path: root.to_owned() });
        }
        let store = self.at(root)?;
        store.check_format()?;
        self.probe(&store)?;
        Ok(store)
    }

    /// The store at an existing directory, under the one name that identifies it.
    fn at(&self, root: &Path) -> Result<Store, StoreError> {
        let root = self.vfs.canonicalize(root).at("find", root)?;
        let network = self.vfs.describe(&root).ok().and_then(|system| system.network);
        let (vfs, metrics) = (self.vfs.clone(), self.metrics.clone());
        Ok(Store { root: root.into(), context: Arc::new(Context { vfs, metrics, network }) })
    }

    fn probe(&self, store: &Store) -> Result<(), StoreError> {
        let path = store.root.join(PROBE_FILE);
        if locks_exclude(&*self.vfs, &path) == Some(false) {
            if self.require_locks {
                return Err(StoreError::LocksDoNothing { path: store.root.to_path_buf() });
            }
            tracing::warn!(store = %store.root.display(), "locks do nothing on this file system");
        }
        Ok(())
    }
}

/// Whether of two handles of one file only one can be locked; `None` when that cannot be tried,
/// as on a read-only file system, where nobody commits anyway.
fn locks_exclude(vfs: &dyn Vfs, path: &Path) -> Option<bool> {
    let first = vfs.lock_file(path).ok()?;
    let second = vfs.lock_file(path).ok()?;
    // When another process is probing just now, its lock excludes this one: locks work.
    Some(!try_lock(&first).ok()? || !try_lock(&second).ok()?)
}

/// A directory that holds generations of symbols. Cheap to clone; safe to share between threads.
///
/// Any number of processes may have the same store open.
#[derive(Debug, Clone)]
pub struct Store {
    root: Arc<Path>,
    context: Arc<Context>,
}

impl Store {
    /// Opens the store in the directory `root`, and makes one there first when there is none.
    ///
    /// # Errors
    /// As [`StoreOptions::open_or_create`].
    pub fn open_or_create(root: impl AsRef<Path>) -> Result<Self, StoreError> {
        StoreOptions::default().open_or_create(root)
    }

    /// Opens the store in the directory `root`.
    ///
    /// # Errors
    /// As [`StoreOptions::open`].
    pub fn open(root: impl AsRef<Path>) -> Result<Self, StoreError> {
        StoreOptions::default().open(root)
    }

    /// The store's directory, as an absolute path.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The directory for records of runs.
    #[must_use]
    pub fn runs_dir(&self) -> PathBuf {
        self.root.join(RUNS_DIR)
    }

    /// The name of the store's file system, when it is one that other machines may have mounted
    /// too. Locks may not reach them; generations are whole all the same.
    #[must_use]
    pub fn network(&self) -> Option<&'static str> {
        self.context.network
    }

    /// The symbols that have at least one generation, sorted.
    ///
    /// # Errors
    /// [`StoreError::Io`] when a directory cannot be listed.
    pub fn symbols(&self) -> Result<Vec<Symbol>, StoreError> {
        let mut symbols = self.known_symbols()?;
        let mut failed = None;
        symbols.retain(|symbol| match self.symbol(symbol).generations() {
            Ok(generations) => !generations.is_empty(),
            Err(error) => {
                failed.get_or_insert(error);
                false
            }
        });
        failed.map_or(Ok(symbols), Err)
    }

    /// The symbols that have a directory, with or without generations in it, sorted: those of
    /// [`symbols`](Self::symbols), and those whose first generation is not committed yet or never
    /// was.
    ///
    /// # Errors
    /// [`StoreError::Io`] when a directory cannot be listed, [`StoreError::BadStoreFile`] when it is
    /// gone.
    pub fn known_symbols(&self) -> Result<Vec<Symbol>, StoreError> {
        let dir = self.symbols_dir();
        let mut symbols = Vec::new();
        let names = match self.context.vfs.list(&dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(StoreError::BadStoreFile {
                    path: dir,
                    reason: "it is gone".to_owned(),
                });
            }
            result => result.at("list", &dir)?,
        };
        for (name, kind) in names {
            let Some(Ok(symbol)) = name.to_str().map(Symbol::from_dir_name) else { continue };
            if kind == FileKind::Directory || self.context.vfs.is_dir(&dir.join(&name)) {
                symbols.push(symbol);
            }
        }
        symbols.sort_unstable();
        Ok(symbols)
    }

    /// The part of the store that belongs to `symbol`; it need not exist yet.
    #[must_use]
    pub fn symbol(&self, symbol: &Symbol) -> SymbolStore {
        let dir = self.symbols_dir().join(symbol.dir_name());
        SymbolStore::new(dir, symbol.clone(), self.context.clone())
    }

    /// The version file comes last: where it is, the directories are, also after a power cut.
    fn initialise(&self) -> Result<(), StoreError> {
        let vfs = &*self.context.vfs;
        durable::create_dir_unsynced(vfs, &self.symbols_dir())?;
        durable::create_one_dir_durable(vfs, &self.runs_dir())?;
        let content = StoreFile { format_version: FORMAT_VERSION };
        durable::atomic_write_json_in(vfs, &self.root.join(STORE_FILE), &content)
    }

    fn symbols_dir(&self) -> PathBuf {
        self.root.join(SYMBOLS_DIR)
    }

    fn check_format(&self) -> Result<(), StoreError> {
        let path = self.root.join(STORE_FILE);
        let bytes = match vfs::read(&*self.context.vfs, &path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(StoreError::NotAStore { path: self.root.to_path_buf() });
            }
            result => result.at("read", &path)?,
        };
        let StoreFile { format_version: found } = serde_json::from_slice(&bytes)
            .map_err(|error| StoreError::BadStoreFile { path, reason: error.to_string() })?;
        if found == FORMAT_VERSION {
            return Ok(());
        }
        let (path, supported) = (self.root.to_path_buf(), FORMAT_VERSION);
        Err(StoreError::FormatVersion { path, found, supported })
    }
}

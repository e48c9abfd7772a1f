//! The store as a whole.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mambafleet_protocol::Symbol;
use serde::{Deserialize, Serialize};

use crate::error::IoContext;
use crate::symbol_store::SymbolStore;
use crate::{StoreError, durable};

/// The version of the on-disk format that this program writes, and the newest that it reads.
pub const FORMAT_VERSION: u32 = 1;

const STORE_FILE: &str = "store.json";
const SYMBOLS_DIR: &str = "symbols";
const RUNS_DIR: &str = "runs";

/// The content of `store.json`.
#[derive(Debug, Serialize, Deserialize)]
struct StoreFile {
    format_version: u32,
}

/// A directory that holds generations of symbols. Cheap to clone; safe to share between threads.
///
/// Any number of processes may have the same store open.
#[derive(Debug, Clone)]
pub struct Store {
    root: Arc<Path>,
}

impl Store {
    /// Opens the store in the directory `root`, and makes one there first when there is none.
    ///
    /// # Errors
    /// [`StoreError::Io`] when the directory cannot be created or read; otherwise as
    /// [`open`](Self::open).
    pub fn open_or_create(root: impl AsRef<Path>) -> Result<Self, StoreError> {
        let root = root.as_ref();
        let wanted = std::path::absolute(root).at("find", root)?;
        durable::create_dir_durable(&wanted)?;
        let store = Self::at(&wanted)?;
        match store.check_format() {
            Err(StoreError::NotAStore { .. }) => store.initialise()?,
            // Its creator may not have got as far as this sync.
            result => result.and_then(|()| durable::sync_dir(&store.root))?,
        }
        Ok(store)
    }

    /// Opens the store in the directory `root`.
    ///
    /// # Errors
    /// [`StoreError::NotAStore`] when there is none, [`StoreError::FormatVersion`] when a newer
    /// version of this program wrote it, [`StoreError::BadStoreFile`] when `store.json` makes no
    /// sense, [`StoreError::Io`] when it cannot be read.
    pub fn open(root: impl AsRef<Path>) -> Result<Self, StoreError> {
        let root = root.as_ref();
        if !root.is_dir() {
            return Err(StoreError::NotAStore { path: root.to_owned() });
        }
        let store = Self::at(root)?;
        store.check_format()?;
        Ok(store)
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

    /// The symbols that have at least one generation, sorted.
    ///
    /// # Errors
    /// [`StoreError::Io`] when a directory cannot be listed.
    pub fn symbols(&self) -> Result<Vec<Symbol>, StoreError> {
        let dir = self.symbols_dir();
        let mut symbols = Vec::new();
        for entry in fs::read_dir(&dir).at("list", &dir)? {
            let entry = entry.at("list", &dir)?;
            let name = entry.file_name();
            let Some(Ok(symbol)) = name.to_str().map(Symbol::from_dir_name) else { continue };
            if entry.path().is_dir() && !self.symbol(&symbol).generations()?.is_empty() {
                symbols.push(symbol);
            }
        }
        symbols.sort_unstable();
        Ok(symbols)
    }

    /// The part of the store that belongs to `symbol`; it need not exist yet.
    #[must_use]
    pub fn symbol(&self, symbol: &Symbol) -> SymbolStore {
        SymbolStore::new(self.symbols_dir().join(symbol.dir_name()), symbol.clone())
    }

    /// The store at an existing directory, under the one name that identifies it.
    fn at(root: &Path) -> Result<Self, StoreError> {
        let root = if cfg!(unix) { fs::canonicalize(root) } else { std::path::absolute(root) }
            .at("find", root)?;
        Ok(Self { root: root.into() })
    }

    /// The version file comes last: where it is, the directories are, also after a power cut.
    fn initialise(&self) -> Result<(), StoreError> {
        durable::create_one_dir_durable(&self.symbols_dir())?;
        durable::create_one_dir_durable(&self.runs_dir())?;
        let content = StoreFile { format_version: FORMAT_VERSION };
        durable::atomic_write_json(&self.root.join(STORE_FILE), &content)
    }

    fn symbols_dir(&self) -> PathBuf {
        self.root.join(SYMBOLS_DIR)
    }

    fn check_format(&self) -> Result<(), StoreError> {
        let path = self.root.join(STORE_FILE);
        let bytes = match fs::read(&path) {
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

//! Old generations: looking back at them, bringing them back, taking them elsewhere.

use std::io::Write;
use std::path::Path;

use crate::error::IoContext;
use crate::manifest::MANIFEST_FILE;
use crate::staging::{self, Staging};
use crate::symbol_store::SymbolStore;
use crate::transaction::stage;
use crate::{
    Commit, Fault, FileEntry, Manifest, Parent, Problem, StoreError, Transaction, Wait, durable,
};

/// One generation in a symbol's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryEntry {
    /// Its number.
    pub generation: u64,
    /// Its manifest, or what is wrong with that.
    pub manifest: Result<Manifest, Fault>,
}

impl SymbolStore {
    /// All generations, oldest first, each with its manifest; no other file is read.
    ///
    /// # Errors
    /// [`StoreError::Io`] when the operating system refuses to read something.
    pub fn history(&self) -> Result<Vec<HistoryEntry>, StoreError> {
        let mut history = Vec::new();
        for generation in self.generations()? {
            match self.manifest(generation) {
                Ok(manifest) => history.push(HistoryEntry { generation, manifest }),
                Err(StoreError::NotFound { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(history)
    }

    /// Stages the content of an older generation as a new one. Committing it makes history longer:
    /// nothing is ever taken out of it. Each file is verified while it is copied.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is no such generation, [`StoreError::Corrupt`] when it
    /// does not verify; otherwise as [`Transaction::put_with`].
    pub fn restore(&self, generation: u64) -> Result<Transaction, StoreError> {
        let (manifest, files) = self.open(generation)?.into_files()?;
        let mut transaction = self.begin()?;
        for (entry, mut file) in files {
            let copy = transaction.copy(&entry.name, entry.length, &mut file)?;
            self.compare(generation, &entry, &copy)?;
        }
        let (generation, manifest_hash) = (manifest.generation, manifest.hash);
        Ok(transaction.restoring(Parent { generation, manifest_hash }))
    }

    /// Commits the content of generation `to` as the newest one; without `to`, that of the newest
    /// intact generation before the present one.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is nothing to go back to, [`StoreError::Conflict`] when
    /// another writer committed meanwhile and `to` was not given; otherwise as
    /// [`restore`](Self::restore), [`lock`](Self::lock) and [`Transaction::commit`].
    pub fn rollback(&self, to: Option<u64>, wait: Wait) -> Result<Commit, StoreError> {
        let mut transaction = match to {
            Some(generation) => self.restore(generation)?,
            None => self.restore_previous()?,
        };
        transaction.prepare()?;
        let lock = self.lock(wait)?;
        transaction.commit(&lock)
    }

    fn restore_previous(&self) -> Result<Transaction, StoreError> {
        let generations = self.generations()?;
        let (&newest, older) = generations.split_last().ok_or_else(|| self.not_found(1))?;
        let head = self.head()?.manifest.map(|manifest| manifest.generation);
        for &generation in older.iter().rev() {
            match self.restore(generation) {
                Ok(transaction) => return Ok(transaction.on_top_of(head)),
                Err(StoreError::Corrupt { generation, file, problem, .. }) => {
                    tracing::error!(
                        symbol = %self.symbol(), generation, file, %problem,
                        "a generation is damaged; going back to the one before"
                    );
                }
                Err(error) => return Err(error),
            }
        }
        Err(self.not_found(newest.saturating_sub(1)))
    }

    /// Copies one generation, its manifest included, to the new directory `dest`, all or nothing,
    /// verifying it on the way.
    ///
    /// # Errors
    /// [`StoreError::Exists`] when there is something at `dest`, [`StoreError::InsideStore`] when it
    /// would lie in the store itself; [`StoreError::NotFound`],
    /// [`StoreError::Corrupt`] and [`StoreError::Io`] as for [`snapshot`](Self::snapshot).
    pub fn export(&self, generation: u64, dest: &Path) -> Result<Manifest, StoreError> {
        let exists = || StoreError::Exists { path: dest.to_owned() };
        if dest.symlink_metadata().is_ok() {
            return Err(exists());
        }
        let vfs = &**self.vfs();
        let parent = durable::parent_of(dest);
        self.check_outside(parent, dest)?;
        let (mut manifest, files) = self.open(generation)?.into_files()?;
        staging::sweep_exports(vfs, parent);
        let mut staging = Staging::create(self.vfs().clone(), parent)?;
        for (entry, mut file) in files {
            let write = |out: &mut dyn Write| durable::copy(&mut file, out);
            let length = Some(entry.length);
            let (copied, _, unsynced) = stage(vfs, staging.path(), &entry.name, length, write)?;
            unsynced.sync()?;
            self.compare(generation, &entry, &copied)?;
        }
        let bytes = manifest
            .seal()
            .map_err(|source| StoreError::Encode { what: MANIFEST_FILE.to_owned(), source })?;
        let length = Some(bytes.len() as u64);
        let write = |out: &mut dyn Write| out.write_all(&bytes);
        let (.., unsynced) = stage(vfs, staging.path(), MANIFEST_FILE, length, write)?;
        unsynced.sync()?;
        durable::sync_dir(vfs, staging.path())?;
        if !vfs.rename_new(staging.path(), dest).at("rename the export to", dest)? {
            return Err(exists());
        }
        staging.keep();
        durable::sync_dir(vfs, parent)?;
        Ok(manifest)
    }

    /// Refuses a copy that would be taken for a part of the store.
    fn check_outside(&self, parent: &Path, dest: &Path) -> Result<(), StoreError> {
        let parent = self.vfs().canonicalize(parent).at("find", parent)?;
        match self.dir().ancestors().nth(2) {
            Some(root) if parent.starts_with(root) => {
                Err(StoreError::InsideStore { path: dest.to_owned() })
            }
            _ => Ok(()),
        }
    }

    /// Whether the copy is what the manifest describes.
    fn compare(
        &self,
        generation: u64,
        entry: &FileEntry,
        copy: &FileEntry,
    ) -> Result<(), StoreError> {
        if entry == copy {
            return Ok(());
        }
        let problem = if entry.length == copy.length {
            Problem::Hash { expected: entry.blake3, found: copy.blake3 }
        } else {
            Problem::Length { expected: entry.length, found: copy.length }
        };
        let file = entry.name.clone();
        Err(StoreError::corrupt(self.symbol(), Fault { generation, file, problem }))
    }
}

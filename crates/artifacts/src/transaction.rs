//! Writing a generation.

use std::collections::BTreeMap;
use std::io::{self, BufWriter, Read, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use mambafleet_protocol::Symbol;
use serde::Serialize;

use crate::durable::{self, StagedFile, Unsynced, copy};
use crate::error::IoContext;
use crate::manifest::{MANIFEST_FILE, SCHEMA, encode_json};
use crate::staging::{self, Staging};
use crate::symbol_store::{Head, LATEST_LINK, SymbolStore};
use crate::vfs::{self, Vfs};
use crate::weights::{Encoder, WEIGHTS_FILE};
use crate::{Digest, FileEntry, Manifest, Parent, StoreError, SymbolLock, Writer, generation};

/// How many numbers in a row a commit may lose to others before it gives up. With a lock that
/// works it loses none.
const MAX_RACES: u32 = 64;

/// Small writes to a staged file are gathered up to this many bytes.
const BUFFER: usize = 64 * 1024;

/// How many files are kept open until they are synced.
const MAX_UNSYNCED: usize = 32;

/// Room that must be left beside a file whose length is known: for the manifest, directories, and
/// what else is being written meanwhile.
const SPARE: u64 = 256 * 1024;

/// From this length on, room is reserved before a file is written. Smaller files are one write.
const WORTH_RESERVING: u64 = 1024 * 1024;

/// How old a manifest may be that was written before the lock was taken.
const FRESH: Duration = Duration::from_secs(2);

/// A generation that is being written. Nothing of it is visible until [`commit`](Self::commit);
/// dropping it instead removes what was staged.
#[derive(Debug)]
#[must_use = "a transaction that is dropped leaves nothing behind"]
pub struct Transaction {
    store: SymbolStore,
    /// What is staged but not synced: syncing all at once is cheaper than one after the other.
    /// Above the directory, so that it is closed before that is removed: Windows insists on it.
    unsynced: Vec<Unsynced>,
    staging: Staging,
    files: BTreeMap<String, FileEntry>,
    failed: bool,
    /// The parent that the caller insists on, if it does.
    expected: Option<Option<u64>>,
    restored_from: Option<Parent>,
    /// The manifest that lies in the staging directory, if one does.
    sealed: Option<Sealed>,
    hashing: Duration,
    staged_in: Duration,
}

/// A manifest that was written and synced, together with the names beside it.
#[derive(Debug)]
struct Sealed {
    manifest: Manifest,
    bytes: Vec<u8>,
    at: Instant,
}

impl Sealed {
    /// Whether this may serve as `wanted`, which differs only in the time, and not by much.
    fn serves_as(&self, wanted: &Manifest) -> bool {
        let Manifest { created_at, hash, .. } = self.manifest;
        self.at.elapsed() < FRESH
            && self.manifest == Manifest { created_at, hash, ..wanted.clone() }
    }
}

/// A commit that succeeded: the generation is visible and survives a power cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// The new generation's number.
    pub generation: u64,
    /// Its manifest.
    pub manifest: Manifest,
    /// The fencing token of the lock it was committed under.
    pub lock_token: u64,
    /// How long that lock was waited for.
    pub lock_waited: Duration,
    /// How long the commit itself took: all that happened under the lock.
    pub elapsed: Duration,
    /// How long staging the files took, hashing included: what happened before the lock was taken.
    pub staging: Duration,
    /// How much of that went into hashing.
    pub hashing: Duration,
}

impl Transaction {
    pub(crate) fn begin(store: SymbolStore) -> Result<Self, StoreError> {
        let staging = Staging::create(store.vfs().clone(), store.dir())?;
        Ok(Self {
            store,
            staging,
            files: BTreeMap::new(),
            unsynced: Vec::new(),
            failed: false,
            expected: None,
            restored_from: None,
            sealed: None,
            hashing: Duration::ZERO,
            staged_in: Duration::ZERO,
        })
    }

    /// Insists that the newest intact generation, when this is committed, is `parent` (`None`: that
    /// there is no generation). Without this, a commit goes on top of whatever is the newest.
    pub fn on_top_of(self, parent: Option<u64>) -> Self {
        Self { expected: Some(parent), ..self }
    }

    pub(crate) fn restoring(self, from: Parent) -> Self {
        Self { restored_from: Some(from), ..self }
    }

    /// The symbol that this will be a generation of.
    #[must_use]
    pub fn symbol(&self) -> &Symbol {
        self.store.symbol()
    }

    /// Stages tensors, given as name, shape and values, and a few texts beside them, as
    /// [`WEIGHTS_FILE`] (safetensors, 32-bit floats). The same input gives the same bytes.
    ///
    /// # Errors
    /// [`StoreError::InvalidTensor`] when a shape does not fit its values or a name occurs twice;
    /// otherwise as [`put_with`](Self::put_with).
    pub fn put_weights<'a>(
        &mut self,
        tensors: impl IntoIterator<Item = (&'a str, &'a [usize], &'a [f32])>,
        meta: BTreeMap<String, String>,
    ) -> Result<(), StoreError> {
        self.put_tensors(WEIGHTS_FILE, tensors, meta)
    }

    /// The same as a file of another name.
    ///
    /// # Errors
    /// As [`put_weights`](Self::put_weights).
    pub fn put_tensors<'a>(
        &mut self,
        name: &str,
        tensors: impl IntoIterator<Item = (&'a str, &'a [usize], &'a [f32])>,
        meta: BTreeMap<String, String>,
    ) -> Result<(), StoreError> {
        let encoder = Encoder::new(tensors, &meta)?;
        self.put_sized(name, Some(encoder.length()), |out| encoder.write_to(out)).map(drop)
    }

    /// Stages a value as pretty JSON.
    ///
    /// # Errors
    /// [`StoreError::Encode`] when the value is not JSON; otherwise as
    /// [`put_with`](Self::put_with).
    pub fn put_json<T: Serialize>(&mut self, name: &str, value: &T) -> Result<(), StoreError> {
        let bytes = encode_json(value)
            .map_err(|source| StoreError::Encode { what: name.to_owned(), source })?;
        self.put_bytes(name, &bytes)
    }

    /// Stages bytes.
    ///
    /// # Errors
    /// As [`put_with`](Self::put_with).
    pub fn put_bytes(&mut self, name: &str, bytes: &[u8]) -> Result<(), StoreError> {
        let length = Some(bytes.len() as u64);
        self.put_sized(name, length, |out| out.write_all(bytes)).map(drop)
    }

    /// Stages a copy of the file at `path`, of any size.
    ///
    /// # Errors
    /// [`StoreError::Io`] when it cannot be read; otherwise as [`put_with`](Self::put_with).
    pub fn put_file(&mut self, name: &str, path: &Path) -> Result<(), StoreError> {
        let mut file = std::fs::File::open(path).at("open", path)?;
        let length = file.metadata().at("look at", path)?.len();
        self.copy(name, length, &mut file).map(drop)
    }

    /// Stages whatever `write` writes: content of any size, hashed on its way to the disk. It is
    /// synced by [`prepare`](Self::prepare) or the commit.
    ///
    /// # Errors
    /// [`StoreError::InvalidName`] when the name is not a plain portable file name, is the
    /// manifest's, or was used before; [`StoreError::NoSpace`] when the length is known beforehand
    /// and there is no room for it; [`StoreError::Io`] when writing or syncing fails. After these
    /// two the transaction can no longer be committed ([`StoreError::Abandoned`]).
    pub fn put_with(
        &mut self,
        name: &str,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<(), StoreError> {
        self.put_sized(name, None, write).map(drop)
    }

    /// Stages what `from` holds, and describes it.
    pub(crate) fn copy(
        &mut self,
        name: &str,
        length: u64,
        from: &mut dyn Read,
    ) -> Result<FileEntry, StoreError> {
        self.put_sized(name, Some(length), |out| copy(from, out))
    }

    fn put_sized(
        &mut self,
        name: &str,
        length: Option<u64>,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> Result<FileEntry, StoreError> {
        self.check_usable()?;
        if let Some(reason) = self.name_fault(name) {
            return Err(StoreError::InvalidName { name: name.to_owned(), reason });
        }
        let started = Instant::now();
        // Until it is whole, also when `write` panics, the file spoils the transaction.
        self.failed = true;
        let vfs = &**self.store.vfs();
        if let Some(length) = length {
            check_space(vfs, self.store.dir(), length)?;
        }
        let (entry, hashing, unsynced) = stage(vfs, self.staging.path(), name, length, write)?;
        self.unsynced.push(unsynced);
        if self.unsynced.len() == MAX_UNSYNCED {
            self.sync_files()?;
        }
        self.failed = false;
        self.files.insert(name.to_owned(), entry.clone());
        self.hashing += hashing;
        self.staged_in += started.elapsed();
        Ok(entry)
    }

    /// Syncs what was staged and writes the manifest, so that the commit has less to do under the
    /// lock: call it last before the lock is taken. The manifest is a guess that nobody commits in
    /// between; where that is wrong, the commit writes it again, as it does where this was never
    /// called. While somebody holds the lock, nothing is guessed.
    ///
    /// # Errors
    /// [`StoreError::Empty`] when nothing is staged, [`StoreError::Io`] when writing or syncing
    /// fails; the transaction can then no longer be committed ([`StoreError::Abandoned`]).
    pub fn prepare(&mut self) -> Result<(), StoreError> {
        let started = Instant::now();
        self.check_content()?;
        let head = self.store.head()?;
        if let Some(token) = SymbolLock::next_token(&self.store, &head) {
            let manifest = self.manifest_above(head, 0, token);
            self.failed = true;
            self.sealed = Some(self.seal(manifest)?);
            self.failed = false;
        }
        self.sync_files()?;
        self.staged_in += started.elapsed();
        Ok(())
    }

    /// Makes what was staged the symbol's next generation, in one step.
    ///
    /// When this returns, every reader sees the generation and it survives a power cut. On every
    /// error but [`StoreError::CommitUncertain`] nothing has become visible, and the staged files
    /// are removed.
    ///
    /// Without the symbol's lock this does not compile:
    ///
    /// ```compile_fail,E0061
    /// # fn commit(aapl: &mambafleet_artifacts::SymbolStore) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut transaction = aapl.begin()?;
    /// transaction.put_bytes("note.txt", b"unguarded")?;
    /// transaction.commit()?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// - [`StoreError::WrongLock`] when the guard belongs to another symbol or store;
    /// - [`StoreError::Empty`], [`StoreError::Abandoned`] when there is nothing sound to commit;
    /// - [`StoreError::Fenced`] when a later holder of the lock has already committed;
    /// - [`StoreError::Conflict`] when [another parent](Self::on_top_of) was asked for;
    /// - [`StoreError::Contended`] when others took every number that was tried;
    /// - [`StoreError::CommitUncertain`] when the generation is visible, but the sync that makes
    ///   it survive a power cut failed;
    /// - [`StoreError::Io`] when the operating system refuses.
    pub fn commit(mut self, lock: &SymbolLock) -> Result<Commit, StoreError> {
        let started = Instant::now();
        self.check_committable(lock)?;
        let mut taken = 0;
        for _ in 0..MAX_RACES {
            let wanted = self.next_manifest(lock, taken)?;
            let sealed = self.seal(wanted)?;
            if self.publish(&sealed)? {
                return Ok(self.acknowledge(sealed.manifest, lock, started));
            }
            taken = sealed.manifest.generation;
            self.sealed = Some(sealed);
            self.store.metrics().conflict(self.symbol());
            tracing::warn!(symbol = %self.symbol(), taken, "the number is taken; trying the next");
        }
        let symbol = self.symbol().clone();
        Err(StoreError::Contended { symbol, generation: taken, attempts: MAX_RACES })
    }

    fn check_content(&self) -> Result<(), StoreError> {
        self.check_usable()?;
        if self.files.is_empty() {
            return Err(StoreError::Empty { symbol: self.symbol().clone() });
        }
        Ok(())
    }

    /// Syncs what was staged and is not synced yet. When a sync fails, the transaction is spoilt: a
    /// second one might report success for what is lost.
    fn sync_files(&mut self) -> Result<(), StoreError> {
        let spoilt = std::mem::replace(&mut self.failed, true);
        self.unsynced.drain(..).try_for_each(Unsynced::sync)?;
        self.failed = spoilt;
        Ok(())
    }

    fn check_usable(&self) -> Result<(), StoreError> {
        if self.failed {
            return Err(StoreError::Abandoned { symbol: self.symbol().clone() });
        }
        Ok(())
    }

    fn check_committable(&self, lock: &SymbolLock) -> Result<(), StoreError> {
        let (symbol, directory) = (self.symbol().clone(), self.store.dir());
        if !lock.guards(directory) {
            let (directory, guard) = (directory.to_owned(), lock.path().to_owned());
            return Err(StoreError::WrongLock { symbol, directory, guard });
        }
        self.check_content()
    }

    fn name_fault(&self, name: &str) -> Option<&'static str> {
        let taken = self.files.keys().any(|known| known.eq_ignore_ascii_case(name));
        let duplicate = || taken.then_some("the transaction already holds a file of this name");
        generation::file_name_fault(name).or_else(duplicate)
    }

    /// Describes the generation after the newest one, provided that this lock may still write it.
    /// Its number is above `taken` too: something that is no generation may bear that name.
    fn next_manifest(&self, lock: &SymbolLock, taken: u64) -> Result<Manifest, StoreError> {
        let head = lock.take_head().map_or_else(|| self.store.head(), Ok)?;
        self.store.settle(head.generation)?;
        let symbol = self.symbol().clone();
        if let Some(newest) = &head.manifest
            && newest.fencing_token > lock.token()
        {
            let (generation, found) = (newest.generation, newest.fencing_token);
            return Err(StoreError::Fenced { symbol, generation, found, token: lock.token() });
        }
        let found = head.manifest.as_ref().map(|newest| newest.generation);
        if let Some(expected) = self.expected
            && expected != found
        {
            return Err(StoreError::Conflict { symbol, expected, found });
        }
        Ok(self.manifest_above(head, taken, lock.token()))
    }

    /// The manifest of the generation above `head` and `taken`, as the holder of `token` writes it.
    fn manifest_above(&self, head: Head, taken: u64, token: u64) -> Manifest {
        let parent =
            |newest: Manifest| Parent { generation: newest.generation, manifest_hash: newest.hash };
        Manifest {
            schema: SCHEMA,
            symbol: self.symbol().clone(),
            generation: head.generation.max(taken).saturating_add(1),
            parent: head.manifest.map(parent),
            restored_from: self.restored_from.clone(),
            files: self.files.values().cloned().collect(),
            fencing_token: token,
            nonce: self.staging.nonce().to_owned(),
            writer: Writer::current().clone(),
            created_at: Timestamp::now(),
            hash: Digest::ZERO,
        }
    }

    /// Writes and syncs the manifest, then the staging directory with all its names, unless that
    /// has been done.
    fn seal(&mut self, mut manifest: Manifest) -> Result<Sealed, StoreError> {
        let (vfs, staging) = (self.store.vfs().clone(), self.staging.path().to_owned());
        if let Some(sealed) = self.sealed.take() {
            if sealed.serves_as(&manifest) {
                return Ok(sealed);
            }
            let path = staging.join(MANIFEST_FILE);
            vfs.remove_file(&path).at("remove", &path)?;
        }
        let bytes = manifest
            .seal()
            .map_err(|source| StoreError::Encode { what: MANIFEST_FILE.to_owned(), source })?;
        let (.., unsynced) =
            stage(&*vfs, &staging, MANIFEST_FILE, None, |out| out.write_all(&bytes))?;
        self.unsynced.push(unsynced);
        self.sync_files()?;
        durable::sync_dir(&*vfs, &staging)?;
        Ok(Sealed { manifest, bytes, at: Instant::now() })
    }

    /// The commit proper. False when the number was taken by another writer.
    fn publish(&mut self, sealed: &Sealed) -> Result<bool, StoreError> {
        let Manifest { symbol, generation, .. } = &sealed.manifest;
        let vfs = self.store.vfs().clone();
        let target = self.store.generation_dir(*generation);
        // A network file system may lose the reply to a rename that it has done, repeat it, and
        // then report that the name is taken, or that there is nothing left to rename. The
        // manifest there, with our nonce in it, tells.
        let ours = || {
            vfs::read(&*vfs, &target.join(MANIFEST_FILE)).is_ok_and(|there| there == sealed.bytes)
        };
        match vfs.rename_new(self.staging.path(), &target) {
            Ok(true) => {}
            Ok(false) if ours() => {}
            Ok(false) => return Ok(false),
            Err(_) if ours() => {}
            Err(error) => return Err(error).at("rename the staging directory to", &target),
        }
        self.staging.keep();
        durable::sync_dir(&*vfs, self.store.dir()).map_err(|error| {
            StoreError::CommitUncertain {
                symbol: symbol.clone(),
                generation: *generation,
                source: Box::new(error),
            }
        })?;
        Ok(true)
    }

    /// Reports the success, after pointing `latest` to the new generation.
    fn acknowledge(&self, manifest: Manifest, lock: &SymbolLock, started: Instant) -> Commit {
        let Manifest { symbol, generation, .. } = &manifest;
        let (vfs, dir) = (&**self.store.vfs(), self.store.dir());
        let (link, target) = (dir.join(LATEST_LINK), generation::dir_name(*generation));
        let temporary = staging::temporary_link(dir);
        if let Err(error) = durable::replace_link(vfs, &temporary, &link, &target) {
            tracing::warn!(%symbol, generation, %error, "cannot refresh the link to the newest");
        }
        let commit = Commit {
            generation: *generation,
            lock_token: lock.token(),
            lock_waited: lock.waited(),
            elapsed: started.elapsed(),
            staging: self.staged_in,
            hashing: self.hashing,
            manifest,
        };
        let Manifest { symbol, generation, .. } = &commit.manifest;
        self.store.metrics().committed(symbol, &commit);
        let (bytes, elapsed) = (commit.manifest.total_length(), commit.elapsed);
        tracing::debug!(%symbol, generation, bytes, ?elapsed, "committed");
        commit
    }
}

/// Refuses to begin writing what cannot fit. Where the free space is unknown, writing will tell.
fn check_space(vfs: &dyn Vfs, dir: &Path, length: u64) -> Result<(), StoreError> {
    let needed = length.saturating_add(SPARE);
    match vfs.describe(dir).ok().and_then(|system| system.available) {
        Some(available) if available < needed => {
            Err(StoreError::NoSpace { path: dir.to_owned(), needed, available })
        }
        _ => Ok(()),
    }
}

/// Writes a new file into the staging directory, hashing it on the way; it is left to be synced.
/// Also tells how long the hashing took.
pub(crate) fn stage(
    vfs: &dyn Vfs,
    staging: &Path,
    name: &str,
    length: Option<u64>,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(FileEntry, Duration, Unsynced), StoreError> {
    let file = StagedFile::create(vfs, staging.join(name))?;
    if let Some(length) = length.filter(|&length| length >= WORTH_RESERVING) {
        file.reserve(length)?;
    }
    let mut out = BufWriter::with_capacity(BUFFER, file);
    let written = write(&mut out).and_then(|()| out.flush());
    written.at("write", out.get_ref().path())?;
    let (file, _) = out.into_parts();
    Ok(file.finish(name))
}

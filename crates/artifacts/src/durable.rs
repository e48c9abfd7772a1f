//! Sequences of operations that make something durable or visible, over any [`Vfs`].
//!
//! Each helper that adds a name to a directory also syncs that directory, unless its documentation
//! says why not; no caller can forget it. A failed sync is reported and never retried: after one,
//! the kernel may report success for data that is lost.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::error::IoContext;
use crate::manifest::encode_json;
use crate::vfs::{FileKind, RealVfs, Vfs, VfsFile};
use crate::{Digest, FileEntry, StoreError};

/// Replaces the content of `path` in one step: readers see the old content or the new one, whole,
/// and so does a machine that lost its power, which keeps the new one once this returns.
///
/// # Errors
/// [`StoreError::Io`]; the old content is then untouched unless only the last step, the sync of
/// the directory, failed.
pub fn atomic_write(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    atomic_write_in(&RealVfs, path, bytes)
}

/// [`atomic_write`] of `value` as pretty JSON with a final newline.
///
/// # Errors
/// [`StoreError::Encode`] when the value is not JSON; otherwise as [`atomic_write`].
pub fn atomic_write_json<T: Serialize>(path: &Path, value: &T) -> Result<(), StoreError> {
    atomic_write_json_in(&RealVfs, path, value)
}

/// Creates the directory `path`, and those above it that are missing, so that they survive a
/// power cut. One that is there already is made durable too: its creator may not have got so far.
///
/// # Errors
/// [`StoreError::Io`] when it cannot be created or synced, or is no directory.
pub fn create_dir_durable(path: &Path) -> Result<(), StoreError> {
    create_dirs(&RealVfs, path)
}

/// Opens `path` for appending; what it holds is kept. A file that was missing is created, and its
/// name is durable; what is appended is durable only once the caller syncs the file.
///
/// # Errors
/// [`StoreError::Io`] when the file cannot be opened or its directory cannot be synced.
pub fn append_file(path: &Path) -> Result<File, StoreError> {
    match OpenOptions::new().append(true).create_new(true).open(path) {
        Ok(file) => sync_dir(&RealVfs, parent_of(path)).map(|()| file),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            OpenOptions::new().append(true).open(path).at("open", path)
        }
        Err(error) => Err(error).at("create", path),
    }
}

/// Opens `path` for appending, or creates it: for logs, which a crash may take. Unlike
/// [`append_file`], it waits for no disk.
///
/// # Errors
/// [`StoreError::Io`] when the file cannot be opened.
pub fn append_log(path: &Path) -> Result<File, StoreError> {
    OpenOptions::new().append(true).create(true).open(path).at("open", path)
}

/// [`atomic_write`] over any file system.
pub(crate) fn atomic_write_in(vfs: &dyn Vfs, path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let parent = parent_of(path);
    let mut temporary = tempfile::Builder::new()
        .prefix(".tmp-")
        .rand_bytes(12)
        .make_in(parent, |path| vfs.create_new(path))
        .at("create a temporary file in", parent)?;
    // It is removed by the file system that it is on, which need not be the operating system's.
    temporary.disable_cleanup(true);
    let (file, temporary) = temporary.into_parts();
    if let Err(error) = replace_with(vfs, file, bytes, &temporary, path) {
        if let Err(error) = vfs.remove_file(&temporary) {
            tracing::warn!(path = %temporary.display(), %error, "cannot remove a temporary file");
        }
        return Err(error);
    }
    sync_dir(vfs, parent)
}

/// Writes `file`, which is called `temporary`, and gives it the name `path`.
fn replace_with(
    vfs: &dyn Vfs,
    mut file: Box<dyn VfsFile>,
    bytes: &[u8],
    temporary: &Path,
    path: &Path,
) -> Result<(), StoreError> {
    file.write_all(bytes).at("write", temporary)?;
    file.sync().at("sync", temporary)?;
    drop(file);
    vfs.rename(temporary, path).at("replace", path)
}

/// [`atomic_write_json`] over any file system.
pub(crate) fn atomic_write_json_in<T: Serialize>(
    vfs: &dyn Vfs,
    path: &Path,
    value: &T,
) -> Result<(), StoreError> {
    let bytes = encode_json(value)
        .map_err(|source| StoreError::Encode { what: path.display().to_string(), source })?;
    atomic_write_in(vfs, path, &bytes)
}

/// [`create_dir_durable`] over any file system.
pub(crate) fn create_dirs(vfs: &dyn Vfs, path: &Path) -> Result<(), StoreError> {
    let above = parent_of(path);
    if !vfs.is_dir(above) {
        create_dirs(vfs, above)?;
    }
    create_one_dir_durable(vfs, path)
}

/// [`create_dir_durable`] for a directory whose parent must be there already.
pub(crate) fn create_one_dir_durable(vfs: &dyn Vfs, path: &Path) -> Result<(), StoreError> {
    let created = create_dir_unsynced(vfs, path)?;
    match sync_dir(vfs, parent_of(path)) {
        // The directory above an old one may be somebody else's, and closed to us.
        Err(StoreError::Io { source, .. })
            if !created && source.kind() == io::ErrorKind::PermissionDenied =>
        {
            Ok(())
        }
        result => result,
    }
}

/// Creates a directory where it is missing, and tells whether it was. For what a crash may forget,
/// or what the caller syncs.
pub(crate) fn create_dir_unsynced(vfs: &dyn Vfs, path: &Path) -> Result<bool, StoreError> {
    match vfs.create_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && vfs.is_dir(path) => Ok(false),
        result => result.at("create the directory", path).map(|()| true),
    }
}

/// Syncs a directory: the names in it survive a power cut.
pub(crate) fn sync_dir(vfs: &dyn Vfs, path: &Path) -> Result<(), StoreError> {
    vfs.sync_dir(path).at("sync", path)
}

/// Points the symbolic link `link` to `target`, in one step and without a sync: it is a hint. The
/// link is made as `temporary` first.
pub(crate) fn replace_link(
    vfs: &dyn Vfs,
    temporary: &Path,
    link: &Path,
    target: &str,
) -> io::Result<()> {
    vfs.symlink(target, temporary)?;
    match vfs.rename(temporary, link) {
        // There are no links here, so none was made.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// Removes a directory with all it holds. What is gone already is no error: others may be
/// removing it too.
pub(crate) fn remove_tree(vfs: &dyn Vfs, dir: &Path) -> io::Result<()> {
    let gone = |result: io::Result<()>| match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    };
    let names = match vfs.list(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        result => result?,
    };
    for (name, kind) in names {
        let path = dir.join(name);
        match kind {
            FileKind::Directory => remove_tree(vfs, &path)?,
            FileKind::File | FileKind::Other => gone(vfs.remove_file(&path))?,
        }
    }
    gone(vfs.remove_dir(dir))
}

/// How many bytes are copied at a time.
const CHUNK: usize = 128 * 1024;

/// Copies everything from a reader to a writer.
pub(crate) fn copy(from: &mut dyn Read, to: &mut dyn Write) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(read) => to.write_all(&buffer[..read])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// How many bytes are written and hashed at a time.
const PIECE: usize = 64 * 1024;

/// A new file that is hashed while it is written.
pub(crate) struct StagedFile {
    path: PathBuf,
    file: Box<dyn VfsFile>,
    hasher: blake3::Hasher,
    length: u64,
    hashing: Duration,
}

impl StagedFile {
    /// Creates the file; it must not exist yet.
    pub(crate) fn create(vfs: &dyn Vfs, path: PathBuf) -> Result<Self, StoreError> {
        let file = vfs.create_new(&path).at("create", &path)?;
        let hasher = blake3::Hasher::new();
        Ok(Self { path, file, hasher, length: 0, hashing: Duration::ZERO })
    }

    /// Reserves room for content whose length is known.
    pub(crate) fn reserve(&self, length: u64) -> Result<(), StoreError> {
        self.file.reserve(length).at("reserve room for", &self.path)
    }

    /// Describes the content, which is complete but not synced yet, and tells how long hashing it
    /// took.
    pub(crate) fn finish(self, name: &str) -> (FileEntry, Duration, Unsynced) {
        self.file.start_sync();
        let blake3 = Digest::from(self.hasher.finalize());
        let entry = FileEntry { name: name.to_owned(), length: self.length, blake3 };
        (entry, self.hashing, Unsynced { path: self.path, file: self.file })
    }

    /// Where the file is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// A file that is complete but not synced.
#[must_use = "it is not synced yet"]
pub(crate) struct Unsynced {
    path: PathBuf,
    file: Box<dyn VfsFile>,
}

impl fmt::Debug for Unsynced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Unsynced").field(&self.path).finish()
    }
}

impl Unsynced {
    /// Syncs the content. The name is durable only once the directory is synced, which the commit
    /// does for all files at once.
    pub(crate) fn sync(self) -> Result<(), StoreError> {
        self.file.sync().at("sync", &self.path)
    }
}

impl Write for StagedFile {
    /// Takes a piece at a time: what is small is still in the processor's cache when it is hashed.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(&bytes[..bytes.len().min(PIECE)])?;
        let started = Instant::now();
        self.hasher.update(&bytes[..written]);
        self.hashing += started.elapsed();
        self.length += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

pub(crate) fn parent_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        Some(_) => Path::new("."),
        None => path,
    }
}

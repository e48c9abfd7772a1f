//! Every operation that makes something durable or visible: creating, syncing, renaming, linking.
//!
//! No other module does any of these, so what the store promises about crashes can be checked
//! here. Each helper that adds a name to a directory also syncs that directory, unless its
//! documentation says why not; no caller can forget it. A failed sync is reported and never
//! retried: after one, the kernel may report success for data that is lost.
#![expect(clippy::disallowed_methods, reason = "this module owns the operations banned elsewhere")]

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use tempfile::TempDir;

use crate::error::IoContext;
use crate::manifest::encode_json;
use crate::{Digest, FileEntry, StoreError};

/// Replaces the content of `path` in one step: readers see the old content or the new one, whole,
/// and so does a machine that lost its power, which keeps the new one once this returns.
///
/// # Errors
/// [`StoreError::Io`]; the old content is then untouched unless only the last step, the sync of
/// the directory, failed.
pub fn atomic_write(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let parent = parent_of(path);
    let mut file =
        temporary_names().tempfile_in(parent).at("create a temporary file in", parent)?;
    file.write_all(bytes).at("write", file.path())?;
    file.as_file().sync_all().at("sync", file.path())?;
    file.persist(path).map_err(|failed| failed.error).at("replace", path)?;
    sync_dir(parent)
}

/// [`atomic_write`] of `value` as pretty JSON with a final newline.
///
/// # Errors
/// [`StoreError::Encode`] when the value is not JSON; otherwise as [`atomic_write`].
pub fn atomic_write_json<T: Serialize>(path: &Path, value: &T) -> Result<(), StoreError> {
    let bytes = encode_json(value)
        .map_err(|source| StoreError::Encode { what: path.display().to_string(), source })?;
    atomic_write(path, &bytes)
}

/// Creates the directory `path`, and those above it that are missing, so that they survive a
/// power cut. One that is there already is made durable too: its creator may not have got so far.
///
/// # Errors
/// [`StoreError::Io`] when it cannot be created or synced, or is no directory.
pub fn create_dir_durable(path: &Path) -> Result<(), StoreError> {
    let above = parent_of(path);
    if !above.is_dir() {
        create_dir_durable(above)?;
    }
    create_one_dir_durable(path)
}

/// [`create_dir_durable`] for a directory whose parent must be there already.
pub(crate) fn create_one_dir_durable(path: &Path) -> Result<(), StoreError> {
    let created = create_dir_unsynced(path)?;
    match sync_dir(parent_of(path)) {
        // The directory above an old one may be somebody else's, and closed to us.
        Err(StoreError::Io { source, .. })
            if !created && source.kind() == io::ErrorKind::PermissionDenied =>
        {
            Ok(())
        }
        result => result,
    }
}

/// Creates a directory where it is missing, and tells whether it was. For what a crash may forget.
pub(crate) fn create_dir_unsynced(path: &Path) -> Result<bool, StoreError> {
    match fs::create_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(false),
        result => result.at("create the directory", path).map(|()| true),
    }
}

/// Opens `path` for appending; what it holds is kept. A file that was missing is created, and its
/// name is durable; what is appended is durable only once the caller syncs the file.
///
/// # Errors
/// [`StoreError::Io`] when the file cannot be opened or its directory cannot be synced.
pub fn append_file(path: &Path) -> Result<File, StoreError> {
    match OpenOptions::new().append(true).create_new(true).open(path) {
        Ok(file) => sync_dir(parent_of(path)).map(|()| file),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            OpenOptions::new().append(true).open(path).at("open", path)
        }
        Err(error) => Err(error).at("create", path),
    }
}

/// Syncs a directory: the names in it survive a power cut.
#[cfg(unix)]
pub(crate) fn sync_dir(path: &Path) -> Result<(), StoreError> {
    File::open(path).at("open", path)?.sync_all().at("sync", path)
}

/// Directories cannot be synced here; the file system journals names by itself.
#[cfg(not(unix))]
pub(crate) fn sync_dir(_path: &Path) -> Result<(), StoreError> {
    Ok(())
}

/// Creates the staging directory of a transaction. Its name is not synced: a crash may forget it.
pub(crate) fn create_staging(dir: &Path, prefix: &str) -> Result<TempDir, StoreError> {
    tempfile::Builder::new()
        .prefix(prefix)
        .rand_bytes(16)
        .tempdir_in(dir)
        .at("create a staging directory in", dir)
}

/// Gives the directory `from` the name `to`, both in one directory, unless `to` is taken: then it
/// changes nothing and returns false. The caller syncs the directory, because a failure of that
/// sync means something else to it than a failure of the rename.
pub(crate) fn rename_new(from: &Path, to: &Path) -> io::Result<bool> {
    match rename_exclusively(from, to) {
        Ok(()) => Ok(true),
        Err(error) if is_taken(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
fn rename_exclusively(from: &Path, to: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    use rustix::io::Errno;
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // The file system or the kernel does not know the flag.
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => rename_non_empty(from, to),
        result => Ok(result?),
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
fn rename_exclusively(from: &Path, to: &Path) -> io::Result<()> {
    rename_non_empty(from, to)
}

/// A plain rename of a directory refuses a target that is a file or a directory with content, and
/// a generation always has content, so this too is exclusive.
fn rename_non_empty(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)
}

fn is_taken(error: &io::Error) -> bool {
    use io::ErrorKind::{AlreadyExists, DirectoryNotEmpty, NotADirectory};
    matches!(error.kind(), AlreadyExists | DirectoryNotEmpty | NotADirectory)
}

/// Points the symbolic link `link` to `target`, in one step and without a sync: it is a hint.
#[cfg(unix)]
pub(crate) fn replace_link(link: &Path, target: &str) -> io::Result<()> {
    temporary_names()
        .make_in(parent_of(link), |path| std::os::unix::fs::symlink(target, path))?
        .into_temp_path()
        .persist(link)
        .map_err(|failed| failed.error)
}

/// Links need a privilege here that few users have, so there is none.
#[cfg(not(unix))]
pub(crate) fn replace_link(_link: &Path, _target: &str) -> io::Result<()> {
    Ok(())
}

/// Opens a lock file, creating it where it is missing; it is never truncated. Nothing depends on
/// its surviving a power cut, so neither it nor its name is synced.
pub(crate) fn open_lock_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)
}

/// Overwrites a small file in place, without any sync: for hints only. A reader may see a mixture
/// of old and new.
pub(crate) fn overwrite_hint(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = open_lock_file(path)?;
    file.write_all(bytes)?;
    file.set_len(bytes.len() as u64)
}

/// Removes a file that no reader has seen, so that it can be written anew.
pub(crate) fn remove_staged(path: &Path) -> Result<(), StoreError> {
    fs::remove_file(path).at("remove", path)
}

/// A new file that is hashed while it is written.
pub(crate) struct StagedFile {
    path: PathBuf,
    file: File,
    hasher: blake3::Hasher,
    length: u64,
}

impl StagedFile {
    /// Creates the file; it must not exist yet.
    pub(crate) fn create(path: PathBuf) -> Result<Self, StoreError> {
        let file =
            OpenOptions::new().write(true).create_new(true).open(&path).at("create", &path)?;
        Ok(Self { path, file, hasher: blake3::Hasher::new(), length: 0 })
    }

    /// Syncs the content and describes it. The name is durable only once the directory is synced,
    /// which the commit does for all files at once.
    pub(crate) fn finish(self, name: &str) -> Result<FileEntry, StoreError> {
        self.file.sync_all().at("sync", &self.path)?;
        let blake3 = Digest::from(self.hasher.finalize());
        Ok(FileEntry { name: name.to_owned(), length: self.length, blake3 })
    }

    /// Where the file is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Write for StagedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        self.length += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Names for files that live for a moment. Their mode is what an ordinary new file gets, not the
/// private one that is usual for temporary files: they become ordinary files.
fn temporary_names() -> tempfile::Builder<'static, 'static> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".tmp-").rand_bytes(12);
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder
}

fn parent_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        Some(_) => Path::new("."),
        None => path,
    }
}

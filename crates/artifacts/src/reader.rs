//! Reading a generation: everything is opened first, then checked against the manifest.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mambafleet_protocol::Symbol;

use crate::error::{IoContext, UNREADABLE};
use crate::manifest::MANIFEST_FILE;
use crate::vfs::{self, FileKind, Vfs, VfsFile};
use crate::{Digest, Fault, FileEntry, Manifest, Problem, Snapshot, StoreError};

/// A file that the manifest lists, opened, if it is there.
type Listed = (FileEntry, Result<Box<dyn VfsFile>, Problem>);

/// A manifest that is intact, and its files, opened.
pub(crate) type Contents = (Manifest, Vec<(FileEntry, Box<dyn VfsFile>)>);

/// A generation whose files are all open. It can be read to the end even when its directory is
/// removed meanwhile, and it cannot change into another generation.
pub(crate) struct Opened {
    dir: PathBuf,
    symbol: Symbol,
    generation: u64,
    manifest: Result<Manifest, Fault>,
    files: Vec<Listed>,
    extra: Vec<String>,
}

/// Opens all files of a generation.
pub(crate) fn open(
    vfs: Arc<dyn Vfs>,
    dir: PathBuf,
    symbol: &Symbol,
    generation: u64,
) -> Result<Opened, StoreError> {
    let manifest = read_manifest(&*vfs, &dir, symbol, generation)?;
    let mut found = list(&*vfs, &dir, symbol, generation)?;
    found.remove(MANIFEST_FILE);
    let entries = manifest.as_ref().map_or(&[][..], |manifest| &manifest.files);
    let mut files = Vec::with_capacity(entries.len());
    for entry in entries {
        let file = match found.remove(&entry.name) {
            None => Err(Problem::Missing),
            Some(false) => Err(Problem::NotAFile),
            Some(true) => {
                let path = dir.join(&entry.name);
                damage_or_error(vfs.open(&path), &path)?
            }
        };
        files.push((entry.clone(), file));
    }
    // Collectors remove the oldest first. While this generation still has its name, none that is
    // newer has been removed, so that the listing which found it cannot have missed one that an
    // earlier reader saw.
    if is_gone(&*vfs, &dir) {
        return Err(not_found(symbol, generation));
    }
    // Without a manifest there is no telling which files are superfluous.
    let extra = if manifest.is_ok() { found.into_keys().collect() } else { Vec::new() };
    Ok(Opened { dir, symbol: symbol.clone(), generation, manifest, files, extra })
}

/// Reads and checks the manifest alone.
pub(crate) fn read_manifest(
    vfs: &dyn Vfs,
    dir: &Path,
    symbol: &Symbol,
    generation: u64,
) -> Result<Result<Manifest, Fault>, StoreError> {
    let path = dir.join(MANIFEST_FILE);
    let parsed = match vfs.kind(&path) {
        Ok(FileKind::Directory | FileKind::Other) => Err(Problem::NotAFile),
        Ok(FileKind::File) => damage_or_error(vfs::read(vfs, &path), &path)?
            .and_then(|bytes| Manifest::parse(&bytes, symbol, generation)),
        Err(error) => damage_or_error(Err(error), &path)?,
    };
    if matches!(parsed, Err(Problem::Missing)) && is_gone(vfs, dir) {
        return Err(not_found(symbol, generation));
    }
    let fault = |problem| Fault { generation, file: MANIFEST_FILE.to_owned(), problem };
    Ok(parsed.map_err(fault))
}

impl Opened {
    /// The manifest, which must be intact, and the files, which must be there; their content has
    /// yet to be compared.
    pub(crate) fn into_files(self) -> Result<Contents, StoreError> {
        let Self { symbol, generation, manifest, files, .. } = self;
        let corrupt = |fault| StoreError::corrupt(&symbol, fault);
        let manifest = manifest.map_err(corrupt)?;
        let files = files.into_iter().map(|(entry, file)| match file {
            Ok(file) => Ok((entry, file)),
            Err(problem) => Err(corrupt(Fault { generation, file: entry.name, problem })),
        });
        Ok((manifest, files.collect::<Result<_, _>>()?))
    }

    /// Reads all files, and accepts them only when each is what the manifest says.
    pub(crate) fn load(self) -> Result<Snapshot, StoreError> {
        let Self { dir, symbol, generation, manifest, files, extra } = self;
        let corrupt = |fault| StoreError::corrupt(&symbol, fault);
        let manifest = manifest.map_err(corrupt)?;
        if !extra.is_empty() {
            tracing::warn!(%symbol, generation, ?extra, "ignoring files that do not belong here");
        }
        let mut contents = BTreeMap::new();
        for (entry, file) in files {
            let fault = |problem| Fault { generation, file: entry.name.clone(), problem };
            let content = match file {
                Ok(file) => read_verified(file, &entry, &dir)?,
                Err(problem) => Err(problem),
            };
            let bytes = content.map_err(|problem| corrupt(fault(problem)))?;
            contents.insert(entry.name, bytes);
        }
        Ok(Snapshot::new(manifest, contents))
    }

    /// Checks all files, keeping none of them, and collects every fault. The manifest's own fault,
    /// if any, stands in its place.
    pub(crate) fn check(self) -> Result<(Result<Manifest, Fault>, Vec<Fault>), StoreError> {
        let Self { dir, generation, manifest, files, extra, .. } = self;
        let fault = |file, problem| Fault { generation, file, problem };
        let mut faults = Vec::new();
        for (entry, file) in files {
            let checked = match file {
                Ok(file) => check_file(file, &entry, &dir)?,
                Err(problem) => Err(problem),
            };
            if let Err(problem) = checked {
                faults.push(fault(entry.name, problem));
            }
        }
        faults.extend(extra.into_iter().map(|file| fault(file, Problem::Extra)));
        Ok((manifest, faults))
    }
}

/// The names in a generation, and whether each is a regular file. Nothing else is ever opened: a
/// named pipe, for instance, would block the reader.
fn list(
    vfs: &dyn Vfs,
    dir: &Path,
    symbol: &Symbol,
    generation: u64,
) -> Result<BTreeMap<String, bool>, StoreError> {
    let entries = match vfs.list(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(not_found(symbol, generation));
        }
        result => result.at("list", dir)?,
    };
    let entry = |(name, kind): (std::ffi::OsString, FileKind)| {
        (name.to_string_lossy().into_owned(), kind == FileKind::File)
    };
    Ok(entries.into_iter().map(entry).collect())
}

/// Whether the directory has lost its name, as far as the operating system will say.
fn is_gone(vfs: &dyn Vfs, dir: &Path) -> bool {
    vfs.kind(dir).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

fn read_verified(
    mut file: Box<dyn VfsFile>,
    entry: &FileEntry,
    dir: &Path,
) -> Result<Result<Vec<u8>, Problem>, StoreError> {
    let path = dir.join(&entry.name);
    if let Err(problem) = check_length(&*file, entry, &path)? {
        return Ok(Err(problem));
    }
    let mut bytes = Vec::new();
    let read = file.read_to_end(&mut bytes);
    let verified = damage_or_error(read, &path)?.and_then(|_| compare(entry, blake3::hash(&bytes)));
    Ok(verified.map(|()| bytes))
}

/// Reads one file and checks it.
pub(crate) fn read_entry(
    vfs: &dyn Vfs,
    dir: &Path,
    entry: &FileEntry,
) -> Result<Result<Vec<u8>, Problem>, StoreError> {
    let path = dir.join(&entry.name);
    match damage_or_error(vfs.open(&path), &path)? {
        Ok(file) => read_verified(file, entry, dir),
        Err(problem) => Ok(Err(problem)),
    }
}

fn check_file(
    file: Box<dyn VfsFile>,
    entry: &FileEntry,
    dir: &Path,
) -> Result<Result<(), Problem>, StoreError> {
    let path = dir.join(&entry.name);
    if let Err(problem) = check_length(&*file, entry, &path)? {
        return Ok(Err(problem));
    }
    let mut hasher = blake3::Hasher::new();
    let read = hasher.update_reader(file).map(|hasher| hasher.finalize());
    Ok(damage_or_error(read, &path)?.and_then(|found| compare(entry, found)))
}

/// Compares the length before anything is read: a length that is wrong says more than a hash.
fn check_length(
    file: &dyn VfsFile,
    entry: &FileEntry,
    path: &Path,
) -> Result<Result<(), Problem>, StoreError> {
    let (expected, found) = (entry.length, file.length().at("look at", path)?);
    Ok(if expected == found { Ok(()) } else { Err(Problem::Length { expected, found }) })
}

fn compare(entry: &FileEntry, found: blake3::Hash) -> Result<(), Problem> {
    let (expected, found) = (entry.blake3, Digest::from(found));
    if expected == found { Ok(()) } else { Err(Problem::Hash { expected, found }) }
}

/// Tells damage, which readers may step over, from a refusal, which says nothing about the data:
/// falling back because there are too many open files would be wrong.
fn damage_or_error<T>(
    result: io::Result<T>,
    path: &Path,
) -> Result<Result<T, Problem>, StoreError> {
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Err(Problem::Missing)),
        Err(error) if error.raw_os_error() == Some(UNREADABLE) => {
            Ok(Err(Problem::Unreadable { reason: error.to_string() }))
        }
        Err(error) => Err(error).at("read", path),
    }
}

fn not_found(symbol: &Symbol, generation: u64) -> StoreError {
    StoreError::NotFound { symbol: symbol.clone(), generation }
}

//! Reading a generation: everything is opened first, then checked against the manifest.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use mambafleet_protocol::Symbol;

use crate::error::IoContext;
use crate::manifest::MANIFEST_FILE;
use crate::{Digest, Fault, FileEntry, Manifest, Problem, Snapshot, StoreError};

/// A generation whose files are all open. It can be read to the end even when its directory is
/// removed meanwhile, and it cannot change into another generation.
pub(crate) struct Opened {
    dir: PathBuf,
    symbol: Symbol,
    generation: u64,
    manifest: Result<Manifest, Fault>,
    files: Vec<(FileEntry, Result<File, Problem>)>,
    extra: Vec<String>,
}

/// Opens all files of a generation.
pub(crate) fn open(dir: PathBuf, symbol: &Symbol, generation: u64) -> Result<Opened, StoreError> {
    let manifest = read_manifest(&dir, symbol, generation)?;
    let mut found = list(&dir, symbol, generation)?;
    found.remove(MANIFEST_FILE);
    let entries = manifest.as_ref().map_or(&[][..], |manifest| &manifest.files);
    let mut files = Vec::with_capacity(entries.len());
    for entry in entries {
        let file = match found.remove(&entry.name) {
            None => Err(Problem::Missing),
            Some(false) => Err(Problem::NotAFile),
            Some(true) => open_file(&dir.join(&entry.name))?,
        };
        files.push((entry.clone(), file));
    }
    let vanished = files.iter().any(|(_, file)| matches!(file, Err(Problem::Missing)));
    if vanished && !dir.exists() {
        return Err(not_found(symbol, generation));
    }
    // Without a manifest there is no telling which files are superfluous.
    let extra = if manifest.is_ok() { found.into_keys().collect() } else { Vec::new() };
    Ok(Opened { dir, symbol: symbol.clone(), generation, manifest, files, extra })
}

/// Reads and checks the manifest alone.
pub(crate) fn read_manifest(
    dir: &Path,
    symbol: &Symbol,
    generation: u64,
) -> Result<Result<Manifest, Fault>, StoreError> {
    let path = dir.join(MANIFEST_FILE);
    let parsed = match fs::symlink_metadata(&path) {
        Ok(meta) if !meta.is_file() => Err(Problem::NotAFile),
        Ok(_) => damage_or_error(fs::read(&path), &path)?
            .and_then(|bytes| Manifest::parse(&bytes, symbol, generation)),
        Err(_) if !dir.exists() => return Err(not_found(symbol, generation)),
        Err(error) => damage_or_error(Err(error), &path)?,
    };
    let fault = |problem| Fault { generation, file: MANIFEST_FILE.to_owned(), problem };
    Ok(parsed.map_err(fault))
}

impl Opened {
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
    dir: &Path,
    symbol: &Symbol,
    generation: u64,
) -> Result<BTreeMap<String, bool>, StoreError> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(not_found(symbol, generation));
        }
        result => result.at("list", dir)?,
    };
    let mut found = BTreeMap::new();
    for entry in entries {
        let entry = entry.at("list", dir)?;
        let is_file = entry.file_type().at("look at", &entry.path())?.is_file();
        found.insert(entry.file_name().to_string_lossy().into_owned(), is_file);
    }
    Ok(found)
}

fn open_file(path: &Path) -> Result<Result<File, Problem>, StoreError> {
    damage_or_error(File::open(path), path)
}

fn read_verified(
    mut file: File,
    entry: &FileEntry,
    dir: &Path,
) -> Result<Result<Vec<u8>, Problem>, StoreError> {
    let path = dir.join(&entry.name);
    if let Err(problem) = check_length(&file, entry, &path)? {
        return Ok(Err(problem));
    }
    let mut bytes = Vec::new();
    let read = file.read_to_end(&mut bytes);
    let verified = damage_or_error(read, &path)?.and_then(|_| compare(entry, blake3::hash(&bytes)));
    Ok(verified.map(|()| bytes))
}

fn check_file(
    file: File,
    entry: &FileEntry,
    dir: &Path,
) -> Result<Result<(), Problem>, StoreError> {
    let path = dir.join(&entry.name);
    if let Err(problem) = check_length(&file, entry, &path)? {
        return Ok(Err(problem));
    }
    let mut hasher = blake3::Hasher::new();
    let read = hasher.update_reader(file).map(|hasher| hasher.finalize());
    Ok(damage_or_error(read, &path)?.and_then(|found| compare(entry, found)))
}

/// Compares the length before anything is read: a length that is wrong says more than a hash.
fn check_length(
    file: &File,
    entry: &FileEntry,
    path: &Path,
) -> Result<Result<(), Problem>, StoreError> {
    let (expected, found) = (entry.length, file.metadata().at("look at", path)?.len());
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

/// What the system says of a bad sector or a checksum of its own that does not fit.
#[cfg(unix)]
const UNREADABLE: i32 = rustix::io::Errno::IO.raw_os_error();
#[cfg(not(unix))]
const UNREADABLE: i32 = 23; // ERROR_CRC

fn not_found(symbol: &Symbol, generation: u64) -> StoreError {
    StoreError::NotFound { symbol: symbol.clone(), generation }
}

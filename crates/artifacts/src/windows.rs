//! What Windows needs in place of the calls that serve elsewhere, or around them. A part of
//! [`vfs`](crate::vfs).

use std::fs::{self, File};
use std::io;
use std::os::windows::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use tempfile::TempPath;

// Numbers of errors, as winerror.h has them.
const INVALID_FUNCTION: i32 = 1;
const ACCESS_DENIED: i32 = 5;
const SHARING_VIOLATION: i32 = 32;
const NOT_SUPPORTED: i32 = 50;

/// Opens directories too.
const FILE_FLAG_BACKUP_SEMANTICS: u32 = 0x0200_0000;

/// From this length on, system calls take a path in its verbatim form only. The limit is 260, but
/// 248 for directories.
const LONG: usize = 240;

/// The first pause before something is tried again; each one is twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(3);

/// How often something is tried again: for 0.8 seconds altogether, give or take a half.
const RETRIES: u32 = 8;

/// Tries again, for about 0.8 seconds, what is refused because somebody else has the file, or one
/// in the directory, open. Virus scanners, indexers and backups do so for moments; a name that is
/// being deleted is refused too, until its last reader is done. A refusal for good takes as long.
pub(crate) fn patiently<T>(attempt: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    again_after(&[ACCESS_DENIED, SHARING_VIOLATION], attempt)
}

fn again_after<T>(codes: &[i32], mut attempt: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    for retry in 0..RETRIES {
        match attempt() {
            Err(error) if is_one_of(&error, codes) => {
                let pause = FIRST_PAUSE * 2_u32.pow(retry);
                thread::sleep(pause.mul_f64(rand::random_range(0.5..1.5)));
            }
            result => return result,
        }
    }
    attempt()
}

fn is_one_of(error: &io::Error, codes: &[i32]) -> bool {
    error.raw_os_error().is_some_and(|code| codes.contains(&code))
}

/// Renames a directory unless there is something of the new name. The standard library's rename
/// would replace a file or an empty directory; this one asks the system not to, and is meant for
/// temporary files, but does the same for directories.
pub(crate) fn rename_exclusively(from: &Path, to: &Path) -> io::Result<()> {
    let (from, to) = (reachable(from)?, reachable(to)?);
    patiently(|| {
        let mut from = TempPath::try_from_path(&from)?;
        from.disable_cleanup(true);
        from.persist_noclobber(&to).map_err(|error| error.error)
    })
}

/// A path whose length is no obstacle: in its verbatim form, where it is long.
fn reachable(path: &Path) -> io::Result<PathBuf> {
    let path = std::path::absolute(path)?;
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) if path.as_os_str().len() >= LONG => {
            Ok(fs::canonicalize(parent)?.join(name))
        }
        _ => Ok(path),
    }
}

/// Writes the names in a directory to the disk. Some file systems cannot, and some network shares
/// open no directory for writing: there the journal has to do.
pub(crate) fn sync_dir(dir: &Path) -> io::Result<()> {
    let open = || File::options().write(true).custom_flags(FILE_FLAG_BACKUP_SEMANTICS).open(dir);
    let opened = match again_after(&[SHARING_VIOLATION], open) {
        Err(error) if is_one_of(&error, &[ACCESS_DENIED]) => return Ok(()),
        result => result?,
    };
    match crate::vfs::VfsFile::sync(&opened) {
        Err(error) if is_one_of(&error, &[INVALID_FUNCTION, NOT_SUPPORTED]) => Ok(()),
        result => result,
    }
}

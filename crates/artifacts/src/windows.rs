//! What Windows needs in place of the calls that serve elsewhere, or around them. A part of
//! [`vfs`](crate::vfs).

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::windows::fs::OpenOptionsExt;
use std::path::{Component, Path, PathBuf, Prefix};
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
    Ok(if path.as_os_str().len() < LONG { path } else { verbatim(path) })
}

fn verbatim(path: PathBuf) -> PathBuf {
    let Some(Component::Prefix(prefix)) = path.components().next() else { return path };
    let mut start = OsString::from(r"\\?\");
    match prefix.kind() {
        Prefix::Disk(_) => start.push(prefix.as_os_str()),
        Prefix::UNC(server, share) => {
            let parts = ["UNC".as_ref(), server, share];
            start.push(parts.join(OsStr::new(r"\")));
        }
        _ => return path,
    }
    let mut verbatim = PathBuf::from(start);
    verbatim.extend(path.components().skip(1));
    verbatim
}

/// Writes the names in a directory to the disk. Some file systems cannot, and some network shares
/// open no directory for writing: there the journal has to do.
#[expect(clippy::disallowed_methods, reason = "this is a part of the module that owns it")]
pub(crate) fn sync_dir(dir: &Path) -> io::Result<()> {
    let open = || File::options().write(true).custom_flags(FILE_FLAG_BACKUP_SEMANTICS).open(dir);
    let opened = match again_after(&[SHARING_VIOLATION], open) {
        Err(error) if is_one_of(&error, &[ACCESS_DENIED]) => return Ok(()),
        result => result?,
    };
    match opened.sync_all() {
        Err(error) if is_one_of(&error, &[INVALID_FUNCTION, NOT_SUPPORTED]) => Ok(()),
        result => result,
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests set up files in place")]
mod tests {
    use std::fs;

    use super::*;
    use crate::vfs::{RealVfs, Vfs};

    #[test]
    fn a_directory_never_takes_the_name_of_anything_else() {
        let dir = tempfile::tempdir().unwrap();
        let [from, empty, full, file, free] =
            ["from", "empty", "full", "file", "free"].map(|name| dir.path().join(name));
        for made in [&from, &empty, &full] {
            fs::create_dir(made).unwrap();
        }
        fs::write(from.join("inside"), "mine").unwrap();
        fs::write(full.join("inside"), "theirs").unwrap();
        fs::write(&file, "theirs").unwrap();
        for taken in [&empty, &full, &file] {
            assert!(!RealVfs.rename_new(&from, taken).unwrap(), "{}", taken.display());
        }
        assert_eq!(fs::read(&file).unwrap(), b"theirs");
        assert_eq!(fs::read_dir(&empty).unwrap().count(), 0);
        assert!(RealVfs.rename_new(&from, &free).unwrap());
        assert_eq!(fs::read(free.join("inside")).unwrap(), b"mine");
        assert!(!from.exists());
        assert!(RealVfs.rename_new(&from, &dir.path().join("other")).is_err(), "nothing there");
    }

    #[test]
    fn long_paths_are_renamed_and_synced_too() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("a".repeat(150)).join("b".repeat(150));
        fs::create_dir_all(deep.join("from")).unwrap();
        assert!(RealVfs.rename_new(&deep.join("from"), &deep.join("to")).unwrap());
        fs::create_dir(deep.join("from")).unwrap();
        assert!(!RealVfs.rename_new(&deep.join("from"), &deep.join("to")).unwrap());
        RealVfs.sync_dir(&deep).unwrap();
    }

    #[test]
    fn paths_become_verbatim_whatever_they_begin_with() {
        for (path, expected) in [
            (r"C:\a\b", r"\\?\C:\a\b"),
            (r"\\server\share\a\b", r"\\?\UNC\server\share\a\b"),
            (r"\\?\C:\a\b", r"\\?\C:\a\b"),
            (r"\\?\UNC\server\share\a", r"\\?\UNC\server\share\a"),
        ] {
            assert_eq!(verbatim(path.into()).as_os_str(), expected);
        }
        let short = reachable(Path::new(r"C:\a")).unwrap();
        assert_eq!(short.as_os_str(), r"C:\a");
    }

    #[test]
    fn directories_are_synced_and_missing_ones_are_missed() {
        let dir = tempfile::tempdir().unwrap();
        RealVfs.sync_dir(dir.path()).unwrap();
        let missing = RealVfs.sync_dir(&dir.path().join("missing")).unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn what_is_refused_for_a_moment_is_tried_again_and_nothing_else() {
        let attempts = |code: i32, refusals: usize| {
            let mut attempts = 0;
            let result = patiently(|| {
                attempts += 1;
                if attempts > refusals { Ok(()) } else { Err(io::Error::from_raw_os_error(code)) }
            });
            (result.map_err(|error| error.raw_os_error()), attempts)
        };
        assert_eq!(attempts(SHARING_VIOLATION, 2), (Ok(()), 3));
        assert_eq!(attempts(ACCESS_DENIED, 2), (Ok(()), 3));
        assert_eq!(attempts(INVALID_FUNCTION, 2), (Err(Some(INVALID_FUNCTION)), 1));
        assert_eq!(attempts(ACCESS_DENIED, 100), (Err(Some(ACCESS_DENIED)), 9));
    }

    #[test]
    fn a_file_that_others_have_open_for_themselves_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs::write(&path, "content").unwrap();
        let alone = File::options().read(true).share_mode(0).open(&path).unwrap();
        assert!(File::open(&path).is_err());
        thread::scope(|scope| {
            let opener = scope.spawn(|| RealVfs.open(&path).map(drop));
            thread::sleep(Duration::from_millis(50));
            drop(alone);
            opener.join().unwrap().unwrap();
        });
    }
}

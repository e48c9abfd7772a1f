//! The file system as the store sees it: the one seam through which everything passes.
//!
//! [`RealVfs`] is the operating system. Tests put others in its place, which record what is done,
//! or fail on demand: see [`StoreOptions::vfs`](crate::StoreOptions::vfs). An implementation must
//! keep the promises of each operation; the store's own promises rest on them.
#![expect(clippy::disallowed_methods, reason = "this module owns the operations banned elsewhere")]

use std::ffi::OsString;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

#[cfg(windows)]
use crate::windows::{patiently, rename_exclusively};

/// What a name in a directory stands for; links are not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A link, a pipe, a device.
    Other,
}

impl From<fs::FileType> for FileKind {
    fn from(kind: fs::FileType) -> Self {
        if kind.is_file() {
            Self::File
        } else if kind.is_dir() {
            Self::Directory
        } else {
            Self::Other
        }
    }
}

/// What is known of the file system that holds a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FileSystem {
    /// How many bytes this user may still write, where the system tells.
    pub available: Option<u64>,
    /// Its name, when other machines may have it mounted too.
    pub network: Option<&'static str>,
}

/// An open file.
pub trait VfsFile: Read + Write + Send + Sync {
    /// Makes the content survive a power cut; the file's name may still be forgotten.
    ///
    /// # Errors
    /// Those of the operating system; what was written must then be taken for lost.
    fn sync(&self) -> io::Result<()>;

    /// Lets what was written so far set out for the disk, where the system can be asked for that:
    /// a hint, which makes a later [`sync`](Self::sync) of this and other files cheaper.
    fn start_sync(&self);

    /// The length of the content in bytes.
    ///
    /// # Errors
    /// Those of the operating system.
    fn length(&self) -> io::Result<u64>;

    /// Reserves room for `length` bytes, where that is possible, without changing the content.
    ///
    /// # Errors
    /// Those of the operating system: there is not enough room.
    fn reserve(&self, length: u64) -> io::Result<()>;

    /// Replaces the whole content of a small file in place. Nothing is synced and nothing is
    /// atomic: this is for hints.
    ///
    /// # Errors
    /// Those of the operating system.
    fn overwrite(&mut self, bytes: &[u8]) -> io::Result<()>;
}

/// The operations of a file system that the store needs.
///
/// Where nothing else is said, errors are those of the operating system.
#[expect(clippy::missing_errors_doc, reason = "said once, above, for all of them")]
pub trait Vfs: fmt::Debug + Send + Sync {
    /// The names in a directory, in any order.
    fn list(&self, dir: &Path) -> io::Result<Vec<(OsString, FileKind)>>;

    /// What `path` is; a link is not followed.
    fn kind(&self, path: &Path) -> io::Result<FileKind>;

    /// Whether `path` is a directory or a link to one.
    fn is_dir(&self, path: &Path) -> bool;

    /// The one name that identifies what `path`, which must exist, stands for.
    fn canonicalize(&self, path: &Path) -> io::Result<PathBuf>;

    /// Opens a file for reading.
    fn open(&self, path: &Path) -> io::Result<Box<dyn VfsFile>>;

    /// Describes the file system that holds `dir`.
    fn describe(&self, dir: &Path) -> io::Result<FileSystem>;

    /// Creates a directory, which must not exist.
    fn create_dir(&self, path: &Path) -> io::Result<()>;

    /// Creates a file, which must not exist, for writing.
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn VfsFile>>;

    /// Opens a file to be locked, creating it where it is missing. Its content is left alone.
    fn lock_file(&self, path: &Path) -> io::Result<File>;

    /// Opens a small file that holds a hint for reading and
    /// [overwriting](VfsFile::overwrite), creating it where it is missing. Its name is not synced.
    fn open_hint(&self, path: &Path) -> io::Result<Box<dyn VfsFile>>;

    /// Gives the directory `from` the name `to` in the same directory, in one step, and returns
    /// true; when `to` is taken, changes nothing and returns false.
    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<bool>;

    /// Gives `from` the name `to` in the same directory, in one step, whatever was called so.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Creates a symbolic link, which must not exist; does nothing where links need a privilege.
    fn symlink(&self, target: &str, link: &Path) -> io::Result<()>;

    /// Where a symbolic link points to.
    fn read_link(&self, link: &Path) -> io::Result<OsString>;

    /// Removes a file or a link.
    fn remove_file(&self, path: &Path) -> io::Result<()>;

    /// Removes an empty directory.
    fn remove_dir(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a directory survive a power cut. Where directories cannot be synced, the
    /// file system journals names by itself.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
}

/// The whole content of a file.
pub(crate) fn read(vfs: &dyn Vfs, path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    vfs.open(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The operating system's file systems.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealVfs;

impl VfsFile for File {
    fn sync(&self) -> io::Result<()> {
        self.sync_all()
    }

    /// The advice that what was written is not needed in memory begins to write it back. Blocks on
    /// the disk are found for all files before the first of them is synced, and the journal is
    /// then written once, not once per file.
    #[cfg(target_os = "linux")]
    fn start_sync(&self) {
        if let Err(error) = rustix::fs::fadvise(self, 0, None, rustix::fs::Advice::DontNeed) {
            tracing::trace!(%error, "cannot begin to write back");
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn start_sync(&self) {}

    fn length(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    #[cfg(target_os = "linux")]
    fn reserve(&self, length: u64) -> io::Result<()> {
        use rustix::fs::{FallocateFlags, fallocate};
        use rustix::io::Errno;
        match fallocate(self, FallocateFlags::KEEP_SIZE, 0, length) {
            Err(Errno::NOSPC) => Err(Errno::NOSPC.into()),
            Err(Errno::DQUOT) => Err(Errno::DQUOT.into()),
            // The file system knows no reservation: then writing itself will tell.
            _ => Ok(()),
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn reserve(&self, _length: u64) -> io::Result<()> {
        Ok(())
    }

    fn overwrite(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.rewind()?;
        self.write_all(bytes)?;
        let length = bytes.len() as u64;
        if self.metadata()?.len() == length { Ok(()) } else { self.set_len(length) }
    }
}

impl Vfs for RealVfs {
    fn list(&self, dir: &Path) -> io::Result<Vec<(OsString, FileKind)>> {
        let name = |entry: io::Result<fs::DirEntry>| {
            let entry = entry?;
            Ok((entry.file_name(), entry.file_type()?.into()))
        };
        patiently(|| fs::read_dir(dir)?.map(name).collect())
    }

    fn kind(&self, path: &Path) -> io::Result<FileKind> {
        Ok(patiently(|| fs::symlink_metadata(path))?.file_type().into())
    }

    fn is_dir(&self, path: &Path) -> bool {
        path.is_dir()
    }

    fn canonicalize(&self, path: &Path) -> io::Result<PathBuf> {
        if cfg!(unix) { fs::canonicalize(path) } else { std::path::absolute(path) }
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn VfsFile>> {
        Ok(Box::new(patiently(|| File::open(path))?))
    }

    fn describe(&self, dir: &Path) -> io::Result<FileSystem> {
        Ok(FileSystem { available: Some(fs4::available_space(dir)?), network: network(dir)? })
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        fs::create_dir(path)
    }

    fn create_new(&self, path: &Path) -> io::Result<Box<dyn VfsFile>> {
        let create = || OpenOptions::new().write(true).create_new(true).open(path);
        Ok(Box::new(patiently(create)?))
    }

    fn lock_file(&self, path: &Path) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        patiently(|| options.open(path))
    }

    fn open_hint(&self, path: &Path) -> io::Result<Box<dyn VfsFile>> {
        Ok(Box::new(self.lock_file(path)?))
    }

    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<bool> {
        match rename_exclusively(from, to) {
            Ok(()) => Ok(true),
            Err(error) if is_taken(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        patiently(|| fs::rename(from, to))
    }

    #[cfg(unix)]
    fn symlink(&self, target: &str, link: &Path) -> io::Result<()> {
        std::os::unix::fs::symlink(target, link)
    }

    #[cfg(not(unix))]
    fn symlink(&self, _target: &str, _link: &Path) -> io::Result<()> {
        Ok(())
    }

    fn read_link(&self, link: &Path) -> io::Result<OsString> {
        Ok(fs::read_link(link)?.into_os_string())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        patiently(|| fs::remove_file(path))
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir(path)
    }

    #[cfg(unix)]
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }

    #[cfg(windows)]
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        crate::windows::sync_dir(dir)
    }
}

/// Only Windows refuses for moments what it allows later.
#[cfg(not(windows))]
fn patiently<T>(mut attempt: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    attempt()
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

#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple", windows)))]
fn rename_exclusively(from: &Path, to: &Path) -> io::Result<()> {
    rename_non_empty(from, to)
}

/// A plain rename of a directory refuses a target that is a file or a directory with content, and
/// a generation always has content, so this too is exclusive.
#[cfg(not(windows))]
fn rename_non_empty(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)
}

fn is_taken(error: &io::Error) -> bool {
    use io::ErrorKind::{AlreadyExists, DirectoryNotEmpty, NotADirectory};
    matches!(error.kind(), AlreadyExists | DirectoryNotEmpty | NotADirectory)
}

/// The name of the file system that holds `dir`, when it is one that several machines share. The
/// numbers are those of statfs(2).
#[cfg(target_os = "linux")]
fn network(dir: &Path) -> io::Result<Option<&'static str>> {
    // The kernel's numbers are 32 bits wide, whatever the field's type.
    let magic = rustix::fs::statfs(dir)?.f_type as u32;
    Ok(match magic {
        0x0000_6969 => Some("NFS"),
        0x0000_517B | 0xFF53_4D42 | 0xFE53_4D42 => Some("SMB"),
        0x00C3_6400 => Some("Ceph"),
        0x0BD0_0BD0 => Some("Lustre"),
        0x4750_4653 => Some("GPFS"),
        0x7461_636F => Some("OCFS2"),
        0x0116_1970 => Some("GFS2"),
        0x0102_1997 => Some("9P"),
        0x5346_414F | 0x6B41_4653 => Some("AFS"),
        0x7375_7245 => Some("Coda"),
        0x1983_0326 => Some("BeeGFS"),
        0x6573_5546 => Some("FUSE"),
        _ => None,
    })
}

#[cfg(not(target_os = "linux"))]
fn network(_dir: &Path) -> io::Result<Option<&'static str>> {
    Ok(None)
}

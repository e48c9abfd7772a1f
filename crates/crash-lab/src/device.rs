//! Block devices, file systems and mounts of the virtual machine.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::fs::SeekFrom;
use rustix::mount::{MountFlags, UnmountFlags};

use crate::image::{Image, PAGE};
use crate::{Context, LabError};

/// Pages that are compared at once.
const BATCH: usize = 256 * PAGE;

/// A file system under test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum FileSystem {
    /// The default of most distributions.
    Ext4,
    /// Journals metadata only, never data.
    Xfs,
    /// Copies on write.
    Btrfs,
}

impl FileSystem {
    /// Its name, as `mount` knows it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ext4 => "ext4",
            Self::Xfs => "xfs",
            Self::Btrfs => "btrfs",
        }
    }

    /// A size close to the least that it accepts, in bytes.
    #[must_use]
    pub fn size(self) -> u64 {
        let mebibytes = match self {
            Self::Ext4 => 64,
            Self::Xfs => 304,
            Self::Btrfs => 128,
        };
        mebibytes << 20
    }

    /// Makes an empty one in a file.
    ///
    /// # Errors
    /// When the file cannot be made or the program fails.
    pub fn make(self, path: &Path) -> Result<(), LabError> {
        let path = create_file(path, self.size())?;
        let path = path.to_string_lossy();
        match self {
            // Nothing is left for later: no writes but those of the workload.
            Self::Ext4 => {
                let now = "lazy_itable_init=0,lazy_journal_init=0";
                run("mkfs.ext4", &["-q", "-F", "-N", "8192", "-E", now, &path])
            }
            Self::Xfs => run("mkfs.xfs", &["-q", "-f", &path]),
            Self::Btrfs => run("mkfs.btrfs", &["-q", "-f", &path]),
        }
    }

    /// Mounts a device.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn mount(self, device: &Path, target: &Path) -> Result<Mounted, LabError> {
        rustix::mount::mount(device, target, self.name(), MountFlags::empty(), None)
            .context(|| format!("mount {} of {}", self.name(), device.display()))?;
        Ok(Mounted { target: target.to_owned(), done: false })
    }
}

/// A mounted file system; unmounted when this is dropped.
#[derive(Debug)]
pub struct Mounted {
    target: PathBuf,
    done: bool,
}

impl Mounted {
    /// Unmounts it.
    ///
    /// # Errors
    /// When it is in use.
    pub fn unmount(mut self) -> Result<(), LabError> {
        self.done = true;
        rustix::mount::unmount(&self.target, UnmountFlags::empty())
            .context(|| format!("unmount {}", self.target.display()))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        if !self.done {
            let _ = rustix::mount::unmount(&self.target, UnmountFlags::DETACH);
        }
    }
}

/// Runs a program.
///
/// # Errors
/// [`LabError::Command`], with what it printed, when it fails.
pub fn run(program: &str, arguments: &[&str]) -> Result<(), LabError> {
    let command = || format!("{program} {}", arguments.join(" "));
    let output = Command::new(program)
        .args(arguments)
        // There is no udev: libdevmapper makes its device nodes itself.
        .env("DM_DISABLE_UDEV", "1")
        .stdin(Stdio::null())
        .output()
        .context(|| format!("run {}", command()))?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(LabError::Command { command: command(), output: format!("{}: {text}", output.status) })
}

/// Makes an empty sparse file; an old one is emptied.
///
/// # Errors
/// When the operating system refuses.
pub fn create_file(path: &Path, length: u64) -> Result<&Path, LabError> {
    OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(true)
        .open(path)
        .and_then(|file| file.set_len(length))
        .context(|| format!("create {}", path.display()))?;
    Ok(path)
}

/// A disk whose whole content can be set: a loop device on a file in memory.
#[derive(Debug)]
pub struct Disk {
    file: File,
    device: PathBuf,
    buffer: Vec<u8>,
}

impl Disk {
    /// A disk of zeros, as loop device number `number`.
    ///
    /// # Errors
    /// When the file or the device cannot be made.
    pub fn new(file: &Path, number: u32, length: u64) -> Result<Self, LabError> {
        create_file(file, length)?;
        let device = PathBuf::from(format!("/dev/loop{number}"));
        run("losetup", &[&device.to_string_lossy(), &file.to_string_lossy()])?;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(file)
            .context(|| format!("open {}", file.display()))?;
        Ok(Self { file, device, buffer: vec![0; BATCH] })
    }

    /// The device.
    #[must_use]
    pub fn device(&self) -> &Path {
        &self.device
    }

    /// What the disk holds.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(&self) -> Result<Vec<u8>, LabError> {
        let read = || {
            let length = usize::try_from(self.file.metadata()?.len()).map_err(io::Error::other)?;
            let mut bytes = vec![0; length];
            for_extents(&self.file, |start, end| {
                let part = usize::try_from(start).ok().zip(usize::try_from(end).ok());
                let part = part.and_then(|(start, end)| bytes.get_mut(start..end));
                part.map_or(Ok(()), |part| self.file.read_exact_at(part, start))
            })?;
            Ok::<_, io::Error>(bytes)
        };
        read().context(|| format!("read {}", self.device.display()))
    }

    /// Makes the disk hold zeros only.
    ///
    /// # Errors
    /// When the operating system refuses.
    pub fn clear(&mut self) -> Result<(), LabError> {
        use rustix::fs::{FallocateFlags, fallocate};
        let clear = || {
            let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
            fallocate(&self.file, flags, 0, self.file.metadata()?.len())?;
            Ok::<_, io::Error>(())
        };
        clear().context(|| format!("clear {}", self.device.display()))
    }

    /// Makes the disk hold what `image` holds, whatever was written to it since the last time. It
    /// must not be mounted. Pages that were never written are skipped: most of the disk.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub fn set(&mut self, image: &mut Image) -> Result<(), LabError> {
        let Self { file, buffer, device } = self;
        let mut set = || {
            for page in image.take_touched() {
                file.write_all_at(image.page(page), (page * PAGE) as u64)?;
            }
            for_extents(file, |start, end| restore(file, buffer, image, start, end))
        };
        set().context(|| format!("set {}", device.display()))
    }
}

/// Calls `each` with every range of the file that was ever written.
fn for_extents(file: &File, mut each: impl FnMut(u64, u64) -> io::Result<()>) -> io::Result<()> {
    let mut end = 0;
    loop {
        let start = match rustix::fs::seek(file, SeekFrom::Data(end)) {
            Err(rustix::io::Errno::NXIO) => return Ok(()),
            start => start?,
        };
        end = rustix::fs::seek(file, SeekFrom::Hole(start))?;
        each(start, end)?;
    }
}

/// Writes the pages of a range that differ from the image.
fn restore(file: &File, buffer: &mut [u8], image: &Image, start: u64, end: u64) -> io::Result<()> {
    let mut at = start;
    while at < end {
        let length = usize::try_from(end - at).unwrap_or(BATCH).min(buffer.len());
        let found = &mut buffer[..length];
        file.read_exact_at(found, at)?;
        let first = usize::try_from(at).map_err(io::Error::other)? / PAGE;
        for (number, found) in found.chunks(PAGE).enumerate() {
            let wanted = image.page(first + number);
            if wanted.get(..found.len()).is_some_and(|wanted| wanted != found) {
                file.write_all_at(wanted, ((first + number) * PAGE) as u64)?;
            }
        }
        at += length as u64;
    }
    Ok(())
}

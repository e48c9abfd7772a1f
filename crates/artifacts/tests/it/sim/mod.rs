//! A file system in memory that records what happens, fails on demand, and knows what a crash may
//! leave of it.

mod disk;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use mambafleet_artifacts::vfs::{FileKind, FileSystem, Vfs, VfsFile};
use tempfile::TempDir;

use disk::{DirNode, FileNode, Inode, Node};
pub(crate) use disk::{Disk, OPAQUE, Tree};

/// What is about to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    List,
    Look,
    Open,
    Read,
    Create,
    CreateDir,
    Write,
    Reserve,
    SyncFile,
    SyncDir,
    OpenLock,
    OpenHint,
    Overwrite,
    RenameNew,
    Rename,
    Link,
    ReadLink,
    Remove,
    RemoveDir,
    Describe,
}

/// One operation, in the order in which they were asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Operation {
    pub(crate) index: usize,
    pub(crate) kind: Kind,
    pub(crate) path: PathBuf,
    /// How many moments were recorded before it.
    pub(crate) moment: usize,
}

/// What becomes of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Done,
    /// It fails with this error of the operating system.
    Failed(i32),
    /// A write or a read takes half of what it was given; others are done.
    Short,
    /// It succeeds without doing anything.
    Skipped,
    /// It never happens: the process is dead.
    Dead,
}

type Hook = Arc<dyn Fn(&Operation) -> Verdict + Send + Sync>;

#[derive(Clone)]
pub(crate) struct SimVfs(Arc<Inner>);

struct Inner {
    state: Mutex<State>,
    hook: Mutex<Option<Hook>>,
    /// Where the files are that stand for the lock files; none: then locks do nothing.
    locks: Option<Arc<TempDir>>,
}

struct State {
    disk: Disk,
    operations: usize,
    /// The disk after each change, if that is wanted.
    moments: Option<Vec<Disk>>,
}

impl std::fmt::Debug for SimVfs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SimVfs")
    }
}

impl SimVfs {
    pub(crate) fn new(disk: Disk, locks: Option<Arc<TempDir>>) -> Self {
        let state = Mutex::new(State { disk, operations: 0, moments: None });
        Self(Arc::new(Inner { state, hook: Mutex::new(None), locks }))
    }

    /// Asks `hook` before each operation from now on.
    pub(crate) fn set_hook(&self, hook: impl Fn(&Operation) -> Verdict + Send + Sync + 'static) {
        *self.0.hook.lock().unwrap() = Some(Arc::new(hook));
    }

    pub(crate) fn clear_hook(&self) {
        *self.0.hook.lock().unwrap() = None;
    }

    pub(crate) fn record_moments(&self) {
        let mut state = self.0.state.lock().unwrap();
        state.moments = Some(vec![state.disk.clone()]);
    }

    /// How many moments were recorded.
    pub(crate) fn moments(&self) -> usize {
        self.0.state.lock().unwrap().moments.as_ref().map_or(0, Vec::len)
    }

    pub(crate) fn take_moments(&self) -> Vec<Disk> {
        self.0.state.lock().unwrap().moments.take().unwrap_or_default()
    }

    /// Everything that a crash may leave now.
    pub(crate) fn after_a_crash(&self) -> BTreeSet<Tree> {
        self.0.state.lock().unwrap().disk.after_a_crash()
    }

    /// What a running system sees now.
    pub(crate) fn as_it_is(&self) -> Tree {
        self.0.state.lock().unwrap().disk.as_it_is()
    }

    /// How many operations there were.
    pub(crate) fn operations(&self) -> usize {
        self.0.state.lock().unwrap().operations
    }

    fn ask(&self, kind: Kind, path: &Path) -> Verdict {
        let (index, moment) = {
            let mut state = self.0.state.lock().unwrap();
            state.operations += 1;
            (state.operations - 1, state.moments.as_ref().map_or(0, Vec::len))
        };
        let hook = self.0.hook.lock().unwrap().clone();
        let operation = Operation { index, kind, path: path.to_owned(), moment };
        hook.map_or(Verdict::Done, |hook| hook(&operation))
    }

    fn with<T>(&self, act: impl FnOnce(&mut Disk) -> io::Result<T>) -> io::Result<T> {
        act(&mut self.0.state.lock().unwrap().disk)
    }

    /// An operation that changes nothing.
    fn look<T>(
        &self,
        kind: Kind,
        path: &Path,
        act: impl FnOnce(&mut Disk) -> io::Result<T>,
    ) -> io::Result<T> {
        match self.ask(kind, path) {
            Verdict::Failed(code) => Err(io::Error::from_raw_os_error(code)),
            Verdict::Dead => Err(ErrorKind::Other.into()),
            _ => self.with(act),
        }
    }

    /// An operation that changes something.
    fn change<T>(
        &self,
        kind: Kind,
        path: &Path,
        act: impl FnOnce(&mut Disk) -> io::Result<T>,
    ) -> io::Result<T> {
        let result = self.look(kind, path, act);
        self.note();
        result
    }

    fn note(&self) {
        let mut state = self.0.state.lock().unwrap();
        let State { disk, moments, .. } = &mut *state;
        if let Some(moments) = moments {
            moments.push(disk.clone());
        }
    }

    fn sync(&self, kind: Kind, path: &Path, inode: Inode) -> io::Result<()> {
        let verdict = self.ask(kind, path);
        let result = self.with(|disk| match verdict {
            Verdict::Failed(code) => {
                disk.doom(inode);
                Err(io::Error::from_raw_os_error(code))
            }
            Verdict::Dead => Err(ErrorKind::Other.into()),
            Verdict::Skipped => Ok(()),
            Verdict::Done | Verdict::Short => {
                disk.sync(inode);
                Ok(())
            }
        });
        self.note();
        result
    }
}

/// An open file.
struct SimFile {
    vfs: SimVfs,
    path: PathBuf,
    inode: Inode,
    position: usize,
}

impl SimFile {
    /// How many of `length` bytes one call takes.
    fn share(&self, kind: Kind, length: usize) -> io::Result<usize> {
        match self.vfs.ask(kind, &self.path) {
            Verdict::Failed(code) => Err(io::Error::from_raw_os_error(code)),
            Verdict::Dead => Err(ErrorKind::Other.into()),
            Verdict::Short => Ok(length.div_ceil(2)),
            _ => Ok(length),
        }
    }
}

impl Read for SimFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = self.share(Kind::Read, buffer.len())?;
        let (inode, position) = (self.inode, self.position);
        let read = self.vfs.with(|disk| {
            let rest = &disk.file(inode)?.content;
            let rest = &rest[position.min(rest.len())..];
            let read = wanted.min(rest.len());
            buffer[..read].copy_from_slice(&rest[..read]);
            Ok(read)
        })?;
        self.position += read;
        Ok(read)
    }
}

impl Write for SimFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.share(Kind::Write, bytes.len())?;
        self.vfs.with(|disk| {
            disk.file(self.inode)?.write(self.position, &bytes[..written]);
            Ok(())
        })?;
        self.vfs.note();
        self.position += written;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl VfsFile for SimFile {
    fn sync(&self) -> io::Result<()> {
        self.vfs.sync(Kind::SyncFile, &self.path, self.inode)
    }

    fn start_sync(&self) {}

    fn length(&self) -> io::Result<u64> {
        self.vfs.look(
            Kind::Look,
            &self.path,
            |disk| Ok(disk.file(self.inode)?.content.len() as u64),
        )
    }

    fn reserve(&self, _length: u64) -> io::Result<()> {
        self.vfs.look(Kind::Reserve, &self.path, |_| Ok(()))
    }

    fn overwrite(&mut self, bytes: &[u8]) -> io::Result<()> {
        let inode = self.inode;
        self.vfs.change(Kind::Overwrite, &self.path, |disk| {
            disk.file(inode)?.write(0, bytes);
            Ok(())
        })
    }
}

fn kind_of(node: &Node) -> FileKind {
    match node {
        Node::File(_) => FileKind::File,
        Node::Dir(_) => FileKind::Directory,
        Node::Link(_) => FileKind::Other,
    }
}

impl Vfs for SimVfs {
    fn list(&self, dir: &Path) -> io::Result<Vec<(OsString, FileKind)>> {
        self.look(Kind::List, dir, |disk| {
            let names = &disk.dir(disk.find(dir)?)?.names;
            let kind = |(name, &inode): (&String, _)| (name.into(), kind_of(disk.node(inode)));
            Ok(names.iter().map(kind).collect())
        })
    }

    fn kind(&self, path: &Path) -> io::Result<FileKind> {
        self.look(Kind::Look, path, |disk| Ok(kind_of(disk.node(disk.find(path)?))))
    }

    fn is_dir(&self, path: &Path) -> bool {
        self.with(|disk| disk.find(path).and_then(|inode| disk.dir(inode).map(drop))).is_ok()
    }

    fn canonicalize(&self, path: &Path) -> io::Result<PathBuf> {
        self.with(|disk| disk.find(path)).map(|_| path.to_owned())
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn VfsFile>> {
        let inode = self.look(Kind::Open, path, |disk| disk.find(path))?;
        Ok(Box::new(SimFile { vfs: self.clone(), path: path.to_owned(), inode, position: 0 }))
    }

    fn describe(&self, dir: &Path) -> io::Result<FileSystem> {
        let system = FileSystem { available: Some(u64::MAX), network: None };
        self.look(Kind::Describe, dir, |_| Ok(system))
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        let node = Node::Dir(DirNode::default());
        self.change(Kind::CreateDir, path, |disk| disk.create(path, node).map(drop))
    }

    fn create_new(&self, path: &Path) -> io::Result<Box<dyn VfsFile>> {
        let node = Node::File(FileNode::default());
        let inode = self.change(Kind::Create, path, |disk| disk.create(path, node))?;
        Ok(Box::new(SimFile { vfs: self.clone(), path: path.to_owned(), inode, position: 0 }))
    }

    fn lock_file(&self, path: &Path) -> io::Result<File> {
        let inode = self.change(Kind::OpenLock, path, |disk| disk.find_or_create(path))?;
        let Some(locks) = &self.0.locks else { return tempfile::tempfile() };
        let file = locks.path().join(inode.to_string());
        File::options().read(true).write(true).create(true).truncate(false).open(file)
    }

    fn open_hint(&self, path: &Path) -> io::Result<Box<dyn VfsFile>> {
        let inode = self.change(Kind::OpenHint, path, |disk| disk.find_or_create(path))?;
        Ok(Box::new(SimFile { vfs: self.clone(), path: path.to_owned(), inode, position: 0 }))
    }

    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<bool> {
        self.change(Kind::RenameNew, from, |disk| match disk.find(to) {
            Ok(_) => Ok(false),
            Err(_) => disk.rename(from, to).map(|()| true),
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.change(Kind::Rename, from, |disk| disk.rename(from, to))
    }

    fn symlink(&self, target: &str, link: &Path) -> io::Result<()> {
        let node = Node::Link(target.to_owned());
        self.change(Kind::Link, link, |disk| disk.create(link, node).map(drop))
    }

    fn read_link(&self, link: &Path) -> io::Result<OsString> {
        self.look(Kind::ReadLink, link, |disk| match disk.node(disk.find(link)?) {
            Node::Link(target) => Ok(target.into()),
            _ => Err(ErrorKind::InvalidInput.into()),
        })
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.change(Kind::Remove, path, |disk| disk.remove(path))
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.change(Kind::RemoveDir, path, |disk| disk.remove(path))
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let inode = self.with(|disk| disk.find(dir))?;
        self.sync(Kind::SyncDir, dir, inode)
    }
}

//! Inodes in memory, each with what is durable beside what a running system sees.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::{self, ErrorKind};
use std::path::{Component, Path};
use std::sync::Arc;

pub(crate) type Inode = usize;

const ROOT: Inode = 0;

/// What the names of directories begin with that nobody looks into: what a crash left there makes
/// no difference. Whoever relies on that checks it.
pub(crate) const OPAQUE: [&str; 2] = [".staging-", ".trash-"];

#[derive(Debug, Clone)]
pub(crate) enum Node {
    File(FileNode),
    Dir(DirNode),
    Link(String),
}

#[derive(Debug, Clone, Default)]
pub(crate) struct FileNode {
    pub(crate) content: Vec<u8>,
    durable: Vec<u8>,
    /// The lengths that the content had since the last sync.
    lengths: Vec<usize>,
    /// A sync failed: what was written is lost although later syncs succeed.
    doomed: bool,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct DirNode {
    pub(crate) names: BTreeMap<String, Inode>,
    durable: BTreeMap<String, Inode>,
    pending: Vec<Change>,
    doomed: bool,
}

/// A change of a directory that a crash may forget by itself.
#[derive(Debug, Clone)]
enum Change {
    Set(String, Inode),
    Remove(String),
    Move(String, String, Inode),
}

impl Change {
    fn apply(&self, names: &mut BTreeMap<String, Inode>) {
        match self {
            Self::Set(name, inode) => drop(names.insert(name.clone(), *inode)),
            Self::Remove(name) => drop(names.remove(name)),
            Self::Move(from, to, inode) => {
                names.remove(from);
                names.insert(to.clone(), *inode);
            }
        }
    }
}

impl DirNode {
    fn change(&mut self, change: Change) {
        change.apply(&mut self.names);
        self.pending.push(change);
    }

    fn find(&self, name: &str) -> io::Result<Inode> {
        self.names.get(name).copied().ok_or_else(|| ErrorKind::NotFound.into())
    }
}

/// What a crash left, or may leave, from some directory downwards.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Tree {
    File(Arc<[u8]>),
    Dir(Arc<BTreeMap<String, Tree>>),
    Link(String),
}

impl fmt::Debug for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(bytes) => {
                write!(f, "{:?}", String::from_utf8_lossy(&bytes[..bytes.len().min(60)]))
            }
            Self::Dir(entries) => f.debug_map().entries(&**entries).finish(),
            Self::Link(target) => write!(f, "-> {target}"),
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Disk {
    nodes: Vec<Node>,
}

impl Disk {
    /// A disk that holds `tree`, all of it durable.
    pub(crate) fn holding(tree: &Tree) -> Self {
        let mut disk = Self { nodes: Vec::new() };
        disk.plant(tree);
        disk
    }

    fn plant(&mut self, tree: &Tree) -> Inode {
        let inode = self.nodes.len();
        match tree {
            Tree::Link(target) => self.nodes.push(Node::Link(target.clone())),
            Tree::File(bytes) => {
                let (content, durable) = (bytes.to_vec(), bytes.to_vec());
                self.nodes.push(Node::File(FileNode { content, durable, ..FileNode::default() }));
            }
            Tree::Dir(entries) => {
                self.nodes.push(Node::Dir(DirNode::default()));
                let names: BTreeMap<String, Inode> =
                    entries.iter().map(|(name, tree)| (name.clone(), self.plant(tree))).collect();
                let durable = names.clone();
                self.nodes[inode] = Node::Dir(DirNode { names, durable, ..DirNode::default() });
            }
        }
        inode
    }

    pub(crate) fn find(&self, path: &Path) -> io::Result<Inode> {
        let names = path.components().filter_map(|part| match part {
            Component::Normal(name) => name.to_str(),
            _ => None,
        });
        let mut inode = ROOT;
        for name in names {
            inode = self.dir(inode)?.find(name)?;
        }
        Ok(inode)
    }

    pub(crate) fn node(&self, inode: Inode) -> &Node {
        &self.nodes[inode]
    }

    pub(crate) fn dir(&self, inode: Inode) -> io::Result<&DirNode> {
        match &self.nodes[inode] {
            Node::Dir(dir) => Ok(dir),
            _ => Err(ErrorKind::NotADirectory.into()),
        }
    }

    pub(crate) fn file(&mut self, inode: Inode) -> io::Result<&mut FileNode> {
        match &mut self.nodes[inode] {
            Node::File(file) => Ok(file),
            _ => Err(ErrorKind::IsADirectory.into()),
        }
    }

    /// The directory that `path` is a name in, and that name.
    fn parent_of<'a>(&mut self, path: &'a Path) -> io::Result<(&mut DirNode, &'a str)> {
        let invalid = || io::Error::from(ErrorKind::InvalidInput);
        let inode = self.find(path.parent().ok_or_else(invalid)?)?;
        let name = path.file_name().and_then(|name| name.to_str()).ok_or_else(invalid)?;
        match &mut self.nodes[inode] {
            Node::Dir(dir) => Ok((dir, name)),
            _ => Err(ErrorKind::NotADirectory.into()),
        }
    }

    /// Gives a new node the name `path`, which must be free.
    pub(crate) fn create(&mut self, path: &Path, node: Node) -> io::Result<Inode> {
        let inode = self.nodes.len();
        let (dir, name) = self.parent_of(path)?;
        if dir.names.contains_key(name) {
            return Err(ErrorKind::AlreadyExists.into());
        }
        dir.change(Change::Set(name.to_owned(), inode));
        self.nodes.push(node);
        Ok(inode)
    }

    /// The file at `path`, made there if there is none.
    pub(crate) fn find_or_create(&mut self, path: &Path) -> io::Result<Inode> {
        match self.find(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.create(path, Node::File(FileNode::default()))
            }
            found => found,
        }
    }

    pub(crate) fn remove(&mut self, path: &Path) -> io::Result<()> {
        let inode = self.find(path)?;
        if let Node::Dir(dir) = &self.nodes[inode]
            && !dir.names.is_empty()
        {
            return Err(ErrorKind::DirectoryNotEmpty.into());
        }
        let (dir, name) = self.parent_of(path)?;
        dir.change(Change::Remove(name.to_owned()));
        Ok(())
    }

    pub(crate) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        assert_eq!(from.parent(), to.parent(), "names move within a directory only");
        let inode = self.find(from)?;
        let (_, to) = self.parent_of(to)?;
        let (dir, from) = self.parent_of(from)?;
        dir.change(Change::Move(from.to_owned(), to.to_owned(), inode));
        Ok(())
    }

    /// Makes a file's content or a directory's names durable.
    pub(crate) fn sync(&mut self, inode: Inode) {
        match &mut self.nodes[inode] {
            Node::File(file) if !file.doomed => {
                file.durable.clone_from(&file.content);
                file.lengths.clear();
            }
            Node::Dir(dir) if !dir.doomed => {
                dir.durable.clone_from(&dir.names);
                dir.pending.clear();
            }
            _ => {}
        }
    }

    /// A sync failed, and with it every later one: the kernel forgets what it could not write.
    pub(crate) fn doom(&mut self, inode: Inode) {
        match &mut self.nodes[inode] {
            Node::File(file) => file.doomed = true,
            Node::Dir(dir) => dir.doomed = true,
            Node::Link(_) => {}
        }
    }

    /// Everything that may be on the disk after a crash now: of what was not synced, every write
    /// may be lost, torn, or leave only its length; of each directory's changes any subset may be
    /// lost. A rename within a directory is one change.
    ///
    /// [Opaque](OPAQUE) directories are left empty.
    pub(crate) fn after_a_crash(&self) -> BTreeSet<Tree> {
        self.trees(ROOT)
    }

    /// What a running system sees.
    pub(crate) fn as_it_is(&self) -> Tree {
        self.tree(ROOT)
    }

    fn tree(&self, inode: Inode) -> Tree {
        match &self.nodes[inode] {
            Node::Link(target) => Tree::Link(target.clone()),
            Node::File(file) => Tree::File(file.content.clone().into()),
            Node::Dir(dir) => {
                let entry = |(name, &inode): (&String, _)| (name.clone(), self.tree(inode));
                Tree::Dir(Arc::new(dir.names.iter().map(entry).collect()))
            }
        }
    }

    fn trees(&self, inode: Inode) -> BTreeSet<Tree> {
        match &self.nodes[inode] {
            Node::Link(target) => BTreeSet::from([Tree::Link(target.clone())]),
            Node::File(file) => file.variants().into_iter().map(|v| Tree::File(v.into())).collect(),
            Node::Dir(dir) => {
                let listings = (0..1_u32 << dir.pending.len()).map(|subset| {
                    let mut names = dir.durable.clone();
                    let kept = dir.pending.iter().enumerate().filter(|(i, _)| subset >> i & 1 == 1);
                    kept.for_each(|(_, change)| change.apply(&mut names));
                    names
                });
                let listings: BTreeSet<BTreeMap<String, Inode>> = listings.collect();
                listings.iter().flat_map(|names| self.fill(names)).collect()
            }
        }
    }

    /// Every directory with these names in it.
    fn fill(&self, names: &BTreeMap<String, Inode>) -> Vec<Tree> {
        let mut filled = vec![BTreeMap::new()];
        for (name, &inode) in names {
            let closed = OPAQUE.iter().any(|prefix| name.starts_with(prefix));
            let trees = match &self.nodes[inode] {
                Node::Dir(_) if closed => BTreeSet::from([Tree::Dir(Arc::default())]),
                _ => self.trees(inode),
            };
            let with = |entries: &BTreeMap<String, Tree>, tree: &Tree| {
                let mut entries = entries.clone();
                entries.insert(name.clone(), tree.clone());
                entries
            };
            filled = filled.iter().flat_map(|old| trees.iter().map(|t| with(old, t))).collect();
        }
        filled.into_iter().map(|entries| Tree::Dir(Arc::new(entries))).collect()
    }
}

impl FileNode {
    /// Replaces the content from `position` on.
    pub(crate) fn write(&mut self, position: usize, bytes: &[u8]) {
        self.content.truncate(position);
        self.content.extend_from_slice(bytes);
        self.lengths.push(self.content.len());
    }

    fn variants(&self) -> BTreeSet<Vec<u8>> {
        let (new, half) = (&self.content, self.content.len() / 2);
        if *new == self.durable {
            return BTreeSet::from([new.clone()]);
        }
        let zeros = vec![0; new.len()];
        let mixed = new[..half].iter().chain(self.durable.iter().skip(half)).copied().collect();
        let mut variants = BTreeSet::from([
            self.durable.clone(),
            Vec::new(),
            new.clone(),
            new[..half].to_vec(),
            [&new[..half], &zeros[half..]].concat(),
            [&zeros[..half], &new[half..]].concat(),
            vec![0xA5; new.len()],
            zeros,
            mixed,
        ]);
        variants.extend(self.lengths.iter().map(|&length| new[..length.min(new.len())].to_vec()));
        variants
    }
}

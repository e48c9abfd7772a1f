//! Directories that nobody reads: those being written, and those being thrown away.
//!
//! Their names tell which process made them, so that what a dead one left behind can be removed
//! without ever touching what a living one still uses.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

use crate::StoreError;
use crate::durable;
use crate::error::IoContext;
use crate::identity::{Liveness, ProcessTag};
use crate::vfs::{FileKind, Vfs};

/// What the names of directories begin with in which a generation is being written.
const STAGING_PREFIX: &str = ".staging-";

/// What the names of generations begin with that are being thrown away.
const TRASH_PREFIX: &str = ".trash-";

/// Something that was left behind, or may have been.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Leftover {
    /// Its name in the symbol's directory.
    pub name: String,
    /// What is known of it.
    pub state: LeftoverState,
}

/// What is known of a [`Leftover`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LeftoverState {
    /// Its writer is gone for ever, so it serves nobody.
    Dead,
    /// Its writer is at work.
    InUse,
    /// Its writer cannot be seen from here: on another machine, in another container, or before
    /// the last boot of a machine that shares the file system. It is kept.
    Unknown,
}

/// A name that no other process and no other transaction of this one uses, and the part of it that
/// makes it so.
fn unique_name(prefix: &str) -> (String, String) {
    let nonce = format!("{:016x}{:016x}", rand::random::<u64>(), rand::random::<u64>());
    (format!("{prefix}{}-{nonce}", ProcessTag::current()), nonce)
}

/// Where a generation that is thrown away goes first.
pub(crate) fn trash_path(dir: &Path) -> PathBuf {
    dir.join(unique_name(TRASH_PREFIX).0)
}

/// A path in `dir` for a link that is about to get its real name.
pub(crate) fn temporary_link(dir: &Path) -> PathBuf {
    dir.join(unique_name(STAGING_PREFIX).0)
}

/// A directory in which a generation is being written; removed when this is dropped, unless it was
/// [kept](Self::keep).
#[derive(Debug)]
pub(crate) struct Staging {
    vfs: Arc<dyn Vfs>,
    path: PathBuf,
    nonce: String,
    kept: bool,
}

impl Staging {
    /// Creates the directory. Its name is not synced: a crash may forget it.
    pub(crate) fn create(vfs: Arc<dyn Vfs>, dir: &Path) -> Result<Self, StoreError> {
        let (name, nonce) = unique_name(STAGING_PREFIX);
        let path = dir.join(name);
        vfs.create_dir(&path).at("create the directory", &path)?;
        Ok(Self { vfs, path, nonce, kept: false })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What no other transaction has.
    pub(crate) fn nonce(&self) -> &str {
        &self.nonce
    }

    /// It has another name now.
    pub(crate) fn keep(&mut self) {
        self.kept = true;
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        if let Err(error) = durable::remove_tree(&*self.vfs, &self.path) {
            tracing::warn!(path = %self.path.display(), %error, "cannot remove what was staged");
        }
    }
}

/// Everything in `dir` that is being written or thrown away, or was. What is being thrown away is
/// dead by definition.
pub(crate) fn leftovers(vfs: &dyn Vfs, dir: &Path, local: bool) -> io::Result<Vec<Leftover>> {
    match vfs.list(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        result => Ok(leftovers_among(&result?, local)),
    }
}

/// [`leftovers`] among the names that were found in a directory.
fn leftovers_among(names: &[(OsString, FileKind)], local: bool) -> Vec<Leftover> {
    let mut found = Vec::new();
    for (name, _) in names {
        let Some(name) = name.to_str() else { continue };
        let state = if name.starts_with(TRASH_PREFIX) {
            LeftoverState::Dead
        } else if let Some(tagged) = name.strip_prefix(STAGING_PREFIX) {
            state_of(tagged, local)
        } else {
            continue;
        };
        found.push(Leftover { name: name.to_owned(), state });
    }
    found.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    found
}

fn state_of(tagged: &str, local: bool) -> LeftoverState {
    let tag = tagged.rsplit_once('-').and_then(|(tag, _nonce)| tag.parse::<ProcessTag>().ok());
    match tag.map(|tag| tag.liveness(local)) {
        Some(Liveness::Gone) => LeftoverState::Dead,
        Some(Liveness::Alive) => LeftoverState::InUse,
        Some(Liveness::Unknown) | None => LeftoverState::Unknown,
    }
}

/// Removes what the dead left behind of `leftovers`, and returns what could not be removed and why.
///
/// A generation that is being thrown away may get its name back from a crash as long as nobody has
/// synced that it lost it, and must then still be whole. So that is done first.
pub(crate) fn remove_dead<'a>(
    vfs: &dyn Vfs,
    dir: &Path,
    leftovers: &'a [Leftover],
) -> Vec<(&'a Leftover, io::Error)> {
    let dead = || leftovers.iter().filter(|one| one.state == LeftoverState::Dead);
    let trash = dead().find(|one| one.name.starts_with(TRASH_PREFIX));
    if let Some(trash) = trash
        && let Err(error) = vfs.sync_dir(dir)
    {
        return vec![(trash, error)];
    }
    let remove = |leftover: &'a Leftover| match remove(vfs, &dir.join(&leftover.name)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Some((leftover, error)),
        _ => {
            tracing::info!(dir = %dir.display(), leftover.name, "removed what was left behind");
            None
        }
    };
    dead().filter_map(remove).collect()
}

fn remove(vfs: &dyn Vfs, path: &Path) -> io::Result<()> {
    match vfs.kind(path)? {
        FileKind::Directory => durable::remove_tree(vfs, path),
        FileKind::File | FileKind::Other => vfs.remove_file(path),
    }
}

/// Removes what exports that died left in the directory `dir`, which need not belong to a store:
/// nothing but staging directories of writers that are certain to be gone.
pub(crate) fn sweep_exports(vfs: &dyn Vfs, dir: &Path) {
    let (Ok(names), Ok(system)) = (vfs.list(dir), vfs.describe(dir)) else { return };
    let staged = |(name, _): &(OsString, FileKind)| {
        name.to_str().is_some_and(|name| name.starts_with(STAGING_PREFIX))
    };
    let names: Vec<_> = names.into_iter().filter(staged).collect();
    sweep(vfs, dir, &names, system.network.is_none());
}

/// Removes what the dead left behind among `names`, those in `dir`, as far as that is possible: it
/// is in nobody's way.
pub(crate) fn sweep(vfs: &dyn Vfs, dir: &Path, names: &[(OsString, FileKind)], local: bool) {
    for (leftover, error) in remove_dead(vfs, dir, &leftovers_among(names, local)) {
        tracing::warn!(dir = %dir.display(), leftover.name, %error, "cannot remove");
    }
}

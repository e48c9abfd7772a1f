//! Collecting old generations.

use std::ffi::OsString;
use std::io;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use mambafleet_protocol::Symbol;
use serde::Serialize;

use crate::error::IoContext;
use crate::staging::{self, Leftover};
use crate::symbol_store::SymbolStore;
use crate::vfs::FileKind;
use crate::{StoreError, durable, generation, reader};

/// What the names of notes begin with: empty files, each of which says that all generations below
/// the number in its name were collected, or were about to be. The highest number counts. A note
/// is never replaced by another, so that of two who collect at once the one with the lower number
/// cannot take back what the other one noted.
const NOTE_PREFIX: &str = ".collected-";

/// Which generations are worth keeping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// How many of the newest intact generations to keep.
    pub keep: NonZeroUsize,
    /// Keep those younger than this too: somebody may just be about to read one.
    pub min_age: Duration,
}

/// What a collection removed, or would remove.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Collected {
    /// The symbol.
    pub symbol: Symbol,
    /// The generations removed, ascending.
    pub removed: Vec<Removed>,
    /// The generations left, ascending.
    pub kept: Vec<u64>,
    /// What writers left unfinished: the dead ones' was removed, as far as nobody has it open on
    /// Windows; the others' was not.
    pub leftovers: Vec<Leftover>,
}

/// A generation that was removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Removed {
    /// Its number.
    pub generation: u64,
    /// The length of its files, in bytes; zero when its manifest was damaged.
    pub bytes: u64,
    /// When it was committed; unknown when its manifest was damaged.
    pub created_at: Option<Timestamp>,
}

impl Collected {
    /// The length of what was removed, in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.removed.iter().map(|removed| removed.bytes).sum()
    }
}

impl SymbolStore {
    /// Removes old generations, and what dead writers left unfinished. With `dry_run` it only says
    /// what it would remove.
    ///
    /// The newest [`keep`](Retention::keep) generations *that verify* stay, and so does everything
    /// newer than the oldest of them: damaged generations never push out intact ones. Only the
    /// oldest generations without a gap are removed, so that history has a beginning and no holes.
    /// Readers that have opened a generation can read it to its end. On Windows it is kept until
    /// they are done, together with all that are newer.
    ///
    /// # Errors
    /// [`StoreError::Io`] when the operating system refuses. Generations that were removed before
    /// that stay removed; every other one stays whole.
    pub fn gc(&self, retention: &Retention, dry_run: bool) -> Result<Collected, StoreError> {
        let generations = self.generations()?;
        let mut removed = self.superfluous(&generations, retention)?;
        if !dry_run {
            removed.truncate(self.remove(&removed)?);
        }
        let gone = |generation: &u64| removed.iter().any(|one| one.generation == *generation);
        let kept = generations.into_iter().filter(|generation| !gone(generation)).collect();
        let leftovers = self.leftovers(dry_run)?;
        Ok(Collected { symbol: self.symbol().clone(), removed, kept, leftovers })
    }

    /// The oldest generations that need not be kept.
    fn superfluous(
        &self,
        generations: &[u64],
        retention: &Retention,
    ) -> Result<Vec<Removed>, StoreError> {
        let mut intact = 0;
        let mut candidates = generations.len();
        while candidates > 0 && intact < retention.keep.get() {
            candidates -= 1;
            match self.verify(generations[candidates]) {
                Ok(_) => intact += 1,
                Err(StoreError::NotFound { .. } | StoreError::Corrupt { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        if intact < retention.keep.get() {
            return Ok(Vec::new());
        }
        let now = Timestamp::now();
        // One that was committed while the clock was ahead has no age yet.
        let age = |created| Duration::try_from(now.duration_since(created)).unwrap_or_default();
        let old = |created: Option<Timestamp>| {
            created.is_none_or(|created| age(created) >= retention.min_age)
        };
        let oldest_kept = self.describe(generations[candidates])?;
        let mut next_is_old = oldest_kept.is_some_and(|kept| old(kept.created_at));
        let mut superfluous = Vec::new();
        for &generation in &generations[..candidates] {
            match self.describe(generation)? {
                Some(removed) if old(removed.created_at) => superfluous.push(removed),
                Some(_) => {
                    next_is_old = false;
                    break;
                }
                None => {}
            }
        }
        // Of a damaged generation the age is unknown; it is older than the next whose age is known.
        while !next_is_old && superfluous.last().is_some_and(|last| last.created_at.is_none()) {
            superfluous.pop();
        }
        Ok(superfluous)
    }

    /// `None` when it is gone by now.
    fn describe(&self, generation: u64) -> Result<Option<Removed>, StoreError> {
        let (bytes, created_at) = match self.manifest(generation) {
            Ok(Ok(manifest)) => (manifest.total_length(), Some(manifest.created_at)),
            Ok(Err(_damaged)) => (0, None),
            Err(StoreError::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        Ok(Some(Removed { generation, bytes, created_at }))
    }

    /// Notes what is about to go (with that note, what stays becomes durable too), takes the
    /// generations' names away, and only then their files. A crash between may bring some of the
    /// names back, in any combination, but never a generation with half its files. Tells how many
    /// are gone: all, up to the first that is in use.
    fn remove(&self, removed: &[Removed]) -> Result<usize, StoreError> {
        let Some(last) = removed.last() else { return Ok(0) };
        let (vfs, dir) = (&**self.vfs(), self.dir());
        self.note_collected(last.generation.saturating_add(1))?;
        let mut trash = Vec::new();
        let mut result = Ok(removed.len());
        for (before, Removed { generation, .. }) in removed.iter().enumerate() {
            let (from, to) = (self.generation_dir(*generation), staging::trash_path(dir));
            match vfs.rename(&from, &to) {
                Ok(()) => trash.push(to),
                // Another collector was quicker.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    let in_use = is_in_use(&error).then_some(before);
                    result = in_use.map_or_else(|| Err(error).at("remove", &from), Ok);
                    break;
                }
            }
        }
        if !trash.is_empty() {
            durable::sync_dir(vfs, dir)?;
        }
        for path in &trash {
            unless_in_use(durable::remove_tree(vfs, path)).at("remove", path)?;
        }
        result
    }

    /// Notes durably that the generations below this number are missing on purpose. Older notes
    /// say nothing more then.
    fn note_collected(&self, below: u64) -> Result<(), StoreError> {
        let (vfs, dir) = (&**self.vfs(), self.dir());
        let notes = self.notes()?;
        if notes.iter().all(|&noted| noted < below) {
            let path = note_path(dir, below);
            match vfs.create_new(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                result => drop(result.at("create", &path)?),
            }
        }
        // Also when it was there: whoever made it may not have got so far.
        durable::sync_dir(vfs, dir)?;
        for old in notes.into_iter().filter(|&noted| noted < below) {
            if let Err(error) = vfs.remove_file(&note_path(dir, old)) {
                tracing::debug!(dir = %dir.display(), old, %error, "cannot remove an old note");
            }
        }
        Ok(())
    }

    /// The generations below this number are missing on purpose, if they are missing.
    pub(crate) fn collected_below(&self) -> Result<u64, StoreError> {
        Ok(self.notes()?.into_iter().max().unwrap_or(0))
    }

    /// The numbers that the notes name.
    fn notes(&self) -> Result<Vec<u64>, StoreError> {
        let number = |(name, _): &(OsString, FileKind)| {
            generation::from_dir_name(name.to_str()?.strip_prefix(NOTE_PREFIX)?)
        };
        Ok(self.names()?.iter().filter_map(number).collect())
    }

    fn leftovers(&self, dry_run: bool) -> Result<Vec<Leftover>, StoreError> {
        let (vfs, dir): (_, &Path) = (&**self.vfs(), self.dir());
        let leftovers = staging::leftovers(vfs, dir, self.is_local()).at("list", dir)?;
        if !dry_run {
            for (leftover, error) in staging::remove_dead(vfs, dir, &leftovers) {
                unless_in_use(Err(error)).at("remove", &dir.join(&leftover.name))?;
            }
        }
        Ok(leftovers)
    }

    /// The manifest of a generation, or what is wrong with it; no other file is read.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is no such generation, [`StoreError::Io`] when the operating
    /// system refuses to read it.
    pub fn manifest(
        &self,
        generation: u64,
    ) -> Result<Result<crate::Manifest, crate::Fault>, StoreError> {
        let dir = self.generation_dir(generation);
        reader::read_manifest(&**self.vfs(), &dir, self.symbol(), generation)
    }
}

fn note_path(dir: &Path, below: u64) -> PathBuf {
    dir.join(format!("{NOTE_PREFIX}{}", generation::dir_name(below)))
}

/// Leaves what somebody has open, which has lost its name already, to the next collection.
fn unless_in_use(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if is_in_use(&error) => {
            tracing::debug!(%error, "in use; left to the next collection");
            Ok(())
        }
        result => result,
    }
}

/// Whether the system refused because somebody has a file open: access denied, sharing violation,
/// or a directory that is not empty before its files are closed. Only Windows does.
fn is_in_use(error: &io::Error) -> bool {
    cfg!(windows) && matches!(error.raw_os_error(), Some(5 | 32 | 145))
}

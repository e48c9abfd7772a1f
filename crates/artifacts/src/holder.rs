//! Who holds a lock: a note beside it, for diagnostics and for the patience of those who wait.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::Writer;
use crate::manifest::encode_json;
use crate::vfs::{Vfs, VfsFile, read};

/// How much one more hold weighs in the average of how long holds last.
const WEIGHT: f64 = 0.2;

/// The note's length is a multiple of this: a note that keeps its length is overwritten without
/// any change of the file's size, which is cheaper where sizes are journaled.
const NOTE_STEP: usize = 512;

/// Who took a lock last. Exclusion does not rest on it: it is a note that may be lost or torn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Holder {
    /// The process.
    pub writer: Writer,
    /// When it got the lock.
    pub since: Timestamp,
    /// The fencing token it drew.
    pub token: u64,
    /// When it last said that it is making progress, if it did.
    #[serde(default)]
    pub beat: Option<Timestamp>,
    /// When it let go, if it has.
    #[serde(default)]
    pub released: Option<Timestamp>,
    /// How long a hold of this lock lasts, in milliseconds: an exponentially weighted average over
    /// the holds that ended in order.
    #[serde(default)]
    pub typical_hold_ms: Option<f64>,
}

impl Holder {
    /// The present process, from now on.
    pub(crate) fn begin(token: u64, before: Option<&Self>) -> Self {
        Self {
            writer: Writer::current().clone(),
            since: Timestamp::now(),
            token,
            beat: None,
            released: None,
            typical_hold_ms: before.and_then(|before| before.typical_hold_ms),
        }
    }

    /// The hold is over, after `held`.
    pub(crate) fn end(&mut self, held: Duration) {
        let held = 1e3 * held.as_secs_f64();
        let average = |before: f64| before + WEIGHT * (held - before);
        self.typical_hold_ms = Some(self.typical_hold_ms.map_or(held, average));
        self.released = Some(Timestamp::now());
    }

    /// How long a hold of this lock usually lasts.
    pub(crate) fn typical_hold(&self) -> Option<Duration> {
        Duration::try_from_secs_f64(self.typical_hold_ms? / 1e3).ok()
    }

    /// The last holder, when the note tells; it may be missing, torn or from another version.
    pub(crate) fn read(vfs: &dyn Vfs, path: &Path) -> Option<Self> {
        serde_json::from_slice(&read(vfs, path).ok()?).ok()
    }
}

/// The note of who holds a lock, open for as long as that is somebody here: opening it again for
/// each change would cost more than the lock itself.
pub(crate) struct Note {
    path: PathBuf,
    file: Option<Box<dyn VfsFile>>,
}

impl Note {
    /// Opens the note, which is created where it is missing. Best effort: nothing may fail because
    /// its diagnostics cannot be kept.
    pub(crate) fn open(vfs: &dyn Vfs, path: PathBuf) -> Self {
        let file = vfs.open_hint(&path).inspect_err(|error| cannot_record(&path, error)).ok();
        Self { path, file }
    }

    /// What it says of the last holder; see [`Holder::read`].
    pub(crate) fn read(&mut self) -> Option<Holder> {
        let mut bytes = Vec::with_capacity(2 * NOTE_STEP);
        self.file.as_mut()?.read_to_end(&mut bytes).ok()?;
        serde_json::from_slice(&bytes).ok()
    }

    /// Says that `holder` holds the lock, or held it. Best effort, too.
    pub(crate) fn record(&mut self, holder: &Holder) {
        let Some(file) = &mut self.file else { return };
        let written = encode_json(holder).map_err(io::Error::from).and_then(|mut bytes| {
            bytes.resize(bytes.len().next_multiple_of(NOTE_STEP), b'\n');
            file.overwrite(&bytes)
        });
        if let Err(error) = written {
            cannot_record(&self.path, &error);
        }
    }
}

impl fmt::Debug for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Note").field(&self.path).finish()
    }
}

fn cannot_record(path: &Path, error: &io::Error) {
    tracing::warn!(path = %path.display(), %error, "cannot record the holder of the lock");
}

/// The holder as part of a sentence.
pub(crate) fn holder_text(holder: Option<&Holder>) -> String {
    holder.map_or_else(|| "an unknown process".to_owned(), ToString::to_string)
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { writer, since, beat, released, .. } = self;
        match released {
            // Whoever holds it now has not said so yet.
            Some(released) => {
                write!(f, "an unknown process (the last known, {writer}, let go at {released:.0})")
            }
            None => {
                write!(f, "{writer} since {since:.0}")?;
                beat.map_or(Ok(()), |beat| write!(f, ", last heard of at {beat:.0}"))
            }
        }
    }
}

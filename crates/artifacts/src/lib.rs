//! A crash-safe store of model artifacts: generations that appear whole or not at all.
//!
//! A *generation* of a symbol is a set of files (weights, metrics, metadata) that belong together.
//! It is written by a [`Transaction`], becomes visible in one step, is never changed afterwards,
//! and is read back whole and verified as a [`Snapshot`]. The crate knows nothing of training: any
//! program that saves several files as one can use it.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use std::{collections::BTreeMap, time::Duration};
//! use mambafleet_artifacts::{Store, Wait};
//!
//! # let dir = tempfile::tempdir()?;
//! let store = Store::open_or_create(dir.path())?;
//! let aapl = store.symbol(&"AAPL".parse()?);
//!
//! let mut transaction = aapl.begin()?;
//! transaction.put_weights([("w", &[2][..], &[0.5_f32, 1.5][..])], BTreeMap::new())?;
//! transaction.put_json("metrics.json", &BTreeMap::from([("rmse", 0.25)]))?;
//! transaction.prepare()?;
//! let lock = aapl.lock(Wait::Until(Duration::from_secs(5)))?;
//! let commit = transaction.commit(&lock)?;
//!
//! let snapshot = aapl.latest()?.ok_or("nothing there")?;
//! assert_eq!(snapshot.generation(), commit.generation);
//! assert_eq!(snapshot.tensors()?["w"], (vec![2], vec![0.5, 1.5]));
//! # Ok(())
//! # }
//! ```
//!
//! # On disk
//!
//! ```text
//! STORE/
//!   store.json                 the format version
//!   symbols/AAPL/
//!     .lock                    empty, permanent: never deleted, renamed or truncated
//!     .owner.json              who took the lock last; diagnostics only
//!     .staging-<writer>-<nonce>/   being written; readers ignore it
//!     .trash-<writer>-<nonce>/     being removed; readers ignore it
//!     .collected-000007        empty: below which number generations were removed on purpose
//!     000007/                  a generation: immutable once it has this name
//!       weights.safetensors  metrics.json  metadata.json  manifest.json
//!     latest -> 000007         a hint for people and scripts; nothing is read through it
//!   runs/                      records of runs, owned by other crates
//! ```
//!
//! # The commit
//!
//! **The rename of the staging directory to the next generation number is the commit.**
//! Correctness does not rest on the lock, which some network file systems ignore; it rests on
//! creating a directory name that must not exist yet. The lock gives fairness and saves work.
//!
//! 1. [`SymbolStore::begin`] makes the symbol's directory durable and creates the staging
//!    directory. Each file is hashed while it is written.
//! 2. [`Transaction::prepare`] syncs the files: the slow part, any number of bytes, happens before
//!    the lock is taken. If the lock is free, it also writes and syncs `manifest.json` as it will
//!    be if nobody commits in between, and syncs the staging directory. A caller may leave this
//!    step out; the commit then does it.
//! 3. [`SymbolStore::lock`] takes the symbol's lock and draws a fencing token.
//! 4. [`Transaction::commit`] finds the newest generation N and refuses when its token is above
//!    the lock's own; syncs what is not synced yet; writes the manifest anew if it is not the one
//!    that this generation must have; renames the staging directory to N + 1 without replacing;
//!    syncs the symbol's directory; and only then reports success.
//!
//! The generation's number, its parent's hash and the fencing token are known for certain only
//! under the lock, so the manifest that was prepared is a guess. Without contention it is right,
//! and the lock is held for one rename and one sync. With contention the manifest is written again:
//! two more syncs of about a kilobyte, whatever the size of the weights. A writer that loses the
//! race for a number writes a fresh manifest and tries the next one.
//!
//! Whoever committed generation N may have died before it synced that name. It is synced before
//! something is built on it, unless `latest` names N: that link is made after the sync.
//!
//! An error before the rename removes the staging directory. An error of the sync after it is
//! [`StoreError::CommitUncertain`]: the generation is there for every reader, but it may not
//! survive a power cut; read again to find out. A failed sync is never retried on the same file:
//! the kernel may drop the pages that it failed to write and report success the second time.
//!
//! # Reading
//!
//! Readers take no lock. [`SymbolStore::latest`] opens all files of the newest generation before
//! it reads the first, checks length and BLAKE3 hash of each against the manifest, starts again
//! (a bounded number of times) when the generation was removed under it, and falls back loudly to
//! the one before when the newest is damaged ([`Snapshot::skipped`] tells).
//!
//! # Going back, and collecting
//!
//! [`SymbolStore::rollback`] commits the content of an older generation as a new one: history only
//! grows. [`SymbolStore::gc`] removes the oldest generations but the newest K that verify. It notes
//! durably what it is about to remove, takes the names away (oldest first), syncs the directory,
//! and only then removes files, so that no crash leaves a generation with half its files. What a
//! writer had staged is removed when that writer is certain to be dead: its process is gone, or,
//! where no other machine can have the file system mounted, it belonged to an earlier boot.

mod collect;
mod context;
mod digest;
mod durable;
mod error;
mod file_lock;
mod generation;
mod holder;
mod identity;
mod lock;
mod manifest;
mod metrics;
mod part;
mod patience;
mod reader;
mod restore;
mod snapshot;
mod staging;
mod store;
mod symbol_store;
mod transaction;
mod verify;
pub mod vfs;
mod weights;
#[cfg(windows)]
mod windows;

pub use collect::{Collected, Removed, Retention};
pub use digest::{Digest, InvalidDigest};
pub use durable::{append_file, append_log, atomic_write, atomic_write_json, create_dir_durable};
pub use error::{Fault, Problem, StoreError};
pub use file_lock::{FileLock, LockError};
pub use holder::Holder;
pub use identity::Writer;
pub use lock::SymbolLock;
pub use manifest::{FileEntry, MANIFEST_FILE, Manifest, Parent};
pub use metrics::{Bucket, Histogram, StoreCounters, StoreMetrics};
pub use patience::Wait;
pub use restore::HistoryEntry;
pub use snapshot::{Snapshot, Tensor};
pub use staging::{Leftover, LeftoverState};
pub use store::{FORMAT_VERSION, Store, StoreOptions};
pub use symbol_store::SymbolStore;
pub use transaction::{Commit, Transaction};
pub use verify::SymbolReport;
pub use weights::WEIGHTS_FILE;

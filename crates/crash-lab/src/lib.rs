//! The crash lab: puts the artifact store on real file systems and checks it in every state that a
//! crash may leave the disk in.
//!
//! It runs as root in a virtual machine of its own, where it may load kernel modules and mount
//! file systems: `tests/crash-lab/run` boots one. It is not part of the normal test suite, which
//! tests here only what needs no kernel.
//!
//! # Crash states
//!
//! dm-log-writes sits between the file system and the disk and logs every write, in the order in
//! which the writes completed, and every flush. A workload commits generations meanwhile, and
//! writes a mark into the same log whenever the store has acknowledged one ([`marks`]). Afterwards
//! [`plan`] derives from the log the states that the disk may be in when the power fails:
//!
//! - after each single write, in the order of the log;
//! - between two flushes a disk may have kept any of the writes that were not flushed, so for each
//!   interval also some random sets of them, with some writes cut off at a multiple of 4 KiB. What
//!   was written with FUA is always among them.
//!
//! Each state is mounted, so that the file system recovers as it would after a power cut, and
//! [`check`] demands what the store promises: every generation that was acknowledged before that
//! moment is there and whole, nothing visible is torn or mixed, and another generation can be
//! committed on top.
//!
//! # Failing disks and NFS
//!
//! [`flakey`] runs the workload on a disk that begins to drop or refuse writes, and [`network`] on
//! two mounts of one NFS export, each with a cache of its own.
//!
//! # That the lab finds something
//!
//! [`broken`] holds two writers that look right and are not. The lab must find bad states of both.

#[cfg(unix)]
pub mod broken;
pub mod check;
pub mod content;
#[cfg(target_os = "linux")]
pub mod device;
mod error;
#[cfg(target_os = "linux")]
pub mod flakey;
pub mod image;
pub mod log;
pub mod marks;
pub mod network;
pub mod plan;
#[cfg(target_os = "linux")]
pub mod states;
pub mod summary;
pub mod workload;

pub use error::{Context, LabError};

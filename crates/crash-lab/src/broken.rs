//! Two writers that look right and are not. The lab must find them out.
//!
//! Both keep one directory per symbol, as the store does, with the same three file names.
#![expect(clippy::disallowed_methods, reason = "these writers leave out what the store does")]

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use mambafleet_protocol::Symbol;

use crate::content::FILES;
use crate::marks::{Mark, Promises};
use crate::workload::{Recorder, symbols};
use crate::{Context, LabError};

/// How a writer is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// Three files replaced one after another, each by write and rename; nothing is synced.
    Renames,
    /// A directory per generation, all files and the directory itself synced, but not the
    /// directory above, which holds its name.
    NoDirectorySync,
}

/// Commits `commits` times, alternating between two symbols, and puts each on record.
///
/// # Errors
/// When the disk or the record refuses.
pub fn run(flaw: Flaw, commits: u64, root: &Path, record: Recorder<'_>) -> Result<(), LabError> {
    let symbols = symbols(2)?;
    for id in 1..=commits {
        let Some(symbol) = symbols.get(usize::try_from(id % 2).unwrap_or(0)) else { continue };
        let dir = root.join(symbol.dir_name());
        let made = fs::create_dir_all(&dir).and_then(|()| match flaw {
            Flaw::Renames => three_renames(&dir, id),
            Flaw::NoDirectorySync => generation(&dir, id),
        });
        made.context(|| format!("commit {id}"))?;
        record(&Mark::Acknowledged { symbol: symbol.clone(), generation: id, id })?;
    }
    Ok(())
}

fn content(file: &str, id: u64) -> Vec<u8> {
    format!("{file} {id}\n").repeat(400).into_bytes()
}

fn three_renames(dir: &Path, id: u64) -> io::Result<()> {
    for file in FILES {
        let temporary = dir.join(format!(".{file}"));
        fs::write(&temporary, content(file, id))?;
        fs::rename(&temporary, dir.join(file))?;
    }
    Ok(())
}

fn generation(dir: &Path, id: u64) -> io::Result<()> {
    let staging = dir.join(".staging");
    fs::create_dir(&staging)?;
    for file in FILES {
        let mut out = File::create(staging.join(file))?;
        out.write_all(&content(file, id))?;
        out.sync_all()?;
    }
    File::open(&staging)?.sync_all()?;
    fs::rename(&staging, dir.join(format!("{id:06}")))
}

/// Everything that is wrong, given what had been promised.
#[must_use]
pub fn check(flaw: Flaw, root: &Path, promises: &Promises) -> Vec<String> {
    let mut faults = Vec::new();
    for (symbol, promises) in &promises.symbols {
        let Some(last) = promises.acknowledged.keys().next_back() else { continue };
        faults.extend(match flaw {
            Flaw::Renames => check_set(root, symbol, "", *last),
            Flaw::NoDirectorySync => promises
                .acknowledged
                .keys()
                .find_map(|id| check_set(root, symbol, &format!("{id:06}"), *id)),
        });
    }
    faults
}

fn check_set(root: &Path, symbol: &Symbol, below: &str, expected: u64) -> Option<String> {
    let dir = root.join(symbol.dir_name()).join(below);
    let mut ids = Vec::new();
    for file in FILES {
        let Ok(bytes) = fs::read(dir.join(file)) else {
            return Some(format!("{symbol}: {below} {file} is lost"));
        };
        let text = String::from_utf8_lossy(&bytes);
        let id = text.split_whitespace().nth(1).and_then(|id| id.parse().ok());
        let Some(id) = id.filter(|&id| content(file, id) == bytes) else {
            return Some(format!("{symbol}: {below} {file} is torn"));
        };
        ids.push(id);
    }
    if ids.iter().any(|&id| id != ids[0]) {
        return Some(format!("{symbol}: {below} mixed: {ids:?}"));
    }
    (ids[0] < expected).then(|| format!("{symbol}: {below} acknowledged {expected} is lost"))
}

//! Three renames in a row: each file is replaced in one step, and as durably as the store does it.
#![expect(clippy::disallowed_methods, reason = "what these are banned for is measured here")]

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use mambafleet_protocol::Symbol;

use super::{Checked, Loaded, PIECE, Receipt, Replaced, SaveError, Saved, Saver};
use crate::StressError;
use crate::error::IoContext;
use crate::set::Set;

/// Replaces files one by one.
pub(super) struct ThreeRenames(pub(super) PathBuf);

impl Saver for ThreeRenames {
    fn save(&self, symbol: &Symbol, set: &Set) -> Result<Saved, SaveError> {
        let target = Replaced::new(&self.0, symbol);
        for (name, bytes) in set.files() {
            replace(&target.dir, &target.path(name), bytes)?;
        }
        Ok(Saved::default())
    }

    fn load(&self, symbol: &Symbol) -> Result<Loaded, StressError> {
        Replaced::new(&self.0, symbol).load()
    }

    fn check(&self, symbol: &Symbol, _acknowledged: &[Receipt]) -> Result<Checked, StressError> {
        Replaced::new(&self.0, symbol).check(symbol)
    }
}

/// A temporary file, its sync, the rename, the sync of the directory.
fn replace(dir: &Path, path: &Path, bytes: &[u8]) -> Result<(), StressError> {
    let temporary = dir.join(format!(".tmp-{:016x}", rand::random::<u64>()));
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&temporary)
        .at("create", &temporary)?;
    for piece in bytes.chunks(PIECE) {
        file.write_all(piece).at("write", &temporary)?;
    }
    file.sync_all().at("sync", &temporary)?;
    drop(file);
    fs::rename(&temporary, path).at("replace", path)?;
    if cfg!(unix) {
        File::open(dir).and_then(|dir| dir.sync_all()).at("sync", dir)?;
    }
    Ok(())
}

//! The naive way: three files, each opened, truncated and written.
#![expect(clippy::disallowed_methods, reason = "what these are banned for is measured here")]

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;

use mambafleet_protocol::Symbol;

use super::{Checked, Loaded, PIECE, Receipt, Replaced, SaveError, Saved, Saver};
use crate::StressError;
use crate::error::IoContext;
use crate::set::{FILES, Set};

/// Overwrites files where they are.
pub(super) struct InPlace(pub(super) PathBuf);

impl Saver for InPlace {
    fn save(&self, symbol: &Symbol, set: &Set) -> Result<Saved, SaveError> {
        let target = Replaced::new(&self.0, symbol);
        for (name, bytes) in set.files() {
            let path = target.path(name);
            let mut file = File::create(&path).at("create", &path)?;
            for piece in bytes.chunks(PIECE) {
                file.write_all(piece).at("write", &path)?;
            }
        }
        Ok(Saved::default())
    }

    fn load(&self, symbol: &Symbol) -> Result<Loaded, StressError> {
        Replaced::new(&self.0, symbol).load()
    }

    fn check(&self, symbol: &Symbol, _acknowledged: &[Receipt]) -> Result<Checked, StressError> {
        Replaced::new(&self.0, symbol).check(symbol)
    }

    fn settle(&self, symbol: &Symbol) -> Result<(), StressError> {
        let target = Replaced::new(&self.0, symbol);
        for path in FILES.map(|name| target.path(name)) {
            // Windows syncs only what is open for writing.
            let file = File::options().write(true).open(&path);
            file.and_then(|file| file.sync_all()).at("sync", &path)?;
        }
        Ok(())
    }
}

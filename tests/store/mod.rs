//! The commands that look into the store and change it.

mod diff;
mod export;
mod gc;
mod list;
#[cfg(unix)]
mod lock;
mod rollback;
mod show;
mod verify;

use mambafleet_artifacts::{Store, Wait};
use serde_json::{Value, json};

use crate::support::Sandbox;
#[cfg(unix)]
use crate::support::{Ended, finish};

/// A sandbox whose store was written without training, which is quick.
struct Shelf {
    sandbox: Sandbox,
    store: Store,
}

impl Shelf {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        let store = Store::open_or_create(sandbox.store()).unwrap();
        Self { sandbox, store }
    }

    /// Commits one more generation that holds these JSON files.
    fn commit(&self, symbol: &str, files: &[(&str, Value)]) -> u64 {
        let symbol = self.store.symbol(&symbol.parse().unwrap());
        let mut transaction = symbol.begin().unwrap();
        for (name, value) in files {
            transaction.put_json(name, value).unwrap();
        }
        transaction.commit(&symbol.lock(Wait::Fail).unwrap()).unwrap().generation
    }

    /// A shelf on which AAPL has `count` generations; the loss of each is its number.
    fn with_generations(count: u64) -> Self {
        let shelf = Self::new();
        for generation in 1..=count {
            shelf.commit("AAPL", &[("metrics.json", json!({ "loss": generation }))]);
        }
        shelf
    }

    /// Commits a generation of so many files that a command [short of files](Self::short_of_files)
    /// cannot read it.
    #[cfg(unix)]
    fn commit_many_files(&self, symbol: &str) {
        let names: Vec<String> = (0..60).map(|number| format!("{number}.json")).collect();
        let files: Vec<_> = names.iter().map(|name| (name.as_str(), json!(0))).collect();
        self.commit(symbol, &files);
    }

    /// Runs a command that may have only a few files open, on one thread, which has one generation
    /// open at a time.
    #[cfg(unix)]
    fn short_of_files(&self, args: &str) -> Ended {
        let program = env!("CARGO_BIN_EXE_mambafleet");
        let mut sh = self.sandbox.shell(&format!("ulimit -n 40; exec {program} {args}"));
        finish(sh.env("RAYON_NUM_THREADS", "1"))
    }

    /// Flips a bit in a file of a generation of AAPL.
    fn damage(&self, generation: u64, file: &str) {
        let name = format!("mambafleet-store/symbols/AAPL/{generation:06}/{file}");
        let mut bytes = std::fs::read(self.sandbox.path(&name)).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        self.sandbox.write(&name, bytes);
    }

    /// The content of AAPL's newest intact generation.
    fn newest_loss(&self) -> Value {
        let aapl = self.store.symbol(&"AAPL".parse().unwrap());
        aapl.latest().unwrap().unwrap().json::<Value>("metrics.json").unwrap()["loss"].clone()
    }
}

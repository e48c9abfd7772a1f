//! Saves dictionaries of tensors with their metrics from four threads and then from four processes,
//! all at once each time, and reads the newest back.
//!
//! It uses the store alone, without any model or training:
//!
//! ```text
//! cargo run -p mambafleet-artifacts --example artifact_store -- [DIRECTORY]
//! ```
//!
//! Without a directory it works in a temporary one, which is removed at the end.
#![expect(clippy::print_stdout, reason = "an example shows its result on the terminal")]

use std::collections::BTreeMap;
use std::error::Error;
use std::io;
use std::path::Path;
use std::process::{Child, Command};
use std::thread;
use std::time::Duration;

use mambafleet_artifacts::{Commit, Store, StoreError, SymbolStore, Wait};

const WRITERS: u8 = 4;

/// The variable that makes this program one of its own processes: the number of the writer.
const WRITER: &str = "ARTIFACT_STORE_WRITER";

fn main() -> Result<(), Box<dyn Error>> {
    let scratch = tempfile::tempdir()?;
    let root = std::env::args_os().nth(1).unwrap_or_else(|| scratch.path().into());
    let store = Store::open_or_create(&root)?;
    let aapl = &store.symbol(&"AAPL".parse()?);
    if let Ok(writer) = std::env::var(WRITER) {
        return save(aapl, "process", writer.parse()?);
    }

    thread::scope(|scope| {
        let start = |writer| scope.spawn(move || save(aapl, "thread", writer).map_err(text));
        let threads: Vec<_> = (1..=WRITERS).map(start).collect();
        for thread in threads {
            thread.join().map_err(|_| "a writer panicked")??;
        }
        Ok::<(), Box<dyn Error>>(())
    })?;

    let processes: Vec<Child> = (WRITERS + 1..=2 * WRITERS)
        .map(|writer| start_process(store.root(), writer))
        .collect::<io::Result<_>>()?;
    for mut process in processes {
        let status = process.wait()?;
        if !status.success() {
            return Err(format!("a writer ended with {status}").into());
        }
    }

    let numbers = aapl.generations()?;
    println!("generations {numbers:?}: {} saves, none lost", numbers.len());
    let newest = aapl.latest()?.ok_or("the store is empty")?;
    let metrics: BTreeMap<String, f32> = newest.json("metrics.json")?;
    println!("the newest is generation {} of {}: {metrics:?}", newest.generation(), aapl.symbol());
    for (name, (shape, values)) in newest.tensors()? {
        println!("  {name} {shape:?} = {values:?}");
    }
    Ok(())
}

/// Starts this program once more, as a single writer.
fn start_process(root: &Path, writer: u8) -> io::Result<Child> {
    Command::new(std::env::current_exe()?).arg(root).env(WRITER, writer.to_string()).spawn()
}

/// An error that may travel from one thread to another.
fn text(error: Box<dyn Error>) -> String {
    error.to_string()
}

/// Saves one generation and tells its number.
fn save(symbol: &SymbolStore, kind: &str, writer: u8) -> Result<(), Box<dyn Error>> {
    let commit = commit(symbol, writer)?;
    println!("{kind} {writer} committed generation {}", commit.generation);
    Ok(())
}

/// Saves one generation: either both files appear, or neither.
fn commit(symbol: &SymbolStore, writer: u8) -> Result<Commit, StoreError> {
    let weight = [f32::from(writer); 6];
    let bias = [0.5 * f32::from(writer); 2];
    let metrics = BTreeMap::from([("writer", f32::from(writer)), ("rmse", 1.0 / weight[0])]);

    // Everything slow happens before the lock is taken.
    let mut transaction = symbol.begin()?;
    transaction.put_weights(
        [("layer.weight", &[2, 3][..], &weight[..]), ("layer.bias", &[2][..], &bias[..])],
        BTreeMap::from([("writer".to_owned(), writer.to_string())]),
    )?;
    transaction.put_json("metrics.json", &metrics)?;
    transaction.prepare()?;

    let lock = symbol.lock(Wait::Until(Duration::from_secs(10)))?;
    transaction.commit(&lock)
}

//! Saves dictionaries of tensors with their metrics from four threads, then reads the newest back.
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
use std::thread;
use std::time::Duration;

use mambafleet_artifacts::{Commit, Store, StoreError, SymbolStore, Wait};

const WRITERS: u8 = 4;

fn main() -> Result<(), Box<dyn Error>> {
    let scratch = tempfile::tempdir()?;
    let root = std::env::args_os().nth(1).unwrap_or_else(|| scratch.path().into());
    let store = Store::open_or_create(root)?;
    let aapl = &store.symbol(&"AAPL".parse()?);

    thread::scope(|scope| {
        let start = |writer| (writer, scope.spawn(move || save(aapl, writer)));
        let writers: Vec<_> = (1..=WRITERS).map(start).collect();
        for (writer, thread) in writers {
            let commit = thread.join().map_err(|_| "a writer panicked")??;
            println!("writer {writer} committed generation {}", commit.generation);
        }
        Ok::<(), Box<dyn Error>>(())
    })?;

    let newest = aapl.latest()?.ok_or("the store is empty")?;
    let metrics: BTreeMap<String, f32> = newest.json("metrics.json")?;
    println!("the newest is generation {} of {}: {metrics:?}", newest.generation(), aapl.symbol());
    for (name, (shape, values)) in newest.tensors()? {
        println!("  {name} {shape:?} = {values:?}");
    }
    Ok(())
}

/// Saves one generation: either both files appear, or neither.
fn save(symbol: &SymbolStore, writer: u8) -> Result<Commit, StoreError> {
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

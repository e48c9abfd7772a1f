//! What the workload commits: three files that one number determines, byte for byte.

use std::collections::BTreeMap;

use mambafleet_artifacts::{Snapshot, StoreError, Transaction, WEIGHTS_FILE};
use mambafleet_protocol::Symbol;
use serde::{Deserialize, Serialize};

/// The names of the files.
pub const FILES: [&str; 3] = [WEIGHTS_FILE, "metrics.json", "metadata.json"];

/// The content of each JSON file.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    symbol: Symbol,
    id: u64,
    text: String,
}

impl Record {
    fn new(symbol: &Symbol, id: u64) -> Self {
        let length = usize::try_from(id * 37 % 3000).unwrap_or(0);
        Self { symbol: symbol.clone(), id, text: "mambafleet ".repeat(length / 11) }
    }
}

/// From a few hundred bytes to some 24 KB, so that a file takes one block or several.
fn weights(id: u64) -> Vec<f32> {
    let length = 50 + id * 131 % 6000;
    // Below 2^24, so that each is a float of its own.
    (0..length).map(|at| ((id * 10_007 + at) % 16_000_000) as f32).collect()
}

/// Stages the files that `id` stands for.
///
/// # Errors
/// As [`Transaction::put_with`].
pub fn stage(transaction: &mut Transaction, id: u64) -> Result<(), StoreError> {
    let (values, record) = (weights(id), Record::new(transaction.symbol(), id));
    let meta = BTreeMap::from([("id".to_owned(), id.to_string())]);
    transaction.put_weights([("w", &[values.len()][..], &values[..])], meta)?;
    transaction.put_json(FILES[1], &record)?;
    transaction.put_json(FILES[2], &record)
}

/// The number that all three files of a generation stand for.
///
/// # Errors
/// What is wrong, in words: files of several writers, or a file that is not what was written.
pub fn id_of(snapshot: &Snapshot) -> Result<u64, String> {
    let symbol = &snapshot.manifest().symbol;
    let meta = snapshot.weights_meta().map_err(|error| error.to_string())?;
    let id: u64 = meta
        .get("id")
        .and_then(|id| id.parse().ok())
        .ok_or_else(|| "the weights do not name their writer".to_owned())?;
    for file in &FILES[1..] {
        let record: Record = snapshot.json(file).map_err(|error| error.to_string())?;
        if record.id != id {
            return Err(format!("mixed: weights of {id}, {file} of {}", record.id));
        }
        if record != Record::new(symbol, id) {
            return Err(format!("{file} is not what {id} wrote"));
        }
    }
    let tensors = snapshot.tensors().map_err(|error| error.to_string())?;
    if tensors.get("w").is_none_or(|(_, values)| *values != weights(id)) {
        return Err(format!("the weights are not what {id} wrote"));
    }
    Ok(id)
}

//! The manifest: what a generation consists of, and where it comes from.

use std::collections::BTreeSet;

use jiff::Timestamp;
use mambafleet_protocol::Symbol;
use serde::{Deserialize, Serialize};

use crate::{Digest, Problem, Writer, generation};

/// The name of the manifest inside a generation.
pub const MANIFEST_FILE: &str = "manifest.json";

/// The schema that this version writes, and the only one it reads.
pub(crate) const SCHEMA: u32 = 1;

/// What a generation consists of, who wrote it, and on top of what.
///
/// On disk it is the pretty JSON of these fields in this order, and a final newline; no other
/// spelling is accepted, so that a change of any byte is noticed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The version of this structure.
    pub schema: u32,
    /// The symbol.
    pub symbol: Symbol,
    /// The generation's number.
    pub generation: u64,
    /// The generation before; none for the first.
    pub parent: Option<Parent>,
    /// The generation whose content this one brought back, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restored_from: Option<Parent>,
    /// The files, by name. The manifest itself is not among them.
    pub files: Vec<FileEntry>,
    /// The fencing token of the lock under which the generation was committed.
    pub fencing_token: u64,
    /// What the staging directory's name ended in: unique to the transaction.
    pub nonce: String,
    /// The process that committed it.
    pub writer: Writer,
    /// When it was committed, in UTC.
    pub created_at: Timestamp,
    /// BLAKE3 of this manifest as it is on disk, but with 64 zeros in this field.
    pub hash: Digest,
}

/// Another generation that one goes back to: the one it was committed on top of, or whose content
/// it brought back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parent {
    /// Its number.
    pub generation: u64,
    /// The hash of its manifest.
    pub manifest_hash: Digest,
}

/// One file of a generation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Its name, without any directory.
    pub name: String,
    /// Its length in bytes.
    pub length: u64,
    /// The BLAKE3 hash of its content.
    pub blake3: Digest,
}

impl Manifest {
    /// The length of all files together, in bytes.
    #[must_use]
    pub fn total_length(&self) -> u64 {
        self.files.iter().map(|file| file.length).sum()
    }

    /// Fills in the hash and returns the bytes for the disk.
    pub(crate) fn seal(&mut self) -> Result<Vec<u8>, serde_json::Error> {
        self.hash = self.own_hash()?;
        self.encode()
    }

    /// Reads the manifest of `generation`, and accepts exactly what [`seal`](Self::seal) returns.
    pub(crate) fn parse(bytes: &[u8], symbol: &Symbol, generation: u64) -> Result<Self, Problem> {
        let unusable = |reason: String| Problem::NotAManifest { reason };
        let manifest: Self = serde_json::from_slice(bytes).map_err(|e| unusable(e.to_string()))?;
        let found = manifest.own_hash().map_err(|e| unusable(e.to_string()))?;
        if manifest.hash != found {
            return Err(Problem::Hash { expected: manifest.hash, found });
        }
        if manifest.encode().map_err(|e| unusable(e.to_string()))? != bytes {
            return Err(Problem::NotCanonical);
        }
        if manifest.schema != SCHEMA {
            return Err(unusable(format!("schema {} is not {SCHEMA}", manifest.schema)));
        }
        if (&manifest.symbol, manifest.generation) != (symbol, generation) {
            return Err(Problem::Misplaced {
                expected: format!("{symbol}@{generation}"),
                found: format!("{}@{}", manifest.symbol, manifest.generation),
            });
        }
        manifest.check_names().map_err(unusable)?;
        Ok(manifest)
    }

    fn check_names(&self) -> Result<(), String> {
        let mut seen = BTreeSet::new();
        for FileEntry { name, .. } in &self.files {
            if let Some(reason) = generation::file_name_fault(name) {
                return Err(format!("the file name {name:?} is not allowed: {reason}"));
            }
            if !seen.insert(name) {
                return Err(format!("{name} is listed twice"));
            }
        }
        Ok(())
    }

    fn own_hash(&self) -> Result<Digest, serde_json::Error> {
        let bare = Self { hash: Digest::ZERO, ..self.clone() };
        Ok(Digest::of(&bare.encode()?))
    }

    fn encode(&self) -> Result<Vec<u8>, serde_json::Error> {
        encode_json(self)
    }
}

/// The one spelling of JSON that the store writes: pretty, with a final newline.
pub(crate) fn encode_json<T: Serialize>(value: &T) -> Result<Vec<u8>, serde_json::Error> {
    let mut bytes = serde_json::to_vec_pretty(value)?;
    bytes.push(b'\n');
    Ok(bytes)
}

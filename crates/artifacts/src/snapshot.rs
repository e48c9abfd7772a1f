//! A verified generation, whole.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;

use crate::weights::{self, WEIGHTS_FILE};
use crate::{Fault, Manifest, StoreError};

/// The shape and the values of a tensor, in row-major order.
pub type Tensor = (Vec<usize>, Vec<f32>);

/// A generation as it was committed: all files of one transaction, each verified.
///
/// It holds the content, not paths: nothing that happens to the store later can change it.
#[derive(Debug, Clone)]
pub struct Snapshot {
    manifest: Manifest,
    files: BTreeMap<String, Vec<u8>>,
    skipped: Vec<Fault>,
}

impl Snapshot {
    pub(crate) fn new(manifest: Manifest, files: BTreeMap<String, Vec<u8>>) -> Self {
        Self { manifest, files, skipped: Vec::new() }
    }

    pub(crate) fn with_skipped(self, skipped: Vec<Fault>) -> Self {
        Self { skipped, ..self }
    }

    /// The generation's number.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.manifest.generation
    }

    /// The generation's manifest.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// What was wrong with newer generations, newest first; empty when this is the newest.
    #[must_use]
    pub fn skipped(&self) -> &[Fault] {
        &self.skipped
    }

    /// The files and their contents, by name.
    pub fn files(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice()))
    }

    /// The content of a file.
    #[must_use]
    pub fn bytes(&self, name: &str) -> Option<&[u8]> {
        self.files.get(name).map(Vec::as_slice)
    }

    /// A JSON file as a value.
    ///
    /// # Errors
    /// [`StoreError::NoFile`] when the generation has no such file, [`StoreError::Decode`] when it
    /// is not JSON of a `T`.
    pub fn json<T: DeserializeOwned>(&self, name: &str) -> Result<T, StoreError> {
        serde_json::from_slice(self.file(name)?)
            .map_err(|error| self.undecodable(name, error.to_string()))
    }

    /// The tensors of the weights file, by name.
    ///
    /// # Errors
    /// [`StoreError::NoFile`] when the generation has no weights, [`StoreError::Decode`] when they
    /// are not a safetensors file of 32-bit floats.
    pub fn tensors(&self) -> Result<BTreeMap<String, Tensor>, StoreError> {
        self.tensors_of(WEIGHTS_FILE)
    }

    /// The tensors of another file, by name.
    ///
    /// # Errors
    /// As [`tensors`](Self::tensors).
    pub fn tensors_of(&self, name: &str) -> Result<BTreeMap<String, Tensor>, StoreError> {
        weights::decode(self.file(name)?).map_err(|reason| self.undecodable(name, reason))
    }

    /// The texts that were stored beside the tensors in the weights file.
    ///
    /// # Errors
    /// As [`tensors`](Self::tensors).
    pub fn weights_meta(&self) -> Result<BTreeMap<String, String>, StoreError> {
        weights::decode_meta(self.file(WEIGHTS_FILE)?)
            .map_err(|reason| self.undecodable(WEIGHTS_FILE, reason))
    }

    fn file(&self, name: &str) -> Result<&[u8], StoreError> {
        self.bytes(name).ok_or_else(|| StoreError::NoFile {
            symbol: self.manifest.symbol.clone(),
            generation: self.generation(),
            file: name.to_owned(),
        })
    }

    fn undecodable(&self, name: &str, reason: String) -> StoreError {
        StoreError::Decode {
            symbol: self.manifest.symbol.clone(),
            generation: self.generation(),
            file: name.to_owned(),
            reason,
        }
    }
}

//! One file of a generation, without the others.

use std::collections::BTreeMap;

use crate::symbol_store::SymbolStore;
use crate::{Fault, Manifest, StoreError, Tensor, reader, weights};

impl SymbolStore {
    /// One file of the generation that has this manifest, verified; the others are not looked at. For
    /// whoever needs all of a generation there is [`snapshot`](Self::snapshot): only that tells files
    /// of one moment.
    ///
    /// # Errors
    /// [`StoreError::NoFile`] when the manifest lists no such file, [`StoreError::Corrupt`] when the file
    /// is not what it says, [`StoreError::Io`] when it cannot be read.
    pub fn file(&self, manifest: &Manifest, name: &str) -> Result<Vec<u8>, StoreError> {
        let generation = manifest.generation;
        let Some(entry) = manifest.files.iter().find(|entry| entry.name == name) else {
            let (symbol, file) = (self.symbol().clone(), name.to_owned());
            return Err(StoreError::NoFile { symbol, generation, file });
        };
        let dir = self.generation_dir(generation);
        reader::read_entry(&**self.vfs(), &dir, entry)?.map_err(|problem| {
            StoreError::corrupt(self.symbol(), Fault { generation, file: name.to_owned(), problem })
        })
    }

    /// The tensors of one such file, by name.
    ///
    /// # Errors
    /// As [`file`](Self::file); [`StoreError::Decode`] when it is not a safetensors file of 32-bit floats.
    pub fn tensors(
        &self,
        manifest: &Manifest,
        name: &str,
    ) -> Result<BTreeMap<String, Tensor>, StoreError> {
        weights::decode(&self.file(manifest, name)?).map_err(|reason| StoreError::Decode {
            symbol: self.symbol().clone(),
            generation: manifest.generation,
            file: name.to_owned(),
            reason,
        })
    }
}

//! Weights on their way in and out of a model.

use std::collections::BTreeMap;

use crate::BackendError;

/// A dense row-major tensor of 32-bit floats.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tensor {
    /// Size of each dimension, outermost first.
    pub shape: Vec<usize>,
    /// The elements; as many as the product of `shape`.
    pub data: Vec<f32>,
}

/// Tensors by name, in the order of their names. Names and shapes follow the reference
/// implementation of Mamba: `layers.0.mixer.in_proj.weight` of (2 `d_inner`, `d_model`).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NamedTensors(BTreeMap<String, Tensor>);

impl NamedTensors {
    /// Adds a tensor, replacing one of the same name.
    pub fn insert(&mut self, name: impl Into<String>, tensor: Tensor) {
        self.0.insert(name.into(), tensor);
    }

    /// The tensor of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        self.0.get(name)
    }

    /// The tensor of that name, which must have that shape.
    ///
    /// # Errors
    /// [`BackendError::Tensor`] when it is missing or differs.
    pub fn expect_shape(&self, name: &str, shape: &[usize]) -> Result<&Tensor, BackendError> {
        let wrong = |problem| BackendError::Tensor { name: name.to_owned(), problem };
        let tensor = self.get(name).ok_or_else(|| wrong("is missing".to_owned()))?;
        if tensor.shape != shape || tensor.data.len() != shape.iter().product::<usize>() {
            let found = &tensor.shape;
            return Err(wrong(format!("expected shape {shape:?}, found {found:?}")));
        }
        Ok(tensor)
    }

    /// All tensors in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.0.iter().map(|(name, tensor)| (name.as_str(), tensor))
    }

    /// Number of tensors.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

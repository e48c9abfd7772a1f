//! Arrays in safetensors files.

use std::collections::HashMap;

use mambafleet_backend::{NamedTensors, Tensor};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

pub(super) fn bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// A safetensors file of arrays.
pub(super) fn arrays(arrays: &[(&str, Dtype, &[usize], Vec<u8>)]) -> Vec<u8> {
    let views = arrays.iter().map(|(name, dtype, shape, bytes)| {
        (*name, TensorView::new(*dtype, shape.to_vec(), bytes).unwrap())
    });
    safetensors::serialize(views, None::<HashMap<_, _>>).unwrap()
}

pub(super) fn file_of(tensors: &NamedTensors) -> Vec<u8> {
    let all: Vec<_> = tensors
        .iter()
        .map(|(name, tensor)| (name, Dtype::F32, &tensor.shape[..], bytes(&tensor.data)))
        .collect();
    arrays(&all)
}

pub(super) fn read(file: &[u8]) -> NamedTensors {
    let mut tensors = NamedTensors::default();
    for (name, view) in SafeTensors::deserialize(file).unwrap().iter() {
        let values = view.data().as_chunks().0.iter().map(|value| f32::from_le_bytes(*value));
        let (shape, data) = (view.shape().to_vec(), values.collect());
        tensors.insert(name, Tensor { shape, data });
    }
    tensors
}

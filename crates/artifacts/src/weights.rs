//! Named tensors as a safetensors file.
//!
//! Reading is the safetensors crate's. Its writer keeps the texts of the header in a hash map, so
//! that the same weights would be different bytes in each run; hence the header is laid out here,
//! sorted, and tensors go to the writer one after another without a second copy of them all.

use std::collections::BTreeMap;
use std::io::{self, Write};

use safetensors::tensor::TensorInfo;
use safetensors::{Dtype, SafeTensors};
use serde_json::{Value, json};

use crate::{StoreError, Tensor};

/// The name of the weights file inside a generation.
pub const WEIGHTS_FILE: &str = "weights.safetensors";

/// The header's entry for texts; no tensor can have this name.
const META_KEY: &str = "__metadata__";

/// The header is padded so that the tensors begin at a multiple of this.
const ALIGNMENT: usize = 8;

/// How many values are converted at a time.
const CHUNK: usize = 16 * 1024;

/// Tensors that are known to fit together, ready to be written.
#[derive(Debug)]
pub(crate) struct Encoder<'a> {
    header: Vec<u8>,
    data: Vec<&'a [f32]>,
}

impl<'a> Encoder<'a> {
    /// Checks the tensors and lays out the header.
    pub(crate) fn new(
        tensors: impl IntoIterator<Item = (&'a str, &'a [usize], &'a [f32])>,
        meta: &BTreeMap<String, String>,
    ) -> Result<Self, StoreError> {
        let mut sorted = BTreeMap::new();
        for (name, shape, data) in tensors {
            check(name, shape, data)?;
            if sorted.insert(name, (shape, data)).is_some() {
                return Err(invalid(name, "the name is used twice".to_owned()));
            }
        }
        let encode = |source| StoreError::Encode { what: WEIGHTS_FILE.to_owned(), source };
        let mut header = BTreeMap::<&str, Value>::new();
        if !meta.is_empty() {
            header.insert(META_KEY, json!(meta));
        }
        let mut offset = 0;
        for (name, (shape, data)) in &sorted {
            let data_offsets = (offset, offset + size_of_val(*data));
            let info = TensorInfo { dtype: Dtype::F32, shape: shape.to_vec(), data_offsets };
            header.insert(name, serde_json::to_value(info).map_err(encode)?);
            offset = data_offsets.1;
        }
        let mut header = serde_json::to_vec(&header).map_err(encode)?;
        header.resize(header.len().next_multiple_of(ALIGNMENT), b' ');
        Ok(Self { header, data: sorted.into_values().map(|(_, data)| data).collect() })
    }

    /// The length of the file, in bytes.
    pub(crate) fn length(&self) -> u64 {
        let data: usize = self.data.iter().map(|data| size_of_val(*data)).sum();
        (size_of::<u64>() + self.header.len() + data) as u64
    }

    /// Writes the file.
    pub(crate) fn write_to(&self, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(&(self.header.len() as u64).to_le_bytes())?;
        out.write_all(&self.header)?;
        let mut buffer = Vec::with_capacity(CHUNK * size_of::<f32>());
        for chunk in self.data.iter().flat_map(|data| data.chunks(CHUNK)) {
            buffer.clear();
            buffer.extend(chunk.iter().flat_map(|value| value.to_le_bytes()));
            out.write_all(&buffer)?;
        }
        Ok(())
    }
}

fn check(name: &str, shape: &[usize], data: &[f32]) -> Result<(), StoreError> {
    if name == META_KEY {
        return Err(invalid(name, "safetensors reserves this name".to_owned()));
    }
    let elements = shape.iter().try_fold(1_usize, |product, &n| product.checked_mul(n));
    if elements != Some(data.len()) {
        return Err(invalid(
            name,
            format!("its shape is {shape:?}, but it has {} values", data.len()),
        ));
    }
    Ok(())
}

fn invalid(name: &str, reason: String) -> StoreError {
    StoreError::InvalidTensor { name: name.to_owned(), reason }
}

/// The tensors of a file, or why it is not one of 32-bit floats.
pub(crate) fn decode(bytes: &[u8]) -> Result<BTreeMap<String, Tensor>, String> {
    let file = SafeTensors::deserialize(bytes).map_err(|error| error.to_string())?;
    file.iter()
        .map(|(name, view)| match view.dtype() {
            Dtype::F32 => Ok((name.to_owned(), (view.shape().to_vec(), floats(view.data())))),
            other => Err(format!("tensor {name:?} is {other}, not F32")),
        })
        .collect()
}

/// The texts in the header of a file.
pub(crate) fn decode_meta(bytes: &[u8]) -> Result<BTreeMap<String, String>, String> {
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(|error| error.to_string())?;
    Ok(header.metadata().iter().flatten().map(|(k, v)| (k.clone(), v.clone())).collect())
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    let (values, _) = bytes.as_chunks();
    values.iter().map(|&value| f32::from_le_bytes(value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(encoder: &Encoder<'_>) -> Vec<u8> {
        let mut bytes = Vec::new();
        encoder.write_to(&mut bytes).unwrap();
        assert_eq!(encoder.length(), bytes.len() as u64);
        bytes
    }

    #[test]
    fn tensors_of_all_shapes_come_back_bit_for_bit() {
        let long: Vec<f32> = (0..CHUNK + 3).map(|i| i as f32 * 0.1).collect();
        let odd = [f32::NAN, f32::INFINITY, -0.0, f32::MIN_POSITIVE / 2.0];
        let meta: BTreeMap<_, _> =
            (0..20).map(|i| (format!("k{i}"), format!("\"v\"\n{i}"))).collect();
        let tensors = [
            ("long", &[long.len()][..], &long[..]),
            ("odd", &[2, 1, 2], &odd),
            ("scalar", &[], &[7.0]),
            ("empty", &[3, 0], &[]),
            ("layers.0.A_log \u{fc}", &[1], &[1.0]),
        ];
        let bytes = written(&Encoder::new(tensors, &meta).unwrap());
        let read = decode(&bytes).unwrap();
        assert_eq!(read.len(), tensors.len());
        for (name, shape, data) in tensors {
            let bits = |values: &[f32]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
            assert_eq!(read[name].0, shape);
            assert_eq!(bits(&read[name].1), bits(data), "{name}");
        }
        assert_eq!(decode_meta(&bytes).unwrap(), meta);
    }

    #[test]
    fn the_same_tensors_are_the_same_bytes_in_any_order() {
        let meta: BTreeMap<_, _> = (0..20).map(|i| (format!("k{i}"), i.to_string())).collect();
        let (a, b) = (("a", &[1][..], &[1.0][..]), ("b", &[1][..], &[2.0][..]));
        let first = written(&Encoder::new([a, b], &meta).unwrap());
        assert_eq!(first, written(&Encoder::new([b, a], &meta).unwrap()));
        assert_eq!(first[..8], (first.len() as u64 - 16).to_le_bytes());
    }

    #[test]
    fn what_is_no_tensor_is_refused_with_its_name() {
        let none = BTreeMap::new();
        let refused = |tensors: &[(&str, &[usize], &[f32])]| {
            Encoder::new(tensors.iter().copied(), &none).unwrap_err().to_string()
        };
        let text = refused(&[("w", &[2, 2], &[1.0, 2.0, 3.0])]);
        assert!(text.contains("\"w\"") && text.contains("[2, 2]") && text.contains('3'), "{text}");
        assert!(refused(&[("w", &[], &[1.0]), ("w", &[], &[2.0])]).contains("twice"));
        assert!(refused(&[(META_KEY, &[], &[1.0])]).contains("reserves"));
        assert!(refused(&[("w", &[usize::MAX, 2], &[])]).contains("shape"));
    }

    #[test]
    fn other_files_and_other_types_are_not_weights() {
        assert!(decode(b"no such file").is_err());
        let view = safetensors::tensor::TensorView::new(Dtype::F64, vec![1], &[0; 8]).unwrap();
        let doubles = safetensors::serialize([("w", view)], None).unwrap();
        assert!(decode(&doubles).unwrap_err().contains("F64"));
    }
}

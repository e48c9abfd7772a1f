//! Arrays in safetensors files.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use mambafleet_backend::{BackendError, NamedTensors, Tensor};
use safetensors::{Dtype, SafeTensors};
use serde_json::{Map, json};

/// Larger files are not read.
const MAX_LENGTH: u64 = 4 << 30;

/// A file that arrays are written to one after the other, in the order in which they were
/// announced.
pub(crate) struct Writer(BufWriter<File>);

impl Writer {
    /// Creates the file, and announces the arrays that it will hold.
    pub(crate) fn create(path: &Path, arrays: &[(&str, &[usize])]) -> io::Result<Self> {
        let mut header = Map::new();
        let mut offset = 0;
        for (name, shape) in arrays {
            let end = offset + shape.iter().product::<usize>() * size_of::<f32>();
            let entry = json!({"dtype": "F32", "shape": shape, "data_offsets": [offset, end]});
            header.insert((*name).to_owned(), entry);
            offset = end;
        }
        let mut header = serde_json::to_vec(&header)?;
        header.resize(header.len().next_multiple_of(8), b' ');
        let file = OpenOptions::new().write(true).create_new(true).open(path)?;
        let mut out = BufWriter::new(file);
        out.write_all(&(header.len() as u64).to_le_bytes())?;
        out.write_all(&header)?;
        Ok(Self(out))
    }

    /// Appends values.
    pub(crate) fn put(&mut self, values: &[f32]) -> io::Result<()> {
        values.iter().try_for_each(|value| self.0.write_all(&value.to_le_bytes()))
    }

    /// Ends the file.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Writes tensors to a new file.
pub(crate) fn write(path: &Path, tensors: &NamedTensors) -> io::Result<()> {
    let shapes: Vec<_> =
        tensors.iter().map(|(name, tensor)| (name, tensor.shape.as_slice())).collect();
    let mut writer = Writer::create(path, &shapes)?;
    tensors.iter().try_for_each(|(_, tensor)| writer.put(&tensor.data))?;
    writer.finish()
}

/// The arrays of a file, which must be finite 32-bit floats.
pub(crate) fn read(path: &Path, what: &'static str) -> Result<NamedTensors, BackendError> {
    let failed = |why: String| BackendError::Failed(format!("{what}: {why}"));
    let about = std::fs::metadata(path).map_err(|error| failed(format!("not there: {error}")))?;
    if !about.is_file() || about.len() > MAX_LENGTH {
        return Err(failed("no file of at most 4 GiB".to_owned()));
    }
    let bytes = std::fs::read(path).map_err(|error| failed(error.to_string()))?;
    let file = SafeTensors::deserialize(&bytes)
        .map_err(|error| failed(format!("no safetensors file: {error}")))?;
    let mut tensors = NamedTensors::default();
    for (name, view) in file.iter() {
        if view.dtype() != Dtype::F32 {
            return Err(failed(format!("tensor {name:?} is {}, not F32", view.dtype())));
        }
        let (values, _) = view.data().as_chunks();
        let data: Vec<f32> = values.iter().map(|&value| f32::from_le_bytes(value)).collect();
        if let Some(value) = data.iter().find(|value| !value.is_finite()) {
            return Err(BackendError::Diverged { what, value: f64::from(*value), step: 0 });
        }
        tensors.insert(name, Tensor { shape: view.shape().to_vec(), data });
    }
    Ok(tensors)
}

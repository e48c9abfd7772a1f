//! Reading a parity file.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use mambafleet_protocol::ModelSpec;
use safetensors::{Dtype, SafeTensors};

use super::names::shapes;
use super::{Case, ParityFileError, Results, Values};
use crate::{Batch, Decay, ModelConfig, NamedTensors, Objective, OptimizerConfig, Tensor};

/// Inside the root of the norms.
const RMS_EPS: f64 = 1e-5;
/// Optimiser steps.
const STEPS: usize = 3;
/// The learning rate of each.
const LEARNING_RATE: f64 = 1e-3;
/// The optimiser's settings.
const OPTIMIZER: OptimizerConfig =
    OptimizerConfig { decay: Decay::All, grad_clip: f64::INFINITY, ..OptimizerConfig::USUAL };

impl Case {
    /// Reads a parity file and checks that it is whole.
    ///
    /// # Errors
    /// [`ParityFileError`] names the file and what is wrong with it.
    pub fn read(path: &Path) -> Result<Self, ParityFileError> {
        let read = |source| ParityFileError::Read { path: path.to_owned(), source };
        let format = |source| ParityFileError::Format { path: path.to_owned(), source };
        let bytes = fs::read(path).map_err(read)?;
        let (_, header) = SafeTensors::read_metadata(&bytes).map_err(format)?;
        let texts = Texts { path, texts: header.metadata().clone().unwrap_or_default() };
        let (config, samples) = texts.model()?;
        let optimizer = OptimizerConfig { decay: texts.settings()?, ..OPTIMIZER };
        let tensors = SafeTensors::deserialize(&bytes).map_err(format)?;
        File { path, tensors }.case(config, samples, optimizer)
    }
}

/// The texts in the header.
struct Texts<'a> {
    path: &'a Path,
    texts: HashMap<String, String>,
}

impl Texts<'_> {
    fn wrong<T>(&self, key: &'static str, problem: String) -> Result<T, ParityFileError> {
        Err(ParityFileError::Text { path: self.path.to_owned(), key, problem })
    }

    fn text(&self, key: &'static str) -> Result<&str, ParityFileError> {
        match self.texts.get(key) {
            Some(text) => Ok(text.trim()),
            None => self.wrong(key, "is missing".to_owned()),
        }
    }

    fn number<N: FromStr>(&self, key: &'static str) -> Result<N, ParityFileError> {
        let text = self.text(key)?;
        match text.parse() {
            Ok(number) => Ok(number),
            Err(_) => self.wrong(key, format!("is {text:?}, not a number")),
        }
    }

    /// The model, and the number of samples in the batch.
    fn model(&self) -> Result<(ModelConfig, usize), ParityFileError> {
        let (d_model, d_inner) = (self.number("d_model")?, self.number::<usize>("d_inner")?);
        let Some(expand) = d_inner.checked_div(d_model).filter(|n| n * d_model == d_inner) else {
            return self.wrong("d_inner", format!("is {d_inner}, not a multiple of {d_model}"));
        };
        let spec = ModelSpec {
            d_model,
            n_layers: self.number("n_layer")?,
            d_state: self.number("d_state")?,
            d_conv: self.number("d_conv")?,
            expand,
            dt_rank: self.number("dt_rank")?,
        };
        if let Err(invalid) = spec.validate() {
            return self.wrong("d_model", format!("and its like: {invalid}"));
        }
        let config = ModelConfig {
            spec,
            n_features: self.number("n_features")?,
            seq_len: self.number("seq_len")?,
            objective: Objective::Mse { targets: self.number("n_out")? },
        };
        Ok((config, self.number("batch")?))
    }

    /// What decays, once it is certain that the other settings are the usual ones.
    fn settings(&self) -> Result<Decay, ParityFileError> {
        let steps = self.number::<usize>("steps")?;
        if steps != STEPS {
            return self.wrong("steps", format!("is {steps}, not {STEPS}"));
        }
        let eps = self.number::<f64>("rms_eps")?;
        if !same(eps, RMS_EPS) {
            return self.wrong("rms_eps", format!("is {eps}, not {RMS_EPS}"));
        }
        // However it is written: the numbers that stand in it are the usual ones.
        let OptimizerConfig { beta1, beta2, epsilon, weight_decay, .. } = OPTIMIZER;
        let usual = [LEARNING_RATE, beta1, beta2, epsilon, weight_decay];
        let adamw = self.text("adamw")?;
        let words = adamw.split(|c: char| c.is_whitespace() || ",;:=()[]{}'\"".contains(c));
        for number in words.filter_map(|word| word.parse::<f64>().ok()) {
            if !usual.iter().any(|usual| same(number, *usual)) {
                return self.wrong("adamw", format!("names {number}, not one of {usual:?}"));
            }
        }
        match self.texts.get("decay").map(String::as_str) {
            None | Some("all") => Ok(Decay::All),
            Some("matrices") => Ok(Decay::Matrices),
            Some(other) => self.wrong("decay", format!("is {other:?}, not all or matrices")),
        }
    }
}

/// Whether two settings are the same number, however many digits were written.
fn same(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * b.abs()
}

/// The tensors.
struct File<'a> {
    path: &'a Path,
    tensors: SafeTensors<'a>,
}

impl File<'_> {
    fn case(
        &self,
        config: ModelConfig,
        samples: usize,
        optimizer: OptimizerConfig,
    ) -> Result<Case, ParityFileError> {
        let outputs = config.n_outputs();
        let inputs = self.singles("input", &[samples, config.seq_len, config.n_features])?;
        let targets = self.singles("target", &[samples, outputs])?;
        let mut parameters = NamedTensors::default();
        let (mut gradients, mut after) = (Values::new(), Values::new());
        let shapes = shapes(&config);
        for (name, shape) in &shapes {
            let data = self.singles(&format!("param.{name}"), shape)?;
            parameters.insert(name, Tensor { shape: shape.clone(), data });
            gradients.insert(name.clone(), self.doubles(&format!("f64.grad.{name}"), shape)?);
            let key = format!("f64.after{STEPS}.{name}");
            after.insert(name.clone(), self.doubles(&key, shape)?);
        }
        self.only(&shapes.into_iter().collect())?;
        let output = self.doubles("f64.output", &[samples, outputs])?;
        let loss = self.loss()?;
        Ok(Case {
            config,
            optimizer,
            learning_rate: LEARNING_RATE,
            steps: STEPS,
            batch: Batch { inputs, targets, samples },
            parameters,
            reference: Results { output, loss, gradients: Some(gradients), parameters: after },
        })
    }

    fn wrong<T>(&self, name: &str, problem: String) -> Result<T, ParityFileError> {
        let (path, name) = (PathBuf::from(self.path), name.to_owned());
        Err(ParityFileError::Tensor { path, name, problem })
    }

    /// Refuses parameters that the model does not have.
    fn only(&self, known: &BTreeMap<String, Vec<usize>>) -> Result<(), ParityFileError> {
        for name in self.tensors.names() {
            let kinds = ["param.", "f64.grad.", "f64.after3."];
            let parameter = kinds.iter().find_map(|kind| name.strip_prefix(kind));
            if parameter.is_some_and(|parameter| !known.contains_key(parameter)) {
                return self.wrong(name, "is not part of the model that the texts say".to_owned());
            }
        }
        Ok(())
    }

    /// The bytes of a tensor of that type and shape.
    fn bytes(&self, name: &str, dtype: Dtype, shape: &[usize]) -> Result<&[u8], ParityFileError> {
        let Ok(view) = self.tensors.tensor(name) else {
            return self.wrong(name, "is missing".to_owned());
        };
        if view.dtype() != dtype || view.shape() != shape {
            let (found_type, found) = (view.dtype(), view.shape());
            let problem = format!("is {found_type} {found:?}, expected {dtype} {shape:?}");
            return self.wrong(name, problem);
        }
        Ok(view.data())
    }

    fn singles(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, ParityFileError> {
        let (values, _) = self.bytes(name, Dtype::F32, shape)?.as_chunks();
        let values: Vec<f32> = values.iter().map(|value| f32::from_le_bytes(*value)).collect();
        self.finite(name, values.iter().all(|value| value.is_finite()))?;
        Ok(values)
    }

    fn doubles(&self, name: &str, shape: &[usize]) -> Result<Vec<f64>, ParityFileError> {
        let (values, _) = self.bytes(name, Dtype::F64, shape)?.as_chunks();
        let values: Vec<f64> = values.iter().map(|value| f64::from_le_bytes(*value)).collect();
        self.finite(name, values.iter().all(|value| value.is_finite()))?;
        Ok(values)
    }

    fn finite(&self, name: &str, fine: bool) -> Result<(), ParityFileError> {
        if fine { Ok(()) } else { self.wrong(name, "holds a value that is not finite".to_owned()) }
    }

    /// The loss, a single number whatever its shape.
    fn loss(&self) -> Result<f64, ParityFileError> {
        let name = "f64.loss";
        let shape = self.tensors.tensor(name).map(|view| view.shape().to_vec()).unwrap_or_default();
        match self.doubles(name, &shape)?[..] {
            [loss] => Ok(loss),
            ref values => self.wrong(name, format!("has {} elements, not one", values.len())),
        }
    }
}

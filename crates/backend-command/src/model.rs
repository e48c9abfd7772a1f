//! A model that forecasts in a process of its own.

use mambafleet_backend::{BackendError, Model, ModelConfig, NamedTensors, Objective};
use mambafleet_protocol::ProgramSpec;
use tempfile::TempDir;

use crate::message::{Answer, Request};
use crate::process::Process;
use crate::{arrays, cannot_write, staging};

/// Weights, and the program that knows what to do with them. It is started for the first forecast.
pub(crate) struct ProgramModel {
    program: ProgramSpec,
    config: ModelConfig,
    tensors: NamedTensors,
    threads: usize,
    /// Above the directory, so that it has ended before that is removed.
    process: Option<Process>,
    staging: TempDir,
    requests: usize,
}

impl ProgramModel {
    pub(crate) fn new(
        program: &ProgramSpec,
        config: &ModelConfig,
        tensors: NamedTensors,
        threads: usize,
    ) -> Result<Self, BackendError> {
        let (program, config) = (program.clone(), config.clone());
        let (process, staging, requests) = (None, staging()?, 0);
        Ok(Self { program, config, tensors, threads, process, staging, requests })
    }

    /// Writes the weights and starts the program.
    fn start(&self) -> Result<Process, BackendError> {
        let path = self.staging.path().join("weights.safetensors");
        let shapes: Vec<_> =
            self.tensors.iter().map(|(name, tensor)| (name, tensor.shape.as_slice())).collect();
        let mut writer = arrays::Writer::create(&path, &shapes).map_err(cannot_write(&path))?;
        for (_, tensor) in self.tensors.iter() {
            writer.put(&tensor.data).map_err(cannot_write(&path))?;
        }
        writer.finish().map_err(cannot_write(&path))?;
        Process::start(&self.program, self.threads, &|| false)
    }

    /// Refuses forecasts whose quantiles cross.
    fn check(&self, predictions: &[f32]) -> Result<(), BackendError> {
        let Objective::Pinball { levels, .. } = &self.config.objective else { return Ok(()) };
        let crossing = |row: &[f32]| !row.is_sorted();
        match predictions.chunks(levels.len().max(1)).position(crossing) {
            None => Ok(()),
            Some(at) => Err(BackendError::Failed(format!(
                "{}: the quantiles of a forecast cross (row {at} of all horizons); they must \
                 ascend within each horizon",
                self.program.argv.join(" ")
            ))),
        }
    }
}

impl Model for ProgramModel {
    fn predict(&mut self, inputs: &[f32]) -> Result<Vec<f32>, BackendError> {
        let ModelConfig { seq_len, n_features, .. } = self.config;
        let (window, outputs) = (seq_len * n_features, self.config.n_outputs());
        let samples = inputs.len() / window.max(1);
        if samples * window != inputs.len() {
            let (expected, found) = (samples * window + window, inputs.len());
            return Err(BackendError::Shape { what: "inputs", expected, found });
        }
        if samples == 0 {
            return Ok(Vec::new());
        }
        self.requests += 1;
        let path = |what| self.staging.path().join(format!("{what}-{}.safetensors", self.requests));
        let (asked, answered) = (path("inputs"), path("predictions"));
        let shape = [samples, seq_len, n_features];
        arrays::Writer::create(&asked, &[("inputs", &shape)])
            .and_then(|mut writer| writer.put(inputs).and_then(|()| writer.finish()))
            .map_err(cannot_write(&asked))?;
        let mut process = match self.process.take() {
            Some(process) => process,
            None => self.start()?,
        };
        process.ask(&Request::Predict {
            samples,
            outputs,
            threads: self.threads,
            weights: &self.staging.path().join("weights.safetensors"),
            inputs: &asked,
            predictions: &answered,
            model: &self.config,
        })?;
        match process.answer(&|| false)? {
            Answer::Predicted => {}
            other => return Err(process.out_of_turn(&other)),
        }
        self.process = Some(process);
        let found = arrays::read(&answered, "forecasts that the program left")?;
        let predictions = found.expect_shape("predictions", &[samples, outputs])?.data.clone();
        self.check(&predictions)?;
        Ok(predictions)
    }

    fn tensors(&self) -> Result<NamedTensors, BackendError> {
        Ok(self.tensors.clone())
    }
}

//! A model that forecasts in a process of its own.

use mambafleet_backend::{BackendError, Cancellation, Model, ModelConfig, NamedTensors, Objective};
use mambafleet_protocol::ProgramSpec;

use crate::guard::Guard;
use crate::message::{Answer, Request};
use crate::process::Process;
use crate::{arrays, cannot_write, staging};

/// Weights, and the program that knows what to do with them. It is started for the first forecast.
pub(crate) struct ProgramModel {
    guard: Guard,
    program: ProgramSpec,
    config: ModelConfig,
    tensors: NamedTensors,
    threads: usize,
    cancellation: Cancellation,
    process: Option<Process>,
    requests: usize,
}

/// File of a process' directory that holds the weights.
const WEIGHTS: &str = "weights.safetensors";

impl ProgramModel {
    pub(crate) fn new(
        guard: Guard,
        program: ProgramSpec,
        config: ModelConfig,
        tensors: NamedTensors,
        threads: usize,
        cancellation: Cancellation,
    ) -> Self {
        let (process, requests) = (None, 0);
        Self { guard, program, config, tensors, threads, cancellation, process, requests }
    }

    /// Writes the weights and starts the program.
    fn start(&self) -> Result<Process, BackendError> {
        let staging = staging()?;
        let path = staging.path().join(WEIGHTS);
        arrays::write(&path, &self.tensors).map_err(cannot_write(&path))?;
        let is_cancelled = || self.cancellation.is_cancelled();
        Process::start(&self.guard, &self.program, staging, self.threads, &is_cancelled)
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
        // A process that has failed is not asked again.
        let mut process = match self.process.take() {
            Some(process) => process,
            None => self.start()?,
        };
        self.requests += 1;
        let path = |what| process.staging().join(format!("{what}-{}.safetensors", self.requests));
        let (asked, answered) = (path("inputs"), path("predictions"));
        let shape = [samples, seq_len, n_features];
        arrays::Writer::create(&asked, &[("inputs", &shape)])
            .and_then(|mut writer| writer.put(inputs).and_then(|()| writer.finish()))
            .map_err(cannot_write(&asked))?;
        process.ask(&Request::Predict {
            samples,
            outputs,
            threads: self.threads,
            weights: &process.staging().join(WEIGHTS),
            inputs: &asked,
            predictions: &answered,
            model: &self.config,
        })?;
        match process.answer(&|| self.cancellation.is_cancelled())? {
            Answer::Predicted => {}
            other => return Err(process.out_of_turn(&other)),
        }
        let found = arrays::read(&answered, "forecasts that the program left")?;
        let predictions = found.expect_shape("predictions", &[samples, outputs])?.data.clone();
        self.check(&predictions)?;
        for path in [asked, answered] {
            // The directory is removed in the end anyway.
            let _ = std::fs::remove_file(path);
        }
        self.process = Some(process);
        Ok(predictions)
    }

    fn tensors(&self) -> Result<NamedTensors, BackendError> {
        Ok(self.tensors.clone())
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn waiting_for_a_forecast_ends_when_nobody_wants_it() {
        // In place of a guard, the program itself.
        let script = "shift 3; exec \"$@\"";
        let guard =
            Guard { program: "sh".into(), args: ["-c", script, "guard"].map(Into::into).to_vec() };
        let hello = r#"echo '{"mambafleet":1,"type":"hello"}'; read request; exec sleep 600"#;
        let program = ProgramSpec {
            argv: ["sh", "-c", hello].map(Into::into).to_vec(),
            dir: "/".into(),
            timeout_ms: 20_000,
        };
        let spec = serde_json::json!({
            "spec": {"d_model": 1, "n_layers": 1, "d_state": 1, "d_conv": 1, "expand": 1, "dt_rank": 1},
            "n_features": 1, "seq_len": 1, "objective": {"kind": "mse", "targets": 1},
        });
        let config = serde_json::from_value(spec).unwrap();
        let cancellation = Cancellation::default();
        let tensors = NamedTensors::default();
        let mut model = ProgramModel::new(guard, program, config, tensors, 1, cancellation.clone());
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(300));
            cancellation.cancel();
        });
        let ended = model.predict(&[1.0]);
        assert!(matches!(ended, Err(BackendError::Cancelled)), "{ended:?}");
    }
}

//! The loop over epochs.

use mambafleet_backend::samples::InMemory;
use mambafleet_backend::{Backend, Batch, EpochMetrics, Fitted, Job, ModelConfig, Objective};
use mambafleet_backend::{Observer, OptimizerConfig};
use mambafleet_protocol::{ModelSpec, ReturnsSpec, RunId, ScheduleSpec, Symbol, TrainSpec, mix64};

use crate::conformance::{Fault, Linear};

#[derive(Default)]
struct Epochs(Vec<EpochMetrics>);

impl Observer for Epochs {
    fn epoch(&mut self, metrics: &EpochMetrics) {
        self.0.push(*metrics);
    }

    fn is_cancelled(&self) -> bool {
        false
    }
}

fn settings() -> TrainSpec {
    TrainSpec {
        epochs: 6,
        batch_size: 48,
        learning_rate: 1e-2,
        schedule: ScheduleSpec::OneCycle,
        weight_decay: 0.0,
        warmup: 0.3,
        patience: 6,
        seed: 1,
        ..TrainSpec::usual("linear")
    }
}

/// Windows of one value, the double of which is the target.
fn samples(count: u64, scale: f32) -> InMemory {
    let inputs: Vec<f32> =
        (0..count).map(|i| (mix64(i) >> 40) as f32 / (1 << 23) as f32 - 1.0).collect();
    let targets = inputs.iter().map(|x| scale * x).collect();
    InMemory(Batch { inputs, targets, samples: count as usize })
}

fn fit(train: &TrainSpec, validation: &InMemory) -> (Fitted, Epochs) {
    let spec = ModelSpec { d_model: 1, n_layers: 1, d_state: 1, d_conv: 1, expand: 1, dt_rank: 1 };
    let objective = Objective::Mse { targets: 1 };
    let task = ReturnsSpec {
        features: vec!["x".to_owned()],
        lookback: 1,
        horizons: vec![1],
        quantiles: vec![0.5],
        ..ReturnsSpec::usual()
    };
    let job = Job {
        symbol: &Symbol::new("TOY").unwrap(),
        run: &"run".parse::<RunId>().unwrap(),
        attempt: 1,
        task: &task.into(),
        config: &ModelConfig { spec, n_features: 1, seq_len: 1, objective },
        train,
        optimizer: &OptimizerConfig::from(train),
        init: None,
        threads: 1,
    };
    let mut epochs = Epochs::default();
    let fitted = Linear(Fault::None).fit(&job, &samples(100, 2.0), validation, &mut epochs);
    (fitted.unwrap(), epochs)
}

#[test]
fn batches_that_are_accumulated_train_like_one_large_batch() {
    let validation = samples(20, 2.0);
    let (large, _) = fit(&settings(), &validation);
    // 100 samples: steps on 48, 48 and 4; in parts of 16, 16, 16 and of 4.
    let parts = TrainSpec { batch_size: 16, accumulate: 3, ..settings() };
    let (parts, _) = fit(&parts, &validation);
    let (single, _) = fit(&TrainSpec { batch_size: 16, ..settings() }, &validation);
    let weights = |fitted: &Fitted| fitted.model.tensors().unwrap();
    let off = |a: &Fitted, b: &Fitted| {
        let (a, b) = (weights(a), weights(b));
        let pairs = a.get("weights").unwrap().data.iter().zip(&b.get("weights").unwrap().data);
        pairs.fold(0.0_f32, |worst, (a, b)| worst.max((a - b).abs()))
    };
    assert!(off(&large, &parts) < 1e-5, "{}", off(&large, &parts));
    assert!(off(&large, &single) > 1e-3, "{}", off(&large, &single));
    for (large, parts) in large.epochs.iter().zip(&parts.epochs) {
        assert!((large.learning_rate - parts.learning_rate).abs() < 1e-12);
        assert!((large.train_loss - parts.train_loss).abs() < 1e-5);
    }
}

#[test]
fn training_stops_early_and_puts_the_best_weights_back() {
    // What helps in training hurts in validation from the first step on.
    let validation = samples(20, -2.0);
    let train = TrainSpec { epochs: 50, patience: 2, ..settings() };
    let (mut fitted, seen) = fit(&train, &validation);
    assert_eq!((fitted.best, fitted.epochs.len(), seen.0.len()), (0, 3, 3));
    assert_eq!(seen.0, fitted.epochs);
    let predictions = fitted.model.predict(&validation.0.inputs).unwrap();
    let loss = Objective::Mse { targets: 1 }.loss(&predictions, &validation.0.targets).unwrap();
    assert!((loss - fitted.epochs[0].validation_loss).abs() < 1e-9);
    assert!(fitted.epochs[2].validation_loss > fitted.epochs[0].validation_loss);
}

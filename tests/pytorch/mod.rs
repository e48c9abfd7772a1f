//! The trainer in PyTorch beside the native backend, if Python has what it needs.

mod arrays;

use std::cell::RefCell;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use mambafleet_backend::samples::{InMemory, targets_of};
use mambafleet_backend::{
    Backend, Batch, EpochMetrics, Job, ModelConfig, NamedTensors, Observer, OptimizerConfig,
    Samples,
};
use mambafleet_backend_native::NativeBackend;
use mambafleet_protocol::{TaskSpec, TrainSpec};
use safetensors::Dtype;
use serde_json::{Value, json};

use crate::support::Sandbox;

use arrays::{arrays, bytes, file_of, read};

/// A Python with PyTorch, which `MAMBAFLEET_TEST_PYTORCH` names.
fn python() -> Option<String> {
    let python = std::env::var("MAMBAFLEET_TEST_PYTORCH").ok();
    if python.is_none() {
        println!("skipped: MAMBAFLEET_TEST_PYTORCH names no Python; `just test-pytorch` does");
    }
    python
}

fn example(name: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/pytorch");
    dir.join(name).canonicalize().unwrap()
}

/// Numbers between -1 and 1 that look random.
fn numbers(len: usize, seed: u32) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1_u32 << 23) as f32 - 1.0
    };
    (0..len).map(|_| next()).collect()
}

/// Windows of numbers, and targets that depend on their last rows.
fn samples(config: &ModelConfig, count: usize, seed: u32) -> InMemory {
    let window = config.seq_len * config.n_features;
    let inputs = numbers(count * window, seed);
    let noise = numbers(count * config.n_targets(), seed + 1);
    let target = |(index, noise): (usize, &f32)| {
        let last = (index / config.n_targets() + 1) * window - 1;
        inputs[last] - 0.5 * inputs[last - 1] + 0.3 * noise
    };
    let targets = noise.iter().enumerate().map(target).collect();
    InMemory(Batch { inputs, targets, samples: count })
}

/// Notes which samples are asked for, in their order.
struct Noting<'a>(&'a InMemory, RefCell<Vec<i64>>);

impl Samples for Noting<'_> {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn gather(&self, indices: &[usize], batch: &mut Batch) {
        self.1.borrow_mut().extend(indices.iter().map(|index| *index as i64));
        self.0.gather(indices, batch);
    }
}

/// Notes the epochs.
struct Nobody;

impl Observer for Nobody {
    fn epoch(&mut self, _metrics: &EpochMetrics) {}

    fn is_cancelled(&self) -> bool {
        false
    }
}

/// What `train.py` says to one request, hello left out.
fn ask(python: &str, args: &[&Path], request: &Value) -> Vec<Value> {
    let mut child = Command::new(python)
        .arg(example("train.py"))
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    writeln!(stdin, "{request}").unwrap();
    let stdout = BufReader::new(child.stdout.take().unwrap());
    let mut messages = Vec::new();
    for line in stdout.lines() {
        let message: Value = serde_json::from_str(&line.unwrap()).unwrap();
        let is_last = ["done", "predicted", "error"].contains(&message["type"].as_str().unwrap());
        messages.push(message);
        if is_last {
            break;
        }
    }
    drop(stdin);
    assert!(child.wait().unwrap().success());
    messages.split_off(1)
}

/// Fails unless two arrays are the same within a tolerance; says how far they are apart.
#[track_caller]
fn assert_close(what: &str, ours: &[f32], theirs: &[f32], tolerance: f32) -> f32 {
    assert_eq!(ours.len(), theirs.len(), "{what}");
    let differences = ours.iter().zip(theirs).map(|(a, b)| (a - b).abs());
    let worst = differences.fold(0.0, f32::max);
    assert!(worst <= tolerance, "{what}: {worst:e} apart");
    worst
}

/// For losses, learning rates and forecasts. Weights may be five times as far apart: AdamW divides
/// by the gradient, however small.
const TOLERANCE: f32 = 1e-5;

fn config() -> ModelConfig {
    let spec = json!({
        "spec": {"d_model": 12, "n_layers": 2, "d_state": 4, "d_conv": 3, "expand": 2, "dt_rank": 2},
        "n_features": 3, "seq_len": 16,
        "objective": {"kind": "pinball", "horizons": 2, "levels": [0.05, 0.25, 0.5, 0.75, 0.95]},
    });
    serde_json::from_value(spec).unwrap()
}

fn train_spec(schedule: &str) -> TrainSpec {
    let spec = json!({
        "backend": "command", "epochs": 4, "batch_size": 16, "accumulate": 2, "learning_rate": 3e-3,
        "schedule": schedule, "weight_decay": 0.1, "grad_clip": 0.5, "warmup": 0.2, "patience": 4,
        "validation_stride": 1, "seed": 7,
    });
    serde_json::from_value(spec).unwrap()
}

#[test]
fn training_from_the_same_weights_on_the_same_batches_agrees() {
    let Some(python) = python() else { return };
    for schedule in ["cosine", "one_cycle", "constant"] {
        compare_training(&python, &config(), &train_spec(schedule));
    }
}

fn compare_training(python: &str, config: &ModelConfig, train: &TrainSpec) {
    let task: TaskSpec = serde_json::from_value(json!({
        "features": ["a", "b", "c"], "lookback": 16, "horizons": [1, 2],
        "quantiles": [0.05, 0.25, 0.5, 0.75, 0.95], "volatility_halflife": 20.0,
        "split": {"train": 0.7, "validation": 0.15},
    }))
    .unwrap();
    let (symbol, run) = ("AAPL".parse().unwrap(), "20261123-083925-616-b413".parse().unwrap());
    let optimizer = &OptimizerConfig::from(train);
    let (symbol, run, task, attempt, threads) = (&symbol, &run, &task, 1, 1);
    let start = NativeBackend.create(config, optimizer, train.seed, 1).unwrap().tensors().unwrap();
    let init = Some(&start);
    let job = Job { symbol, run, attempt, task, config, train, optimizer, init, threads };
    let (training, validation) = (samples(config, 150, 1), samples(config, 40, 5));
    let noting = Noting(&training, RefCell::default());
    let mut ours = NativeBackend.fit(&job, &noting, &validation, &mut Nobody).unwrap();
    let order = noting.1.into_inner();
    assert_eq!(order.len(), 150 * train.epochs);

    let sandbox = Sandbox::new();
    let (answers, theirs) =
        by_pytorch(python, &sandbox, &job, [&training, &validation], &start, &order);
    let (done, epochs) = answers.split_last().unwrap();
    assert_eq!((&done["type"], epochs.len()), (&"done".into(), ours.epochs.len()), "{done}");
    compare_epochs(&ours.epochs, epochs);
    assert_eq!(done["best_epoch"], ours.epochs[ours.best].epoch);
    let weights = ours.model.tensors().unwrap();
    compare_weights(&start, &weights, &theirs);
    let mut theirs = NativeBackend.load(config, &theirs, 1).unwrap();
    let inputs = &validation.0.inputs;
    let (ours, theirs) = (ours.model.predict(inputs).unwrap(), theirs.predict(inputs).unwrap());
    assert_close("forecasts", &ours, &theirs, TOLERANCE);
}

/// What `train.py` says to a job and leaves, on these samples, from these weights, in this order.
fn by_pytorch(
    python: &str,
    sandbox: &Sandbox,
    job: &Job<'_>,
    parts: [&InMemory; 2],
    start: &NamedTensors,
    order: &[i64],
) -> (Vec<Value>, NamedTensors) {
    let [training, validation] = parts;
    let windows = parts.map(|part| [part.len(), 16, 3]);
    let targets = parts.map(|part| [part.len(), 2]);
    let input = |part: &InMemory| bytes(&part.0.inputs);
    let target = |part: &InMemory| bytes(&targets_of(part));
    let file = arrays(&[
        ("train.inputs", Dtype::F32, &windows[0], input(training)),
        ("train.targets", Dtype::F32, &targets[0], target(training)),
        ("validation.inputs", Dtype::F32, &windows[1], input(validation)),
        ("validation.targets", Dtype::F32, &targets[1], target(validation)),
    ]);
    let shape = [job.train.epochs, training.len()];
    let order = order.iter().flat_map(|index| index.to_le_bytes()).collect();
    let order = sandbox.write("order", arrays(&[("order", Dtype::I64, &shape, order)]));
    let init = sandbox.write("init", file_of(start));
    let Job { symbol, run, attempt, task, config, train, optimizer, threads, init: _ } = job;
    let request = json!({
        "mambafleet": 1, "type": "train", "staging": sandbox.path("staging"),
        "windows": sandbox.write("windows", file), "weights": sandbox.path("weights"),
        "job": {"symbol": symbol, "run": run, "attempt": attempt, "threads": threads, "task": task,
                "model": config, "train": train, "optimizer": optimizer},
    });
    let args = [Path::new("--init"), &init, Path::new("--order"), &order];
    let answers = ask(python, &args, &request);
    (answers, read(&fs::read(sandbox.path("weights")).unwrap()))
}

fn compare_epochs(ours: &[EpochMetrics], theirs: &[Value]) {
    for (ours, theirs) in ours.iter().zip(theirs) {
        let same = [
            ("train_loss", ours.train_loss),
            ("validation_loss", ours.validation_loss),
            ("learning_rate", ours.learning_rate),
        ];
        for (name, ours) in same {
            let theirs = theirs[name].as_f64().unwrap();
            assert_close(name, &[ours as f32], &[theirs as f32], TOLERANCE);
        }
    }
    // Training went somewhere.
    assert!(ours[3].validation_loss < 0.9 * ours[0].validation_loss);
}

fn compare_weights(start: &NamedTensors, ours: &NamedTensors, theirs: &NamedTensors) {
    assert_eq!(ours.len(), theirs.len());
    let (mut moved, mut apart) = (0.0_f32, 0.0_f32);
    for (name, tensor) in ours.iter() {
        let theirs = theirs.expect_shape(name, &tensor.shape).unwrap();
        apart = apart.max(assert_close(name, &tensor.data, &theirs.data, 5.0 * TOLERANCE));
        let before = &start.get(name).unwrap().data;
        moved = tensor.data.iter().zip(before).fold(moved, |far, (a, b)| far.max((a - b).abs()));
    }
    println!("weights moved by {moved:e} and are {apart:e} apart");
    assert!(moved > 0.01, "{moved}");
}

#[test]
fn forecasts_from_the_same_weights_agree() {
    let Some(python) = python() else { return };
    let (sandbox, config) = (Sandbox::new(), config());
    let optimizer = OptimizerConfig::USUAL;
    let mut model = NativeBackend.create(&config, &optimizer, 3, 1).unwrap();
    let all = samples(&config, 70, 9);
    // Away from the initial weights, at which the scan does next to nothing.
    for _ in 0..20 {
        model.train_step(&all.0, 1e-2).unwrap();
    }
    let ours = model.predict(&all.0.inputs).unwrap();
    let inputs = arrays(&[("inputs", Dtype::F32, &[70, 16, 3], bytes(&all.0.inputs))]);
    let request = json!({
        "mambafleet": 1, "type": "predict", "samples": 70, "outputs": config.n_outputs(),
        "threads": 1, "model": config,
        "weights": sandbox.write("weights", file_of(&model.tensors().unwrap())),
        "inputs": sandbox.write("inputs", inputs), "predictions": sandbox.path("predictions"),
    });
    let answers = ask(&python, &[], &request);
    assert_eq!(answers, [json!({"mambafleet": 1, "type": "predicted"})]);
    let theirs = read(&fs::read(sandbox.path("predictions")).unwrap());
    let theirs = theirs.expect_shape("predictions", &[70, 10]).unwrap();
    let worst = assert_close("forecasts", &ours, &theirs.data, TOLERANCE);
    println!("forecasts are {worst:e} apart");
}

#[test]
fn the_fleet_trains_by_pytorch() {
    let Some(python) = python() else { return };
    let sandbox = Sandbox::new();
    let text = fs::read_to_string(sandbox.path("mambafleet.toml")).unwrap();
    let command = json!([python, example("train.py"), example("mamba.py")]);
    sandbox.write("mambafleet.toml", format!("{text}backend = \"command\"\ncommand = {command}\n"));
    let train = "train --symbols AAPL --format json";
    assert_eq!(sandbox.run(train).expect(0).outcome("AAPL")["outcome"], "trained");
    assert_eq!(sandbox.run(train).expect(0).outcome("AAPL")["outcome"], "up_to_date");
    let metrics: Value = serde_json::from_slice(&sandbox.newest("AAPL", "metrics.json")).unwrap();
    let theirs = metrics["reported"]["metrics"]["validation_loss"].as_f64().unwrap();
    let ours = metrics["headline"]["best_validation_loss"].as_f64().unwrap();
    assert!((theirs - ours).abs() < 1e-5, "{theirs} {ours}");
    let forecast = sandbox.run("predict --symbols AAPL --format json").expect(0).json();
    assert_eq!(forecast["forecasts"][0]["horizons"].as_array().unwrap().len(), 2);
    // Names and shapes are the native backend's, so it can tell what PyTorch has learnt.
    let metadata: Value = serde_json::from_slice(&sandbox.newest("AAPL", "metadata.json")).unwrap();
    let config: ModelConfig = serde_json::from_value(metadata["model"].clone()).unwrap();
    NativeBackend.load(&config, &read(&sandbox.newest("AAPL", "weights.safetensors")), 1).unwrap();
    let ended = sandbox.run(&format!("{train} --force --set train.learning_rate=1e30")).expect(3);
    assert_eq!(ended.outcome("AAPL")["kind"], "diverged");
}

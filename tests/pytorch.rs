//! The trainer in PyTorch, if Python has what it needs.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use mambafleet_backend::{Backend, ModelConfig, NamedTensors, Tensor};
use mambafleet_backend_native::NativeBackend;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use serde_json::{Value, json};

use crate::support::Sandbox;

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

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks().0.iter().map(|value| f32::from_le_bytes(*value)).collect()
}

/// Numbers that look random.
fn numbers(len: usize) -> Vec<f32> {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1_u32 << 23) as f32 - 1.0
    };
    (0..len).map(|_| next()).collect()
}

/// What `train.py` says to one request, hello and stray lines left out.
fn ask(python: &str, request: &Value) -> Value {
    let mut child = Command::new(python)
        .arg(example("train.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    writeln!(stdin, "{request}").unwrap();
    let stdout = BufReader::new(child.stdout.take().unwrap());
    let messages = stdout.lines().map(|line| serde_json::from_str::<Value>(&line.unwrap()));
    let answer = messages.map(Result::unwrap).find(|message| message["type"] != "hello").unwrap();
    drop(stdin);
    assert!(child.wait().unwrap().success());
    answer
}

/// The weights and the model of a symbol's newest generation.
fn model(sandbox: &Sandbox) -> (Vec<u8>, ModelConfig) {
    let metadata: Value = serde_json::from_slice(&sandbox.newest("AAPL", "metadata.json")).unwrap();
    let config = serde_json::from_value(metadata["model"].clone()).unwrap();
    (sandbox.newest("AAPL", "weights.safetensors"), config)
}

#[test]
fn forecasts_from_the_same_weights_agree_with_the_native_backend() {
    let Some(python) = python() else { return };
    let sandbox = Sandbox::new();
    sandbox.run("train --symbols AAPL").expect(0);
    let (weights, config) = model(&sandbox);
    let samples = 70;
    let inputs = numbers(samples * config.seq_len * config.n_features);
    let mut tensors = NamedTensors::default();
    for (name, view) in SafeTensors::deserialize(&weights).unwrap().iter() {
        let (shape, data) = (view.shape().to_vec(), floats(view.data()));
        tensors.insert(name, Tensor { shape, data });
    }
    let ours = NativeBackend.load(&config, &tensors, 1).unwrap().predict(&inputs).unwrap();

    let bytes: Vec<u8> = inputs.iter().flat_map(|value| value.to_le_bytes()).collect();
    let shape = vec![samples, config.seq_len, config.n_features];
    let view = TensorView::new(Dtype::F32, shape, &bytes).unwrap();
    let file = safetensors::serialize([("inputs", view)], None::<HashMap<_, _>>).unwrap();
    let request = json!({
        "mambafleet": 1, "type": "predict", "samples": samples, "outputs": config.n_outputs(),
        "threads": 1, "model": config,
        "weights": sandbox.write("weights.safetensors", &weights),
        "inputs": sandbox.write("inputs.safetensors", file),
        "predictions": sandbox.path("predictions.safetensors"),
    });
    assert_eq!(ask(&python, &request), json!({"mambafleet": 1, "type": "predicted"}));
    let bytes = fs::read(sandbox.path("predictions.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let view = file.tensor("predictions").unwrap();
    assert_eq!(view.shape(), [samples, config.n_outputs()]);
    let theirs = floats(view.data());
    for (ours, theirs) in ours.iter().zip(&theirs) {
        assert!((ours - theirs).abs() < 1e-5, "{ours} and {theirs}");
    }
    assert!(theirs.chunks(config.n_outputs() / 2).all(<[f32]>::is_sorted));
}

//! The model written down a second time, naively and in double precision, from the paper and the
//! reference implementation's conventions; the backend's predictions must agree with it.

use mambafleet_backend::{Backend, ModelConfig, NamedTensors, Objective};
use mambafleet_backend_native::NativeBackend;
use mambafleet_kernels::oracle;
use mambafleet_kernels::oracle::ScanInputs;
use mambafleet_kernels::scan::Sizes;

use crate::common::{Numbers, perturbed, plain_config, quantile_config, trainer};

/// A tensor in double precision.
fn tensor(tensors: &NamedTensors, name: &str) -> Vec<f64> {
    let tensor = tensors.get(name).map(|tensor| &tensor.data);
    tensor.into_iter().flatten().map(|value| f64::from(*value)).collect()
}

/// `x weight^T`, row by row, for a weight of (outputs, inputs).
fn linear(x: &[f64], weight: &[f64], inputs: usize) -> Vec<f64> {
    let outputs = weight.len() / inputs;
    oracle::matmul(
        (x.len() / inputs, inputs, outputs),
        |i, p| x[i * inputs + p],
        |p, j| weight[j * inputs + p],
    )
}

fn with_bias(mut y: Vec<f64>, bias: &[f64]) -> Vec<f64> {
    for row in y.chunks_mut(bias.len()) {
        row.iter_mut().zip(bias).for_each(|(y, bias)| *y += bias);
    }
    y
}

/// Columns `from..to` of a matrix with `width` columns.
fn columns(x: &[f64], width: usize, from: usize, to: usize) -> Vec<f64> {
    x.chunks(width).flat_map(|row| row[from..to].to_vec()).collect()
}

fn silu(x: f64) -> f64 {
    x / (1.0 + (-x).exp())
}

/// What the mixer of a layer adds, for its normalised input.
fn mixer(config: &ModelConfig, tensors: &NamedTensors, layer: usize, x: &[f64]) -> Vec<f64> {
    let spec = config.spec;
    let (inner, states, rank) = (spec.expand * spec.d_model, spec.d_state, spec.dt_rank);
    let get = |part: &str| tensor(tensors, &format!("layers.{layer}.mixer.{part}"));
    let both = linear(x, &get("in_proj.weight"), spec.d_model);
    let branch = columns(&both, 2 * inner, 0, inner);
    let gate = columns(&both, 2 * inner, inner, 2 * inner);
    let u = oracle::conv(&branch, &get("conv1d.weight"), &get("conv1d.bias"));
    let u: Vec<f64> = u.into_iter().map(silu).collect();
    let wide = rank + 2 * states;
    let projected = linear(&u, &get("x_proj.weight"), inner);
    let low_rank = columns(&projected, wide, 0, rank);
    let dt = with_bias(linear(&low_rank, &get("dt_proj.weight"), rank), &get("dt_proj.bias"));
    let inputs = ScanInputs {
        u: &u,
        dt: &dt.into_iter().map(|x| (1.0 + x.exp()).ln()).collect::<Vec<_>>(),
        b: &columns(&projected, wide, rank, rank + states),
        c: &columns(&projected, wide, rank + states, wide),
        a_log: &get("A_log"),
        d: &get("D"),
    };
    let sizes = Sizes { length: config.seq_len, channels: inner, states };
    let y = oracle::scan(sizes, &inputs);
    let gated: Vec<f64> = y.iter().zip(&gate).map(|(y, z)| y * silu(*z)).collect();
    linear(&gated, &get("out_proj.weight"), inner)
}

/// The outputs for one window.
fn predict(config: &ModelConfig, tensors: &NamedTensors, window: &[f32]) -> Vec<f64> {
    let width = config.spec.d_model;
    let window: Vec<f64> = window.iter().map(|x| f64::from(*x)).collect();
    let get = |name: &str| tensor(tensors, name);
    let projected = linear(&window, &get("input_proj.weight"), config.n_features);
    let mut x = with_bias(projected, &get("input_proj.bias"));
    for layer in 0..config.spec.n_layers {
        let normed = oracle::rms_norm(&x, &get(&format!("layers.{layer}.norm.weight")));
        let added = mixer(config, tensors, layer, &normed);
        x.iter_mut().zip(added).for_each(|(x, added)| *x += added);
    }
    let last = oracle::rms_norm(&x[x.len() - width..], &get("norm_f.weight"));
    let raw = with_bias(linear(&last, &get("head.weight"), width), &get("head.bias"));
    match &config.objective {
        Objective::Mse { .. } => raw,
        Objective::Pinball { levels, .. } => {
            let anchor = levels.iter().take_while(|level| **level < 0.5).count();
            raw.chunks(levels.len()).flat_map(|row| oracle::quantiles(row, anchor)).collect()
        }
    }
}

fn check(config: &ModelConfig) {
    let tensors = perturbed(&trainer(config, 1, 1).tensors().unwrap(), 5);
    let mut model = NativeBackend.load(config, &tensors, 2).unwrap();
    let window = config.seq_len * config.n_features;
    let inputs = Numbers::new(6).fill(5 * window, -1.5, 1.5);
    let got = model.predict(&inputs).unwrap();
    let want: Vec<f64> =
        inputs.chunks(window).flat_map(|window| predict(config, &tensors, window)).collect();
    assert_eq!(got.len(), want.len());
    for (got, want) in got.iter().zip(&want) {
        assert!((f64::from(*got) - want).abs() < 2e-5, "{got} {want}");
    }
}

#[test]
fn predictions_agree_with_the_model_written_down_naively() {
    check(&plain_config());
    check(&quantile_config());
    // A window of one step, a convolution of one tap, a single state.
    let mut smallest = plain_config();
    smallest.seq_len = 1;
    check(&smallest);
    smallest.seq_len = 9;
    smallest.spec.d_conv = 1;
    smallest.spec.d_state = 1;
    smallest.spec.dt_rank = 1;
    smallest.spec.d_model = 1;
    check(&smallest);
}

#[test]
fn tensors_have_the_reference_implementations_names_and_shapes() {
    let tensors = trainer(&plain_config(), 1, 1).tensors().unwrap();
    let expected: [(&str, &[usize]); 12] = [
        ("input_proj.weight", &[7, 3]),
        ("input_proj.bias", &[7]),
        ("layers.1.norm.weight", &[7]),
        ("layers.1.mixer.in_proj.weight", &[28, 7]),
        ("layers.1.mixer.conv1d.weight", &[14, 1, 4]),
        ("layers.1.mixer.conv1d.bias", &[14]),
        ("layers.1.mixer.x_proj.weight", &[13, 14]),
        ("layers.1.mixer.dt_proj.weight", &[14, 3]),
        ("layers.1.mixer.dt_proj.bias", &[14]),
        ("layers.1.mixer.A_log", &[14, 5]),
        ("layers.1.mixer.D", &[14]),
        ("layers.1.mixer.out_proj.weight", &[7, 14]),
    ];
    for (name, shape) in expected {
        assert_eq!(tensors.get(name).unwrap().shape, shape, "{name}");
    }
    assert_eq!(tensors.get("norm_f.weight").unwrap().shape, [7]);
    assert_eq!(tensors.get("head.weight").unwrap().shape, [2, 7]);
    assert_eq!(tensors.get("head.bias").unwrap().shape, [2]);
    assert_eq!(tensors.len(), 2 + 2 * 10 + 3);
}

#[test]
fn initial_weights_follow_the_reference_implementation() {
    let config = plain_config();
    let tensors = trainer(&config, 3, 1).tensors().unwrap();
    let get = |name: &str| &tensors.get(name).unwrap().data;
    let a_log = get("layers.0.mixer.A_log");
    assert!(a_log.chunks(5).all(|row| row[0] == 0.0 && (row[4] - 5_f32.ln()).abs() < 1e-6));
    assert!(get("layers.0.mixer.D").iter().chain(get("norm_f.weight")).all(|x| *x == 1.0));
    assert!(get("head.bias").iter().chain(get("input_proj.bias")).all(|x| *x == 0.0));
    for bias in get("layers.0.mixer.dt_proj.bias") {
        let dt = bias.exp().ln_1p();
        assert!((0.000_99..=0.101).contains(&dt), "{dt}");
    }
    let largest = |name: &str| get(name).iter().fold(0.0_f32, |m, x| m.max(x.abs()));
    for (name, bound) in [
        ("layers.0.mixer.in_proj.weight", 7_f32.powf(-0.5)),
        ("layers.0.mixer.x_proj.weight", 14_f32.powf(-0.5)),
        ("layers.0.mixer.dt_proj.weight", 3_f32.powf(-0.5)),
        ("layers.0.mixer.conv1d.weight", 0.5),
        ("layers.0.mixer.out_proj.weight", 28_f32.powf(-0.5)),
    ] {
        assert!(largest(name) <= bound && largest(name) > 0.8 * bound, "{name}");
    }
    // Part of what a seed promises: these bits never change.
    let first: Vec<u32> =
        get("layers.0.mixer.dt_proj.bias")[..3].iter().map(|x| x.to_bits()).collect();
    assert_eq!(first, [3_225_314_759, 3_232_095_970, 3_232_340_929]);
}

//! Whatever comes from outside is refused by a typed error, never by a panic.

use mambafleet_backend::{Backend, BackendError, Batch, ModelConfig, Objective, OptimizerConfig};
use mambafleet_backend::{NamedTensors, Tensor};
use mambafleet_backend_native::NativeBackend;

use crate::common::{OPTIMIZER, batch, plain_config, quantile_config, trainer};

/// The message with which a configuration is refused.
fn refusal(config: &ModelConfig) -> String {
    match NativeBackend.create(config, &OPTIMIZER, 1, 1) {
        Err(BackendError::Config(message)) => message,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("accepted: {config:?}"),
    }
}

#[test]
fn impossible_models_are_refused() {
    type Break = fn(&mut ModelConfig);
    let broken: [(&str, Break); 8] = [
        ("d_model", |c| c.spec.d_model = 0),
        ("d_state", |c| c.spec.d_state = 257),
        ("dt_rank", |c| c.spec.dt_rank = 0),
        ("n_features", |c| c.n_features = 0),
        ("seq_len", |c| c.seq_len = 0),
        ("seq_len", |c| c.seq_len = usize::MAX),
        ("targets", |c| c.objective = Objective::Mse { targets: 0 }),
        ("memory", |c| (c.spec.d_model, c.spec.expand, c.spec.n_layers) = (4096, 8, 64)),
    ];
    for (word, change) in broken {
        let mut config = plain_config();
        change(&mut config);
        let message = refusal(&config);
        assert!(message.contains(word), "{word}: {message}");
    }
}

#[test]
fn impossible_quantiles_are_refused() {
    let levels: [&[f64]; 6] =
        [&[], &[0.1, 0.9], &[0.5, 0.1], &[0.5, 0.5], &[0.5, 1.0], &[0.5, f64::NAN]];
    let pinball = |horizons, levels: &[f64]| ModelConfig {
        objective: Objective::Pinball { horizons, levels: levels.to_vec() },
        ..plain_config()
    };
    for levels in levels {
        assert!(refusal(&pinball(1, levels)).contains("level"), "{levels:?}");
    }
    assert!(refusal(&pinball(0, &[0.5])).contains("horizons"));
    assert!(refusal(&pinball(usize::MAX, &[0.1, 0.5])).contains("horizons"));
}

#[test]
fn impossible_settings_are_refused() {
    type Break = fn(&mut OptimizerConfig);
    let broken: [Break; 5] = [
        |o| o.beta1 = 1.0,
        |o| o.beta2 = f64::NAN,
        |o| o.epsilon = 0.0,
        |o| o.weight_decay = -0.1,
        |o| o.grad_clip = f64::NAN,
    ];
    for change in broken {
        let mut optimizer = OPTIMIZER;
        change(&mut optimizer);
        let result = NativeBackend.create(&plain_config(), &optimizer, 1, 1);
        assert!(matches!(result, Err(BackendError::Config(_))));
    }
    for threads in [0, usize::MAX] {
        let result = NativeBackend.create(&plain_config(), &OPTIMIZER, 1, threads);
        assert!(matches!(result, Err(BackendError::Config(_))));
    }
    let mut trainer = trainer(&plain_config(), 1, 1);
    for rate in [f64::NAN, f64::INFINITY, -1e-3] {
        let error = trainer.train_step(&batch(&plain_config(), 2, 1), rate).unwrap_err();
        assert!(matches!(error, BackendError::Config(_)), "{error}");
    }
}

#[test]
fn batches_that_do_not_fit_are_refused() {
    let mut trainer = trainer(&plain_config(), 1, 1);
    let good = batch(&plain_config(), 2, 1);
    let mut short = good.clone();
    short.inputs.pop();
    let mut untargeted = good.clone();
    untargeted.targets.pop();
    let huge = Batch { samples: usize::MAX, ..good.clone() };
    for bad in [short, untargeted, huge, Batch::default()] {
        let error = trainer.train_step(&bad, 1e-3).unwrap_err();
        assert!(matches!(error, BackendError::Shape { .. }), "{error}");
    }
    let error = trainer.predict(&good.inputs[1..]).unwrap_err();
    let BackendError::Shape { expected, found, .. } = error else { panic!("{error}") };
    assert_eq!((expected, found), (78, 77));
}

#[test]
fn tensors_that_do_not_fit_are_refused_and_nothing_is_loaded() {
    let config = quantile_config();
    let mut trainer = trainer(&config, 1, 1);
    let good = trainer.tensors().unwrap();
    let without = |name: &str| {
        let mut rest = NamedTensors::default();
        let kept = good.iter().filter(|(other, _)| *other != name);
        kept.for_each(|(name, tensor)| rest.insert(name, tensor.clone()));
        rest
    };
    let mut turned = good.clone();
    turned.insert("norm_f.weight", Tensor { shape: vec![1, 7], data: vec![0.0; 7] });
    let mut hollow = good.clone();
    hollow.insert("norm_f.weight", Tensor { shape: vec![7], data: vec![] });
    let mut foreign = good.clone();
    foreign.insert("layers.2.norm.weight", Tensor { shape: vec![7], data: vec![1.0; 7] });
    let bad = [
        ("head.bias", without("head.bias")),
        ("norm_f.weight", turned),
        ("norm_f.weight", hollow),
        ("layers.2.norm.weight", foreign),
    ];
    for (culprit, tensors) in bad {
        let named = |error: BackendError| match error {
            BackendError::Tensor { name, .. } => name,
            other => panic!("{other}"),
        };
        assert_eq!(named(trainer.restore(&tensors).unwrap_err()), culprit);
        let Err(error) = NativeBackend.load(&config, &tensors, 1) else { panic!("{culprit}") };
        assert_eq!(named(error), culprit);
        assert_eq!(trainer.tensors().unwrap(), good);
    }
}

#[test]
fn an_instruction_set_that_is_not_there_is_refused_by_name() {
    const ALONE: &str = "MAMBAFLEET_TEST_ALONE";
    if std::env::var_os(ALONE).is_some() {
        let message = refusal(&plain_config());
        assert!(message.contains("\"mmx\"") && message.contains("portable"), "{message}");
        return;
    }
    // The choice is made once in a process: this test runs itself in another.
    let name = "refusals::an_instruction_set_that_is_not_there_is_refused_by_name";
    let status = std::process::Command::new(std::env::current_exe().unwrap())
        .args([name, "--exact"])
        .envs([(ALONE, "1"), ("MAMBAFLEET_ISA", "mmx")])
        .status();
    assert!(status.unwrap().success());
}

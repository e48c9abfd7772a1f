use mambafleet_backend::{Backend, BackendError, Batch, NamedTensors, OptimizerConfig, Tensor};
use mambafleet_backend_native::NativeBackend;

use crate::common::{OPTIMIZER, batch, plain_config, quantile_config, trainer};

#[test]
fn the_loss_of_a_step_is_that_of_the_predictions_before_it() {
    for config in [plain_config(), quantile_config()] {
        let mut trainer = trainer(&config, 2, 1);
        let batch = batch(&config, 19, 3);
        for _ in 0..3 {
            let predictions = trainer.predict(&batch.inputs).unwrap();
            let want = config.objective.loss(&predictions, &batch.targets).unwrap();
            let loss = trainer.train_step(&batch, 1e-2).unwrap();
            assert!((loss - want).abs() < 1e-6 * want, "{loss} {want}");
        }
    }
}

#[test]
fn weights_do_not_depend_on_the_number_of_threads() {
    let config = quantile_config();
    let run = |threads: usize| {
        let mut trainer = trainer(&config, 4, threads);
        let batch = batch(&config, 41, 5);
        let losses: Vec<u64> =
            (0..4).map(|_| trainer.train_step(&batch, 1e-2).unwrap().to_bits()).collect();
        let predictions = trainer.predict(&batch.inputs).unwrap();
        (losses, bits(&trainer.tensors().unwrap()), predictions)
    };
    let single = run(1);
    assert_eq!(single, run(1));
    assert_eq!(single, run(2));
    assert_eq!(single, run(3));
}

/// All weights, bit by bit.
fn bits(tensors: &NamedTensors) -> Vec<u32> {
    tensors.iter().flat_map(|(_, tensor)| tensor.data.iter().map(|x| x.to_bits())).collect()
}

#[test]
fn loaded_and_restored_models_predict_the_same() {
    let config = quantile_config();
    let mut trained = trainer(&config, 6, 2);
    let batch = batch(&config, 9, 7);
    trained.train_step(&batch, 1e-2).unwrap();
    let tensors = trained.tensors().unwrap();
    let predictions = trained.predict(&batch.inputs).unwrap();
    let mut loaded = NativeBackend.load(&config, &tensors, 1).unwrap();
    assert_eq!(loaded.predict(&batch.inputs).unwrap(), predictions);
    assert_eq!(bits(&loaded.tensors().unwrap()), bits(&tensors));
    trained.train_step(&batch, 1e-2).unwrap();
    assert_ne!(trained.predict(&batch.inputs).unwrap(), predictions);
    trained.restore(&tensors).unwrap();
    assert_eq!(trained.predict(&batch.inputs).unwrap(), predictions);
    // One by one as well as together, in ascending order within each horizon.
    for (window, row) in batch.inputs.chunks(39).zip(predictions.chunks(8)) {
        assert_eq!(loaded.predict(window).unwrap(), row);
        assert!(row.chunks(4).all(<[f32]>::is_sorted), "{row:?}");
    }
    assert!(loaded.predict(&[]).unwrap().is_empty());
}

#[test]
fn seeds_make_the_weights() {
    let weights = |seed| bits(&trainer(&plain_config(), seed, 1).tensors().unwrap());
    assert_eq!(weights(1), weights(1));
    assert_ne!(weights(1), weights(2));
}

#[test]
fn a_learnable_relation_is_learnt() {
    let config = plain_config();
    let mut trainer = trainer(&config, 8, 2);
    let held_out = batch(&config, 64, 1000);
    let loss = |predictions: &[f32]| config.objective.loss(predictions, &held_out.targets).unwrap();
    let before = loss(&trainer.predict(&held_out.inputs).unwrap());
    for step in 0..200 {
        trainer.train_step(&batch(&config, 16, step), 1e-2).unwrap();
    }
    let after = loss(&trainer.predict(&held_out.inputs).unwrap());
    assert!(after < 0.1 * before, "{before} {after}");
}

#[test]
fn a_diverging_batch_leaves_everything_as_it_was() {
    let config = plain_config();
    let good = batch(&config, 10, 9);
    let poisons: [fn(&mut Batch); 3] = [
        |batch| batch.inputs[5] = f32::NAN,
        |batch| batch.targets[3] = f32::NAN,
        |batch| batch.inputs[100] = f32::INFINITY,
    ];
    for poison in poisons {
        let mut bad = good.clone();
        poison(&mut bad);
        let mut poisoned = trainer(&config, 10, 1);
        let mut spared = trainer(&config, 10, 1);
        poisoned.train_step(&good, 1e-2).unwrap();
        spared.train_step(&good, 1e-2).unwrap();
        let error = poisoned.train_step(&bad, 1e-2).unwrap_err();
        let BackendError::Diverged { value, step, .. } = error else { panic!("{error}") };
        assert!(!value.is_finite());
        assert_eq!(step, 2);
        assert_eq!(bits(&poisoned.tensors().unwrap()), bits(&spared.tensors().unwrap()));
        // The optimiser's state is as before too: the next step is the same as without the bad one.
        poisoned.train_step(&good, 1e-2).unwrap();
        spared.train_step(&good, 1e-2).unwrap();
        assert_eq!(bits(&poisoned.tensors().unwrap()), bits(&spared.tensors().unwrap()));
    }
}

#[test]
fn only_weights_of_layers_decay_and_they_do_so_apart_from_the_gradient() {
    let config = plain_config();
    let settings = OptimizerConfig { weight_decay: 0.5, ..OPTIMIZER };
    let mut trainer = NativeBackend.create(&config, &settings, 14, 1).unwrap();
    // A head without weights lets no gradient through to what is before it.
    let mut tensors = trainer.tensors().unwrap();
    tensors.insert("head.weight", Tensor { shape: vec![2, 7], data: vec![0.0; 14] });
    trainer.restore(&tensors).unwrap();
    trainer.train_step(&batch(&config, 4, 15), 0.1).unwrap();
    let after = trainer.tensors().unwrap();
    for (name, before) in tensors.iter().filter(|(name, _)| !name.starts_with("head")) {
        let spared = ["bias", "A_log", "D", "norm.weight", "norm_f.weight"];
        let kept = if spared.iter().any(|part| name.ends_with(part)) { 1.0 } else { 0.95 };
        for (before, after) in before.data.iter().zip(&after.get(name).unwrap().data) {
            assert!((after - before * kept).abs() <= 1e-7 * before.abs(), "{name}");
        }
    }
}

#[test]
fn the_gradient_is_clipped_by_its_norm_over_all_tensors() {
    let config = plain_config();
    // With such settings a step is learning rate / epsilon times the clipped gradient.
    let (grad_clip, epsilon) = (0.125, 100.0);
    let settings = OptimizerConfig {
        beta1: 0.0,
        beta2: 0.0,
        epsilon,
        weight_decay: 0.0,
        grad_clip,
        ..OPTIMIZER
    };
    let mut trainer = NativeBackend.create(&config, &settings, 16, 1).unwrap();
    let before = trainer.tensors().unwrap();
    trainer.train_step(&batch(&config, 4, 17), 1.0).unwrap();
    let after = trainer.tensors().unwrap();
    let pairs = before.iter().zip(after.iter());
    let moved: f64 = pairs
        .flat_map(|((_, before), (_, after))| before.data.iter().zip(&after.data))
        .map(|(before, after)| f64::from(after - before).powi(2))
        .sum();
    let expected = grad_clip / epsilon;
    assert!((moved.sqrt() / expected - 1.0).abs() < 0.01, "{} {expected}", moved.sqrt());
}

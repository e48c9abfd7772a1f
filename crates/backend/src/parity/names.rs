//! The tensors of a model.

use crate::ModelConfig;

/// Names and shapes of all tensors of a model, as in the reference implementation.
pub(super) fn shapes(config: &ModelConfig) -> Vec<(String, Vec<usize>)> {
    let spec = config.spec;
    let (width, states, outputs) = (spec.d_model, spec.d_state, config.n_outputs());
    let inner = spec.expand * width;
    let mut all: Vec<(String, Vec<usize>)> = vec![
        ("input_proj.weight".into(), vec![width, config.n_features]),
        ("input_proj.bias".into(), vec![width]),
        ("norm_f.weight".into(), vec![width]),
        ("head.weight".into(), vec![outputs, width]),
        ("head.bias".into(), vec![outputs]),
    ];
    for layer in 0..spec.n_layers {
        all.push((format!("layers.{layer}.norm.weight"), vec![width]));
        let mixer = [
            ("in_proj.weight", vec![2 * inner, width]),
            ("conv1d.weight", vec![inner, 1, spec.d_conv]),
            ("conv1d.bias", vec![inner]),
            ("x_proj.weight", vec![spec.dt_rank + 2 * states, inner]),
            ("dt_proj.weight", vec![inner, spec.dt_rank]),
            ("dt_proj.bias", vec![inner]),
            ("A_log", vec![inner, states]),
            ("D", vec![inner]),
            ("out_proj.weight", vec![width, inner]),
        ];
        let named = mixer.map(|(part, shape)| (format!("layers.{layer}.mixer.{part}"), shape));
        all.extend(named);
    }
    all
}

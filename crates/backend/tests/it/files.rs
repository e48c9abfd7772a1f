//! What is no parity file is refused by name, with what is wrong.

use std::collections::HashMap;
use std::fs;

use mambafleet_backend::parity::Case;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use crate::mutations::path;

/// One tensor of a file.
struct Stored {
    dtype: Dtype,
    shape: Vec<usize>,
    data: Vec<u8>,
}

type Tensors = HashMap<String, Stored>;
type Texts = HashMap<String, String>;

/// What a file says about itself after `change`, read as a parity file.
fn refusal(change: impl FnOnce(&mut Tensors, &mut Texts)) -> String {
    let bytes = fs::read(path("one-layer")).unwrap();
    let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
    let mut texts = header.metadata().clone().unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let stored = |view: TensorView<'_>| Stored {
        dtype: view.dtype(),
        shape: view.shape().to_vec(),
        data: view.data().to_vec(),
    };
    let mut tensors: Tensors =
        file.iter().map(|(name, view)| (name.to_owned(), stored(view))).collect();
    change(&mut tensors, &mut texts);
    let views = tensors.iter().map(|(name, stored)| {
        (name, TensorView::new(stored.dtype, stored.shape.clone(), &stored.data).unwrap())
    });
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("changed.safetensors");
    safetensors::serialize_to_file(views, Some(texts), &path).unwrap();
    match Case::read(&path) {
        Ok(_) => "accepted".to_owned(),
        Err(error) => {
            let text = error.to_string();
            assert!(text.contains("changed.safetensors"), "{text}");
            text
        }
    }
}

#[test]
fn settings_are_the_usual_ones_however_they_are_written() {
    assert_eq!(refusal(|_, _| {}), "accepted");
    for adamw in ["lr 1e-3, betas (.9, .999), eps 1e-8, decoupled decay .01", ""] {
        let text = refusal(|_, texts| drop(texts.insert("adamw".into(), adamw.into())));
        assert_eq!(text, "accepted", "{adamw}");
    }
    let without_decay = refusal(|_, texts| drop(texts.remove("decay")));
    assert_eq!(without_decay, "accepted");
}

#[test]
fn texts_that_do_not_fit_are_named() {
    for (key, value, problem) in [
        ("d_model", "five", "is \"five\", not a number"),
        ("d_model", "0", "not a multiple of 0"),
        ("d_inner", "11", "not a multiple of 5"),
        ("n_layer", "0", "must be between 1"),
        ("steps", "4", "not 3"),
        ("rms_eps", "1e-6", "not 0.00001"),
        ("adamw", "lr=0.002", "names 0.002"),
        ("adamw", "eps=1e-6", "names 0.000001"),
        ("decay", "some", "not all or matrices"),
    ] {
        let text = refusal(|_, texts| drop(texts.insert(key.into(), value.into())));
        assert!(text.contains(problem), "{text}");
    }
    for key in ["d_state", "adamw", "batch"] {
        let text = refusal(|_, texts| drop(texts.remove(key)));
        assert!(text.ends_with(&format!("\"{key}\" is missing")), "{text}");
    }
}

#[test]
fn tensors_that_do_not_fit_are_named() {
    let missing = refusal(|tensors, _| drop(tensors.remove("f64.grad.head.bias")));
    assert!(missing.ends_with("tensor f64.grad.head.bias is missing"), "{missing}");
    let turned = refusal(|tensors, _| {
        tensors.get_mut("param.layers.0.mixer.A_log").unwrap().shape.reverse();
    });
    assert!(turned.contains("is F32 [3, 10], expected F32 [10, 3]"), "{turned}");
    let narrow = refusal(|tensors, _| {
        let target = tensors.remove("target").unwrap();
        tensors.insert("f64.output".into(), target);
    });
    assert!(narrow.contains("tensor target is missing"), "{narrow}");
    let foreign = refusal(|tensors, _| {
        let extra = Stored { dtype: Dtype::F32, shape: vec![1], data: vec![0; 4] };
        tensors.insert("param.layers.1.norm.weight".into(), extra);
    });
    assert!(foreign.contains("layers.1.norm.weight is not part of the model"), "{foreign}");
    let infinite = refusal(|tensors, _| {
        let loss = tensors.get_mut("f64.loss").unwrap();
        loss.data = f64::NAN.to_le_bytes().to_vec();
    });
    assert!(infinite.contains("f64.loss holds a value that is not finite"), "{infinite}");
}

#[test]
fn other_files_are_no_parity_files() {
    let missing = Case::read(&path("none")).unwrap_err().to_string();
    assert!(missing.starts_with("cannot read ") && missing.contains("none"), "{missing}");
    let mut bytes = fs::read(path("one-layer")).unwrap();
    bytes.truncate(bytes.len() - 1);
    let mut cut = tempfile::NamedTempFile::new().unwrap();
    std::io::Write::write_all(&mut cut, &bytes).unwrap();
    let text = Case::read(cut.path()).unwrap_err().to_string();
    assert!(text.ends_with("is no safetensors file"), "{text}");
    let directory = path("none").parent().map(Case::read);
    assert!(directory.unwrap().unwrap_err().to_string().starts_with("cannot read "));
}

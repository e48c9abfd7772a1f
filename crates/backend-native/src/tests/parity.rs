//! In double precision the model agrees with the reference to ten digits: what single precision
//! departs by is rounding.

use std::path::Path;

use mambafleet_backend::Trainer;
use mambafleet_backend::parity::{Case, Results, Tolerances, Values, Verdict};
use mambafleet_kernels::Isa;

use crate::learner::Learner;
use crate::network::{Forward, Network};

/// What the model makes of a case in double precision.
fn results(case: &Case) -> Results {
    let mut network = Network::<f64>::new(Isa::PORTABLE, &case.config).unwrap();
    network.set_tensors(&case.parameters).unwrap();
    network.refresh();
    let mut forward = Forward::new(Isa::PORTABLE, &network.dims, false);
    let windows = case.batch.inputs.chunks(network.dims.window());
    let output = windows.flat_map(|window| forward.run(&network, window).to_vec()).collect();
    let mut learner = Learner::new(network, &case.optimizer, 1).unwrap();
    let loss = learner.gradient(&case.batch).unwrap();
    let gradients = Some(values(&learner, &learner.grad));
    for _ in 0..case.steps {
        learner.train_step(&case.batch, case.learning_rate).unwrap();
    }
    let parameters = values(&learner, &learner.network.weights);
    Results { output, loss, gradients, parameters }
}

fn values(learner: &Learner<f64>, all: &[f64]) -> Values {
    let parameters = &learner.network.layout.parameters;
    parameters.iter().map(|p| (p.name.clone(), p.slot.of(all).to_vec())).collect()
}

#[test]
fn double_precision_agrees_with_the_reference_to_ten_digits() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/parity");
    let mut files = 0;
    for entry in dir.read_dir().unwrap() {
        let path = entry.unwrap().path();
        let case = Case::read(&path).unwrap();
        for check in case.compare(&results(&case), &Tolerances::DOUBLE) {
            assert_eq!(check.verdict(), Verdict::Ok, "{}: {check:?}", path.display());
        }
        files += 1;
    }
    assert_eq!(files, 7);
}

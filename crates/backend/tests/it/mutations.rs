//! The parity files find every mistake that is likely: a naive model passes them all, and fails
//! at least one as soon as it makes one.

use std::path::{Path, PathBuf};

use mambafleet_backend::parity::{Case, Check, Quantity, Tolerances, Verdict, replay};

use crate::naive::{Mutation, Naive};

/// The files that are cheap enough for a model that takes a forward pass for each derivative.
const FILES: [&str; 3] = ["one-layer", "one-step", "decay-on-matrices"];

pub(crate) fn path(name: &str) -> PathBuf {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/parity");
    dir.join(name).with_extension("safetensors")
}

/// What `backend` makes of a file.
fn checks(backend: Naive, name: &str) -> Vec<Check> {
    let case = Case::read(&path(name)).unwrap();
    let results = replay(&backend, &case, 1).unwrap();
    case.compare(&results, &Tolerances::SINGLE)
}

/// By how many tolerances a quantity is off in a file, where it is off most.
fn excess(mutation: Mutation, name: &str, quantity: Quantity) -> f64 {
    let backend = Naive { mutation: Some(mutation), ..Naive::default() };
    let checks = checks(backend, name).into_iter().filter(|check| check.quantity == quantity);
    checks.fold(0.0, |worst, check| worst.max(check.deviation.unwrap() / check.tolerance))
}

#[test]
fn the_naive_model_agrees_with_the_reference() {
    for name in FILES {
        for check in checks(Naive::default(), name) {
            assert_eq!(check.verdict(), Verdict::Ok, "{name}: {check:?}");
        }
    }
}

#[test]
fn every_mistake_shows() {
    use Mutation as M;
    let in_output = [
        M::IgnoresALog,
        M::FlipsTaps,
        M::SwapsBAndC,
        M::SwapsBranchAndGate,
        M::DropsScan,
        M::SkipsTheGateForD,
    ];
    let in_output = in_output.map(|mutation| (mutation, "one-layer", Quantity::Output, 1000.0));
    // Decay moves a weight by 3e-5 of itself in three steps: no more than a few tolerances.
    let in_steps = [
        (M::L2InsteadOfDecoupled, "one-layer", Quantity::Parameters, 50.0),
        (M::LargeEpsilon, "one-layer", Quantity::Parameters, 20.0),
        (M::DecaysALog, "decay-on-matrices", Quantity::Parameters, 2.0),
    ];
    for (mutation, file, quantity, least) in in_output.into_iter().chain(in_steps) {
        let excess = excess(mutation, file, quantity);
        println!("{mutation:?}: {quantity} off by {excess:.1} tolerances");
        assert!(excess > least, "{mutation:?} shows by {excess} tolerances only");
    }
}

#[test]
fn gradients_that_are_not_given_are_skipped() {
    let backend = Naive { secretive: true, ..Naive::default() };
    let checks = checks(backend, "one-layer");
    let skipped: Vec<_> = checks.iter().filter(|c| c.verdict() == Verdict::Skipped).collect();
    assert_eq!(skipped.len(), 1);
    assert_eq!(skipped[0].quantity, Quantity::Gradient);
    assert!(checks.iter().all(|check| check.verdict() != Verdict::Fail), "{checks:?}");
}

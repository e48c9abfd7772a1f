//! How far results are off.

use std::fmt;

use serde::Serialize;

use super::{Case, Results, Values};

/// Largest deviations that pass.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tolerances {
    /// Of each element of the output.
    pub output: f64,
    /// Of the loss.
    pub loss: f64,
    /// Of each tensor's gradient: the L2 norm of the difference over that of the reference.
    pub gradient: f64,
    /// Of each parameter after the steps.
    pub parameters: f64,
}

impl Tolerances {
    /// For a backend that computes in single precision.
    pub const SINGLE: Self = Self { output: 2e-5, loss: 2e-6, gradient: 5e-5, parameters: 5e-5 };
    /// For one that computes in double precision.
    pub const DOUBLE: Self =
        Self { output: 1e-10, loss: 1e-10, gradient: 1e-10, parameters: 1e-10 };
}

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Quantity {
    /// The outputs: the largest difference.
    Output,
    /// The loss: the difference.
    Loss,
    /// The gradient of a tensor: the relative L2 norm of the difference.
    Gradient,
    /// A tensor after the optimiser steps: the largest difference.
    Parameters,
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Output => "output",
            Self::Loss => "loss",
            Self::Gradient => "gradient",
            Self::Parameters => "parameters",
        })
    }
}

/// One comparison.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Check {
    /// What was compared.
    pub quantity: Quantity,
    /// The tensor that it belongs to, if to one.
    pub tensor: Option<String>,
    /// How far it is off; not finite when it is not a number or not there at all. None when the
    /// backend does not give it.
    pub deviation: Option<f64>,
    /// The largest deviation that passes.
    pub tolerance: f64,
}

/// How a comparison ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Within the tolerance.
    Ok,
    /// Above it.
    Fail,
    /// The backend does not give it.
    Skipped,
}

impl Check {
    /// How it ended.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        match self.deviation {
            None => Verdict::Skipped,
            Some(deviation) if deviation <= self.tolerance => Verdict::Ok,
            Some(_) => Verdict::Fail,
        }
    }
}

impl Case {
    /// Compares results with the reference, tensor by tensor.
    #[must_use]
    pub fn compare(&self, results: &Results, tolerances: &Tolerances) -> Vec<Check> {
        let reference = &self.reference;
        let check = |quantity, tolerance, deviation| Check {
            quantity,
            tensor: None,
            deviation: Some(deviation),
            tolerance,
        };
        let output = largest(&results.output, &reference.output);
        let loss = largest(&[results.loss], &[reference.loss]);
        let mut checks = vec![
            check(Quantity::Output, tolerances.output, output),
            check(Quantity::Loss, tolerances.loss, loss),
        ];
        let none = Values::new();
        let wanted = reference.gradients.as_ref().unwrap_or(&none);
        let tolerance = tolerances.gradient;
        match &results.gradients {
            Some(found) => checks.extend(tensors(found, wanted, relative, |deviation| {
                check(Quantity::Gradient, tolerance, deviation)
            })),
            None => {
                let given = check(Quantity::Gradient, tolerance, 0.0);
                checks.push(Check { deviation: None, ..given });
            }
        }
        let (found, wanted) = (&results.parameters, &reference.parameters);
        checks.extend(tensors(found, wanted, largest, |deviation| {
            check(Quantity::Parameters, tolerances.parameters, deviation)
        }));
        checks
    }
}

/// A comparison for each tensor that is wanted, by `measure`.
fn tensors(
    found: &Values,
    wanted: &Values,
    measure: fn(&[f64], &[f64]) -> f64,
    check: impl Fn(f64) -> Check,
) -> Vec<Check> {
    let one = |(name, wanted): (&String, &Vec<f64>)| {
        let found = found.get(name).map_or(&[][..], Vec::as_slice);
        Check { tensor: Some(name.clone()), ..check(measure(found, wanted)) }
    };
    wanted.iter().map(one).collect()
}

/// The largest difference between two elements; NaN if any is one.
fn largest(found: &[f64], wanted: &[f64]) -> f64 {
    if found.len() != wanted.len() {
        return f64::INFINITY;
    }
    let differences = found.iter().zip(wanted).map(|(found, wanted)| (found - wanted).abs());
    let larger = |worst: f64, next| if worst.is_nan() || next <= worst { worst } else { next };
    differences.fold(0.0, larger)
}

/// The L2 norm of the difference over that of what is wanted, or as it is where that is zero.
fn relative(found: &[f64], wanted: &[f64]) -> f64 {
    if found.len() != wanted.len() {
        return f64::INFINITY;
    }
    let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|x| x * x).sum::<f64>().sqrt();
    let size = norm(&mut wanted.iter().copied());
    let off = norm(&mut found.iter().zip(wanted).map(|(found, wanted)| found - wanted));
    if size > 0.0 { off / size } else { off }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_number_or_not_there_is_infinitely_off() {
        assert!(largest(&[1.0, f64::NAN, 3.0], &[1.0, 2.0, 3.0]).is_nan());
        assert_eq!(largest(&[1.0], &[1.0, 2.0]), f64::INFINITY);
        assert_eq!(relative(&[], &[1.0]), f64::INFINITY);
        assert_eq!(largest(&[1.0, 2.5], &[1.5, 2.0]), 0.5);
        assert_eq!(relative(&[3.0, 4.0], &[0.0, 0.0]), 5.0);
        assert_eq!(relative(&[6.0, 8.0], &[3.0, 4.0]), 1.0);
        let check =
            |deviation| Check { quantity: Quantity::Loss, tensor: None, deviation, tolerance: 1.0 };
        let verdicts = [Some(1.0), Some(1.1), Some(f64::NAN), None].map(|d| check(d).verdict());
        assert_eq!(verdicts, [Verdict::Ok, Verdict::Fail, Verdict::Fail, Verdict::Skipped]);
    }
}

//! Ridge regression: the linear baseline.

/// The strengths that [`choose`] tries: the penalty per training sample.
pub const STRENGTHS: [f64; 7] = [0.0001, 0.001, 0.01, 0.1, 1.0, 10.0, 100.0];

/// Inputs and targets of a linear model.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a> {
    /// (samples, `columns`), row-major.
    pub inputs: &'a [f64],
    /// Values per sample, at least 1.
    pub columns: usize,
    /// One target per sample.
    pub targets: &'a [f64],
}

/// A linear model.
#[derive(Debug, Clone, PartialEq)]
pub struct Ridge {
    /// The forecast for inputs of zero.
    pub intercept: f64,
    /// One weight per input.
    pub weights: Vec<f64>,
}

impl Ridge {
    /// The forecast for one sample.
    #[must_use]
    pub fn predict(&self, inputs: &[f64]) -> f64 {
        self.weights.iter().zip(inputs).fold(self.intercept, |sum, (w, x)| sum + w * x)
    }

    /// The mean squared error.
    #[must_use]
    pub fn error(&self, rows: &Rows<'_>) -> f64 {
        let errors = rows.iter().map(|(inputs, target)| target - self.predict(inputs));
        errors.map(|e| e * e).sum::<f64>() / rows.targets.len().max(1) as f64
    }
}

impl<'a> Rows<'a> {
    fn iter(&self) -> impl Iterator<Item = (&'a [f64], &'a f64)> {
        self.inputs.chunks_exact(self.columns.max(1)).zip(self.targets)
    }
}

/// What the normal equations are made of; one matrix serves every strength.
struct Moments {
    means: Vec<f64>,
    target_mean: f64,
    /// `X^T X / n` of the centred inputs, row-major.
    gram: Vec<f64>,
    /// `X^T y / n`, both centred.
    cross: Vec<f64>,
}

impl Moments {
    fn new(rows: &Rows<'_>) -> Self {
        let (k, n) = (rows.columns, rows.targets.len().max(1) as f64);
        let mut means = vec![0.0; k];
        for (inputs, _) in rows.iter() {
            means.iter_mut().zip(inputs).for_each(|(mean, x)| *mean += x / n);
        }
        let target_mean = rows.targets.iter().map(|y| y / n).sum::<f64>();
        let (mut gram, mut cross) = (vec![0.0; k * k], vec![0.0; k]);
        for (inputs, target) in rows.iter() {
            let centred = |i: usize| (inputs[i] - means[i]) / n;
            for i in 0..k {
                cross[i] += centred(i) * (target - target_mean);
                for j in 0..=i {
                    gram[i * k + j] += centred(i) * (inputs[j] - means[j]);
                }
            }
        }
        Self { means, target_mean, gram, cross }
    }

    /// Solves `(X^T X / n + strength I) w = X^T y / n`; the intercept bears no penalty.
    fn solve(&self, strength: f64) -> Option<Ridge> {
        let k = self.cross.len();
        let mut factor = self.gram.clone();
        (0..k).for_each(|i| factor[i * k + i] += strength);
        cholesky(&mut factor, k)?;
        let weights = substitute(&factor, &self.cross);
        let shift: f64 = weights.iter().zip(&self.means).map(|(w, mean)| w * mean).sum();
        let intercept = self.target_mean - shift;
        let finite = intercept.is_finite() && weights.iter().all(|w| w.is_finite());
        finite.then_some(Ridge { intercept, weights })
    }
}

/// Replaces the lower half of a symmetric `matrix` of `size` rows, row-major, by its Cholesky factor; none
/// if it is not positive definite.
#[must_use]
pub fn cholesky(matrix: &mut [f64], size: usize) -> Option<()> {
    for i in 0..size {
        for j in 0..=i {
            let (before, rest) = matrix.split_at_mut(i * size);
            let own = &mut rest[..size];
            let other: &[f64] = if j == i { &[] } else { &before[j * size..][..size] };
            if j == i {
                let squares: f64 = own[..i].iter().map(|value| value * value).sum();
                let rest = own[i] - squares;
                if rest <= 0.0 || !rest.is_finite() {
                    return None;
                }
                own[i] = rest.sqrt();
            } else {
                let product: f64 = own[..j].iter().zip(other).map(|(a, b)| a * b).sum();
                own[j] = (own[j] - product) / other[j];
            }
        }
    }
    Some(())
}

/// Solves `L L^T x = right`, forwards and then backwards.
fn substitute(factor: &[f64], right: &[f64]) -> Vec<f64> {
    let k = right.len();
    let mut x = right.to_vec();
    for i in 0..k {
        let known: f64 = (0..i).map(|j| factor[i * k + j] * x[j]).sum();
        x[i] = (x[i] - known) / factor[i * k + i];
    }
    for i in (0..k).rev() {
        let known: f64 = (i + 1..k).map(|j| factor[j * k + i] * x[j]).sum();
        x[i] = (x[i] - known) / factor[i * k + i];
    }
    x
}

/// Ridge regression (Hoerl & Kennard 1970, Technometrics 12(1)) with the penalty
/// `strength * samples * |weights|^2`, in closed form. `None` when the inputs are not finite, or the
/// strength is zero and they depend on each other.
#[must_use]
pub fn fit(rows: &Rows<'_>, strength: f64) -> Option<Ridge> {
    Moments::new(rows).solve(strength)
}

/// Fits on `train` with each of [`STRENGTHS`], and returns the model with the smallest squared error on
/// `validation`, among equals the stronger penalty, together with its strength.
#[must_use]
pub fn choose(train: &Rows<'_>, validation: &Rows<'_>) -> Option<(Ridge, f64)> {
    let moments = Moments::new(train);
    let mut best: Option<(Ridge, f64, f64)> = None;
    for strength in STRENGTHS {
        let Some(model) = moments.solve(strength) else { continue };
        let error = model.error(validation);
        if best.as_ref().is_none_or(|(.., least)| error <= *least) {
            best = Some((model, strength, error));
        }
    }
    best.map(|(model, strength, _)| (model, strength))
}

#[cfg(test)]
mod tests {
    use super::*;

    const INPUTS: [f64; 12] = [1.0, 0.5, -0.3, 2.0, 0.8, -1.0, 1.5, 0.1, -2.0, 0.7, 0.2, 0.9];
    const TARGETS: [f64; 6] = [1.2, -0.7, 2.1, 1.4, -2.2, 0.1];

    #[test]
    fn the_closed_form_agrees_with_numpy() {
        // numpy.linalg.solve of the centred normal equations, NumPy 2.4.
        let rows = Rows { inputs: &INPUTS, columns: 2, targets: &TARGETS };
        for (strength, intercept, weights) in [
            (0.0, 0.40043994808300254, [1.0069969463757733, -0.5346987575465448]),
            (0.1, 0.39783512842821694, [0.9437993151066555, -0.5061156089679025]),
            (2.0, 0.3591409756946553, [0.4346187198263036, -0.24262134936234253]),
        ] {
            let found = fit(&rows, strength).unwrap();
            assert!((found.intercept - intercept).abs() < 1e-12, "{found:?}");
            assert!((found.weights[0] - weights[0]).abs() < 1e-12, "{found:?}");
            assert!((found.weights[1] - weights[1]).abs() < 1e-12, "{found:?}");
        }
    }

    #[test]
    fn a_huge_penalty_leaves_the_mean() {
        let rows = Rows { inputs: &INPUTS, columns: 2, targets: &TARGETS };
        let found = fit(&rows, 1e12).unwrap();
        let mean = TARGETS.iter().sum::<f64>() / 6.0;
        assert!((found.predict(&[3.0, -3.0]) - mean).abs() < 1e-9);
    }

    #[test]
    fn dependent_inputs_need_a_penalty() {
        let inputs = [1.0, 1.0, 2.0, 2.0, 3.0, 3.0];
        let rows = Rows { inputs: &inputs, columns: 2, targets: &[1.0, 2.0, 3.0] };
        assert_eq!(fit(&rows, 0.0), None);
        assert!(fit(&rows, 0.01).is_some());
        let broken = [f64::NAN, 1.0, 2.0, 2.0, 3.0, 3.0];
        assert_eq!(fit(&Rows { inputs: &broken, ..rows }, 0.01), None);
    }

    #[test]
    fn validation_chooses_the_strength() {
        let rows = Rows { inputs: &INPUTS, columns: 2, targets: &TARGETS };
        let (_, weak) = choose(&rows, &rows).unwrap();
        assert_eq!(weak, STRENGTHS[0]);
        // On rows with the signs turned around the inputs only mislead.
        let turned = TARGETS.map(|y| -y);
        let (_, strong) = choose(&rows, &Rows { targets: &turned, ..rows }).unwrap();
        assert_eq!(strong, STRENGTHS[6]);
    }
}

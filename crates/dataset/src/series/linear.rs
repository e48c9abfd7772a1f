//! A linear map from a window to what follows on it, by least squares.

use std::ops::Range;

use mambafleet_evaluation::ridge::cholesky;

use super::SeriesData;

/// Strengths of the penalty that are tried, in units of the mean square of a standardised column.
pub const RIDGES: [f64; 5] = [1e-4, 1e-3, 1e-2, 1e-1, 1.0];

/// Keeps the normal equations solvable where the intercept explains nothing.
const LEAST: f64 = 1e-9;

/// A linear map from the window of a column to its next steps.
///
/// With level `m` and scale `s` of the window (0 and 1 without normalisation), the forecast of step `h` is
/// `m + sum_i w_ih (x_i - m) + s b_h`. The coefficients minimise the squared error on standardised columns
/// over all training windows, plus `ridge` times the sum of `w^2` (Hoerl & Kennard 1970), by the
/// normal equations. Toner & Darlow (2024, arXiv:2403.14587) show that the linear forecasters of the
/// published tables are such maps.
#[derive(Debug, Clone, PartialEq)]
pub struct LinearMap {
    /// Steps of a window.
    pub lookback: usize,
    /// Steps that are forecast.
    pub horizon: usize,
    /// Weights of each map, (lookback, horizon) row-major, then its intercepts: one map for all
    /// columns, or one for each.
    pub maps: Vec<Vec<f32>>,
}

/// How a linear map was chosen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LinearChoice {
    /// Strength of the penalty.
    pub ridge: f64,
    /// Whether each column has a map of its own.
    pub per_column: bool,
    /// Mean squared error on the validation windows.
    pub validation_mse: f64,
}

impl LinearMap {
    /// Fits on the windows of `train`, and chooses the penalty, and whether columns share a map, by
    /// the mean squared error on the windows of `validation`.
    #[must_use]
    pub fn fit(
        data: &SeriesData,
        train: Range<usize>,
        validation: Range<usize>,
    ) -> (Self, LinearChoice) {
        let moments = |anchors: &Range<usize>| -> Vec<Normal> {
            (0..data.targets()).map(|column| Normal::of(data, anchors.clone(), column)).collect()
        };
        let (train, validation) = (moments(&train), moments(&validation));
        let all = Normal::sum(&train);
        let count = validation.iter().map(|part| part.count * data.horizon() as f64).sum::<f64>();
        let mut best: Option<(Vec<Vec<f32>>, LinearChoice)> = None;
        for (per_column, fitted) in [(false, std::slice::from_ref(&all)), (true, train.as_slice())]
        {
            for ridge in RIDGES {
                let maps: Option<Vec<_>> = fitted.iter().map(|part| part.solve(ridge)).collect();
                let Some(maps) = maps else { continue };
                let squares = validation.iter().enumerate();
                let squares = squares.map(|(column, part)| part.squared_error(of(&maps, column)));
                let validation_mse = squares.sum::<f64>() / count;
                let better = best.as_ref().is_none_or(|(_, b)| validation_mse < b.validation_mse);
                if better {
                    best = Some((maps, LinearChoice { ridge, per_column, validation_mse }));
                }
            }
        }
        let (lookback, horizon) = (data.lookback(), data.horizon());
        let (maps, choice) = best.unwrap_or_else(|| {
            let nothing = vec![0.0; (lookback + 1) * horizon];
            let choice =
                LinearChoice { ridge: f64::INFINITY, per_column: false, validation_mse: f64::NAN };
            (vec![nothing], choice)
        });
        (Self { lookback, horizon, maps }, choice)
    }

    /// Adds the forecast for a column from the window of an anchor to `out`, on the standardised scale.
    pub fn forecast(&self, data: &SeriesData, anchor: usize, column: usize, out: &mut Vec<f32>) {
        let (level, scale) = data.moments(anchor, column);
        let map = of(&self.maps, column);
        let (weights, intercepts) = map.split_at(self.lookback * self.horizon);
        let mut sums: Vec<f64> = intercepts
            .iter()
            .map(|intercept| f64::from(level) + f64::from(scale) * f64::from(*intercept))
            .collect();
        for (value, row) in data.window(anchor, column).zip(weights.chunks_exact(self.horizon)) {
            let value = f64::from(value - level);
            for (sum, weight) in sums.iter_mut().zip(row) {
                *sum += value * f64::from(*weight);
            }
        }
        out.extend(sums.iter().map(|sum| *sum as f32));
    }
}

/// The map of a column.
fn of(maps: &[Vec<f32>], column: usize) -> &[f32] {
    maps.get(column).or(maps.first()).map_or(&[], Vec::as_slice)
}

/// What the normal equations of a column's windows are made of: sums over windows of `x x'`, `x y'` and
/// `y y`, where `x` is the window without its level with the scale behind it, and `y` what follows
/// without that level.
#[derive(Debug, Clone)]
struct Normal {
    /// Values of `x`: the lookback, and one for the intercept.
    size: usize,
    horizon: usize,
    count: f64,
    xx: Vec<f64>,
    xy: Vec<f64>,
    yy: f64,
}

impl Normal {
    fn of(data: &SeriesData, anchors: Range<usize>, column: usize) -> Self {
        let (size, horizon) = (data.lookback() + 1, data.horizon());
        let mut sums = Self {
            size,
            horizon,
            count: 0.0,
            xx: vec![0.0; size * size],
            xy: vec![0.0; size * horizon],
            yy: 0.0,
        };
        let (mut x, mut y) = (Vec::with_capacity(size), Vec::with_capacity(horizon));
        for anchor in anchors {
            let (level, scale) = data.moments(anchor, column);
            x.clear();
            x.extend(data.window(anchor, column).map(|value| f64::from(value - level)));
            x.push(f64::from(scale));
            y.clear();
            y.extend(data.future(anchor, column).map(|value| f64::from(value - level)));
            sums.add(&x, &y);
        }
        sums
    }

    fn add(&mut self, x: &[f64], y: &[f64]) {
        self.count += 1.0;
        for (i, value) in x.iter().enumerate() {
            let row = &mut self.xx[i * self.size..][..=i];
            row.iter_mut().zip(x).for_each(|(sum, other)| *sum += value * other);
            let row = &mut self.xy[i * self.horizon..][..self.horizon];
            row.iter_mut().zip(y).for_each(|(sum, other)| *sum += value * other);
        }
        self.yy += y.iter().map(|value| value * value).sum::<f64>();
    }

    fn sum(parts: &[Self]) -> Self {
        let mut parts = parts.iter();
        let nothing = Self { size: 0, horizon: 0, count: 0.0, xx: vec![], xy: vec![], yy: 0.0 };
        let mut sum = parts.next().cloned().unwrap_or(nothing);
        for part in parts {
            sum.count += part.count;
            sum.yy += part.yy;
            sum.xx.iter_mut().zip(&part.xx).for_each(|(a, b)| *a += b);
            sum.xy.iter_mut().zip(&part.xy).for_each(|(a, b)| *a += b);
        }
        sum
    }

    /// The coefficients: `(xx / n + ridge I) w = xy / n`, the intercept without penalty; none where that
    /// cannot be solved.
    fn solve(&self, ridge: f64) -> Option<Vec<f32>> {
        let n = self.count.max(1.0);
        let mut left: Vec<f64> = self.xx.iter().map(|value| value / n).collect();
        let mut right: Vec<f64> = self.xy.iter().map(|value| value / n).collect();
        for i in 0..self.size {
            left[i * self.size + i] += if i + 1 < self.size { ridge } else { LEAST };
        }
        cholesky(&mut left, self.size)?;
        substitute(&left, self.size, &mut right, self.horizon);
        right
            .iter()
            .all(|value| value.is_finite())
            .then(|| right.iter().map(|v| *v as f32).collect())
    }

    /// Sum of squared errors of a map: `yy - 2 tr(w' xy) + tr(w' xx w)`.
    fn squared_error(&self, map: &[f32]) -> f64 {
        let Self { size, horizon, .. } = *self;
        let mut sum = self.yy;
        let mut applied = vec![0.0; horizon];
        for i in 0..size {
            applied.fill(0.0);
            for j in 0..size {
                let (row, column) = (i.max(j), i.min(j));
                let value = self.xx[row * size + column];
                let weights = &map[j * horizon..][..horizon];
                applied.iter_mut().zip(weights).for_each(|(a, w)| *a += value * f64::from(*w));
            }
            let weights = &map[i * horizon..][..horizon];
            let crossed = &self.xy[i * horizon..][..horizon];
            for ((weight, applied), crossed) in weights.iter().zip(&applied).zip(crossed) {
                sum += f64::from(*weight) * (applied - 2.0 * crossed);
            }
        }
        sum
    }
}

/// Solves for every column of `right`, (size, width) row-major, given the Cholesky factor: forward, then
/// backward.
fn substitute(factor: &[f64], size: usize, right: &mut [f64], width: usize) {
    let subtract = |own: &mut [f64], times: f64, row: &[f64]| {
        own.iter_mut().zip(row).for_each(|(own, value)| *own -= times * value);
    };
    for i in 0..size {
        let (done, rest) = right.split_at_mut(i * width);
        let own = &mut rest[..width];
        for (row, times) in done.chunks_exact(width).zip(&factor[i * size..][..i]) {
            subtract(own, *times, row);
        }
        own.iter_mut().for_each(|value| *value /= factor[i * size + i]);
    }
    for i in (0..size).rev() {
        let (rest, done) = right.split_at_mut((i + 1) * width);
        let own = &mut rest[i * width..];
        for (j, row) in (i + 1..).zip(done.chunks_exact(width)) {
            subtract(own, factor[j * size + i], row);
        }
        own.iter_mut().for_each(|value| *value /= factor[i * size + i]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_normal_equations_are_solved() {
        // [[4, 2, 1], [2, 5, 3], [1, 3, 6]] x = right, for two columns; x by hand.
        let mut factor = vec![4.0, 0.0, 0.0, 2.0, 5.0, 0.0, 1.0, 3.0, 6.0];
        let solution = [1.0, -2.0, 0.5, 3.0, -1.0, 4.0];
        let full = [[4.0, 2.0, 1.0], [2.0, 5.0, 3.0], [1.0, 3.0, 6.0]];
        let product = |i: usize, c: usize| (0..3).map(|j| full[i][j] * solution[j * 2 + c]).sum();
        let mut right: Vec<f64> = (0..6).map(|at| product(at / 2, at % 2)).collect();
        cholesky(&mut factor, 3).unwrap();
        substitute(&factor, 3, &mut right, 2);
        for (found, wanted) in right.iter().zip(solution) {
            assert!((found - wanted).abs() < 1e-12, "{right:?}");
        }
        assert_eq!(cholesky(&mut [1.0, 0.0, 2.0, 1.0], 2), None);
    }
}

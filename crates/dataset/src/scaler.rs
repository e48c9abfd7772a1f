//! Standardising features.

use serde::{Deserialize, Serialize};

/// Below this part of `1 + |mean|` a standard deviation is rounding error: the feature is constant.
const CONSTANT: f64 = 1e-9;

/// Mean and standard deviation of each feature: `scaled = (value - mean) / std`.
///
/// Both are computed in `f64` over the rows that training windows contain, each row once, in time
/// order: `mean = sum(x) / n`, `std = sqrt(sum((x - mean)^2) / n)`. A feature that is constant
/// over those rows gets a standard deviation of 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scaler {
    /// Names of the features, in the order of the model's inputs.
    pub features: Vec<String>,
    /// Mean of each feature.
    pub mean: Vec<f64>,
    /// Standard deviation of each feature; above 0.
    pub std: Vec<f64>,
}

/// A scaler that does not fit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidScaler {
    /// It was fitted on other features, or on the same in another order.
    #[error("the scaler is for the features [{}], not [{}]", .stored.join(", "), .wanted.join(", "))]
    Features {
        /// Features of the scaler.
        stored: Vec<String>,
        /// Features of the task.
        wanted: Vec<String>,
    },
    /// Its numbers are not usable.
    #[error("the scaler is damaged: it needs a finite mean and a std above 0 for each feature")]
    Numbers,
}

impl Scaler {
    /// Fits on rows of one value per feature.
    pub(crate) fn fit<'a, I>(features: &[String], rows: I) -> Self
    where
        I: Iterator<Item = &'a [f64]> + Clone,
    {
        let n = rows.clone().count() as f64;
        let mean_of = |column: usize| rows.clone().map(|row| row[column]).sum::<f64>() / n;
        let mean: Vec<f64> = (0..features.len()).map(mean_of).collect();
        let std_of = |(column, mean): (usize, &f64)| {
            let squares = rows.clone().map(|row| (row[column] - mean) * (row[column] - mean));
            let std = (squares.sum::<f64>() / n).sqrt();
            if std > CONSTANT * (1.0 + mean.abs()) { std } else { 1.0 }
        };
        let std = mean.iter().enumerate().map(std_of).collect();
        Self { features: features.to_vec(), mean, std }
    }

    /// The scaled values of one row, as the model sees them.
    pub(crate) fn apply<'a>(&'a self, row: &'a [f64]) -> impl Iterator<Item = f32> + 'a {
        row.iter().zip(&self.mean).zip(&self.std).map(|((x, mean), std)| ((x - mean) / std) as f32)
    }

    /// Checks that this scaler was made for `features` and holds usable numbers.
    pub(crate) fn check(&self, features: &[String]) -> Result<(), InvalidScaler> {
        if self.features != features {
            let (stored, wanted) = (self.features.clone(), features.to_vec());
            return Err(InvalidScaler::Features { stored, wanted });
        }
        let lengths = self.mean.len() == features.len() && self.std.len() == features.len();
        let finite = self.mean.iter().all(|m| m.is_finite());
        let positive = self.std.iter().all(|s| s.is_finite() && *s > 0.0);
        if lengths && finite && positive { Ok(()) } else { Err(InvalidScaler::Numbers) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fitted() -> Scaler {
        let rows = [[1.0, 7.1], [2.0, 7.1], [3.0, 7.1], [6.0, 7.1]];
        Scaler::fit(&["a".into(), "b".into()], rows.iter().map(<[f64; 2]>::as_slice))
    }

    #[test]
    fn fits_population_moments_and_leaves_constants_unscaled() {
        let scaler = fitted();
        assert_eq!(scaler.mean[0], 3.0);
        assert_eq!(scaler.std[0], 3.5_f64.sqrt());
        assert_eq!(scaler.std[1], 1.0);
        let scaled: Vec<f32> = scaler.apply(&[3.0, 8.1]).collect();
        assert_eq!(scaled[0], 0.0);
        assert!((scaled[1] - 1.0).abs() < 1e-6);
    }

    #[test]
    fn survives_json_bit_for_bit() {
        let json = serde_json::to_string(&fitted()).unwrap();
        assert_eq!(serde_json::from_str::<Scaler>(&json).unwrap(), fitted());
    }

    #[test]
    fn a_scaler_for_other_features_or_with_odd_numbers_is_refused() {
        let names = |text: &str| text.chars().map(String::from).collect::<Vec<_>>();
        assert_eq!(fitted().check(&names("ab")), Ok(()));
        let swapped = fitted().check(&names("ba")).unwrap_err();
        assert_eq!(swapped.to_string(), "the scaler is for the features [a, b], not [b, a]");
        type Break = fn(&mut Scaler);
        let broken: [Break; 4] = [
            |s| s.std[0] = 0.0,
            |s| s.std[0] = f64::INFINITY,
            |s| s.mean[1] = f64::NAN,
            |s| s.mean.truncate(1),
        ];
        for change in broken {
            let mut scaler = fitted();
            change(&mut scaler);
            assert_eq!(scaler.check(&names("ab")), Err(InvalidScaler::Numbers));
        }
    }
}

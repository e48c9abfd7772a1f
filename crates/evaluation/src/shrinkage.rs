//! Moving a model's forecast towards a harmless one, as far as validation asks for.

use serde::{Deserialize, Serialize};

/// How much of a model is believed at one horizon, and what the rest is made of.
///
/// All numbers are in units of volatility. With `q` the model's quantiles, `b` the baseline's, each with
/// its own median `q_m` and `b_m`,
///
/// ```text
/// c_i = (1 - spread) b_i + spread q_i              mixed
/// s_i = c_m + scale (c_i - c_m)                    widened around its median
/// f_m = location q_m                               the point forecast
/// f_i = max(s_i, f_m) above the median, min(s_i, f_m) below
/// ```
///
/// `b` and `q` ascend, and so does every mixture of the two, widened or not; what is moved past the point
/// forecast stops there. So forecasts cannot cross. The harmless forecast is that of `location = 0` and
/// `spread = 0`: the point forecast zero, around it the baseline's quantiles.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Shrinkage {
    /// The horizon in bars.
    pub horizon: usize,
    /// How much of the model's median is kept, from 0 to 1; the rest is zero, "no change".
    pub location: f64,
    /// How much of the model's quantiles is kept, from 0 to 1; the rest is the baseline's.
    pub spread: f64,
    /// What the distance of the quantiles from their median is multiplied with; above 0.
    pub scale: f64,
    /// The baseline's quantiles, ascending.
    pub baseline: Vec<f64>,
}

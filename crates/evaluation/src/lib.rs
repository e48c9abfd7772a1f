//! What forecasts are worth: pure numerics, without files, models or clocks.
//!
//! Of the forecasts of one horizon, the [`point`] metrics judge the point forecast, the [`quantiles`]
//! metrics the spread, and tests of [`diebold_mariano`] say whether another forecast of the same days was
//! better. [`ridge`] is the linear baseline. [`Shrinkage`] moves a model's forecast towards a harmless
//! one as far as validation asks for. [`alarms`] say which skill is too good to be true. [`across`] sums
//! all of it up over symbols.
//!
//! Conventions: returns are log returns; a sample is a day from which `horizon` bars ahead are
//! forecast; samples are in time order, one per bar, so that the outcomes of neighbours overlap in
//! `horizon - 1` bars. Everything that speaks of noise corrects for that. The same input gives the same
//! bits on every machine: special functions come from `libm`, sums run in a fixed order.

pub mod across;
pub mod alarms;
pub mod comparison;
pub mod point;
pub mod quantiles;
pub mod ridge;
pub mod shrinkage;
pub mod special;
pub mod statistics;

pub use alarms::{Alarm, Limits};
pub use comparison::{Comparison, diebold_mariano};
pub use point::{Direction, PointMetrics};
pub use quantiles::QuantileMetrics;
pub use shrinkage::{Shrinkage, Shrunk};

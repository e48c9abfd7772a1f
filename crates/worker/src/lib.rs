//! The life of one worker process: jobs in, training, commit, events out.
//!
//! [`serve`] reads jobs as JSON lines, works through them one by one with [`run_attempt`], and
//! writes events as JSON lines. An attempt goes one way: bars -> dataset -> backend -> metrics ->
//! one transaction in the store. [`forecast`] is the way back: the newest generation and the
//! newest bars make a forecast.
//!
//! This crate prints nothing but protocol lines, and knows no configuration file and no other
//! process.

mod attempt;
mod emitter;
mod evaluation;
mod failure;
mod fingerprint;
mod forecast;
mod metadata;
mod serve;
mod stderr;
mod training;

pub use attempt::run_attempt;
pub use emitter::Emitter;
pub use evaluation::{HorizonMetrics, Metrics, TestMetrics};
pub use failure::AttemptError;
pub use fingerprint::fingerprint;
pub use forecast::{Forecast, ForecastError, Forecaster, HorizonForecast, Wanted, forecast};
pub use metadata::{METADATA_FILE, METRICS_FILE, Metadata, Provenance, StageSeconds};
pub use serve::{ServeError, serve};
pub use stderr::log_writer;

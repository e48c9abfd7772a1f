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
mod backtest;
mod baselines;
mod clock;
mod emitter;
mod evaluation;
mod failure;
mod fingerprint;
mod forecast;
mod metadata;
mod models;
mod out_of_sample;
mod promotion;
mod returns;
mod rival;
mod series;
mod serve;
mod shrinking;
mod start;
mod stderr;
mod study;
mod training;
mod weights;

pub use attempt::run_attempt;
pub use backtest::{Backtest, BacktestError, BacktestRow, backtest};
pub use emitter::Emitter;
pub use evaluation::{
    ComparedMetrics, Contender, ForecastMetrics, HorizonMetrics, LossKind, Metrics, TestMetrics,
    Trial,
};
pub use failure::{AttemptError, Implausible};
pub use fingerprint::fingerprint;
pub use forecast::{Forecast, ForecastError, HorizonForecast, Wanted, forecast};
pub use metadata::{
    METADATA_FILE, METRICS_FILE, Metadata, Promotion, Provenance, StageSeconds, WarmStart,
};
pub use out_of_sample::FORECASTS_FILE;
pub use series::{
    ColumnScores, LINEAR_FILE, LinearBaseline, Score, SeriesForecast, SeriesMetrics, SeriesRecord,
    SeriesScores, TargetForecast, forecast_series,
};
pub use serve::{ServeError, serve};
pub use stderr::log_writer;

//! What must be known of a forecast: bars or a model that are old, and days that the model knew.

use jiff::civil::Date;
use mambafleet_worker::Forecast;
use serde::Serialize;

use super::Told;
use crate::config::Predict;

/// What a warning is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    /// The newest bar is older than it may be.
    OldBars,
    /// The generation was trained on bars that end long before the newest one.
    OldModel,
    /// The day is among those that weights or the choice among them know.
    InSample,
}

/// Something that must be known of a forecast.
#[derive(Debug, Serialize)]
pub(super) struct Warning {
    kind: Kind,
    /// By how many calendar days.
    days: i64,
    message: String,
}

/// What forecasts are held against.
#[derive(Debug)]
pub(super) struct Limits {
    /// The day on which the newest bar should be up to date.
    today: Date,
    bars: Option<i64>,
    model: Option<i64>,
}

impl Limits {
    pub(super) fn new(config: &Predict, today: Date) -> Self {
        let days = |limit: Option<u32>| limit.map(i64::from);
        Self { today, bars: days(config.max_age_days.0), model: days(config.max_model_age_days.0) }
    }

    /// What there is to say of a forecast.
    pub(super) fn of(&self, forecast: &Forecast) -> Vec<Warning> {
        let Forecast { as_of, trained_to, unseen_from, synthetic, .. } = forecast;
        let mut warnings = Vec::new();
        let mut add = |kind, days, message| warnings.push(Warning { kind, days, message });
        let age = days(*as_of, self.today);
        // The generator's market ended long ago.
        if let Some(limit) = self.bars.filter(|limit| age > *limit && !synthetic) {
            let today = self.today;
            add(
                Kind::OldBars,
                age,
                format!(
                    "the newest bar is of {as_of}, {age} days before {today}, more than the \
                     {limit} of predict.max_age_days"
                ),
            );
        }
        let age = days(*trained_to, *as_of);
        if let Some(limit) = self.model.filter(|limit| age > *limit) {
            add(
                Kind::OldModel,
                age,
                format!(
                    "trained on bars up to {trained_to}, {age} days before the newest one, more \
                     than the {limit} of predict.max_model_age_days"
                ),
            );
        }
        let early = days(*as_of, *unseen_from);
        if early > 0 {
            add(
                Kind::InSample,
                early,
                format!(
                    "weights were fitted or chosen on days from {as_of} on: only from \
                     {unseen_from} on they know nothing of what is forecast"
                ),
            );
        }
        warnings
    }

    /// All warnings in a few lines: one for each kind.
    pub(super) fn lines(&self, forecasts: &[Told]) -> Vec<String> {
        let Self { today, bars, model } = self;
        let limit = |days: &Option<i64>| days.unwrap_or_default();
        let all = [
            (Kind::OldBars, format!("bars that end more than {} days before {today}", limit(bars))),
            (
                Kind::OldModel,
                format!("a model more than {} days older than its bars", limit(model)),
            ),
            (Kind::InSample, "days that the model was trained on".to_owned()),
        ];
        let line = |(kind, what): (Kind, String)| {
            let it = |told: &&Told| told.warnings.iter().any(|warning| warning.kind == kind);
            let named: Vec<&Told> = forecasts.iter().filter(it).collect();
            let first = named.first()?;
            let Forecast { symbol, as_of, trained_to, unseen_from, .. } = &first.forecast;
            let date = match kind {
                Kind::OldBars => format!("ends {as_of}"),
                Kind::OldModel => format!("trained to {trained_to}, forecast from {as_of}"),
                Kind::InSample => format!("unseen from {unseen_from} on"),
            };
            let (number, all) = (named.len(), forecasts.len());
            Some(format!("{number} of {all} forecasts are from {what}: {symbol} {date}"))
        };
        all.into_iter().filter_map(line).collect()
    }
}

/// Calendar days from one date to another.
fn days(from: Date, to: Date) -> i64 {
    i64::from(from.until(to).map_or(0, |span| span.get_days()))
}

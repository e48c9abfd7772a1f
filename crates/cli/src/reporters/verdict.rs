//! The table of what forecasts over many symbols are worth.

use mambafleet_evaluation::across::{Distribution, Tally};
use mambafleet_worker::{Contender, LossKind};

use super::plain::count;
use crate::table::{Column, number, render};
use crate::verdict::{ForecastVerdict, HorizonVerdict, Verdict};

const COLUMNS: [Column<'_>; 12] = [
    ("bars", true),
    ("pinball", true),
    ("ewma", true),
    ("skill", true),
    ("worst", true),
    ("coverage", true),
    ("point skill", true),
    ("worst", true),
    ("direction/up", true),
    ("ic", true),
    ("cross ic (t)", true),
    ("better/worse", true),
];

/// A row per horizon: the final forecasts against the EWMA-volatility quantiles and "no change", and
/// what the models' own medians know of the direction.
pub(crate) fn verdict_table(verdict: &Verdict) -> String {
    let rows = verdict.horizons.iter().map(row).collect();
    let symbols = count(verdict.symbols.len(), "symbol");
    let moved: Vec<String> = verdict.horizons.iter().map(moved).collect();
    format!(
        "out-of-sample forecasts over {symbols}, means unless said otherwise:\n{}\n\
         skill: 1 - pinball / ewma; point skill: median of 1 - MSE / MSE of zero; direction, ic: of the \
         models' medians;\nbetter/worse: symbols by Diebold-Mariano against ewma, Holm-corrected; symbols \
         with a point forecast: {}",
        render(&COLUMNS, rows),
        moved.join(", ")
    )
}

/// `3 at 5 bars`.
fn moved(horizon: &HorizonVerdict) -> String {
    format!("{} at {}", horizon.point_forecasts, count(horizon.horizon, "bar"))
}

fn row(horizon: &HorizonVerdict) -> Vec<String> {
    type Metric = fn(&ForecastVerdict) -> Option<Distribution>;
    let of = |of: Contender, metric: Metric| horizon.forecast(of).and_then(metric);
    let mean = |found: Option<Distribution>, digits: usize| {
        found.map_or_else(none, |found| format!("{:.digits$}", found.mean))
    };
    let skill = |value: Option<f64>| value.map_or_else(none, |value| format!("{value:+.4}"));
    let points = of(Contender::Model, |one| one.skill_against_zero);
    let pinball = |forecaster| {
        of(forecaster, |one| one.pinball).map_or_else(none, |found| number(found.mean))
    };
    let (right, up) = (
        of(Contender::Raw, |one| one.directional_accuracy),
        of(Contender::Raw, |one| one.always_up),
    );
    let tally = horizon.compared(Contender::Model, Contender::EwmaQuantiles, LossKind::Pinball);
    vec![
        horizon.horizon.to_string(),
        pinball(Contender::Model),
        pinball(Contender::EwmaQuantiles),
        skill(horizon.pinball_skill.map(|found| found.mean)),
        skill(horizon.pinball_skill.map(|found| found.min)),
        mean(of(Contender::Model, |one| one.coverage), 3),
        skill(points.map(|found| found.median)),
        skill(points.map(|found| found.min)),
        format!("{}/{}", mean(right, 3), mean(up, 3)),
        mean(of(Contender::Raw, |one| one.ic), 3),
        cross_section(horizon),
        tally.map_or_else(none, |Tally { better, worse, .. }| format!("{better}/{worse}")),
    ]
}

fn cross_section(horizon: &HorizonVerdict) -> String {
    let Some(found) = horizon.cross_section else { return none() };
    let t = found.t.map_or_else(none, |t| format!("{t:+.1}"));
    format!("{:+.3} ({t})", found.ic)
}

/// Where there is nothing to show.
fn none() -> String {
    "-".to_owned()
}

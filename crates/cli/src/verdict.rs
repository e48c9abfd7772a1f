//! What the forecasts of many symbols are worth together.

use mambafleet_artifacts::{Snapshot, Store};
use mambafleet_evaluation::across::{CrossSection, Dated, Distribution, Tally, cross_section};
use mambafleet_evaluation::shrinkage::median_of;
use mambafleet_evaluation::{Comparison, Shrinkage};
use mambafleet_protocol::{Outcome, ReturnsSpec, Symbol, TaskSpec};
use mambafleet_worker::{
    Contender, FORECASTS_FILE, ForecastMetrics, HorizonMetrics, LossKind, METADATA_FILE,
    METRICS_FILE, Metadata, Metrics,
};
use rayon::prelude::*;
use serde::Serialize;

/// Version of the layout of `evaluation.json`.
const SCHEMA: u32 = 1;

/// What the forecasts of many symbols are worth together; the content of `evaluation.json` in a run's
/// record.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Verdict {
    /// Version of this layout.
    pub(crate) schema: u32,
    /// The symbols whose out-of-sample forecasts were judged, and their generations.
    pub(crate) symbols: Vec<Subject>,
    /// Every horizon that a symbol has, ascending.
    pub(crate) horizons: Vec<HorizonVerdict>,
}

/// A symbol and its generation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Subject {
    pub(crate) symbol: Symbol,
    pub(crate) generation: u64,
}

/// One horizon over all symbols that have it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct HorizonVerdict {
    /// The horizon in bars.
    pub(crate) horizon: usize,
    /// The share of outcomes that the widest interval should hold.
    pub(crate) nominal_coverage: Option<Distribution>,
    /// `1 - pinball / pinball of the EWMA-volatility quantiles`, final forecasts.
    pub(crate) pinball_skill: Option<Distribution>,
    /// How much of the models' medians became point forecasts.
    pub(crate) location: Option<Distribution>,
    /// Symbols whose point forecast is not always zero.
    pub(crate) point_forecasts: usize,
    /// How much of the models' quantiles was kept.
    pub(crate) spread: Option<Distribution>,
    /// Whether the models' medians order the symbols of a day as the market does.
    pub(crate) cross_section: Option<CrossSection>,
    /// Every metric of every forecast.
    pub(crate) forecasts: Vec<ForecastVerdict>,
    /// Tests of Diebold and Mariano, corrected for the number of symbols.
    pub(crate) comparisons: Vec<ComparedVerdict>,
}

/// Every metric of one forecast, over symbols.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct ForecastVerdict {
    pub(crate) of: Contender,
    pub(crate) rmse: Option<Distribution>,
    pub(crate) mae: Option<Distribution>,
    pub(crate) mase: Option<Distribution>,
    pub(crate) skill_against_zero: Option<Distribution>,
    pub(crate) directional_accuracy: Option<Distribution>,
    /// The share that always saying "up" gets right, on the samples of the line before.
    pub(crate) always_up: Option<Distribution>,
    pub(crate) ic: Option<Distribution>,
    pub(crate) ic_t: Option<Distribution>,
    pub(crate) pearson: Option<Distribution>,
    pub(crate) pinball: Option<Distribution>,
    pub(crate) coverage: Option<Distribution>,
}

/// One forecast compared with another, over symbols.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct ComparedVerdict {
    pub(crate) of: Contender,
    pub(crate) against: Contender,
    pub(crate) loss: LossKind,
    #[serde(flatten)]
    pub(crate) tally: Tally,
}

/// What is read of one symbol.
struct Judged {
    subject: Subject,
    horizons: Vec<HorizonMetrics>,
    shrinkage: Vec<Shrinkage>,
    /// The models' medians beside what happened, by horizon, in log return.
    medians: Vec<Vec<Dated>>,
}

/// Judges the generations that `outcomes` say are current. None where there is no forecast of returns
/// to judge; what cannot be read is left out, with a warning.
pub(crate) fn verdict<'a>(
    store: &Store,
    outcomes: impl Iterator<Item = (&'a Symbol, &'a Outcome)>,
) -> Option<Verdict> {
    let good = outcomes.filter(|(_, outcome)| outcome.is_good());
    let mut symbols: Vec<&Symbol> = good.map(|(symbol, _)| symbol).collect();
    // The order of the run is that of yesterday's times: the same forecasts make the same bytes.
    symbols.sort_unstable();
    let judged: Vec<Judged> =
        symbols.par_iter().filter_map(|symbol| judged(store, symbol)).collect();
    let mut horizons: Vec<usize> =
        judged.iter().flat_map(|one| one.horizons.iter().map(|h| h.horizon)).collect();
    horizons.sort_unstable();
    horizons.dedup();
    let of_horizon = |horizon: &usize| of_horizon(*horizon, &judged);
    (!judged.is_empty()).then(|| Verdict {
        schema: SCHEMA,
        symbols: judged.iter().map(|one| one.subject.clone()).collect(),
        horizons: horizons.par_iter().map(of_horizon).collect(),
    })
}

/// Reads the newest generation of a symbol.
fn judged(store: &Store, symbol: &Symbol) -> Option<Judged> {
    let snapshot = store.symbol(symbol).latest().ok()??;
    let read = || -> Result<Option<Judged>, Box<dyn std::error::Error>> {
        let metadata: Metadata = snapshot.json(METADATA_FILE)?;
        // Tasks of other kinds, and generations of earlier versions, have nothing to add up.
        let TaskSpec::Returns(task) = &metadata.task else { return Ok(None) };
        let metrics: Metrics = snapshot.json(METRICS_FILE)?;
        let horizons = metrics.test.horizons;
        if horizons.iter().all(|horizon| horizon.forecasts.is_empty()) {
            return Ok(None);
        }
        let medians = medians(&snapshot, task)?;
        let subject = Subject { symbol: symbol.clone(), generation: snapshot.generation() };
        Ok(Some(Judged { subject, horizons, shrinkage: metadata.shrinkage, medians }))
    };
    read().unwrap_or_else(|error| {
        tracing::warn!(%symbol, %error, "its forecasts are not part of the evaluation");
        None
    })
}

/// The models' own medians, by horizon.
fn medians(
    snapshot: &Snapshot,
    task: &ReturnsSpec,
) -> Result<Vec<Vec<Dated>>, Box<dyn std::error::Error>> {
    let tensors = snapshot.tensors_of(FORECASTS_FILE)?;
    let values = |name: &str| {
        let tensor = tensors.get(name).map(|(_, values)| values.as_slice());
        tensor.ok_or_else(|| format!("{FORECASTS_FILE} lacks the tensor {name}"))
    };
    let (days, volatility) = (values("day")?, values("volatility")?);
    let (raw, outcomes) = (values("raw")?, values("outcomes")?);
    let (horizons, levels) = (task.horizons.len(), task.quantiles.len());
    let median = median_of(&task.quantiles);
    let column = |(index, &horizon): (usize, &usize)| {
        let samples = days.iter().zip(volatility).enumerate();
        let dated = samples.filter_map(|(row, (day, sigma))| {
            let unit = f64::from(*sigma) * (horizon as f64).sqrt();
            let at = row * horizons + index;
            Some(Dated {
                day: *day as i64,
                forecast: f64::from(*raw.get(at * levels + median)?) * unit,
                outcome: f64::from(*outcomes.get(at)?) * unit,
            })
        });
        dated.collect()
    };
    Ok(task.horizons.iter().enumerate().map(column).collect())
}

fn of_horizon(horizon: usize, judged: &[Judged]) -> HorizonVerdict {
    let place = |one: &Judged| one.horizons.iter().position(|h| h.horizon == horizon);
    let with: Vec<(&Judged, usize)> =
        judged.iter().filter_map(|one| Some((one, place(one)?))).collect();
    let metrics: Vec<&HorizonMetrics> =
        with.iter().map(|(one, index)| &one.horizons[*index]).collect();
    let shrinkage: Vec<&Shrinkage> =
        with.iter().filter_map(|(one, index)| one.shrinkage.get(*index)).collect();
    let medians: Vec<Vec<Dated>> =
        with.iter().filter_map(|(one, index)| one.medians.get(*index).cloned()).collect();
    let skill = |metrics: &&HorizonMetrics| 1.0 - metrics.pinball / metrics.baseline_pinball;
    HorizonVerdict {
        horizon,
        nominal_coverage: Distribution::of(metrics.iter().map(|m| m.nominal_coverage)),
        pinball_skill: Distribution::of(metrics.iter().map(skill)),
        location: Distribution::of(shrinkage.iter().map(|s| s.location)),
        point_forecasts: shrinkage.iter().filter(|s| s.location > 0.0).count(),
        spread: Distribution::of(shrinkage.iter().map(|s| s.spread)),
        cross_section: cross_section(&medians, horizon),
        forecasts: forecasts(&metrics),
        comparisons: comparisons(&metrics),
    }
}

/// Every metric of every forecast, in the order of the first symbol's.
fn forecasts(metrics: &[&HorizonMetrics]) -> Vec<ForecastVerdict> {
    let order = metrics.first().map(|first| first.forecasts.as_slice()).unwrap_or_default();
    let of_one = |of: Contender| {
        let all = || metrics.iter().flat_map(|m| &m.forecasts).filter(move |one| one.of == of);
        let metric = |value: &dyn Fn(&ForecastMetrics) -> Option<f64>| {
            Distribution::of(all().filter_map(value))
        };
        ForecastVerdict {
            of,
            rmse: metric(&|one| Some(one.point.rmse)),
            mae: metric(&|one| Some(one.point.mae)),
            mase: metric(&|one| one.point.mase),
            skill_against_zero: metric(&|one| Some(one.point.skill_against_zero)),
            directional_accuracy: metric(&|one| Some(one.point.direction?.accuracy)),
            always_up: metric(&|one| Some(one.point.direction?.always_up)),
            ic: metric(&|one| one.point.ic),
            ic_t: metric(&|one| one.point.ic_t),
            pearson: metric(&|one| one.point.pearson),
            pinball: metric(&|one| Some(one.quantiles.as_ref()?.pinball)),
            coverage: metric(&|one| Some(one.quantiles.as_ref()?.coverage)),
        }
    };
    order.iter().map(|one| of_one(one.of)).collect()
}

/// Every comparison, in the order of the first symbol's.
fn comparisons(metrics: &[&HorizonMetrics]) -> Vec<ComparedVerdict> {
    let order = metrics.first().map(|first| first.comparisons.as_slice()).unwrap_or_default();
    let of_one = |(of, against, loss): (Contender, Contender, LossKind)| {
        let all = metrics.iter().flat_map(|m| &m.comparisons);
        let same = all.filter(|one| (one.of, one.against, one.loss) == (of, against, loss));
        let tests: Vec<Comparison> = same.map(|one| one.test).collect();
        ComparedVerdict { of, against, loss, tally: Tally::of(&tests) }
    };
    order.iter().map(|one| of_one((one.of, one.against, one.loss))).collect()
}

impl HorizonVerdict {
    /// The metrics of one forecast.
    pub(crate) fn forecast(&self, of: Contender) -> Option<&ForecastVerdict> {
        self.forecasts.iter().find(|one| one.of == of)
    }

    /// One comparison.
    pub(crate) fn compared(
        &self,
        of: Contender,
        against: Contender,
        loss: LossKind,
    ) -> Option<Tally> {
        let wanted = (of, against, loss);
        let found = self.comparisons.iter().find(|one| (one.of, one.against, one.loss) == wanted);
        found.map(|one| one.tally)
    }
}

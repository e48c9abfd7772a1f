//! What is tried for a symbol: from `[search]` to fully resolved trials.

use std::collections::{BTreeMap, BTreeSet};

use mambafleet_protocol::{InvalidSpec, Symbol, TrainSpec, TrialSpec, mix64, symbol_seed};
use toml::Value;

use crate::config::{ConfigError, KnownKeys, SearchMethod, Settled, known_keys};

/// The key that says what is tried.
const VALUES: &str = "search.values";

/// Keys that say who trains, which a search leaves alone.
const FIXED: [&str; 3] = ["train.backend", "train.command", "train.command_timeout"];

/// A key, and the values that are tried for it.
type Axis = (String, Vec<(String, Value)>);

/// The trials of a symbol; none without a search.
pub(crate) fn trials(settled: &Settled, symbol: &Symbol) -> Result<Vec<TrialSpec>, ConfigError> {
    let search = &settled.config.search;
    if search.trials == 0 {
        return Ok(Vec::new());
    }
    let wrong = |message| settled.merged.locate(InvalidSpec { key: VALUES, message });
    let axes = axes(&search.values).map_err(wrong)?;
    let all = axes.iter().try_fold(1_u64, |all, (_, values)| all.checked_mul(values.len() as u64));
    let all = all.unwrap_or(u64::MAX);
    let budget = search.trials as u64;
    let seed = symbol_seed(settled.config.train.seed, symbol);
    let chosen = match search.method {
        SearchMethod::Grid if all > budget => {
            return Err(wrong(format!(
                "there are {all} combinations, and search.trials allows {budget}; raise it, list \
                 fewer values, or set search.method = \"random\""
            )));
        }
        SearchMethod::Random if all > budget => draw(all, budget, seed),
        SearchMethod::Grid | SearchMethod::Random => (0..all).collect(),
    };
    chosen.into_iter().map(|index| trial(settled, &axes, index, seed)).collect()
}

/// Reads what is tried.
fn axes(values: &[String]) -> Result<Vec<Axis>, String> {
    if values.is_empty() {
        return Err("is empty; list what is to be tried, as in [\"model.d_model = 16, 32\"]".into());
    }
    let known = known_keys().map_err(|error| error.to_string())?;
    let mut axes: Vec<Axis> = Vec::new();
    for text in values {
        let axis = axis(text, &known).map_err(|why| format!("\"{text}\": {why}"))?;
        if axes.iter().any(|(key, _)| *key == axis.0) {
            return Err(format!("{} stands there twice", axis.0));
        }
        axes.push(axis);
    }
    Ok(axes)
}

fn axis(text: &str, known: &KnownKeys) -> Result<Axis, String> {
    let (key, values) = text.split_once('=').ok_or("write KEY = VALUE, VALUE")?;
    let key = key.trim();
    let mine = key.starts_with("model.") || key.starts_with("train.");
    if !mine || FIXED.contains(&key) {
        return Err(format!("{key} cannot be searched; keys below model and train can"));
    }
    let (_, about) = known
        .iter()
        .find(|(path, _)| *path == key)
        .ok_or_else(|| format!("there is no key {key}"))?;
    let values = values.trim().trim_start_matches('[').trim_end_matches(']');
    let mut seen = BTreeSet::new();
    let mut read = Vec::new();
    for text in values.split(',').map(|text| text.trim().trim_matches('"')) {
        let value = about.kind.parse(text)?;
        about.kind.check(&value)?;
        if seen.insert(text.to_owned()) {
            read.push((text.to_owned(), value));
        }
    }
    Ok((key.to_owned(), read))
}

/// So many different numbers below `all`, in the order in which the seed brings them up.
fn draw(all: u64, count: u64, seed: u64) -> Vec<u64> {
    let mut seen = BTreeSet::new();
    let mut drawn = Vec::new();
    let mut state = seed;
    while (drawn.len() as u64) < count {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let index = mix64(state) % all;
        if seen.insert(index) {
            drawn.push(index);
        }
    }
    drawn
}

/// One combination; the last key's value changes fastest.
fn trial(
    settled: &Settled,
    axes: &[Axis],
    index: u64,
    seed: u64,
) -> Result<TrialSpec, ConfigError> {
    let (mut rest, mut values) = (index, BTreeMap::new());
    let mut merged = settled.merged.clone();
    for (key, choices) in axes.iter().rev() {
        let count = choices.len() as u64;
        let (text, value) = &choices[(rest % count) as usize];
        rest /= count;
        values.insert(key.clone(), text.clone());
        merged.replace(key, VALUES, value.clone());
    }
    let config = merged.settle()?;
    let train = TrainSpec { seed, ..config.train.spec() };
    Ok(TrialSpec { values, model: config.model.spec(), train })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_different_repeatable_and_depend_on_the_seed() {
        let drawn = draw(10, 10, 3);
        assert_eq!(drawn, draw(10, 10, 3));
        assert_eq!(drawn.iter().collect::<BTreeSet<_>>().len(), 10);
        assert_ne!(draw(1000, 5, 3), draw(1000, 5, 4));
    }

    #[test]
    fn what_cannot_be_tried_is_named() {
        let read = |text: &str| axes(&[text.to_owned()]);
        let (key, values) = read("train.learning_rate = 0.001, 1e-3, 0.01").unwrap().remove(0);
        assert_eq!((key.as_str(), values.len()), ("train.learning_rate", 3));
        for (text, why) in [
            ("model.d_model", "write KEY = VALUE"),
            ("model.width = 3", "there is no key model.width"),
            ("task.lookback = 3", "cannot be searched"),
            ("train.backend = native", "cannot be searched"),
            ("model.d_model = x", "\"x\" is not a whole number"),
            ("train.schedule = linear", "is not one of"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
        let twice = ["train.epochs = 1".to_owned(), "train.epochs = 2".to_owned()];
        assert!(axes(&twice).unwrap_err().contains("twice"));
    }
}

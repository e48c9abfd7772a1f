//! The values of metrics.

use std::collections::BTreeMap;

use crate::table::{Family, Kind};

/// The value of a series.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    /// That of a counter or gauge.
    Number(f64),
    /// That of a histogram.
    Distribution(Distribution),
}

/// What a histogram has counted.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Distribution {
    /// How many there were up to each bound and above the one before; the last for those above all.
    pub(crate) counts: Vec<u64>,
    pub(crate) sum: f64,
}

impl Distribution {
    pub(crate) fn new(bounds: &[f64]) -> Self {
        Self { counts: vec![0; bounds.len() + 1], sum: 0.0 }
    }

    pub(crate) fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    fn observe(&mut self, bounds: &[f64], value: f64) {
        let at = bounds.partition_point(|bound| *bound < value);
        if let Some(count) = self.counts.get_mut(at) {
            *count += 1;
        }
        self.sum += value;
    }

    /// Adds what another one of the same bounds has counted.
    fn add(&mut self, other: &Self) {
        if self.counts.len() == other.counts.len() {
            self.counts.iter_mut().zip(&other.counts).for_each(|(count, more)| *count += more);
            self.sum += other.sum;
        }
    }
}

/// Up to here every whole number is a floating-point number.
pub(crate) const EXACT: f64 = 9_007_199_254_740_992.0;

/// Whether something can have come to so much: it is not negative, and can be counted on.
pub(crate) fn is_amount(number: f64) -> bool {
    (0.0..=EXACT).contains(&number)
}

/// The values of a family's labels, in its order.
pub(crate) type Labels = Vec<String>;

/// Values of any series.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Samples(BTreeMap<&'static str, BTreeMap<Labels, Value>>);

fn owned(labels: &[&str]) -> Labels {
    labels.iter().map(|&label| label.to_owned()).collect()
}

impl Samples {
    /// All series of a family.
    pub(crate) fn of(&self, family: &Family) -> impl Iterator<Item = (&Labels, &Value)> {
        self.0.get(family.name).into_iter().flatten()
    }

    /// The number of a series, if it has one.
    pub(crate) fn number(&self, family: &Family, labels: &[&str]) -> Option<f64> {
        match self.0.get(family.name)?.get(&owned(labels))? {
            Value::Number(number) => Some(*number),
            Value::Distribution(_) => None,
        }
    }

    pub(crate) fn put(&mut self, family: &Family, labels: Labels, value: Value) {
        self.0.entry(family.name).or_default().insert(labels, value);
    }

    /// Sets a gauge. What is no number is left out.
    pub(crate) fn set(&mut self, family: &Family, labels: &[&str], value: f64) {
        if value.is_finite() {
            self.put(family, owned(labels), Value::Number(value));
        }
    }

    /// Adds to a counter. What nothing can [amount to](is_amount) is left out.
    pub(crate) fn add(&mut self, family: &Family, labels: &[&str], more: f64) {
        let before = self.number(family, labels).unwrap_or(0.0);
        if is_amount(more) {
            self.set(family, labels, before + more);
        }
    }

    /// Puts a value into a histogram. What nothing can [amount to](is_amount) is left out.
    pub(crate) fn observe(&mut self, family: &Family, labels: &[&str], value: f64) {
        let Kind::Histogram(bounds) = family.kind else { return };
        let series = self.0.entry(family.name).or_default();
        let new = || Value::Distribution(Distribution::new(bounds));
        if let Value::Distribution(distribution) = series.entry(owned(labels)).or_insert_with(new)
            && is_amount(value)
        {
            distribution.observe(bounds, value);
        }
    }

    /// Lets a counter or histogram begin at zero, so that its first step is seen.
    pub(crate) fn zero(&mut self, family: &Family, labels: &[&str]) {
        match family.kind {
            Kind::Histogram(_) => self.observe(family, labels, f64::NAN),
            Kind::Counter | Kind::Gauge => self.add(family, labels, 0.0),
        }
    }

    /// Takes away all series of a family.
    pub(crate) fn clear(&mut self, family: &Family) {
        self.0.remove(family.name);
    }

    /// Adds what counters and histograms of this family had come to before.
    pub(crate) fn go_on_from(&mut self, family: &Family, earlier: &Self) {
        let series = self.0.entry(family.name).or_default();
        for (labels, before) in earlier.of(family) {
            match (series.get_mut(labels), before) {
                (None, _) => {
                    series.insert(labels.clone(), before.clone());
                }
                (Some(Value::Number(now)), Value::Number(before)) => *now += before,
                (Some(Value::Distribution(now)), Value::Distribution(before)) => now.add(before),
                (Some(_), _) => {}
            }
        }
    }

    /// Takes over the series of this family that have no value yet.
    pub(crate) fn keep_from(&mut self, family: &Family, earlier: &Self) {
        let series = self.0.entry(family.name).or_default();
        for (labels, before) in earlier.of(family) {
            series.entry(labels.clone()).or_insert_with(|| before.clone());
        }
    }
}

//! Reading back what an earlier run or check has left in its file.

use std::collections::BTreeMap;
use std::fmt;

use crate::FLEET;
use crate::samples::{Distribution, Labels, Samples, Value, is_amount};
use crate::table::{Family, Kind, families};

/// What an earlier run or check has left.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Earlier {
    pub(crate) samples: Samples,
}

/// A line that is not what this program writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// Its number, from 1.
    pub line: usize,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {} is no metric", self.line)
    }
}

impl std::error::Error for Unreadable {}

/// A line of a file.
struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

/// What is known so far of a histogram's series.
#[derive(Default)]
struct Pieces {
    /// How many there were up to each bound; each bound with the text of it.
    cumulative: Vec<(f64, f64)>,
    sum: Option<f64>,
}

impl Earlier {
    /// Takes in a file's text. Metrics that this version does not have, or has with other labels or bounds,
    /// are left out, and so are numbers that none of them can have.
    ///
    /// # Errors
    /// [`Unreadable`] for a line that is neither a sample nor a comment.
    pub fn parse(text: &str) -> Result<Self, Unreadable> {
        let mut samples = Samples::default();
        let mut pieces: BTreeMap<(&'static str, Labels), Pieces> = BTreeMap::new();
        for (index, line) in text.lines().enumerate() {
            if line.trim().is_empty() || line.starts_with('#') {
                continue;
            }
            let sample = sample(line).ok_or(Unreadable { line: index + 1 })?;
            if !is_amount(sample.value) {
                continue;
            }
            if let Some(family) = families().find(|family| family.name == sample.name) {
                let labels = labels_of(family, &sample.labels, None);
                if let (Some(labels), false) = (labels, matches!(family.kind, Kind::Histogram(_))) {
                    samples.put(family, labels, Value::Number(sample.value));
                }
            } else {
                piece(&sample, &mut pieces);
            }
        }
        for ((name, labels), pieces) in pieces {
            let family = families().find(|family| family.name == name);
            if let Some(family) = family
                && let Some(distribution) = pieces.whole(family.kind)
            {
                samples.put(family, labels, Value::Distribution(distribution));
            }
        }
        Ok(Self { samples })
    }
}

/// Puts a sample to its histogram, if it is of one.
fn piece(sample: &Sample, pieces: &mut BTreeMap<(&'static str, Labels), Pieces>) {
    let ending = |ending| {
        let name = sample.name.strip_suffix(ending)?;
        families().find(|family| family.name == name && matches!(family.kind, Kind::Histogram(_)))
    };
    if let Some(family) = ending("_bucket")
        && let Some(bound) = sample.labels.get("le").and_then(|le| number(le))
        && let Some(labels) = labels_of(family, &sample.labels, Some("le"))
    {
        let pieces = pieces.entry((family.name, labels)).or_default();
        pieces.cumulative.push((bound, sample.value));
    }
    if let Some(family) = ending("_sum")
        && let Some(labels) = labels_of(family, &sample.labels, None)
    {
        pieces.entry((family.name, labels)).or_default().sum = Some(sample.value);
    }
}

impl Pieces {
    /// The distribution, if it has just these bounds and can be one.
    fn whole(mut self, kind: Kind) -> Option<Distribution> {
        let Kind::Histogram(bounds) = kind else { return None };
        self.cumulative.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        let found = self.cumulative.iter().map(|(bound, _)| *bound);
        if !found.eq(bounds.iter().copied().chain([f64::INFINITY])) {
            return None;
        }
        let mut below = 0.0;
        let mut counts = Vec::new();
        for (_, up_to) in self.cumulative {
            if up_to < below {
                return None;
            }
            counts.push((up_to - below) as u64);
            below = up_to;
        }
        Some(Distribution { counts, sum: self.sum? })
    }
}

/// The values of a family's labels in its order; nothing if the sample has others. The fleet's does not
/// matter: the file says whose it is.
fn labels_of(
    family: &Family,
    labels: &BTreeMap<String, String>,
    also: Option<&str>,
) -> Option<Labels> {
    let mut others = labels.keys().filter(|name| name.as_str() != FLEET);
    let known = |name: &String| {
        family.labels.contains(&name.as_str()) || also.is_some_and(|also| also == name)
    };
    if !others.all(known) {
        return None;
    }
    family.labels.iter().map(|name| labels.get(*name).cloned()).collect()
}

/// `name{label="value",...} number`.
fn sample(line: &str) -> Option<Sample> {
    let end = line.find(['{', ' '])?;
    let (name, rest) = line.split_at(end);
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(rest) => labels(rest)?,
        None => (BTreeMap::new(), rest),
    };
    let value = number(rest.trim())?;
    Some(Sample { name: name.to_owned(), labels, value })
}

/// The labels up to the brace that ends them, and what follows it.
fn labels(mut rest: &str) -> Option<(BTreeMap<String, String>, &str)> {
    let mut labels = BTreeMap::new();
    loop {
        if let Some(rest) = rest.strip_prefix('}') {
            return Some((labels, rest));
        }
        let (name, after) = rest.split_once("=\"")?;
        let (value, after) = quoted(after)?;
        labels.insert(name.to_owned(), value);
        rest = after.strip_prefix(',').unwrap_or(after);
    }
}

/// The text up to the quotation mark that ends it, and what follows.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => match characters.next()?.1 {
                'n' => value.push('\n'),
                escaped => value.push(escaped),
            },
            other => value.push(other),
        }
    }
    None
}

/// A number as Prometheus writes one.
fn number(text: &str) -> Option<f64> {
    match text {
        "+Inf" => Some(f64::INFINITY),
        "-Inf" => Some(f64::NEG_INFINITY),
        text => text.parse().ok(),
    }
}

//! What is logged for a run in one go.

use serde_json::{Value, json};

use super::client::cut;
use crate::tally::Counts;

/// MLflow takes no more parameters, nor tags, in one request.
const MOST_TEXTS: usize = 100;

/// Nor more metrics: with parameters and tags, a thousand in all.
const MOST_METRICS: usize = 800;

/// Longer values of parameters are cut: what every server of MLflow 2 and later takes.
const MOST_OF_PARAM: usize = 500;

/// Longer values of tags are cut.
const MOST_OF_TAG: usize = 5000;

/// The tag that MLflow shows as a run's description.
pub(super) const NOTE_TAG: &str = "mlflow.note.content";

/// A number at a time.
#[derive(Debug, Clone, PartialEq)]
struct Metric {
    name: &'static str,
    value: f64,
    /// Milliseconds since 1970.
    at: i64,
    step: usize,
}

/// Metrics, parameters and tags of a run that are not logged yet.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Batch {
    metrics: Vec<Metric>,
    params: Vec<(String, String)>,
    tags: Vec<(String, String)>,
    /// What they stand for.
    pub(super) counts: Counts,
}

impl Batch {
    /// Whether there is nothing to log.
    pub(super) fn is_empty(&self) -> bool {
        self.metrics.is_empty() && self.params.is_empty() && self.tags.is_empty()
    }

    /// Whether it fills a request.
    pub(super) fn is_full(&self) -> bool {
        self.metrics.len() >= MOST_METRICS
    }

    /// Adds numbers. What is no number cannot be sent as JSON, and is left out.
    pub(super) fn metrics(&mut self, metrics: &[(&'static str, f64)], at: i64, step: usize) {
        let finite = metrics.iter().filter(|(_, value)| value.is_finite());
        self.metrics.extend(finite.map(|(name, value)| Metric { name, value: *value, at, step }));
    }

    /// Adds a parameter, which a run can have but once.
    pub(super) fn param(&mut self, name: impl Into<String>, value: &str) {
        self.params.push((name.into(), cut(value, MOST_OF_PARAM)));
    }

    /// Adds a tag.
    pub(super) fn tag(&mut self, name: &str, value: &str) {
        self.tags.push((format!("mambafleet.{name}"), cut(value, MOST_OF_TAG)));
    }

    /// Says something in Markdown, which MLflow shows at the top of a run's page.
    pub(super) fn describe(&mut self, text: &str) {
        self.tags.push((NOTE_TAG.to_owned(), cut(text, MOST_OF_TAG)));
    }

    /// The bodies of the requests that log all of it.
    pub(super) fn requests(&self, run: &str) -> Vec<Value> {
        let mut metrics = self.metrics.chunks(MOST_METRICS);
        let (mut params, mut tags) = (self.params.chunks(MOST_TEXTS), self.tags.chunks(MOST_TEXTS));
        let mut requests = Vec::new();
        loop {
            let parts = (metrics.next(), params.next(), tags.next());
            if let (None, None, None) = parts {
                return requests;
            }
            let metrics = parts.0.unwrap_or_default().iter().map(|Metric { name, value, at, step }| {
                json!({ "key": name, "value": value, "timestamp": at, "step": step })
            });
            requests.push(json!({
                "run_id": run,
                "metrics": metrics.collect::<Vec<_>>(),
                "params": texts(parts.1.unwrap_or_default()),
                "tags": texts(parts.2.unwrap_or_default()),
            }));
        }
    }
}

fn texts(texts: &[(String, String)]) -> Vec<Value> {
    texts.iter().map(|(key, value)| json!({ "key": key, "value": value })).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_keep_to_the_limits_and_hold_everything_once() {
        let mut batch = Batch::default();
        assert!(batch.is_empty() && batch.requests("r").is_empty());
        for step in 0..1700 {
            batch.metrics(&[("a", step as f64), ("b", f64::NAN)], 5, step);
        }
        (0..230).for_each(|n| batch.param(format!("p{n}"), "x"));
        (0..101).for_each(|n| batch.tag(&format!("t{n}"), "x"));
        assert!(batch.is_full());
        let requests = batch.requests("r");
        let sizes = |part: &str| -> Vec<_> {
            requests.iter().map(|request| request[part].as_array().unwrap().len()).collect()
        };
        assert_eq!(sizes("metrics"), [800, 800, 100]);
        assert_eq!(sizes("params"), [100, 100, 30]);
        assert_eq!(sizes("tags"), [100, 1, 0]);
        let last = &requests[2]["metrics"][99];
        assert_eq!(last, &json!({ "key": "a", "value": 1699.0, "timestamp": 5, "step": 1699 }));
        assert_eq!(requests[1]["tags"][0]["key"], "mambafleet.t100");
    }

    #[test]
    fn long_values_are_cut_between_characters() {
        let mut batch = Batch::default();
        batch.param("p", &"é".repeat(300));
        batch.tag("t", &"x".repeat(6000));
        let value = &batch.params[0].1;
        assert!(value.ends_with("é...") && (499..=500).contains(&value.len()), "{value}");
        assert_eq!(batch.tags[0].1.len(), 5000);
        assert_eq!(cut("short", 5), "short");
    }
}

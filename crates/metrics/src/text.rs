//! Samples as text.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::prometheus_text;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use crate::FLEET;
use crate::samples::{EXACT, Samples, Value};
use crate::table::{Family, Kind};

/// The media type of the text.
pub const CONTENT_TYPE: &str = prometheus_text::CONTENT_TYPE;

/// Samples of some families.
#[derive(Debug)]
struct Snapshot {
    families: &'static [Family],
    samples: Samples,
}

/// All series of the families that have a value, each with the fleet's label.
pub(crate) fn render(families: &'static [Family], samples: Samples, fleet: &str) -> String {
    let label = (FLEET.into(), fleet.to_owned().into());
    let mut registry = Registry::with_labels(std::iter::once(label));
    registry.register_collector(Box::new(Snapshot { families, samples }));
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = prometheus_text::encode(&mut text, &registry);
    text
}

impl Collector for Snapshot {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for family in self.families {
            if self.samples.of(family).next().is_none() {
                continue;
            }
            let (name, kind) = match family.kind {
                // The encoder puts the ending back.
                Kind::Counter => {
                    (family.name.strip_suffix("_total").unwrap_or(family.name), MetricType::Counter)
                }
                Kind::Gauge => (family.name, MetricType::Gauge),
                Kind::Histogram(_) => (family.name, MetricType::Histogram),
            };
            let mut encoder = encoder.encode_descriptor(name, family.help, None, kind)?;
            for (labels, value) in self.samples.of(family) {
                let names = family.labels.iter().copied();
                let labels: Vec<_> = names.zip(labels.iter().map(String::as_str)).collect();
                write(family, value, encoder.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}

fn write(family: &Family, value: &Value, mut encoder: MetricEncoder<'_>) -> fmt::Result {
    match (family.kind, value) {
        (Kind::Counter, Value::Number(number)) => match whole(*number) {
            Some(whole) => encoder.encode_counter::<NoLabelSet, _, f64>(&whole, None),
            None => encoder.encode_counter::<NoLabelSet, _, f64>(number, None),
        },
        (Kind::Gauge, Value::Number(number)) => match whole(*number) {
            Some(whole) => encoder.encode_gauge(&whole),
            None => encoder.encode_gauge(number),
        },
        (Kind::Histogram(bounds), Value::Distribution(all)) => {
            let bounds = bounds.iter().copied().chain([f64::INFINITY]);
            let buckets: Vec<_> = bounds.zip(all.counts.iter().copied()).collect();
            encoder.encode_histogram::<NoLabelSet>(all.sum, all.count(), &buckets, None)
        }
        _ => Ok(()),
    }
}

/// A number without a fraction.
fn whole(number: f64) -> Option<u64> {
    ((0.0..EXACT).contains(&number) && number.fract() == 0.0).then_some(number as u64)
}

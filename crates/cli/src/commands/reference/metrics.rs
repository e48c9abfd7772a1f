//! The metrics on the reference page.

use mambafleet_metrics::{Family, Kind, families};

use super::{code, table};

const ABOUT: &str = "
## Metrics

What a run answers at `observe.metrics` while it goes on, and leaves in `observe.textfile` when it has
ended; what `verify --all --textfile` leaves has names with `verify`. [Monitoring](monitoring.md) says how
Prometheus gets them. Every series has the label `fleet`, which is the name of `observe.textfile` without its
ending, or `mambafleet`; the labels below tell the series of one metric apart. Times are in seconds, moments in
seconds since 1970, sizes in bytes. At an address counters and histograms are the run's own; in the file they go
on from run to run. A cause is a kind of failure, as in the JSON of runs.
";

/// Every metric.
pub(super) fn section() -> String {
    let rows = families().map(|Family { name, kind, labels, help }| {
        let labels: Vec<_> = labels.iter().map(|label| code(label)).collect();
        [code(name), kind.word().to_owned(), labels.join(", "), help.to_string() + &buckets(*kind)]
    });
    ABOUT.to_owned() + &table(["metric", "type", "labels", "meaning"], rows)
}

/// The bounds of a histogram.
fn buckets(kind: Kind) -> String {
    let Kind::Histogram(bounds) = kind else { return String::new() };
    let bounds: Vec<_> = bounds.iter().map(ToString::to_string).collect();
    format!(" Buckets: {}.", bounds.join(", "))
}

//! What the lab found, as files and as a table.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::{Context, LabError};

/// How many faults of one kind of case are quoted.
const EXAMPLES: usize = 5;

/// The result of one stage on one file system.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The stage.
    pub stage: String,
    /// What it was about: the file system, and the writer where it is not the store.
    pub subject: String,
    /// Crash states, remounts or reads that were checked.
    pub cases: u64,
    /// Commits that the store acknowledged.
    pub acknowledged: u64,
    /// Cases that broke a promise.
    pub bad: u64,
    /// Whether bad cases must be found, because the writer is deliberately wrong.
    pub must_fail: bool,
    /// Other numbers worth knowing.
    pub details: BTreeMap<String, u64>,
    /// Other things worth knowing.
    #[serde(default)]
    pub notes: Vec<String>,
    /// Some of what was wrong.
    pub examples: Vec<String>,
    /// How long it took, in seconds.
    pub seconds: f64,
}

impl Report {
    /// Whether the stage found what it should.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.cases > 0 && (self.bad > 0) == self.must_fail
    }

    /// Counts a case, and quotes what was wrong with it.
    pub fn count(&mut self, what: &str, faults: &[String]) {
        self.cases += 1;
        if !faults.is_empty() {
            self.bad += 1;
            if self.examples.len() < EXAMPLES {
                self.examples.push(format!("{what}: {}", faults.join("; ")));
            }
        }
    }

    /// Adds to one of the details.
    pub fn add(&mut self, detail: &str, count: u64) {
        *self.details.entry(detail.to_owned()).or_default() += count;
    }

    /// Writes it to a file.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), LabError> {
        let bytes = serde_json::to_vec_pretty(self).context(|| "encode a report".to_owned())?;
        mambafleet_artifacts::atomic_write(path, &bytes)?;
        Ok(())
    }

    /// Reads it back.
    ///
    /// # Errors
    /// When the file is missing or makes no sense.
    pub fn load(path: &Path) -> Result<Self, LabError> {
        let bytes = std::fs::read(path).context(|| format!("read {}", path.display()))?;
        serde_json::from_slice(&bytes).context(|| format!("understand {}", path.display()))
    }
}

/// A table of all reports, the details, and what was wrong with the store.
#[must_use]
pub fn table(reports: &[Report]) -> String {
    let mut text = format!(
        "{:<9} {:<22} {:>7} {:>12} {:>6} {:>7}  {}\n",
        "STAGE", "SUBJECT", "CASES", "ACKNOWLEDGED", "BAD", "TIME", "VERDICT"
    );
    for report in reports {
        let verdict = match (report.is_good(), report.must_fail) {
            (true, false) => "good",
            (true, true) => "found out, as it must be",
            (false, true) => "NOT FOUND OUT",
            (false, false) => "BAD",
        };
        let Report { stage, subject, cases, acknowledged, bad, seconds, .. } = report;
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{stage:<9} {subject:<22} {cases:>7} {acknowledged:>12} {bad:>6} {seconds:>6.0}s  {verdict}"
        );
    }
    text.push('\n');
    for Report { stage, subject, details, .. } in reports {
        let details = details.iter().filter(|(_, n)| **n > 0);
        let details: Vec<String> = details.map(|(name, n)| format!("{n} {name}")).collect();
        if !details.is_empty() {
            let _ = writeln!(text, "{stage} {subject}: {}", details.join(", "));
        }
    }
    for Report { stage, subject, notes, .. } in reports {
        notes.iter().for_each(|note| text.push_str(&format!("{stage} {subject}: {note}\n")));
    }
    for report in reports {
        for example in report.examples.iter().take(if report.must_fail { 1 } else { EXAMPLES }) {
            let _ = writeln!(text, "{} {}: bad: {example}", report.stage, report.subject);
        }
    }
    let store = reports.iter().filter(|report| !report.must_fail && report.stage == "states");
    let (cases, bad) = store.fold((0, 0), |(c, b), report| (c + report.cases, b + report.bad));
    let _ = writeln!(text, "\n{cases} crash states of the store, {bad} bad");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(bad: u64, must_fail: bool) -> Report {
        let subject = "ext4".to_owned();
        Report {
            stage: "states".to_owned(),
            subject,
            cases: 9,
            bad,
            must_fail,
            ..Report::default()
        }
    }

    #[test]
    fn a_wrong_writer_must_be_found_out_and_the_store_must_not() {
        assert!(report(0, false).is_good() && report(3, true).is_good());
        assert!(!report(1, false).is_good() && !report(0, true).is_good());
        assert!(!Report::default().is_good(), "nothing was checked");
    }

    #[test]
    fn the_table_counts_the_states_of_the_store() {
        let table = table(&[report(0, false), report(4, true), report(0, false)]);
        assert!(table.ends_with("\n18 crash states of the store, 0 bad\n"), "{table}");
    }

    #[test]
    fn reports_are_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let mut report = report(0, false);
        report.count("state 1", &["lost".to_owned()]);
        report.add("rounds", 2);
        report.save(&dir.path().join("a.json")).unwrap();
        assert_eq!(Report::load(&dir.path().join("a.json")).unwrap(), report);
    }
}

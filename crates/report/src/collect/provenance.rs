//! Where a generation comes from, and what its data was like.

use mambafleet_artifacts::Manifest;
use mambafleet_dataset::{Adjustment, DatasetSummary, PartSummary, Reading};
use mambafleet_worker::{Metadata, Promotion, WarmStart};

/// What the reader of a file had to see past, a line each; empty for clean data.
pub(super) fn notes(reading: &Reading) -> Vec<String> {
    let rows = |count: usize| if count == 1 { "1 row".to_owned() } else { format!("{count} rows") };
    let verb = |count: usize| if count == 1 { "was" } else { "were" };
    let mut notes = Vec::new();
    let mut note = |count: usize, text: String| {
        if count > 0 {
            notes.push(text);
        }
    };
    let Reading { blank_rows, duplicates, conflicting, unsorted, inconsistent, .. } = *reading;
    let left_out = |count| format!("{} left out", verb(count));
    note(blank_rows, format!("{} with blank cells {}", rows(blank_rows), left_out(blank_rows)));
    let repeated = format!("{} for a day that had one {}", rows(duplicates), left_out(duplicates));
    note(duplicates, repeated);
    note(conflicting, format!("{conflicting} of these had other values than the one before"));
    note(unsorted, format!("{} older than one before {} sorted", rows(unsorted), verb(unsorted)));
    let verb = verb(inconsistent);
    let rows = rows(inconsistent);
    let text = format!(
        "{rows} with an open or close outside the range from low to high {verb} mended or left out"
    );
    note(inconsistent, text);
    notes
}

/// Where a generation comes from, a name and a value each.
pub(super) fn of(manifest: &Manifest, metadata: Option<&Metadata>) -> Vec<(String, String)> {
    let mut rows: Vec<(&str, String)> = Vec::new();
    if let Some(metadata) = metadata {
        training(metadata, &mut rows);
        data(metadata, &mut rows);
        how(metadata, &mut rows);
    }
    rows.push(("committed", format!("{:.0}", manifest.created_at)));
    if let Some(parent) = &manifest.parent {
        rows.push(("parent", format!("generation {}", parent.generation)));
    }
    if let Some(from) = &manifest.restored_from {
        rows.push(("content of", format!("generation {}", from.generation)));
    }
    rows.push(("writer", format!("{}, pid {}", manifest.writer.host, manifest.writer.pid)));
    rows.push(("manifest", manifest.hash.to_string()));
    rows.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn training(metadata: &Metadata, rows: &mut Vec<(&str, String)>) {
    let Metadata { fingerprint, provenance, train, .. } = metadata;
    let spec = metadata.model.spec;
    rows.push(("fingerprint", fingerprint.clone()));
    rows.push(("run", format!("{}, attempt {}", provenance.run, provenance.attempt)));
    rows.push(("program", provenance.program.clone()));
    rows.push(("backend", format!("{} ({})", provenance.backend, provenance.backend_version)));
    if let Some(command) = &provenance.command {
        rows.push(("command", command.join(" ")));
    }
    rows.push(("seed", train.seed.to_string()));
    rows.push(("threads", provenance.threads.to_string()));
    rows.push((
        "model",
        format!(
            "d_model {}, n_layers {}, d_state {}, d_conv {}, expand {}, dt_rank {}",
            spec.d_model, spec.n_layers, spec.d_state, spec.d_conv, spec.expand, spec.dt_rank
        ),
    ));
}

fn data(metadata: &Metadata, rows: &mut Vec<(&str, String)>) {
    let DatasetSummary { origin, reading, bars, first, last, .. } = &metadata.data;
    rows.push(("data", origin.to_string()));
    match &metadata.series {
        Some(of) => rows.push(("rows", format!("{bars}, {} to {}", of.first, of.last))),
        None => rows.push(("bars", format!("{bars}, {first} to {last}"))),
    }
    if let Some(Reading { layout, adjustment, newest_first, .. }) = reading {
        let turned = if *newest_first { ", newest day first" } else { "" };
        rows.push(("layout", format!("{}{turned}", layout.name())));
        if *adjustment != Adjustment::None {
            rows.push(("prices adjusted by", adjustment.words().to_owned()));
        }
    }
    let part = |PartSummary { samples, first, last }: PartSummary| {
        format!("{samples} samples, {first} to {last}")
    };
    rows.push(("training part", part(metadata.data.train)));
    rows.push(("validation part", part(metadata.data.validation)));
    rows.push(("test part", part(metadata.data.test)));
}

/// What it started from, and what it had to beat.
fn how(metadata: &Metadata, rows: &mut Vec<(&str, String)>) {
    if let Some(WarmStart { generation, why_not, .. }) = &metadata.provenance.warm_start {
        let text = match generation {
            Some(generation) => format!("from generation {generation}"),
            None => format!("no: {}", why_not.as_deref().unwrap_or_default()),
        };
        rows.push(("warm start", text));
    }
    let Some(Promotion { comparison, forced, why_not_compared }) = &metadata.promotion else {
        return;
    };
    let text = match comparison {
        Some(of) => format!(
            "loss {:.4} against {:.4} of generation {} on {} samples{}",
            of.new_loss,
            of.old_loss,
            of.generation,
            of.samples,
            if *forced { ", by force" } else { "" },
        ),
        None => format!("not compared: {}", why_not_compared.as_deref().unwrap_or_default()),
    };
    rows.push(("promotion", text));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(counts: [usize; 5]) -> Reading {
        let [blank_rows, duplicates, conflicting, unsorted, inconsistent] = counts;
        let json = serde_json::json!({
            "layout": "plain", "adjustment": "stated", "splits": 1, "dividends": 0, "rows": 900,
            "blank_cells": 0, "blank_rows": blank_rows, "duplicates": duplicates,
            "conflicting": conflicting, "unsorted": unsorted, "newest_first": true,
            "inconsistent": inconsistent, "dropped": 0,
        });
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn clean_data_has_no_notes_and_others_say_what_was_done() {
        assert!(notes(&reading([0; 5])).is_empty());
        assert_eq!(
            notes(&reading([12, 3, 1, 1, 2])),
            [
                "12 rows with blank cells were left out",
                "3 rows for a day that had one were left out",
                "1 of these had other values than the one before",
                "1 row older than one before was sorted",
                "2 rows with an open or close outside the range from low to high were mended or left out",
            ]
        );
    }
}

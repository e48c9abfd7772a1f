//! `mambafleet show`.

use std::fmt::Write;

use mambafleet_artifacts::Manifest;
use mambafleet_worker::{METADATA_FILE, METRICS_FILE, Metadata, Metrics};
use serde::Serialize;

use super::open_store;
use super::target::Target;
use crate::args::Common;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::Output;
use crate::table::{bytes, number, percent, render, seconds};

/// A whole generation, without its weights.
#[derive(Serialize)]
struct Shown<'a> {
    manifest: &'a Manifest,
    metadata: &'a Metadata,
    metrics: &'a Metrics,
}

/// Shows one generation of one symbol.
pub(crate) fn run(common: &Common, target: &str, output: Output) -> Result<Exit, CliError> {
    let Target { symbol, generation } = Target::parse(target)?;
    let store = open_store(common)?.symbol(&symbol);
    let snapshot = match generation {
        Some(generation) => store.snapshot(generation)?,
        None => store.latest()?.ok_or_else(|| CliError::no_generation(&symbol))?,
    };
    let metadata: Metadata = snapshot.json(METADATA_FILE)?;
    let metrics: Metrics = snapshot.json(METRICS_FILE)?;
    let shown = Shown { manifest: snapshot.manifest(), metadata: &metadata, metrics: &metrics };
    output.result("generation", &shown, || text(&shown))?;
    if snapshot.skipped().is_empty() { Ok(Exit::Success) } else { Ok(Exit::Damaged) }
}

fn text(shown: &Shown<'_>) -> String {
    let mut text = provenance(shown);
    text.push_str("\nmetrics\n");
    text.push_str(&metrics(shown.metrics));
    text.push_str("\n\nfiles (BLAKE3)\n");
    let rows = shown
        .manifest
        .files
        .iter()
        .map(|file| vec![file.name.clone(), bytes(file.length), file.blake3.to_string()]);
    text.push_str(&render(&[("file", false), ("size", true), ("hash", false)], rows.collect()));
    text
}

fn provenance(Shown { manifest, metadata, .. }: &Shown<'_>) -> String {
    let Metadata { symbol, fingerprint, data, provenance, train, .. } = metadata;
    let spec = metadata.model.spec;
    let origin = if metadata.is_synthetic() {
        "synthetic demo data".to_owned()
    } else {
        data.origin.to_string()
    };
    let parent = manifest.parent.as_ref().map_or_else(
        || "none: the first generation".to_owned(),
        |parent| format!("generation {}", parent.generation),
    );
    let stages = provenance.seconds;
    let rows = [
        ("created", manifest.created_at.to_string()),
        ("parent", parent),
        ("run", format!("{}, attempt {}", provenance.run, provenance.attempt)),
        ("program", provenance.program.clone()),
        ("backend", format!("{} ({})", provenance.backend, provenance.backend_version)),
        ("writer", format!("{}, pid {}", manifest.writer.host, manifest.writer.pid)),
        ("seed", train.seed.to_string()),
        ("fingerprint", fingerprint.clone()),
        ("data", format!("{origin}: {} bars, {} to {}", data.bars, data.first, data.last)),
        (
            "model",
            format!(
                "Mamba-1: d_model {}, n_layers {}, d_state {}, d_conv {}, expand {}, dt_rank {}",
                spec.d_model, spec.n_layers, spec.d_state, spec.d_conv, spec.expand, spec.dt_rank
            ),
        ),
        (
            "time",
            format!(
                "load {}, train {}, evaluate {}, on {} thread(s)",
                seconds(stages.load),
                seconds(stages.train),
                seconds(stages.evaluate),
                provenance.threads
            ),
        ),
    ];
    let mut text = format!("{symbol}, generation {}\n", manifest.generation);
    for (name, value) in rows {
        let _ = writeln!(text, "  {name:<12} {value}");
    }
    text
}

fn metrics(metrics: &Metrics) -> String {
    let headline = metrics.headline;
    let mut text = format!(
        "  validation loss {} after the first epoch, {} after epoch {} of {} (kept)\n  \
         test loss {} on {} samples, baseline {} ({})\n\n",
        number(headline.first_validation_loss),
        number(headline.best_validation_loss),
        metrics.best_epoch,
        headline.epochs,
        number(headline.test_loss),
        metrics.test.samples,
        number(headline.baseline_loss),
        percent(metrics.test.skill),
    );
    let columns = [
        ("horizon", true),
        ("pinball", true),
        ("baseline", true),
        ("coverage", true),
        ("nominal", true),
        ("rmse", true),
        ("zero rmse", true),
        ("skill vs zero", true),
    ];
    let rows = metrics.test.horizons.iter().map(|h| {
        vec![
            h.horizon.to_string(),
            number(h.pinball),
            number(h.baseline_pinball),
            format!("{:.3}", h.coverage),
            format!("{:.3}", h.nominal_coverage),
            format!("{:.5}", h.rmse),
            format!("{:.5}", h.zero_rmse),
            format!("{:+.4}", h.skill_against_zero),
        ]
    });
    text.push_str(&render(&columns, rows.collect()));
    text
}

//! `mambafleet show`.

use std::fmt::Write;

use jiff::Timestamp;
use mambafleet_artifacts::{
    Fault, FileEntry, HistoryEntry, Manifest, Parent, Problem, Snapshot, Writer,
};
use mambafleet_worker::{METADATA_FILE, METRICS_FILE, Metadata, Metrics, Promotion, WarmStart};
use serde::Serialize;
use serde_json::Value;

use super::open_store;
use super::series;
use super::target::Target;
use crate::args::Common;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::Output;
use crate::reporters::compared;
use crate::style::Page;
use crate::table::{Table, bytes, number, percent, render, seconds};

/// How many generations of the history a person is shown.
const SHOWN: usize = 10;

/// A whole generation, without its weights.
#[derive(Serialize)]
struct Shown<'a> {
    manifest: &'a Manifest,
    /// The files as they are, when they are JSON.
    metadata: Option<Value>,
    metrics: Option<Value>,
    /// What is wrong with newer generations, when the newest was asked for.
    skipped: &'a [Fault],
    /// All generations of the symbol, oldest first.
    history: Vec<Past>,
}

/// A generation in the history.
#[derive(Serialize)]
struct Past {
    generation: u64,
    created_at: Option<Timestamp>,
    bytes: Option<u64>,
    parent: Option<u64>,
    restored_from: Option<u64>,
    /// What is wrong with its manifest; the other files are not read.
    problem: Option<Problem>,
}

/// Shows one generation of one symbol.
pub(crate) fn run(common: &Common, target: &str, output: Output) -> Result<Exit, CliError> {
    let target = Target::parse(target)?;
    let store = open_store(common)?.symbol(&target.symbol);
    let snapshot = target.snapshot(&store)?;
    let shown = Shown {
        manifest: snapshot.manifest(),
        metadata: snapshot.json(METADATA_FILE).ok(),
        metrics: snapshot.json(METRICS_FILE).ok(),
        skipped: snapshot.skipped(),
        history: store.history()?.into_iter().map(Past::from).collect(),
    };
    output.result("generation", &shown, || text(&shown, &snapshot))?;
    if snapshot.skipped().is_empty() { Ok(Exit::Success) } else { Ok(Exit::Damaged) }
}

impl From<HistoryEntry> for Past {
    fn from(HistoryEntry { generation, manifest }: HistoryEntry) -> Self {
        let number = |parent: &Parent| parent.generation;
        let (manifest, problem) = match manifest {
            Ok(manifest) => (Some(manifest), None),
            Err(fault) => (None, Some(fault.problem)),
        };
        let manifest = manifest.as_ref();
        Self {
            generation,
            created_at: manifest.map(|manifest| manifest.created_at),
            bytes: manifest.map(Manifest::total_length),
            parent: manifest.and_then(|manifest| manifest.parent.as_ref().map(number)),
            restored_from: manifest
                .and_then(|manifest| manifest.restored_from.as_ref().map(number)),
            problem,
        }
    }
}

/// What another program wrote is shown as far as the store knows it.
fn text(shown: &Shown<'_>, snapshot: &Snapshot) -> String {
    let page = Page::stdout();
    let manifest = shown.manifest;
    let mut rows = commit(manifest);
    if let Ok(metadata) = snapshot.json(METADATA_FILE) {
        rows.extend(training(&metadata));
    }
    let mut text = format!("{}, generation {}\n", manifest.symbol, manifest.generation);
    for (name, value) in rows {
        let _ = writeln!(text, "{}", page.wrap(&format!("  {name:<12} {value}"), 13));
    }
    if let Ok(read) = snapshot.json(METRICS_FILE) {
        let _ = writeln!(text, "\nmetrics\n{}", metrics(&read));
    } else if let Ok(read) = snapshot.json(METRICS_FILE) {
        let _ = writeln!(text, "\nmetrics\n{}", series::metrics(&read));
    }
    let _ = write!(text, "\nfiles (BLAKE3)\n{}\n\n{}", files(manifest), history(&shown.history));
    page.wrap(&text, 2)
}

/// What the store knows.
fn commit(manifest: &Manifest) -> Vec<(&'static str, String)> {
    let generation = |parent: &Parent| format!("generation {}", parent.generation);
    let parent = manifest.parent.as_ref();
    let parent = parent.map_or_else(|| "none: the first generation".to_owned(), generation);
    let Writer { host, boot_id, pid, start_time } = &manifest.writer;
    let mut writer = format!("{host}, pid {pid}");
    if let Some(start_time) = start_time {
        let _ = write!(writer, ", started at tick {start_time}");
    }
    if let Some(boot_id) = boot_id {
        let _ = write!(writer, " of boot {boot_id}");
    }
    let mut rows = vec![("created", manifest.created_at.to_string()), ("parent", parent)];
    if let Some(from) = &manifest.restored_from {
        rows.push(("content of", generation(from)));
    }
    rows.push(("writer", writer));
    rows.push(("token", manifest.fencing_token.to_string()));
    rows
}

/// What the training noted.
fn training(metadata: &Metadata) -> Vec<(&'static str, String)> {
    let Metadata { fingerprint, data, provenance, train, .. } = metadata;
    let spec = metadata.model.spec;
    let origin = if metadata.is_synthetic() {
        "synthetic demo data".to_owned()
    } else {
        data.origin.to_string()
    };
    let mended = match &data.reading {
        Some(reading) if reading.mended() => format!("; mended: {reading}"),
        _ => String::new(),
    };
    let stages = provenance.seconds;
    let mut rows = vec![
        ("run", format!("{}, attempt {}", provenance.run, provenance.attempt)),
        ("program", provenance.program.clone()),
        ("backend", format!("{} ({})", provenance.backend, provenance.backend_version)),
        ("seed", train.seed.to_string()),
        ("fingerprint", fingerprint.clone()),
        ("data", format!("{origin}: {}{mended}", reach(metadata))),
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
    rows.extend(provenance.warm_start.as_ref().map(|start| ("started from", started(start))));
    rows.extend(metadata.promotion.as_ref().map(|promotion| ("promoted", promoted(promotion))));
    rows
}

/// What training started from.
fn started(start: &WarmStart) -> String {
    match (start.generation, &start.why_not) {
        (Some(generation), _) => format!("generation {generation}"),
        (None, why) => format!("random weights: {}", why.as_deref().unwrap_or_default()),
    }
}

/// How it took the place of the generation before.
fn promoted(promotion: &Promotion) -> String {
    let force = if promotion.forced { "by force: " } else { "" };
    match (&promotion.comparison, &promotion.why_not_compared) {
        (Some(comparison), _) => {
            format!("{force}against generation {}, {}", comparison.generation, compared(comparison))
        }
        (None, why) => format!("not compared: {}", why.as_deref().unwrap_or_default()),
    }
}

/// How much data there was.
fn reach(metadata: &Metadata) -> String {
    let data = &metadata.data;
    match &metadata.series {
        Some(series) => format!("{} rows, {} to {}", data.bars, series.first, series.last),
        None => format!("{} bars, {} to {}", data.bars, data.first, data.last),
    }
}

fn files(manifest: &Manifest) -> String {
    let row =
        |file: &FileEntry| vec![file.name.clone(), bytes(file.length), file.blake3.to_string()];
    let columns = [("file", false), ("size", true), ("hash", false)];
    render(&columns, manifest.files.iter().map(row).collect())
}

/// The newest generations, newest first.
fn history(history: &[Past]) -> String {
    let row = |past: &Past| {
        let note = match (&past.problem, past.restored_from) {
            (Some(problem), _) => format!("manifest damaged: {problem}"),
            (None, Some(from)) => format!("content of {from}"),
            (None, None) => String::new(),
        };
        vec![
            past.generation.to_string(),
            past.created_at.map(|created| format!("{created:.0}")).unwrap_or_default(),
            past.bytes.map(bytes).unwrap_or_default(),
            past.parent.map(|parent| parent.to_string()).unwrap_or_default(),
            note,
        ]
    };
    let columns =
        [("history", true), ("created", false), ("size", true), ("parent", true), ("note", false)];
    let rows = history.iter().rev().take(SHOWN).map(row).collect();
    let table = Table::new(&columns, rows).spare(&["parent", "size"]).lay_out(Page::stdout());
    match history.len().saturating_sub(SHOWN) {
        0 => table,
        older => format!("{table}\nand {older} older"),
    }
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

//! `mambafleet diff`.

mod compare;

use std::collections::BTreeSet;

use mambafleet_artifacts::{Manifest, Snapshot};
use mambafleet_protocol::Symbol;
use mambafleet_worker::{METADATA_FILE, METRICS_FILE};
use serde::Serialize;
use serde_json::Value;

use self::compare::{Change, Difference, compare};
use super::open_store;
use crate::args::{Common, DiffArgs};
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::Output;
use crate::reporters::count;
use crate::table::{render, significant};

/// What differs between any two trainings and is rarely what is looked for: the course of the
/// training, who trained when and for how long, and the scaler's values.
const DETAILS: [(&str, &str); 3] =
    [(METRICS_FILE, "epochs"), (METADATA_FILE, "provenance"), (METADATA_FILE, "scaler")];

/// How much of a hash a table shows.
const HASH_SHOWN: usize = 12;

#[derive(Serialize)]
struct Compared {
    symbol: Symbol,
    a: u64,
    b: u64,
    /// Whether all files are the same, byte for byte.
    identical: bool,
    files: Vec<FileChange>,
    changes: Vec<FileDifference>,
    /// How many differences were left out.
    left_out: usize,
}

/// A file that is not the same.
#[derive(Serialize)]
struct FileChange {
    file: String,
    change: Change,
    /// How many leaves differ in it, when it is JSON.
    differences: Option<usize>,
}

/// A leaf of a JSON file that is not the same.
#[derive(Serialize)]
struct FileDifference {
    file: String,
    #[serde(flatten)]
    difference: Difference,
}

/// Compares two generations of one symbol.
pub(crate) fn run(common: &Common, args: &DiffArgs, output: Output) -> Result<Exit, CliError> {
    let symbol = Symbol::new(args.symbol.as_str())?;
    let store = open_store(common)?.symbol(&symbol);
    let (a, b) = (store.snapshot(args.a)?, store.snapshot(args.b)?);
    let mut files = files(a.manifest(), b.manifest());
    let mut changes = Vec::new();
    for FileChange { file, differences, .. } in &mut files {
        let Some(inside) = inside(&a, &b, file) else { continue };
        *differences = Some(inside.len());
        let named = |difference| FileDifference { file: file.clone(), difference };
        changes.extend(inside.into_iter().map(named));
    }
    let found = changes.len();
    if !args.all {
        changes.retain(|change| !is_detail(change));
    }
    let left_out = found - changes.len();
    let identical = files.is_empty();
    let compared = Compared { symbol, a: args.a, b: args.b, identical, files, changes, left_out };
    output.result("difference", &compared, || text(&compared))?;
    Ok(Exit::Success)
}

/// The files that are not the same, by name.
fn files(a: &Manifest, b: &Manifest) -> Vec<FileChange> {
    let entry = |manifest: &Manifest, name: &str| {
        let entry = manifest.files.iter().find(|file| file.name == name)?;
        Some((entry.length, entry.blake3))
    };
    let names: BTreeSet<&String> = a.files.iter().chain(&b.files).map(|file| &file.name).collect();
    let change = |name: &String| {
        let change = match (entry(a, name), entry(b, name)) {
            (None, _) => Change::Added,
            (_, None) => Change::Removed,
            (a, b) if a == b => return None,
            _ => Change::Changed,
        };
        Some(FileChange { file: name.clone(), change, differences: None })
    };
    names.into_iter().filter_map(change).collect()
}

/// What differs inside a file; `None` when that is not JSON on the sides on which it exists.
fn inside(a: &Snapshot, b: &Snapshot, file: &str) -> Option<Vec<Difference>> {
    let read = |side: &Snapshot| side.bytes(file).map(serde_json::from_slice).transpose().ok();
    let (a, b): (Option<Value>, Option<Value>) = (read(a)?, read(b)?);
    Some(compare(a.as_ref(), b.as_ref()))
}

fn is_detail(FileDifference { file, difference }: &FileDifference) -> bool {
    let top = difference.key.split(['.', '[']).next().unwrap_or_default();
    DETAILS.contains(&(file.as_str(), top))
}

fn text(compared: &Compared) -> String {
    let Compared { symbol, a, b, identical, files, changes, left_out } = compared;
    if *identical {
        return format!("{symbol}: generations {a} and {b} hold the same, byte for byte");
    }
    let mut parts = Vec::new();
    if changes.is_empty() {
        parts.push(format!(
            "{symbol}: generations {a} and {b} do not differ in metrics and configuration"
        ));
    } else {
        parts.push(table(compared));
        parts.push(String::new());
        parts.push(counts(changes));
    }
    let opaque = files.iter().filter(|file| file.differences.is_none_or(|number| number == 0));
    let opaque = opaque.map(|FileChange { file, change, .. }| format!("{file} {}", verb(*change)));
    parts.extend(opaque);
    if *left_out > 0 {
        let more = count(*left_out, "more difference");
        parts.push(format!("{more} in epochs, provenance and scaler: --all shows them"));
    }
    parts.join("\n")
}

fn table(Compared { a, b, changes, .. }: &Compared) -> String {
    let (a, b) = (format!("@{a}"), format!("@{b}"));
    let columns = [
        ("file", false),
        ("key", false),
        (a.as_str(), true),
        (b.as_str(), true),
        ("difference", true),
        ("ratio", true),
    ];
    let rows = changes.iter().map(|FileDifference { file, difference: one }| {
        let side = |side: &Option<Value>| side.as_ref().map_or_else(|| "-".to_owned(), shown);
        let signed = |value: &Value| {
            let sign = if value.as_f64().is_some_and(|value| value > 0.0) { "+" } else { "" };
            format!("{sign}{}", shown(value))
        };
        vec![
            file.clone(),
            one.key.clone(),
            side(&one.a),
            side(&one.b),
            one.difference.as_ref().map(signed).unwrap_or_default(),
            one.ratio.map(significant).unwrap_or_default(),
        ]
    });
    render(&columns, rows.collect())
}

/// A leaf as people read it.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) if is_hash(text) => format!("{}...", &text[..HASH_SHOWN]),
        Value::String(text) => text.clone(),
        Value::Number(number) if number.is_f64() => {
            number.as_f64().map(significant).unwrap_or_default()
        }
        other => other.to_string(),
    }
}

fn is_hash(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// `3 changed, 1 added`.
fn counts(changes: &[FileDifference]) -> String {
    let kinds = [Change::Changed, Change::Added, Change::Removed];
    let counted = kinds.map(|kind| {
        (changes.iter().filter(|one| one.difference.change == kind).count(), verb(kind))
    });
    let shown = counted.iter().filter(|(number, _)| *number > 0);
    shown.map(|(number, verb)| format!("{number} {verb}")).collect::<Vec<_>>().join(", ")
}

fn verb(change: Change) -> &'static str {
    match change {
        Change::Added => "added",
        Change::Removed => "removed",
        Change::Changed => "changed",
    }
}

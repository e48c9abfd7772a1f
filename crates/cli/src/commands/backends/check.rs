//! `mambafleet backends check`.

use std::path::{Path, PathBuf};

use mambafleet_backend::Backend;
use mambafleet_backend::parity::{Case, Check, Tolerances, Verdict, replay};
use mambafleet_protocol::cause_chain;
use serde::Serialize;

use crate::args::CheckArgs;
use crate::commands::registry;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::Output;
use crate::reporters::count;
use crate::table::render;

#[derive(Serialize)]
struct Checked {
    backend: &'static str,
    version: &'static str,
    passed: bool,
    files: Vec<File>,
}

#[derive(Serialize)]
struct File {
    file: PathBuf,
    checks: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    #[serde(flatten)]
    check: Check,
    result: Verdict,
}

/// Replays every file on the backend. Nothing is computed before all of them are read.
pub(crate) fn run(args: &CheckArgs, output: Output) -> Result<Exit, CliError> {
    let registry = registry()?;
    let backend = registry.get(&args.backend).map_err(|error| {
        CliError::usage(error.to_string()).with_hint("`mambafleet backends` lists them")
    })?;
    let cases = args.files.iter().map(|path| Ok((path, read(path)?)));
    let cases = cases.collect::<Result<Vec<_>, CliError>>()?;
    let files = cases.iter().map(|(path, case)| file(backend, path, case));
    let files = files.collect::<Result<Vec<_>, _>>()?;
    let failed = verdicts(&files, Verdict::Fail);
    let (name, version, passed) = (backend.name(), backend.version(), failed == 0);
    let checked = Checked { backend: name, version, passed, files };
    output.result("backend_check", &checked, || text(&checked))?;
    Ok(if passed { Exit::Success } else { Exit::Deviates })
}

fn read(path: &Path) -> Result<Case, CliError> {
    Case::read(path).map_err(|error| {
        CliError::usage(cause_chain(&error))
            .with_hint("examples/pytorch/parity.py describes and writes parity files")
    })
}

fn file(backend: &dyn Backend, path: &Path, case: &Case) -> Result<File, CliError> {
    let results = replay(backend, case, 1).map_err(|error| {
        let (name, file, cause) = (backend.name(), path.display(), cause_chain(&error));
        CliError::new(Exit::Deviates, format!("{name} cannot replay {file}: {cause}"))
    })?;
    let checks = case.compare(&results, &Tolerances::SINGLE);
    let checks = checks.into_iter().map(|check| Row { result: check.verdict(), check });
    Ok(File { file: path.to_owned(), checks: checks.collect() })
}

/// How many comparisons ended so.
fn verdicts(files: &[File], verdict: Verdict) -> usize {
    files.iter().flat_map(|file| &file.checks).filter(|row| row.result == verdict).count()
}

fn text(checked: &Checked) -> String {
    let columns = [
        ("file", false),
        ("quantity", false),
        ("tensor", false),
        ("deviation", true),
        ("tolerance", true),
        ("result", false),
    ];
    let rows = checked.files.iter().flat_map(|file| {
        let name = file.file.file_name().unwrap_or(file.file.as_os_str());
        file.checks.iter().map(|row| cells(&name.to_string_lossy(), row))
    });
    let table = render(&columns, rows.collect());
    format!("{table}\n\n{}", summary(checked))
}

fn cells(file: &str, row: &Row) -> Vec<String> {
    let check = &row.check;
    let result = match row.result {
        Verdict::Ok => "ok",
        Verdict::Fail => "FAIL",
        Verdict::Skipped => "skipped",
    };
    vec![
        file.to_owned(),
        check.quantity.to_string(),
        check.tensor.clone().unwrap_or_default(),
        check.deviation.map(|deviation| format!("{deviation:.1e}")).unwrap_or_default(),
        format!("{:.1e}", check.tolerance),
        result.to_owned(),
    ]
}

fn summary(checked: &Checked) -> String {
    let Checked { backend, version, files, .. } = checked;
    let scope = format!("{backend} ({version}) on {}", count(files.len(), "file"));
    let all = files.iter().map(|file| file.checks.len()).sum();
    let mut text = match verdicts(files, Verdict::Fail) {
        0 => format!("{scope}: {} within tolerance", count(all, "value")),
        failed => format!("{scope}: {failed} of {} above tolerance", count(all, "value")),
    };
    let skipped = verdicts(files, Verdict::Skipped);
    if skipped > 0 {
        text.push_str("; gradients skipped, since this backend gives none");
    }
    text
}

//! `mambafleet backends conform`.

use mambafleet_backend::conformance::{Finding, Verdict, examine};
use serde::Serialize;

use crate::args::{Common, ConformArgs};
use crate::commands::registry;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::Output;
use crate::plan::{configuration, program};
use crate::reporters::count;
use crate::table::render;

#[derive(Serialize)]
struct Examined {
    backend: &'static str,
    version: &'static str,
    passed: bool,
    findings: Vec<Finding>,
}

/// Examines the backend that the configuration names.
pub(crate) fn run(common: &Common, args: &ConformArgs, output: Output) -> Result<Exit, CliError> {
    let chosen = args.backend.iter();
    let chosen = chosen.map(|name| ("train.backend".into(), name.clone(), "--backend".into()));
    let config = configuration(common, chosen.collect())?.config;
    let registry = registry()?;
    let backend = registry.open(&config.train.backend, program(&config)?.as_ref());
    let backend = backend.map_err(|error| {
        CliError::usage(error.to_string()).with_hint("`mambafleet backends` lists them")
    })?;
    let findings = examine(&*backend);
    let passed = broken(&findings) == 0;
    let (backend, version) = (backend.name(), backend.version());
    let examined = Examined { backend, version, passed, findings };
    output.result("backend_conformance", &examined, || text(&examined))?;
    Ok(if passed { Exit::Success } else { Exit::Deviates })
}

fn broken(findings: &[Finding]) -> usize {
    findings.iter().filter(|finding| matches!(finding.verdict, Verdict::Broken(_))).count()
}

fn text(examined: &Examined) -> String {
    let rows = examined.findings.iter().map(|finding| {
        let (result, why) = match &finding.verdict {
            Verdict::Kept => ("kept", ""),
            Verdict::Broken(why) => ("BROKEN", why.as_str()),
            Verdict::Skipped(why) => ("skipped", why.as_str()),
        };
        vec![finding.rule.to_string(), result.to_owned(), why.to_owned()]
    });
    let table = render(&[("rule", false), ("result", false), ("why", false)], rows.collect());
    let Examined { backend, version, findings, .. } = examined;
    let scope = format!("{backend} ({version})");
    let summary = match broken(findings) {
        0 => format!("{scope}: every rule is kept that applies to it"),
        broken => format!("{scope}: {broken} of {} broken", count(findings.len(), "rule")),
    };
    format!("{table}\n\n{summary}")
}

//! The settings of a job as flat lists of names and values.

use std::collections::BTreeMap;

use mambafleet_orchestrator::RunPlan;
use mambafleet_protocol::JobSpec;
use serde_json::Value;

/// What is recorded of a job, by the names that the configuration has for it: what decides about its
/// model, but neither the command lines of programs, which may hold secrets, nor what is the run's.
pub(crate) fn of_job(job: &JobSpec) -> BTreeMap<String, String> {
    let mut settings = BTreeMap::new();
    let parts = [
        ("data", serde_json::to_value(&job.data)),
        ("task", serde_json::to_value(&job.task)),
        ("model", serde_json::to_value(job.model)),
        ("train", serde_json::to_value(&job.train)),
        ("evaluate", serde_json::to_value(job.evaluate)),
        ("promote", serde_json::to_value(job.promote)),
        ("threads", Ok(job.threads.into())),
        ("trials", Ok(job.search.len().into())),
    ];
    for (name, value) in parts {
        // All of these are plain data.
        flatten(name, &value.unwrap_or_default(), &mut settings);
    }
    settings
}

/// What is recorded of a run: how it is carried out, and the settings that all its jobs share.
pub(crate) fn of_run(plan: &RunPlan) -> BTreeMap<String, String> {
    let mut jobs = plan.jobs.iter().map(of_job);
    let mut settings = jobs.next().unwrap_or_default();
    for job in jobs {
        settings.retain(|name, value| job.get(name) == Some(value));
    }
    settings.insert("run.symbols".to_owned(), plan.jobs.len().to_string());
    settings.insert("run.parallel".to_owned(), plan.workers().to_string());
    settings
}

/// Objects become names with dots, lists one text.
fn flatten(name: &str, value: &Value, into: &mut BTreeMap<String, String>) {
    let text = match value {
        Value::Null => return,
        Value::Object(parts) => {
            parts.iter().for_each(|(part, value)| flatten(&format!("{name}.{part}"), value, into));
            return;
        }
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(", "),
        other => plain(other),
    };
    into.insert(name.to_owned(), text);
}

/// A value without quotes.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use mambafleet_orchestrator::RunPolicy;

    use super::*;

    fn job(symbol: &str) -> JobSpec {
        let run = "20260301-041500-123-3f9a".parse().unwrap();
        JobSpec::usual(run, symbol.parse().unwrap(), "store".into())
    }

    #[test]
    fn settings_have_the_names_of_the_configuration() {
        let settings = of_job(&job("A"));
        for (name, value) in [
            ("train.learning_rate", "0.0003"),
            ("train.schedule", "cosine"),
            ("train.init", "random"),
            ("task.horizons", "1, 5, 20"),
            ("task.split.train", "0.7"),
            ("data.kind", "synthetic"),
            ("model.d_state", "16"),
        ] {
            assert_eq!(settings.get(name).map(String::as_str), Some(value), "{name}");
        }
        assert!(settings["task.features"].starts_with("log_return, overnight_gap, "));
        assert!(!settings.keys().any(|name| name.starts_with("program")), "{settings:?}");
    }

    #[test]
    fn a_run_has_what_its_jobs_share() {
        let (one, mut other) = (job("A"), job("B"));
        other.train.seed = one.train.seed + 1;
        let run = one.run.clone();
        let jobs = vec![one, other];
        let plan = RunPlan::new(run, "0".into(), "s".into(), RunPolicy::plain(9), jobs);
        let settings = of_run(&plan);
        assert_eq!(settings["run.symbols"], "2");
        assert_eq!(settings["run.parallel"], "2");
        assert!(settings.contains_key("train.epochs") && !settings.contains_key("train.seed"));
    }
}

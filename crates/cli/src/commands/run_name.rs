//! A run as people name it.

use std::path::Path;

use mambafleet_orchestrator::RunRecord;
use mambafleet_protocol::RunId;

use crate::error::CliError;
use crate::exit::Exit;

/// The name of the newest run.
pub(crate) const LATEST: &str = "latest";

/// How many runs a hint names.
const NAMED: usize = 3;

/// The run that `name` means among those below `runs`: its id, the beginning of just one id, or
/// [`LATEST`].
///
/// # Errors
/// [`Exit::NothingSelected`] when there is no such run, [`Exit::Usage`] when several begin like that.
pub(crate) fn find_run(runs: &Path, name: &str) -> Result<RunId, CliError> {
    let mut all = RunRecord::newest_first(runs)?;
    // Other directories may lie there; a run begins with its plan.
    all.retain(|run| RunRecord::dir_of(runs, run).join("plan.json").is_file());
    choose(&all, name).map_err(|error| match all.as_slice() {
        [] => error.with_hint("`mambafleet train` makes one, --store names another store"),
        _ => error,
    })
}

/// The same among `all` runs, the newest first.
fn choose(all: &[RunId], name: &str) -> Result<RunId, CliError> {
    let none = |message: String| CliError::new(Exit::NothingSelected, message);
    let Some(newest) = all.first() else {
        return Err(none("there is no run yet".to_owned()));
    };
    if name == LATEST {
        return Ok(newest.clone());
    }
    if let Some(run) = all.iter().find(|run| run.as_str() == name) {
        return Ok(run.clone());
    }
    let begin: Vec<_> = all.iter().filter(|run| run.as_str().starts_with(name)).collect();
    match begin.as_slice() {
        [one] if !name.is_empty() => Ok((*one).clone()),
        [] => Err(none(format!("there is no run \"{name}\"")).with_hint(others(all, name))),
        several => {
            let message = format!("{} runs begin with \"{name}\"", several.len());
            Err(CliError::usage(message).with_hint(listed(several)))
        }
    }
}

/// The run spelt most like `name`, or else what there is.
fn others(all: &[RunId], name: &str) -> String {
    let score = |run: &&RunId| strsim::normalized_damerau_levenshtein(run.as_str(), name);
    let nearest = all.iter().max_by(|a, b| score(a).total_cmp(&score(b)));
    match nearest.filter(|run| score(run) > 0.8) {
        Some(run) => format!("did you mean {run}?"),
        None => listed(&all.iter().collect::<Vec<_>>()),
    }
}

fn listed(runs: &[&RunId]) -> String {
    let named: Vec<_> = runs.iter().take(NAMED).map(|run| run.as_str()).collect();
    let more = match runs.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} older"),
    };
    format!("there are {}{more}; \"{LATEST}\" is the newest of all", named.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs() -> Vec<RunId> {
        ["20261129-064002-001-aaaa", "20261129-060000-777-bbbb", "20261128-013000-123-cccc"]
            .map(|id| RunId::new(id).unwrap())
            .to_vec()
    }

    #[track_caller]
    fn refused(name: &str) -> (Exit, String, String) {
        let error = choose(&runs(), name).unwrap_err();
        (error.exit(), error.message().to_owned(), error.hint().unwrap_or_default().to_owned())
    }

    #[test]
    fn a_run_is_named_by_its_id_by_a_beginning_of_it_or_as_the_latest() {
        for (name, index) in
            [("latest", 0), ("20261129-060000-777-bbbb", 1), ("20261129-06400", 0), ("20261128", 2)]
        {
            assert_eq!(choose(&runs(), name).unwrap(), runs()[index], "{name}");
        }
    }

    #[test]
    fn an_id_that_others_begin_with_is_itself() {
        let short = RunId::new("20261129").unwrap();
        let all = [runs(), vec![short.clone()]].concat();
        assert_eq!(choose(&all, "20261129").unwrap(), short);
    }

    #[test]
    fn what_names_no_run_or_several_is_refused_with_what_there_is() {
        let (exit, message, hint) = refused("20261129");
        assert_eq!((exit, message.as_str()), (Exit::Usage, "2 runs begin with \"20261129\""));
        assert!(hint.contains("20261129-060000-777-bbbb") && !hint.contains("cccc"), "{hint}");
        assert_eq!(refused("").0, Exit::Usage);
        let (exit, _, hint) = refused("20261129-064002-001-aaab");
        assert_eq!(exit, Exit::NothingSelected);
        assert_eq!(hint, "did you mean 20261129-064002-001-aaaa?");
        let (exit, message, hint) = refused("../../etc");
        assert_eq!(message, "there is no run \"../../etc\"");
        assert!(exit == Exit::NothingSelected && hint.contains("cccc"), "{hint}");
    }

    #[test]
    fn a_store_without_runs_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let error = find_run(&dir.path().join("runs"), LATEST).unwrap_err();
        assert_eq!(error.message(), "there is no run yet");
        assert!(error.hint().unwrap().contains("mambafleet train"));
    }
}

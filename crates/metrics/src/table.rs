//! The one table of all metrics.

/// A metric: all series of one name.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Family {
    /// Its name.
    pub name: &'static str,
    /// What kind of metric it is.
    pub kind: Kind,
    /// The labels that tell its series apart, beside [`FLEET`](crate::FLEET).
    pub labels: &'static [&'static str],
    /// What it says, in a sentence.
    pub help: &'static str,
}

/// A kind of metric.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// A number that only grows. While a run goes on it is this run's; in a file it goes on from run to run.
    Counter,
    /// A number as it is now, or as the last run left it.
    Gauge,
    /// How many there were up to each of these bounds, and their sum; otherwise as a counter.
    Histogram(&'static [f64]),
}

impl Kind {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram(_) => "histogram",
        }
    }
}

/// Seconds that an attempt takes: some milliseconds if there is nothing to do, hours on a large model.
const ATTEMPT: &[f64] =
    &[0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 7200.0, 14400.0];

/// Seconds of waiting for a lock: nothing as a rule, and a minute when something is wrong.
const WAIT: &[f64] = &[0.001, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0];

/// Seconds of a commit: what a disk takes to sync some files, up to a network file system that is in
/// trouble.
const COMMIT: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0];

const fn counter(
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
) -> Family {
    Family { name, kind: Kind::Counter, labels, help }
}

const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Family {
    Family { name, kind: Kind::Gauge, labels, help }
}

const fn histogram(
    name: &'static str,
    labels: &'static [&'static str],
    bounds: &'static [f64],
    help: &'static str,
) -> Family {
    Family { name, kind: Kind::Histogram(bounds), labels, help }
}

/// Declares families and lists them.
macro_rules! table {
    ($list:ident: $($id:ident = $family:expr;)*) => {
        $(pub(crate) const $id: Family = $family;)*
        pub(crate) const $list: &[Family] = &[$($id),*];
    };
}

table! { RUN:
    BUILD = gauge("mambafleet_build_info", &["version"], "The program; always 1.");
    RUNS = counter("mambafleet_runs_total", &["result"],
        "Runs by how they ended: success, failed, interrupted, or not_begun.");
    IN_PROGRESS = gauge("mambafleet_run_in_progress", &[], "Whether a run goes on: 1 or 0.");
    STARTED = gauge("mambafleet_run_start_timestamp_seconds", &[], "When the run began.");
    ENDED = gauge("mambafleet_run_end_timestamp_seconds", &[],
        "When the run ended, or could not begin; absent until then.");
    DURATION = gauge("mambafleet_run_duration_seconds", &[],
        "Wall time of the run, or of it so far, without pauses.");
    SUCCESS = gauge("mambafleet_run_success", &[],
        "Whether every symbol of the run is trained, up to date or kept: 1 or 0; absent until it has ended.");
    LAST_SUCCESS = gauge("mambafleet_run_last_success_timestamp_seconds", &[],
        "When a run of these symbols last ended with every one of them trained, up to date or kept. \
         Set on success only.");
    PLANNED = gauge("mambafleet_run_planned_symbols", &[], "Symbols of the run.");
    OUTCOMES = gauge("mambafleet_run_symbols", &["outcome"],
        "Symbols of the run that are done, by outcome: trained, up_to_date, kept, failed, skipped, \
         interrupted.");
    SYMBOL_SUCCESS = gauge("mambafleet_symbol_last_success_timestamp_seconds", &["symbol"],
        "When the newest intact generation of a symbol was trained. Set on success only.");
    SYMBOLS = counter("mambafleet_symbols_total", &["outcome"], "Symbols that are done, by outcome.");
    QUEUE = gauge("mambafleet_queue_length", &[], "Symbols that wait for an attempt.");
    WORKERS = gauge("mambafleet_workers", &[], "Worker processes that the run has at most.");
    BUSY = gauge("mambafleet_workers_busy", &[], "Worker processes with an attempt.");
    SPAWNED = counter("mambafleet_workers_started_total", &[], "Worker processes that were started.");
    LOST = counter("mambafleet_workers_lost_total", &[],
        "Worker processes that ended although they had not been told to.");
    ATTEMPTS = counter("mambafleet_attempts_total", &["result"],
        "Attempts at symbols that have ended, by result: trained, up_to_date, kept, failed, skipped, \
         interrupted.");
    FAILURES = counter("mambafleet_attempt_failures_total", &["cause"],
        "Attempts that failed, by cause.");
    RETRIES = counter("mambafleet_retries_total", &["cause"],
        "Attempts that failed and are made again, by cause.");
    SLOW = counter("mambafleet_slow_attempts_total", &[],
        "Attempts that took three times as long as the symbol's newest generation, and above ten seconds.");
    ATTEMPT_SECONDS = histogram("mambafleet_attempt_duration_seconds", &["result"], ATTEMPT,
        "Wall time of attempts by result, without those that ended with their worker.");
    EPOCHS = counter("mambafleet_training_epochs_total", &[], "Epochs that have ended.");
    TRAINED = counter("mambafleet_training_samples_total", &[],
        "Training samples of the epochs that have ended, the symbol's training part each time; folds and \
         trials may have used fewer.");
    RATE = gauge("mambafleet_training_samples_per_second", &[],
        "Training samples per second, as measured in the newest epoch of each attempt that runs, all \
         together.");
    STAGES = counter("mambafleet_stage_seconds_total", &["stage"],
        "Wall time of attempts by stage, all workers together: load, train, validate, evaluate, commit, \
         other.");
    STAGES_CPU = counter("mambafleet_stage_cpu_seconds_total", &["stage"],
        "Processor time of attempts by stage, all workers together.");
    IDLE = counter("mambafleet_workers_idle_seconds_total", &[],
        "Wall time of all workers together that went into no attempt; counted when the run has ended.");
    ORCHESTRATOR = counter("mambafleet_orchestrator_cpu_seconds_total", &[],
        "Processor time of the orchestrator; counted when the run has ended.");
    LOCK_WAIT = histogram("mambafleet_lock_wait_seconds", &[], WAIT,
        "Time that commits waited for their symbol's lock.");
    LOCK_TIMEOUTS = counter("mambafleet_lock_timeouts_total", &[],
        "Attempts that gave up waiting for their symbol's lock.");
    COMMIT_SECONDS = histogram("mambafleet_commit_duration_seconds", &[], COMMIT,
        "Time from a commit's first file to its acknowledgement, the wait for the lock included.");
    COMMIT_BYTES = counter("mambafleet_commit_bytes_total", &[], "Length of all files committed.");
    UNREADABLE = counter("mambafleet_commits_unreadable_total", &[],
        "Commits that were acknowledged and could not be read back.");
    MEMORY = gauge("mambafleet_worker_memory_bytes", &["slot"],
        "Resident memory of each worker that has an attempt, with its children. Slots are numbered \
         from 1 and used again.");
    MEMORY_PEAK = gauge("mambafleet_worker_memory_peak_bytes", &[],
        "The most resident memory that a worker of the run was seen to have.");
}

table! { VERIFY:
    VERIFIED = gauge("mambafleet_verify_timestamp_seconds", &[], "When the store was last checked.");
    VERIFY_LAST_SUCCESS = gauge("mambafleet_verify_last_success_timestamp_seconds", &[],
        "When a check of the store last found every byte as committed. Set on success only.");
    VERIFY_SECONDS = gauge("mambafleet_verify_duration_seconds", &[], "Wall time of the check.");
    VERIFY_SYMBOLS = gauge("mambafleet_verify_symbols", &[], "Symbols that were checked.");
    VERIFY_GENERATIONS = gauge("mambafleet_verify_generations", &[], "Generations that were checked.");
    VERIFY_BYTES = gauge("mambafleet_verify_bytes", &[],
        "Length of all files of the generations with an intact manifest.");
    VERIFY_DAMAGED = gauge("mambafleet_verify_damaged_generations", &[],
        "Generations with a fault, those that are missing included.");
    VERIFY_FAULTS = gauge("mambafleet_verify_faults", &[], "Faults that were found.");
    VERIFY_UNREAD = gauge("mambafleet_verify_unread_symbols", &[],
        "Symbols that the system refused to read.");
}

/// All metrics: those of runs, then those of checks of a store.
pub fn families() -> impl Iterator<Item = &'static Family> {
    RUN.iter().chain(VERIFY)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_follow_the_conventions() {
        let names: BTreeSet<_> = families().map(|family| family.name).collect();
        assert_eq!(names.len(), families().count());
        for Family { name, kind, labels, help } in families() {
            assert!(name.starts_with("mambafleet_"), "{name}");
            assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{name}");
            assert_eq!(name.ends_with("_total"), *kind == Kind::Counter, "{name}");
            for unit in ["milliseconds", "minutes", "hours", "kilobytes", "mebibytes", "percent"] {
                assert!(!name.contains(unit), "{name}");
            }
            assert!(help.ends_with('.') && !help.contains("  "), "{name}: {help}");
            assert!(!labels.contains(&"le") && !labels.contains(&crate::FLEET), "{name}");
            if let Kind::Histogram(bounds) = kind {
                assert!(bounds.is_sorted() && bounds.iter().all(|b| b.is_finite() && *b > 0.0));
            }
        }
    }
}

//! What sequences of events come to.

use serde_json::json;

use crate::events::{
    Run, START, again, attempt, ended, epoch, failed, finished, kept, loaded, lost, over, pulse,
    stored, trained,
};

#[test]
fn everything_that_can_be_counted_begins_at_zero() {
    let run = Run::of(3);
    let page = run.page();
    for series in [
        "mambafleet_symbols_total{outcome=\"up_to_date\"}",
        "mambafleet_attempts_total{result=\"failed\"}",
        "mambafleet_retries_total{cause=\"out_of_memory\"}",
        "mambafleet_attempt_duration_seconds_count{result=\"trained\"}",
        "mambafleet_attempt_duration_seconds_bucket{result=\"kept\",le=\"14400\"}",
        "mambafleet_lock_wait_seconds_bucket{le=\"0.001\"}",
        "mambafleet_lock_timeouts_total",
        "mambafleet_stage_cpu_seconds_total{stage=\"other\"}",
        "mambafleet_runs_total{result=\"success\"}",
        "mambafleet_workers_busy",
    ] {
        assert_eq!(page.get(series), 0.0, "{series}");
    }
    assert_eq!(page.get("mambafleet_build_info{version=\"0.1.0\"}"), 1.0);
    assert_eq!(page.get("mambafleet_queue_length"), 3.0);
    assert_eq!(page.get("mambafleet_run_planned_symbols"), 3.0);
    assert_eq!(page.get("mambafleet_workers"), 2.0);
    assert_eq!(page.get("mambafleet_run_in_progress"), 1.0);
    assert_eq!(page.get("mambafleet_run_start_timestamp_seconds"), START as f64);
    for absent in [
        "mambafleet_run_success",
        "mambafleet_run_end_timestamp_seconds",
        "mambafleet_run_last_success_timestamp_seconds",
        "mambafleet_worker_memory_peak_bytes",
    ] {
        assert_eq!(page.find(absent), None, "{absent}");
    }
}

#[test]
fn a_symbol_that_is_trained() {
    let mut run = Run::of(2);
    let page = run.hear_all([
        json!({"type": "worker_started", "worker": 1, "pid": 9}),
        attempt("AAPL", 1, 1),
        loaded("AAPL", 700),
        epoch("AAPL", 1000.0),
        epoch("AAPL", 2000.0),
    ]);
    assert_eq!(page.get("mambafleet_workers_busy"), 1.0);
    assert_eq!(page.get("mambafleet_queue_length"), 1.0);
    assert_eq!(page.get("mambafleet_training_samples_per_second"), 2000.0);
    assert_eq!(page.get("mambafleet_training_samples_total"), 1400.0);
    assert_eq!(page.get("mambafleet_training_epochs_total"), 2.0);
    assert_eq!(page.get("mambafleet_run_duration_seconds"), 5.0);
    let symbol = "mambafleet_symbol_last_success_timestamp_seconds{symbol=\"AAPL\"}";
    assert_eq!(page.find(symbol), None);
    let page =
        run.hear_all([stored("AAPL", 0.3), ended("AAPL", 20.0), finished("AAPL", trained())]);
    assert_eq!(page.get("mambafleet_workers_busy"), 0.0);
    assert_eq!(page.get("mambafleet_training_samples_per_second"), 0.0);
    assert_eq!(page.get("mambafleet_queue_length"), 1.0);
    assert_eq!(page.get("mambafleet_symbols_total{outcome=\"trained\"}"), 1.0);
    assert_eq!(page.get("mambafleet_run_symbols{outcome=\"trained\"}"), 1.0);
    assert_eq!(page.get("mambafleet_attempts_total{result=\"trained\"}"), 1.0);
    let seconds = |le: &str| {
        let name = "mambafleet_attempt_duration_seconds_bucket";
        page.get(&format!("{name}{{result=\"trained\",le=\"{le}\"}}"))
    };
    assert_eq!(["10", "30", "+Inf"].map(seconds), [0.0, 1.0, 1.0]);
    assert_eq!(page.get("mambafleet_attempt_duration_seconds_sum{result=\"trained\"}"), 20.0);
    let wait = |le: &str| page.get(&format!("mambafleet_lock_wait_seconds_bucket{{le=\"{le}\"}}"));
    assert_eq!(["0.1", "0.5", "+Inf"].map(wait), [0.0, 1.0, 1.0]);
    assert_eq!(page.get("mambafleet_commit_duration_seconds_count"), 1.0);
    assert_eq!(page.get("mambafleet_commit_bytes_total"), 1000.0);
    assert_eq!(page.get("mambafleet_stage_seconds_total{stage=\"train\"}"), 0.25);
    assert_eq!(page.get("mambafleet_stage_cpu_seconds_total{stage=\"train\"}"), 0.5);
    assert_eq!(page.get("mambafleet_worker_memory_peak_bytes"), 5000.0);
    assert_eq!(page.get(symbol), (START + 8) as f64);
}

#[test]
fn a_value_on_a_bound_counts_below_it() {
    let mut run = Run::of(1);
    let page = run.hear_all([attempt("A", 1, 1), stored("A", 0.5), stored("A", 301.0)]);
    let wait = |le: &str| page.get(&format!("mambafleet_lock_wait_seconds_bucket{{le=\"{le}\"}}"));
    assert_eq!(["0.1", "0.5", "300", "+Inf"].map(wait), [0.0, 1.0, 1.0, 2.0]);
}

#[test]
fn a_retry_counts_by_its_cause_and_a_last_failure_is_none() {
    let mut run = Run::of(1);
    let page = run.hear_all([attempt("A", 1, 1), ended("A", 1.0), again("A", "diverged")]);
    assert_eq!(page.get("mambafleet_retries_total{cause=\"diverged\"}"), 1.0);
    assert_eq!(page.get("mambafleet_attempt_failures_total{cause=\"diverged\"}"), 1.0);
    // Until the next attempt it waits.
    assert_eq!(page.get("mambafleet_queue_length"), 1.0);
    let page =
        run.hear_all([attempt("A", 2, 1), ended("A", 1.0), finished("A", failed("diverged"))]);
    assert_eq!(page.get("mambafleet_retries_total{cause=\"diverged\"}"), 1.0);
    assert_eq!(page.get("mambafleet_attempt_failures_total{cause=\"diverged\"}"), 2.0);
    assert_eq!(page.get("mambafleet_attempts_total{result=\"failed\"}"), 2.0);
    assert_eq!(page.get("mambafleet_attempt_duration_seconds_count{result=\"failed\"}"), 2.0);
    assert_eq!(page.get("mambafleet_symbols_total{outcome=\"failed\"}"), 1.0);
    assert_eq!(page.get("mambafleet_queue_length"), 0.0);
    assert_eq!(page.find("mambafleet_symbol_last_success_timestamp_seconds{symbol=\"A\"}"), None);
}

#[test]
fn what_ends_with_its_worker_has_no_duration() {
    let mut run = Run::of(1);
    let page = run.hear_all([attempt("A", 1, 1), lost(1), again("A", "crashed")]);
    assert_eq!(page.get("mambafleet_workers_lost_total"), 1.0);
    assert_eq!(page.get("mambafleet_attempt_failures_total{cause=\"crashed\"}"), 1.0);
    assert_eq!(page.get("mambafleet_attempt_duration_seconds_count{result=\"failed\"}"), 0.0);
    assert_eq!(page.get("mambafleet_workers_busy"), 0.0);
}

#[test]
fn a_lock_that_was_not_free_in_time_is_a_time_out() {
    let mut run = Run::of(1);
    let page =
        run.hear_all([attempt("A", 1, 1), ended("A", 9.0), finished("A", failed("lock_busy"))]);
    assert_eq!(page.get("mambafleet_lock_timeouts_total"), 1.0);
    assert_eq!(page.get("mambafleet_lock_wait_seconds_count"), 0.0);
}

#[test]
fn a_commit_that_cannot_be_read_back_is_told_from_one_that_failed() {
    let mut run = Run::of(2);
    let page = run.hear_all([attempt("A", 1, 1), ended("A", 1.0), again("A", "store")]);
    assert_eq!(page.get("mambafleet_commits_unreadable_total"), 0.0);
    let page = run.hear_all([
        attempt("A", 2, 1),
        stored("A", 0.0),
        ended("A", 1.0),
        finished("A", failed("store")),
    ]);
    assert_eq!(page.get("mambafleet_commits_unreadable_total"), 1.0);
}

#[test]
fn what_was_kept_or_up_to_date_is_no_new_success_of_the_symbol() {
    let mut run = Run::of(2);
    let current = json!({"outcome": "up_to_date", "generation": 4});
    let page = run.hear_all([
        attempt("A", 1, 1),
        ended("A", 0.01),
        finished("A", current.clone()),
        attempt("B", 1, 1),
        ended("B", 3.0),
        finished("B", kept()),
    ]);
    assert_eq!(page.get("mambafleet_attempts_total{result=\"up_to_date\"}"), 1.0);
    assert_eq!(page.get("mambafleet_attempts_total{result=\"kept\"}"), 1.0);
    assert_eq!(page.find("mambafleet_symbol_last_success_timestamp_seconds{symbol=\"A\"}"), None);
    // In the end it is known how old they are.
    let page = run.hear_all([over(None, &[("A", current, Some(-999)), ("B", kept(), Some(-5))])]);
    let symbol = |name: &str| {
        page.get(&format!("mambafleet_symbol_last_success_timestamp_seconds{{symbol=\"{name}\"}}"))
    };
    assert_eq!((symbol("A"), symbol("B")), ((START - 999) as f64, (START - 5) as f64));
    assert_eq!(page.get("mambafleet_run_success"), 1.0);
    assert_eq!(page.get("mambafleet_run_last_success_timestamp_seconds"), (START + 10) as f64);
}

#[test]
fn an_interruption_leaves_nothing_running() {
    let mut run = Run::of(2);
    let running = run.hear_all([attempt("A", 1, 1), pulse(&[("A", 1, 700)])]);
    assert_eq!(running.get("mambafleet_worker_memory_bytes{slot=\"1\"}"), 700.0);
    let interrupted = |started| json!({"outcome": "interrupted", "started": started});
    let page = run.hear_all([
        json!({"type": "draining", "signal": "SIGINT", "running": 1, "grace": 1.0}),
        json!({"type": "killing", "reason": "why"}),
        finished("A", interrupted(true)),
        finished("B", interrupted(false)),
        over(Some(2), &[("A", interrupted(true), None), ("B", interrupted(false), None)]),
    ]);
    assert_eq!(page.get("mambafleet_symbols_total{outcome=\"interrupted\"}"), 2.0);
    // At one of them there was an attempt.
    assert_eq!(page.get("mambafleet_attempts_total{result=\"interrupted\"}"), 1.0);
    assert_eq!(page.get("mambafleet_runs_total{result=\"interrupted\"}"), 1.0);
    for zero in ["run_success", "run_in_progress", "queue_length", "workers_busy"] {
        assert_eq!(page.get(&format!("mambafleet_{zero}")), 0.0, "{zero}");
    }
    assert_eq!(page.find("mambafleet_worker_memory_bytes{slot=\"1\"}"), None);
    assert_eq!(page.get("mambafleet_worker_memory_peak_bytes"), 700.0);
    assert_eq!(page.find("mambafleet_run_last_success_timestamp_seconds"), None);
    assert_eq!(page.get("mambafleet_workers_idle_seconds_total"), 3.0);
    assert_eq!(page.get("mambafleet_orchestrator_cpu_seconds_total"), 0.125);
    assert_eq!(page.get("mambafleet_run_duration_seconds"), 10.0);
}

#[test]
fn memory_is_that_of_the_workers_that_have_an_attempt() {
    let mut run = Run::of(9);
    let page = run.hear_all([
        attempt("A", 1, 11),
        attempt("B", 1, 12),
        pulse(&[("A", 11, 100), ("B", 12, 900)]),
        finished("B", trained()),
        pulse(&[("A", 11, 150)]),
    ]);
    assert_eq!(page.get("mambafleet_worker_memory_bytes{slot=\"1\"}"), 150.0);
    assert_eq!(page.find("mambafleet_worker_memory_bytes{slot=\"2\"}"), None);
    assert_eq!(page.get("mambafleet_worker_memory_peak_bytes"), 900.0);
    // A new process in the place of the old one.
    let page = run.hear_all([attempt("C", 1, 99), pulse(&[("A", 11, 150), ("C", 99, 60)])]);
    assert_eq!(page.get("mambafleet_worker_memory_bytes{slot=\"2\"}"), 60.0);
}

#[test]
fn a_pause_is_not_part_of_the_duration() {
    let mut run = Run::of(1);
    let page = run.hear_all([
        json!({"type": "suspended"}),
        json!({"type": "resumed", "seconds": 1.5}),
        attempt("A", 1, 1),
    ]);
    assert_eq!(page.get("mambafleet_run_duration_seconds"), 1.5);
}

#[test]
fn symbols_stand_in_labels_as_they_are() {
    let odd = ["BTC/USD", "^GSPC", "BRK.B", "A&B='C'", "EURUSD=X", "X Y (Z)", "A{B}"];
    let odd = odd.into_iter().filter(|name| mambafleet_protocol::Symbol::new(*name).is_ok());
    let odd: Vec<_> = odd.collect();
    assert!(odd.len() >= 5);
    let mut run = Run::of(odd.len());
    for name in &odd {
        run.hear(finished(name, trained()));
    }
    let page = run.page();
    for name in odd {
        let series =
            format!("mambafleet_symbol_last_success_timestamp_seconds{{symbol=\"{name}\"}}");
        assert!(page.get(&series) > 0.0);
    }
}

#[test]
fn a_failure_that_is_not_repeated_is_no_retry() {
    let mut run = Run::of(1);
    let mut event = again("A", "data");
    event["retry_in"] = json!(null);
    let page = run.hear_all([attempt("A", 1, 1), event]);
    assert_eq!(page.get("mambafleet_retries_total{cause=\"data\"}"), 0.0);
    assert_eq!(page.get("mambafleet_attempt_failures_total{cause=\"data\"}"), 1.0);
}

#[test]
fn what_cannot_be_makes_no_counter_smaller() {
    let mut run = Run::of(1);
    let odd = |seconds: f64| {
        let mut event = ended("A", 1.0);
        event["times"]["train"]["seconds"] = json!(seconds);
        event
    };
    let page = run.hear_all([attempt("A", 1, 1), odd(2.0), odd(-3.0), odd(1e300)]);
    assert_eq!(page.get("mambafleet_stage_seconds_total{stage=\"train\"}"), 2.0);
}

//! What is read back of earlier runs and checks.

use std::path::Path;

use jiff::Timestamp;
use mambafleet_metrics::{Earlier, Meter, Verification, fleet_of};

use crate::events::{
    Run, START, again, attempt, ended, failed, finished, kept, over, stored, trained,
};
use crate::page::Page;

const SUCCESS: &str = "mambafleet_run_last_success_timestamp_seconds";

fn symbol(name: &str) -> String {
    format!("mambafleet_symbol_last_success_timestamp_seconds{{symbol=\"{name}\"}}")
}

/// A run in which A took 20 s after one failure and waited for its lock.
fn good() -> Run {
    let mut run = Run::of(1);
    run.hear_all([
        attempt("A", 1, 1),
        again("A", "store"),
        attempt("A", 2, 1),
        stored("A", 0.3),
        ended("A", 20.0),
        finished("A", trained()),
        over(None, &[("A", trained(), Some(7))]),
    ]);
    run
}

/// A run in which A failed and B went well.
fn bad() -> Run {
    let mut run = Run::of(2);
    run.hear_all([
        attempt("A", 1, 1),
        ended("A", 30.5),
        finished("A", failed("lock_busy")),
        attempt("B", 1, 1),
        finished("B", trained()),
        over(None, &[("A", failed("lock_busy"), None), ("B", trained(), Some(9))]),
    ]);
    run
}

/// What the run leaves in a file that held this text.
fn onto(run: &Run, text: &str) -> String {
    run.meter.render_onto(&Earlier::parse(text).unwrap())
}

#[test]
fn counters_and_histograms_go_on_from_run_to_run() {
    let first = onto(&good(), "");
    assert_eq!(first, good().meter.render());
    let text = onto(&good(), &onto(&bad(), &first));
    let page = Page::read(&text);
    assert_eq!(page.get("mambafleet_symbols_total{outcome=\"trained\"}"), 3.0);
    assert_eq!(page.get("mambafleet_symbols_total{outcome=\"failed\"}"), 1.0);
    assert_eq!(page.get("mambafleet_retries_total{cause=\"store\"}"), 2.0);
    assert_eq!(page.get("mambafleet_lock_timeouts_total"), 1.0);
    assert_eq!(page.get("mambafleet_runs_total{result=\"success\"}"), 2.0);
    assert_eq!(page.get("mambafleet_runs_total{result=\"failed\"}"), 1.0);
    let seconds = "mambafleet_attempt_duration_seconds";
    assert_eq!(page.get(&format!("{seconds}_count{{result=\"trained\"}}")), 2.0);
    assert_eq!(page.get(&format!("{seconds}_sum{{result=\"trained\"}}")), 40.0);
    assert_eq!(page.get(&format!("{seconds}_bucket{{result=\"failed\",le=\"60\"}}")), 1.0);
    assert_eq!(page.get("mambafleet_lock_wait_seconds_sum"), 0.6);
    // What is as it is now does not add up.
    assert_eq!(page.get("mambafleet_run_symbols{outcome=\"trained\"}"), 1.0);
    assert_eq!(page.get("mambafleet_run_planned_symbols"), 1.0);
}

#[test]
fn a_failure_leaves_the_last_success_as_it_was() {
    let before = Page::read(&onto(&good(), ""));
    assert_eq!(before.get(SUCCESS), (START + 10) as f64);
    let after = Page::read(&onto(&bad(), &onto(&good(), "")));
    assert_eq!(after.get("mambafleet_run_success"), 0.0);
    assert_eq!(after.get(SUCCESS), (START + 10) as f64);
    assert_eq!(after.get(&symbol("A")), (START + 7) as f64);
    assert_eq!(after.get(&symbol("B")), (START + 9) as f64);
    // Without the earlier file nothing is known of it, and nothing is made up.
    let alone = Page::read(&onto(&bad(), ""));
    assert_eq!((alone.find(SUCCESS), alone.find(&symbol("A"))), (None, None));
}

#[test]
fn what_the_run_itself_knows_is_newer_than_the_file() {
    let text = "mambafleet_run_last_success_timestamp_seconds{fleet=\"test\"} 5\n\
                mambafleet_symbol_last_success_timestamp_seconds{fleet=\"test\",symbol=\"A\"} 5\n\
                mambafleet_symbol_last_success_timestamp_seconds{fleet=\"test\",symbol=\"GONE\"} 6\n";
    let page = Page::read(&onto(&good(), text));
    assert_eq!(page.get(SUCCESS), (START + 10) as f64);
    assert_eq!(page.get(&symbol("A")), (START + 7) as f64);
    // A run of other symbols is no news of this one.
    assert_eq!(page.get(&symbol("GONE")), 6.0);
}

#[test]
fn a_run_that_could_not_begin_keeps_what_is_known() {
    let meter = Meter::new("test", "0.1.0");
    meter.not_begun(Timestamp::from_second(START + 99).unwrap());
    let text = meter.render_onto(&Earlier::parse(&onto(&good(), "")).unwrap());
    let page = Page::read(&text);
    assert_eq!(page.get(SUCCESS), (START + 10) as f64);
    assert_eq!(page.get(&symbol("A")), (START + 7) as f64);
    assert_eq!(page.get("mambafleet_run_success"), 0.0);
    assert_eq!(page.get("mambafleet_run_end_timestamp_seconds"), (START + 99) as f64);
    assert_eq!(page.get("mambafleet_runs_total{result=\"not_begun\"}"), 1.0);
    assert_eq!(page.get("mambafleet_symbols_total{outcome=\"trained\"}"), 1.0);
    assert_eq!(page.find("mambafleet_run_start_timestamp_seconds"), None);
}

#[test]
fn only_what_is_ours_is_taken_over() {
    let text = "# a comment\n\n\
        node_time_seconds 12\n\
        mambafleet_of_tomorrow_total{fleet=\"test\"} 4\n\
        mambafleet_retries_total{fleet=\"test\",cause=\"of_tomorrow\"} 4\n\
        mambafleet_retries_total{fleet=\"test\"} 4\n\
        mambafleet_lock_timeouts_total{fleet=\"test\",more=\"x\"} 4\n\
        mambafleet_workers_lost_total{fleet=\"other\"} 4\n\
        mambafleet_lock_wait_seconds_bucket{fleet=\"test\",le=\"7\"} 4\n\
        mambafleet_lock_wait_seconds_bucket{fleet=\"test\",le=\"+Inf\"} 4\n\
        mambafleet_lock_wait_seconds_sum{fleet=\"test\"} 4\n\
        mambafleet_lock_wait_seconds_count{fleet=\"test\"} 4\n";
    let page = Page::read(&onto(&good(), text));
    assert_eq!(page.find("mambafleet_of_tomorrow_total"), None);
    assert_eq!(page.get("mambafleet_retries_total{cause=\"of_tomorrow\"}"), 4.0);
    assert_eq!(page.get("mambafleet_lock_timeouts_total"), 0.0);
    // A file that was given another name is the same fleet's.
    assert_eq!(page.get("mambafleet_workers_lost_total"), 4.0);
    // Bounds of another version do not fit.
    assert_eq!(page.get("mambafleet_lock_wait_seconds_count"), 1.0);
    assert_eq!(page.get("mambafleet_lock_wait_seconds_sum"), 0.3);
}

#[test]
fn what_is_no_metric_is_an_error() {
    let error = |text: &str| Earlier::parse(text).unwrap_err().to_string();
    assert_eq!(error("# one\nmambafleet_runs_total{a=\"b\" 1\n"), "line 2 is no metric");
    for text in ["nonsense\n", "a b\n", "a{b=c} 1\n", "a{b=\"c} 1\n", "\u{0}\n", "a{b=\"\\"] {
        error(text);
    }
    assert_eq!(Earlier::parse(""), Ok(Earlier::default()));
}

#[test]
fn negative_or_broken_numbers_in_the_file_cannot_make_a_counter_smaller() {
    let text = "mambafleet_retries_total{fleet=\"test\",cause=\"store\"} -5\n\
                mambafleet_workers_lost_total{fleet=\"test\"} NaN\n\
                mambafleet_commit_bytes_total{fleet=\"test\"} +Inf\n";
    let page = Page::read(&onto(&good(), text));
    assert_eq!(page.get("mambafleet_retries_total{cause=\"store\"}"), 1.0);
    assert_eq!(page.get("mambafleet_workers_lost_total"), 0.0);
    assert_eq!(page.get("mambafleet_commit_bytes_total"), 1000.0);
}

#[test]
fn what_was_kept_is_known_to_be_as_old_as_it_is() {
    let mut run = Run::of(1);
    run.hear_all([finished("A", kept()), over(None, &[("A", kept(), Some(-500))])]);
    // The newer one in the file is of a generation that is gone.
    let page = Page::read(&onto(&run, &onto(&good(), "")));
    assert_eq!(page.get(&symbol("A")), (START - 500) as f64);
}

#[test]
fn a_check_of_the_store_sets_its_success_only_when_nothing_is_wrong() {
    let at = |second| Timestamp::from_second(START + second).unwrap();
    let clean = Verification {
        at: at(0),
        seconds: 1.5,
        symbols: 3,
        generations: 7,
        bytes: 9000,
        damaged: 0,
        faults: 0,
        unread: 0,
    };
    let first = clean.render_onto("test", &Earlier::default());
    let page = Page::read(&first);
    let last = "mambafleet_verify_last_success_timestamp_seconds";
    assert_eq!(page.get(last), START as f64);
    assert_eq!(page.get("mambafleet_verify_generations"), 7.0);
    let faults = Verification { at: at(60), damaged: 1, faults: 2, ..clean };
    let unread = Verification { at: at(60), unread: 1, ..clean };
    for wrong in [faults, unread] {
        let page = Page::read(&wrong.render_onto("test", &Earlier::parse(&first).unwrap()));
        assert_eq!(page.get(last), START as f64);
        assert_eq!(page.get("mambafleet_verify_timestamp_seconds"), (START + 60) as f64);
        let alone = Page::read(&wrong.render_onto("test", &Earlier::default()));
        assert_eq!(alone.find(last), None);
    }
    let page = Page::read(&faults.render_onto("test", &Earlier::default()));
    assert_eq!(page.get("mambafleet_verify_faults"), 2.0);
    assert_eq!(page.get("mambafleet_verify_damaged_generations"), 1.0);
}

#[test]
fn a_fleet_is_called_as_its_file() {
    assert_eq!(fleet_of(Path::new("/var/lib/node exporter/nightly.prom")), "nightly");
    assert_eq!(fleet_of(Path::new("x")), "x");
    assert_eq!(fleet_of(Path::new("")), "mambafleet");
}

#[test]
fn labels_are_read_back_as_they_were_written() {
    let series = "mambafleet_retries_total{cause=\"a\\nb\\\\c\\\"d,}\"}";
    let text = format!("{series} 4\n");
    assert_eq!(Page::read(&onto(&good(), &text)).get(series), 4.0);
}

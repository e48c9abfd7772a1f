//! What holds of any events, also of such as no run has.

use mambafleet_metrics::{Earlier, Meter, families};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::events::{
    Run, again, attempt, ended, epoch, failed, finished, kept, loaded, lost, over, pulse, stored,
    trained,
};
use crate::page::Page;

const SYMBOLS: [&str; 4] = ["BTC/USD", "^GSPC", "A", "X'Y(Z)"];

const KINDS: [&str; 5] = ["data", "lock_busy", "store", "crashed", "timed_out"];

fn symbol() -> impl Strategy<Value = &'static str> {
    prop::sample::select(&SYMBOLS[..])
}

fn kind() -> impl Strategy<Value = &'static str> {
    prop::sample::select(&KINDS[..])
}

/// Numbers that JSON can say, most of them odd for a duration.
fn number() -> impl Strategy<Value = f64> {
    prop_oneof![0.0..100.0, -1.0..1.0, Just(-0.0), Just(1e300), Just(5e-324), Just(301.0)]
}

fn outcome() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(trained()),
        Just(kept()),
        kind().prop_map(failed),
        Just(json!({"outcome": "up_to_date", "generation": 4})),
        Just(json!({"outcome": "skipped", "reason": "deadline", "attempts": 0, "why": "late"})),
        any::<bool>().prop_map(|started| json!({"outcome": "interrupted", "started": started})),
    ]
}

fn event() -> impl Strategy<Value = Value> {
    prop_oneof![
        (symbol(), 1u64..5).prop_map(|(symbol, worker)| attempt(symbol, 1, worker)),
        (1u64..5).prop_map(lost),
        (1u64..5).prop_map(|worker| json!({"type": "worker_started", "worker": worker, "pid": 9})),
        (symbol(), kind()).prop_map(|(symbol, kind)| again(symbol, kind)),
        (symbol(), number()).prop_map(|(symbol, seconds)| ended(symbol, seconds)),
        (symbol(), number()).prop_map(|(symbol, wait)| stored(symbol, wait)),
        (symbol(), number()).prop_map(|(symbol, rate)| epoch(symbol, rate)),
        (symbol(), 0usize..9999).prop_map(|(symbol, train)| loaded(symbol, train)),
        (symbol(), outcome()).prop_map(|(symbol, outcome)| finished(symbol, outcome)),
        (symbol(), 1u64..5, any::<u32>()).prop_map(|(symbol, worker, memory)| pulse(&[(
            symbol,
            worker,
            memory.into()
        )])),
        number().prop_map(|seconds| json!({"type": "resumed", "seconds": seconds})),
        (symbol(), outcome(), prop::option::of(Just(2)), prop::option::of(-9i64..9))
            .prop_map(|(symbol, outcome, signal, last)| over(signal, &[(symbol, outcome, last)])),
    ]
}

/// Fails if a series that can only grow became smaller, or is gone.
fn assert_grown(before: &Page, after: &Page) {
    for (series, value) in before.series.iter().filter(|(series, _)| before.grows(series)) {
        let now = after.series.get(series).copied();
        assert!(now.is_some_and(|now| now >= *value), "{series}: {value}, then {now:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_page_is_sound_and_no_counter_goes_back(
        symbols in 0usize..6,
        events in prop::collection::vec(event(), 0..40),
    ) {
        let mut run = Run::of(symbols);
        let mut before = run.page();
        for event in events {
            run.hear(event);
            let now = run.page();
            assert_grown(&before, &now);
            before = now;
        }
        // A file goes on from the one before, and reading one back loses nothing.
        let alone = run.meter.render();
        let file = run.meter.render_onto(&Earlier::parse(&alone).unwrap());
        let twice = Page::read(&file);
        assert_grown(&before, &twice);
        for (series, value) in before.series.iter().filter(|(series, _)| before.grows(series)) {
            let sum = twice.series[series];
            prop_assert!(sum == 2.0 * value || (sum - 2.0 * value).abs() <= 1e-9 * value, "{series}");
        }
        let idle = Meter::new("test", "0.1.0").render_onto(&Earlier::parse(&file).unwrap());
        let idle = Page::read(&idle);
        for (series, value) in twice.series.iter().filter(|(series, _)| twice.grows(series)) {
            prop_assert_eq!(idle.series[series], *value, "{}", series);
        }
        // Whatever is said is in the table.
        for name in before.types.keys() {
            prop_assert!(families().any(|family| family.name == name), "{}", name);
        }
    }

    #[test]
    fn any_name_of_a_fleet_is_a_label(fleet in "[ -~\n\\\\\"{}=,]{0,30}|\\PC{0,9}") {
        let meter = Meter::new(fleet, "0.1.0");
        let text = meter.render();
        Page::read(&text);
        prop_assert_eq!(meter.render_onto(&Earlier::parse(&text).unwrap()), text);
    }

    #[test]
    fn any_text_is_read_or_refused(text in "(mambafleet_runs_total|[a-z{}=\"\\\\,.+ \n0-9-]){0,60}") {
        let _ = Earlier::parse(&text);
    }
}

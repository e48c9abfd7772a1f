//! `runs`.

use serde_json::{Value, json};

use crate::support::{Ended, Sandbox, finish};

/// Trains with the backend that fails by the name of the symbol.
fn faulty(sandbox: &Sandbox, args: &str) -> Ended {
    let mut command = sandbox.command(&format!("train --backend faulty {args}"));
    finish(command.env("MAMBAFLEET_TEST_BACKENDS", "1"))
}

fn listed(sandbox: &Sandbox, code: i32) -> Value {
    sandbox.run("runs --format json").expect(code).json()
}

#[test]
fn runs_stand_with_what_became_of_them_the_newest_first() {
    let sandbox = Sandbox::new();
    sandbox.run("train --symbols AAPL,MSFT").expect(0);
    sandbox.run("train --symbols AAPL,MSFT --deadline 1h").expect(0);
    faulty(&sandbox, "--symbols AAPL,ERROR").expect(3);
    let json = listed(&sandbox, 0);
    let runs = json["runs"].as_array().unwrap();
    let names: Vec<_> = sandbox.runs().into_iter().rev().collect();
    for (run, dir) in runs.iter().zip(&names) {
        assert_eq!(run["run"], dir.file_name().unwrap().to_str().unwrap());
        assert_eq!((&run["state"], &run["synthetic"]), (&"finished".into(), &true.into()));
        assert_eq!((&run["symbols"], &run["signal"]), (&2.into(), &Value::Null));
        assert!(run["seconds"].as_f64().unwrap() > 0.0 && run["finished_at"].is_string());
    }
    assert_eq!((runs.len(), &json["unreadable"], &json["older"]), (3, &json!([]), &0.into()));
    assert_eq!(
        (&runs[0]["counts"]["trained"], &runs[0]["counts"]["failed"]),
        (&1.into(), &1.into())
    );
    assert_eq!(runs[1]["counts"]["up to date"], 2);
    assert!(runs[1]["deadline"].is_string() && runs[2]["deadline"].is_null(), "{json}");
    let text = sandbox.run("runs").expect(0).stdout;
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 4, "{text}");
    assert!(lines[0].starts_with("RUN ") && lines[0].ends_with("DEADLINE"), "{text}");
    let one = sandbox.run("runs --limit 1").expect(0).stdout;
    assert!(one.lines().count() == 3 && one.ends_with("and 2 older: --limit 3\n"), "{one}");
    assert!(one.starts_with(&format!("{}\n", lines[0].trim_end_matches("  DEADLINE"))), "{one}");
    sandbox.run("runs --limit 0").expect(2);
}

#[test]
fn a_run_is_shown_as_at_its_end() {
    let sandbox = Sandbox::new();
    let ended = faulty(&sandbox, "--symbols AAPL,ERROR").expect(3).stdout;
    let (_, at_its_end) = ended.split_once("\n\nSYMBOL").unwrap();
    let run = sandbox.runs().pop().unwrap();
    let run = run.file_name().unwrap().to_str().unwrap().to_owned();
    for name in ["latest", &run] {
        let shown = sandbox.run(&format!("runs {name} --all")).expect(0).stdout;
        let (head, rest) = shown.split_once("\n\nSYMBOL").unwrap();
        assert!(head.starts_with(&format!("run {run}: finished, 2 symbols on ")), "{head}");
        assert_eq!(rest, at_its_end);
    }
    let json = sandbox.run(&format!("runs {run} --format json")).expect(0).json();
    assert_eq!((&json["type"], &json["run"]["run"]), (&"run".into(), &run.clone().into()));
    assert_eq!(json["summary"]["symbols"][1]["outcome"], "failed");
    assert_eq!(json["summary"]["time"]["locks"]["commits"], 1);
    for (call, code) in [
        ("runs 20200101-000000-000-0000", 4),
        ("runs a/b", 4),
        ("runs --all", 2),
        ("runs latest --limit 3", 2),
    ] {
        sandbox.run(call).expect(code);
    }
}

#[test]
fn a_new_model_stands_beside_the_one_before_it() {
    let sandbox = Sandbox::new();
    let first = sandbox.run("train --symbols AAPL,MSFT").expect(0).stdout;
    assert!(!first.contains("against the generation before"), "{first}");
    let again = sandbox.run("train --symbols AAPL,MSFT --seed 2").expect(0).stdout;
    let (_, table) = again.split_once("against the generation before:\n").unwrap();
    let lines: Vec<Vec<_>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["SYMBOL", "GEN", "WAS", "IS", "CHANGE", "COMPARED", "ON"]);
    let change = |line: &[&str]| line[6].parse::<f64>().unwrap();
    assert!(change(&lines[1]) >= change(&lines[2]), "the worst comes first: {table}");
    for line in &lines[1..3] {
        assert_eq!(
            (&line[1..4], &line[8..]),
            (&["1", "->", "2"][..], &["own", "test", "parts"][..])
        );
    }
    assert!(lines[3].starts_with(&["own", "test", "parts:"]), "{table}");
    let compared = "train --symbols AAPL --seed 3 --set promote.when=not_worse --force-promote";
    let compared = sandbox.run(compared).expect(0).stdout;
    assert!(compared.contains(" common samples\n"), "{compared}");
    let json = sandbox.run("runs latest --format json").expect(0).json();
    let change = &json["changes"][0];
    assert_eq!((&change["old"], &change["new"]), (&2.into(), &3.into()), "{json}");
    assert!(change["common_samples"].as_u64().unwrap() > 0, "{json}");
}

#[test]
fn a_record_that_cannot_be_read_is_named_and_hides_no_other() {
    let sandbox = Sandbox::new();
    sandbox.run("train --symbols AAPL").expect(0);
    let whole = sandbox.runs().pop().unwrap();
    let plan = std::fs::read_to_string(whole.join("plan.json")).unwrap();
    let name = whole.file_name().unwrap().to_str().unwrap();
    // It came to nothing after its plan was made.
    let died = "20200101-000000-000-0001";
    let dir = format!("mambafleet-store/runs/{died}");
    sandbox.write(&format!("{dir}/plan.json"), plan.replace(name, died));
    sandbox.write("mambafleet-store/runs/20200101-000000-000-0002/plan.json", "{");
    sandbox.write("mambafleet-store/runs/20200101-000000-000-0003/events.jsonl", "");
    let json = listed(&sandbox, 3);
    let states: Vec<_> = json["runs"].as_array().unwrap().iter().map(|run| &run["state"]).collect();
    assert_eq!(states, ["finished", "died"], "{json}");
    let unreadable: Vec<_> = json["unreadable"]
        .as_array()
        .unwrap()
        .iter()
        .map(|run| run["run"].as_str().unwrap())
        .collect();
    assert_eq!(unreadable, ["20200101-000000-000-0003", "20200101-000000-000-0002"]);
    let human = sandbox.run("runs").expect(3);
    assert!(human.stderr.contains("20200101-000000-000-0002: "), "{human:?}");
    assert!(human.stdout.contains(name) && human.stdout.contains("died"), "{human:?}");
    sandbox.run("runs 20200101-000000-000-0002").expect(3);
    let shown = sandbox.run(&format!("runs {died}")).expect(0).stdout;
    assert!(
        shown.contains("0 of 1 done") && shown.contains(&format!("--resume {died}")),
        "{shown}"
    );
}

#[test]
fn a_run_that_goes_on_is_shown_as_far_as_it_has_come() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.command("train --backend faulty --symbols SLEEPS,A --parallel 2");
    command.env("MAMBAFLEET_TEST_BACKENDS", "1").stdout(std::process::Stdio::null());
    let mut child = command.stderr(std::process::Stdio::null()).spawn().unwrap();
    sandbox.wait_for_event(|event| event["type"] == "symbol_finished" && event["symbol"] == "A");
    sandbox.wait_for_event(|e| e["type"] == "attempt_started" && e["symbol"] == "SLEEPS");
    let json = listed(&sandbox, 0);
    let shown = sandbox.run("runs latest").expect(0).stdout;
    let whole = sandbox.run("runs latest --format json").expect(0).json();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(
        (&json["runs"][0]["state"], &json["runs"][0]["finished_at"]),
        (&"running".into(), &Value::Null)
    );
    assert!(shown.contains("A: generation 1") && shown.contains("in training: SLEEPS"), "{shown}");
    assert_eq!((&whole["summary"], &whole["running"]), (&Value::Null, &json!(["SLEEPS"])));
    assert_eq!(listed(&sandbox, 0)["runs"][0]["state"], "died");
}

#[test]
fn the_last_time_that_all_went_well_may_have_been_in_a_larger_run() {
    let sandbox = Sandbox::new();
    sandbox.run("data synth prices --symbols A,B,C").expect(0);
    sandbox.run("train --data prices --symbols A,B,C").expect(0);
    let whole = sandbox.runs().pop().unwrap();
    sandbox.write("prices/B.csv", "no prices");
    let ended = sandbox.run("train --data prices --symbols A,B").expect(3);
    let name = whole.file_name().unwrap().to_str().unwrap();
    assert!(ended.stdout.contains("last time that all of these symbols went well: "));
    assert!(ended.stdout.contains(&format!("({name})\n")), "{}", ended.stdout);
}

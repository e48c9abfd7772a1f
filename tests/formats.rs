//! Every command speaks JSON, its errors too.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use crate::support::{Ended, Sandbox};

/// What comes back of a call with `--format json`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// One JSON object with a schema version and a type.
    One,
    /// Such an object on each line.
    Lines,
    /// JSON that has a form of its own.
    Foreign,
}

/// A call of every command that goes well on a store in which AAPL has two generations. Whoever adds a
/// command adds a call here.
fn calls() -> BTreeMap<&'static str, (&'static str, Form)> {
    BTreeMap::from([
        ("train", ("--symbols AAPL", Form::Lines)),
        ("ls", ("", Form::One)),
        ("runs", ("", Form::One)),
        ("show", ("AAPL", Form::One)),
        ("diff", ("AAPL 1 2", Form::One)),
        ("verify", ("--all", Form::One)),
        ("rollback", ("AAPL", Form::One)),
        ("logs", ("latest AAPL", Form::Lines)),
        ("gc", ("--keep 9", Form::One)),
        ("export", ("AAPL copy", Form::One)),
        ("lock", ("AAPL -- true", Form::One)),
        ("predict", ("--symbols AAPL", Form::One)),
        ("backtest", ("AAPL", Form::One)),
        ("report", ("", Form::One)),
        ("stress", ("--workers 2 --iterations 2 --bytes 20KB --readers 1", Form::One)),
        ("backends", ("", Form::One)),
        ("man", ("pages", Form::One)),
        ("backends list", ("", Form::One)),
        ("backends check", ("one-step.safetensors", Form::One)),
        ("backends conform", ("--backend native", Form::One)),
        ("config show", ("", Form::One)),
        ("config check", ("", Form::One)),
        // It prints a JSON schema, whose fields are not ours to choose.
        ("config schema", ("", Form::Foreign)),
        ("data check", ("checked", Form::One)),
        ("data synth", ("prices --symbols AAPL", Form::One)),
    ])
}

/// Commands that print another format by nature.
const OTHERS: [(&str, &str); 3] = [
    ("help", "prints the help of another command, for people"),
    ("completions", "prints a script, for a shell"),
    ("ui", "goes on until it is ended; `ui` has tests of its own"),
];

/// The names of all commands that can be called, as the program itself lists them.
fn listed(sandbox: &Sandbox, command: &str) -> Vec<String> {
    let help = sandbox.run(format!("{command} --help").trim_start()).expect(0).stdout;
    let below = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let below = below.take_while(|line| !line.is_empty());
    // A description that goes on is indented further.
    let names =
        below.filter_map(|line| line.strip_prefix("  ").filter(|rest| !rest.starts_with(' ')));
    let names = names.filter_map(|line| line.split(' ').next());
    let others = |name: &&str| !OTHERS.iter().any(|(other, _)| other == name);
    let names: Vec<_> = names.filter(others).map(|name| format!("{command} {name}")).collect();
    // `backends` has commands below it, and can be called by itself.
    let alone = help.contains("[COMMAND]") || names.is_empty();
    let own = alone.then(|| command.trim_start().to_owned());
    let below = names.iter().flat_map(|name| listed(sandbox, name.trim_start()));
    own.into_iter().chain(below).collect()
}

/// Puts flags of this program where a command of somebody else's would not take them for its own.
fn with(command: &str, args: &str, more: &str) -> String {
    let (own, others) = args.split_once("-- ").map_or((args, None), |(a, b)| (a, Some(b)));
    let others = others.map_or_else(String::new, |others| format!(" -- {others}"));
    let words = format!("{command} {own} {more}{others}");
    words.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.run("train --symbols AAPL").expect(0);
    sandbox.run("train --symbols AAPL --force").expect(0);
    sandbox.run("data synth checked --symbols AAPL").expect(0);
    let parity = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/parity");
    sandbox
        .write("one-step.safetensors", std::fs::read(parity.join("one-step.safetensors")).unwrap());
    sandbox
}

#[track_caller]
fn assert_ours(value: &Value) {
    assert_eq!(value["schema"], 1, "{value}");
    assert!(value["type"].is_string(), "{value}");
}

/// Fails unless the call reported an error of this kind, and nothing else.
#[track_caller]
fn assert_error(ended: &Ended, kind: &str) {
    let lines = ended.lines();
    let error = lines.last().unwrap_or_else(|| panic!("{ended:?}"));
    assert_eq!((lines.len(), ended.stdout.lines().count()), (1, 1), "{ended:?}");
    assert_ours(error);
    assert_eq!((&error["type"], &error["kind"]), (&"error".into(), &kind.into()), "{ended:?}");
    assert_eq!(error["exit_code"], ended.code.unwrap(), "{ended:?}");
    assert!(!error["message"].as_str().unwrap().is_empty(), "{ended:?}");
    assert!(ended.stderr.is_empty(), "{ended:?}");
}

#[test]
fn every_command_prints_json_if_asked_to() {
    let sandbox = sandbox();
    let calls = calls();
    let listed = listed(&sandbox, "");
    let named: Vec<_> = calls.keys().copied().collect();
    for command in &listed {
        assert!(named.contains(&command.as_str()), "add a call of `{command}` to this test");
    }
    for command in &named {
        assert!(
            listed.iter().any(|one| one == command),
            "there is no command `{command}` any more"
        );
    }
    for (command, (args, form)) in calls {
        let ended = sandbox.run(&with(command, args, "--format json")).expect(0);
        match form {
            Form::One => assert_ours(&ended.json()),
            Form::Foreign => assert!(ended.json().is_object(), "{command}: {ended:?}"),
            Form::Lines => {
                let lines = ended.lines();
                assert_eq!(lines.len(), ended.stdout.lines().count(), "{command}: {ended:?}");
                assert!(lines.len() > 1, "{command}: {ended:?}");
                lines.iter().for_each(assert_ours);
            }
        }
    }
}

#[test]
fn every_command_reports_its_errors_as_json_too() {
    let sandbox = Sandbox::new();
    for (command, (args, _)) in calls() {
        let wrong = with(command, args, "--no-such-flag --format json");
        assert_error(&sandbox.run(&wrong).expect(2), "usage");
        // What is wrong in a file is found before anything is done, by every command that reads it.
        const READS_NONE: [&str; 5] =
            ["backends", "backends list", "backends check", "config schema", "man"];
        if !READS_NONE.contains(&command) {
            let wrong = with(command, args, "--config absent.toml --format json");
            let ended = sandbox.run(&wrong).expect(2);
            match command {
                // Mistakes are what it reports.
                "config check" => assert_eq!(ended.json()["type"], "config_checked"),
                _ => assert_error(&ended, "usage"),
            }
        }
    }
    for command in [
        "ls", "show", "diff", "verify", "rollback", "gc", "export", "lock", "logs", "predict",
        "backtest", "report", "runs",
    ] {
        let call = with(command, calls()[command].0, "--store absent --format json");
        assert_error(&sandbox.run(&call).expect(4), "nothing_selected");
    }
}

#[test]
fn what_fails_after_the_arguments_were_read_has_a_kind_of_its_own() {
    let sandbox = sandbox();
    for (call, code, kind) in [
        ("train --symbols , --format json", 4, "nothing_selected"),
        ("train --resume a/b --format json", 4, "nothing_selected"),
        ("train --set train.epochs=many --format json", 2, "usage"),
        ("show AAPL@99 --format json", 4, "nothing_selected"),
        ("data synth mambafleet.toml --format json", 1, "internal"),
    ] {
        assert_error(&sandbox.run(call).expect(code), kind);
    }
    sandbox.write("mambafleet-store/symbols/AAPL/000001/metrics.json", "{}");
    assert_error(&sandbox.run("show AAPL@1 --format json").expect(6), "damaged");
}

//! Mistakes in arguments and configuration: exit code, place, suggestion.

use crate::support::{Sandbox, finish};

#[test]
fn an_unknown_key_is_named_with_file_line_and_suggestion() {
    let sandbox = Sandbox::new();
    sandbox.write("bad.toml", "[train]\nepochs = 2\nlerning_rate = 0.1\n");
    let ended = sandbox.run("train --config bad.toml").expect(2);
    insta::assert_snapshot!(ended.stderr, @r#"
    error: bad.toml:3: unknown key "train.lerning_rate"
    hint: did you mean "train.learning_rate"?
    "#);
    assert!(!sandbox.store().exists());
}

#[test]
fn wrong_values_are_named_with_their_place() {
    let sandbox = Sandbox::new();
    let cases = [
        ("[train]\nepochs = \"many\"\n", "bad.toml:2: train.epochs: "),
        ("[run]\n\ngrace = \"30\"\n", "bad.toml:3: run.grace: "),
        ("[task]\nhorizons = [5, 1]\n", "bad.toml:2: task.horizons: "),
        ("[task]\nfeatures = [\"log_retrun\"]\n", "bad.toml:2: task.features: "),
        ("[model]\nd_model = 0\n", "bad.toml:2: model.d_model: "),
        ("[task.split]\ntrain = 0.9\nvalidation = 0.2\n", "bad.toml:"),
        ("train = 3\n", "bad.toml:1: train: is a table"),
        ("[train\n", "bad.toml:1: "),
    ];
    for (text, expected) in cases {
        sandbox.write("bad.toml", text);
        let ended = sandbox.run("train --config bad.toml").expect(2);
        assert!(ended.stderr.contains(expected), "{expected} is missing: {}", ended.stderr);
    }
}

#[test]
fn later_layers_win_and_say_so() {
    let sandbox = Sandbox::new();
    sandbox.write("no-user-config/mambafleet/config.toml", "[train]\nseed = 7\nepochs = 99\n");
    let mut command = sandbox.command("config show --origin --set train.batch_size=16");
    let shown = finish(command.env("MAMBAFLEET_TRAIN_PATIENCE", "9")).expect(0).stdout;
    for line in [
        "train.seed = 7  # ",
        "config.toml:2",
        "train.epochs = 2  # ",
        "train.patience = 9  # environment variable MAMBAFLEET_TRAIN_PATIENCE",
        "train.batch_size = 16  # --set",
        "train.weight_decay = 0.01  # built-in default",
    ] {
        assert!(shown.contains(line), "{line} is missing:\n{shown}");
    }
    let lists = sandbox.run("config show --origin --set task.horizons=[1,2] --set run.symbols=A,B");
    let lists = lists.expect(0).stdout;
    assert!(lists.contains("task.horizons = [1, 2]") && lists.contains(r#"["A", "B"]"#), "{lists}");
    // What is shown can be used as a configuration again.
    let plain = sandbox.run("config show").expect(0).stdout;
    sandbox.write("again.toml", &plain);
    assert_eq!(sandbox.run("config show --config again.toml").expect(0).stdout, plain);
}

#[test]
fn mistakes_on_the_command_line_end_with_2() {
    let sandbox = Sandbox::new();
    for (args, expected) in [
        ("train --set trian.epochs=3", "did you mean \"train.epochs\"?"),
        ("train --set trian=3", "did you mean \"train\"?"),
        ("train --set task.quantiles=[0.5", "is not a list"),
        ("train --parallel none", "--parallel: run.parallel: "),
        ("train --set traim.epochs=3", "did you mean \"train.epochs\"?"),
        ("train --set epochs", "--set epochs: expected KEY=VALUE"),
        ("train --symbols A?B", "contains '?'"),
        ("train --symbols @tier9", "there is no group @tier9; there is @demo"),
        ("train --symbols-file absent.txt", "absent.txt"),
        ("train --config absent.toml", "absent.toml"),
        ("train --backend gpu", "no backend is called \"gpu\"; there is native, command"),
        ("train --backend command", "train.command: is empty; write the program"),
        (
            "train --backend command --set train.command=no-such-program",
            "no program \"no-such-program\"",
        ),
        ("train --lock-timeout 5", "--lock-timeout: lock.timeout: "),
        ("rollback AAPL --lock-timeout 5", "--lock-timeout: lock.timeout: "),
        ("train --set data.synthetic.bars=1000000", "data.synthetic.bars: must be between"),
        ("train --store mambafleet.toml", "name a directory that can be written"),
        ("train --data absent", "--data: data.dir: absent is not a directory"),
        ("train --frobnicate", "--frobnicate"),
        ("show AAPL@x", "AAPL@x"),
        ("verify", "--all"),
    ] {
        let ended = sandbox.run(args).expect(2);
        assert!(ended.stderr.contains(expected), "{args}: {}", ended.stderr);
        assert!(ended.stdout.is_empty(), "{args}: {}", ended.stdout);
    }
    let mut command = sandbox.command("train");
    let ended = finish(command.env("MAMBAFLEET_TRAIN_EPOCH", "3")).expect(2);
    assert!(ended.stderr.contains("MAMBAFLEET_TRAIN_EPOCH"), "{}", ended.stderr);
    assert!(!sandbox.store().exists());
}

#[test]
fn nothing_selected_and_nothing_there_end_with_4() {
    let sandbox = Sandbox::new();
    sandbox.write("empty.txt", "# nobody\n");
    sandbox.run("train --symbols-file empty.txt").expect(4);
    sandbox.run("train --symbols ,").expect(4);
    for args in ["ls", "show AAPL", "verify --all", "predict --symbols AAPL"] {
        let ended = sandbox.run(args).expect(4);
        assert!(ended.stderr.contains("mambafleet-store"), "{args}: {}", ended.stderr);
    }
    sandbox.run("train --symbols AAPL").expect(0);
    for args in ["show MSFT", "show AAPL@7", "verify MSFT"] {
        sandbox.run(args).expect(4);
    }
    assert!(!sandbox.store().join("symbols/MSFT").exists(), "reading left a trace");
}

#[test]
fn errors_are_json_when_json_was_asked_for() {
    let sandbox = Sandbox::new();
    for args in [
        "train --symbols @nobody --format json",
        "train --frobnicate --format json",
        "train --set x=1 --format=json",
    ] {
        let ended = sandbox.run(args).expect(2);
        let error = ended.json();
        assert_eq!((&error["schema"], &error["type"]), (&1.into(), &"error".into()));
        assert_eq!(error["exit_code"], 2);
        assert!(error["message"].is_string() && ended.stderr.is_empty(), "{ended:?}");
    }
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.command("config show");
    let mut child = command
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[cfg(unix)]
#[test]
fn arguments_that_are_no_text_are_refused() {
    use std::os::unix::ffi::OsStrExt;
    let sandbox = Sandbox::new();
    let mut command = sandbox.command("train --format json --symbols");
    let ended = finish(command.arg(std::ffi::OsStr::from_bytes(b"A\xff"))).expect(2);
    assert_eq!(ended.json()["type"], "error");
}

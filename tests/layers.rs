//! Profiles, settings of single symbols, and the check that names every mistake.

use crate::support::{Sandbox, finish};

/// A file with profiles and settings of symbols and groups.
const FILE: &str = r#"
[groups]
tech = ["AAPL", "MSFT"]
big = ["AAPL", "XOM"]
[train]
epochs = 3
[profile.quick.train]
epochs = 4
patience = 5
[profile.night]
inherits = "quick"
train.epochs = 6
[profile.night.symbol.MSFT.train]
epochs = 7
[symbol."@tech".train]
learning_rate = 0.01
batch_size = 16
[symbol."@big".train]
learning_rate = 0.02
[symbol.AAPL]
train.epochs = 8
model.d_model = 16
[symbol."BRK.B".train]
epochs = 9
"#;

/// A sandbox with that file in place of the project's.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("mambafleet.toml", FILE);
    sandbox
}

/// The line of `config show --origin` about a key.
fn origin(sandbox: &Sandbox, args: &str, key: &str) -> String {
    let shown = sandbox.run(format!("config show --origin {args}").trim_end()).expect(0).stdout;
    let start = format!("{key} = ");
    let line = shown.lines().find_map(|line| line.strip_prefix(&start));
    line.unwrap_or_else(|| panic!("{key} is missing: {shown}")).to_owned()
}

#[test]
fn a_profile_is_a_layer_below_the_environment_and_above_the_files() {
    let sandbox = sandbox();
    let epochs = |args: &str| origin(&sandbox, args, "train.epochs");
    assert_eq!(epochs(""), "3  # mambafleet.toml:6".replace("mambafleet.toml", &file(&sandbox)));
    assert!(epochs("--profile quick").ends_with("mambafleet.toml:8 in [profile.quick]"));
    assert!(epochs("--profile night").starts_with("6  # "));
    let inherited = origin(&sandbox, "--profile night", "train.patience");
    assert!(inherited.starts_with("5  # ") && inherited.ends_with(":9 in [profile.quick]"));
    assert_eq!(epochs("--profile night --set train.epochs=9"), "9  # --set");

    let mut command = sandbox.command("config show --origin");
    let shown =
        finish(command.env("MAMBAFLEET_PROFILE", "night").env("MAMBAFLEET_TRAIN_PATIENCE", "1"));
    let shown = shown.expect(0).stdout;
    assert!(shown.contains("train.epochs = 6  # "), "{shown}");
    assert!(shown.contains("train.patience = 1  # environment variable"), "{shown}");
}

#[test]
fn a_profile_of_the_user_is_completed_by_the_project() {
    let sandbox = sandbox();
    let user = "[profile.quick.train]\nepochs = 40\nwarmup = 0.25\n";
    sandbox.write("no-user-config/mambafleet/config.toml", user);
    assert!(origin(&sandbox, "--profile quick", "train.epochs").starts_with("4  # "));
    assert!(origin(&sandbox, "--profile quick", "train.warmup").starts_with("0.25  # "));
    // What it builds on is weaker, wherever that stands.
    assert!(origin(&sandbox, "--profile night", "train.epochs").starts_with("6  # "));
}

#[test]
fn profiles_that_cannot_be_are_named() {
    let sandbox = Sandbox::new();
    let circle = "[profile.a]\ninherits = \"b\"\n[profile.b]\ninherits = \"a\"\n";
    let lost = "[profile.night]\n\ninherits = \"nihgt-base\"\n[profile.night-base]\n";
    for (text, args, expected) in [
        (circle, "--profile a", "bad.toml:4: profiles inherit in a circle: a -> b -> a"),
        (lost, "--profile night", "bad.toml:3: there is no profile \"nihgt-base\""),
        (lost, "--profile night", "did you mean \"night-base\"?"),
        (lost, "--profile nigth", "--profile: there is no profile \"nigth\"; there is \"night\""),
        ("[profile.a]\ninherits = 3\n", "", "bad.toml:2: profile.a.inherits: must be the name"),
        ("profile = 3\n", "", "bad.toml:1: profile: is a table"),
        ("[profile.a.profile.b]\n", "", "bad.toml:1: unknown key \"profile.a.profile\""),
        ("[profile.a.train]\nepohcs = 1\n", "", "did you mean \"profile.a.train.epochs\"?"),
        ("[profile.a.train]\nepochs = 0\n", "", "bad.toml:2 in [profile.a]: train.epochs: must"),
    ] {
        sandbox.write("bad.toml", text);
        let ended = sandbox.run(format!("train --config bad.toml {args}").trim_end()).expect(2);
        assert!(ended.stderr.contains(expected), "{expected} is missing: {}", ended.stderr);
    }
    assert!(!sandbox.store().exists());
}

#[test]
fn a_symbol_beats_its_groups_and_both_beat_what_is_general() {
    let sandbox = sandbox();
    let of = |symbol: &str, key: &str| origin(&sandbox, &format!("--symbol {symbol}"), key);
    assert!(of("XOM", "train.epochs").starts_with("3  # "));
    assert!(of("AAPL", "train.epochs").ends_with("mambafleet.toml:21 in [symbol.AAPL]"));
    assert!(of("AAPL", "train.batch_size").ends_with(":17 in [symbol.\"@tech\"]"));
    // Of two groups, the one further down.
    assert!(of("AAPL", "train.learning_rate").starts_with("0.02  # "));
    assert!(of("MSFT", "train.learning_rate").starts_with("0.01  # "));
    assert!(of("BRK.B", "train.epochs").starts_with("9  # "));
    let profiled = origin(&sandbox, "--symbol MSFT --profile night", "train.epochs");
    assert!(profiled.ends_with(":14 in [profile.night.symbol.MSFT]"), "{profiled}");
    assert_eq!(
        origin(&sandbox, "--symbol AAPL --set train.epochs=2", "train.epochs"),
        "2  # --set"
    );
    let all = sandbox.run("config show --origin").expect(0).stdout;
    assert!(all.contains("symbol.\"BRK.B\".train.epochs = 9  # "), "{all}");
    let json = sandbox.run("config show --symbol AAPL --format json").expect(0).json();
    assert_eq!((&json["symbol"], &json["config"]["train"]["epochs"]), (&"AAPL".into(), &8.into()));
}

#[test]
fn each_job_has_the_settings_of_its_symbol() {
    let sandbox = sandbox();
    let args = "train --symbols AAPL,MSFT,XOM,BRK.B --profile night --dry-run";
    let plan = sandbox.run(&format!("{args} --format json")).expect(0).json();
    let jobs = plan["plan"]["jobs"].as_array().unwrap();
    let settings = |job: &serde_json::Value| {
        let (train, model) = (&job["train"], &job["model"]);
        format!("{} {} {}", train["epochs"], train["batch_size"], model["d_model"])
    };
    let settings: Vec<_> = jobs.iter().map(settings).collect();
    assert_eq!(settings, ["8 16 16", "7 16 32", "6 64 32", "9 64 32"]);
    let shown = sandbox.run(args).expect(0).stdout;
    let own = "model.d_model = 16, train.batch_size = 16, train.epochs = 8";
    assert!(shown.contains("ITS OWN SETTINGS") && shown.contains(own), "{shown}");
    let flag = sandbox.run(&format!("{args} --epochs 1 --format json")).expect(0).json();
    let flag =
        flag["plan"]["jobs"].as_array().unwrap().iter().map(|job| job["train"]["epochs"].clone());
    assert_eq!(flag.collect::<Vec<_>>(), [1, 1, 1, 1]);
}

#[test]
fn a_symbol_is_trained_and_forecast_with_its_own_settings() {
    let sandbox = Sandbox::new();
    sandbox.run("data synth prices --symbols MSFT").expect(0);
    let own = "[symbol.AAPL]\ntrain.epochs = 1\n[symbol.MSFT]\ndata.dir = \"prices\"\n";
    let project = std::fs::read_to_string(sandbox.path("mambafleet.toml")).unwrap();
    sandbox.write("mambafleet.toml", project + own);
    let ended = sandbox.run("train --symbols AAPL,MSFT --format json").expect(0);
    let epochs = |symbol| ended.outcome(symbol)["headline"]["epochs"].clone();
    assert_eq!((epochs("AAPL"), epochs("MSFT")), (1.into(), 2.into()));
    let predicted = sandbox.run("predict --format json").expect(0).json();
    let synthetic = |at: usize| predicted["forecasts"][at]["synthetic"].clone();
    assert_eq!((synthetic(0), synthetic(1)), (true.into(), false.into()));
    // Not where it was trained, and not where the others are.
    sandbox.write("elsewhere/MSFT.csv", "date,open,high,low,close,volume\n");
    let moved = std::fs::read_to_string(sandbox.path("mambafleet.toml")).unwrap();
    sandbox.write("mambafleet.toml", moved.replace("\"prices\"", "\"elsewhere\""));
    let failed = sandbox.run("predict --format json").expect(3).json();
    assert_eq!(failed["failures"][0]["symbol"], "MSFT");
}

#[test]
fn settings_that_no_symbol_can_have_are_named() {
    let sandbox = Sandbox::new();
    for (text, expected) in [
        ("[symbol.AAPL.run]\nretries = 1\n", "bad.toml:1: symbol.AAPL.run holds for a whole run"),
        ("[symbol.AAPL.trian]\n", "did you mean \"symbol.AAPL.train\"?"),
        ("[symbol.AAPL.train]\nepochs = 0\n", "bad.toml:2 in [symbol.AAPL]: train.epochs: must be"),
        ("[symbol.BRK.B.train]\nepochs = 1\n", "[symbol.\"BRK.B\".train]"),
        (
            "[symbol.\"A?\".train]\nepochs = 1\n",
            "bad.toml:1: symbol.\"A?\": symbol \"A?\" contains '?'",
        ),
        (
            "[symbol.\"@dmeo\".train]\nepochs = 1\n",
            "there is no group \"@dmeo\"; there is \"@demo\"",
        ),
        (
            "[symbol.\"@demo\".task]\nsplit.train = 0.9\n",
            "task.split: train + validation must leave",
        ),
        ("[symbol]\nAAPL = 3\n", "bad.toml:2: symbol.AAPL: is a table"),
    ] {
        sandbox.write("bad.toml", text);
        let ended = sandbox.run("train --config bad.toml").expect(2);
        assert!(ended.stderr.contains(expected), "{expected} is missing: {}", ended.stderr);
    }
    let ended = sandbox.run("train --set symbol.AAPL.train.epochs=3").expect(2);
    assert!(ended.stderr.contains("unknown key"), "{}", ended.stderr);
}

#[test]
fn the_check_names_every_mistake_with_its_place() {
    let sandbox = Sandbox::new();
    let text = "[train]\nepohcs = 2\npatience = \"9\"\n[run]\ngrace = 20\nretries = 4294967296\n\
                [profile.a]\ninherits = \"b\"\ntrain.warmup = 2.0\n\
                [symbol.AAPL.task]\nquantiles = [0.1]\n[symbol.\"@demo\".store]\ndir = \"x\"\n\
                [profile.c.task]\nsplit.train = 0.95\n";
    sandbox.write("bad.toml", text);
    let ended = sandbox.run("config check bad.toml").expect(2);
    insta::assert_snapshot!(ended.stdout, @r#"
    bad.toml:2: unknown key "train.epohcs"
      hint: did you mean "train.epochs"?
    bad.toml:3: train.patience: write it without quotes: 9
    bad.toml:5: run.grace: 20 has no unit: write "20s" or "20m"
    bad.toml:6: run.retries: 4294967296 is too large
    bad.toml:8: there is no profile "b"; there is "a", "c"
    bad.toml:9 in [profile.a]: train.warmup: must be a fraction from 0 to below 1
    bad.toml:11 in [symbol.AAPL]: task.quantiles: must contain 0.5: the median is the point forecast
    bad.toml:12: symbol."@demo".store holds for a whole run, not for a symbol
      hint: keys below data, task, model and train can be set for a symbol
    bad.toml:15 in [profile.c]: task.split: train + validation must leave something for the test part (sum below 1)
    bad.toml: 9 mistakes; 2 profiles; settings of @demo, AAPL
    "#);
    let json = sandbox.run("config check bad.toml --format json").expect(2).json();
    assert_eq!(json["type"], "config_checked");
    assert_eq!(json["profiles"], serde_json::json!(["a", "c"]));
    let first = &json["mistakes"][0];
    assert_eq!((&first["line"], &first["key"]), (&2.into(), &"train.epohcs".into()));
    assert_eq!(first["hint"], "did you mean \"train.epochs\"?");
    // Other commands name the first and say that there are more.
    let ended = sandbox.run("train --config bad.toml").expect(2);
    assert!(ended.stderr.contains("bad.toml:2: unknown key"), "{}", ended.stderr);
    assert!(ended.stderr.contains("`mambafleet config check` names all"), "{}", ended.stderr);

    sandbox.write("good.toml", FILE);
    let ended = sandbox.run("config check good.toml").expect(0);
    assert_eq!(
        ended.stdout,
        "good.toml: no mistake; 2 profiles; settings of @big, @tech, AAPL, BRK.B, MSFT\n"
    );
    sandbox.write("torn.toml", "[train\nepochs = = 3\n");
    let torn = sandbox.run("config check torn.toml --format json").expect(2).json();
    let lines: Vec<_> = torn["mistakes"].as_array().unwrap().iter().map(|m| &m["line"]).collect();
    assert!(lines.contains(&&1.into()) && lines.contains(&&2.into()), "{torn:#}");
}

#[test]
fn no_error_speaks_of_the_program_s_own_types() {
    let sandbox = Sandbox::new();
    let schema = sandbox.run("config show --format json").expect(0).json();
    let mut keys = Vec::new();
    leaves("", &schema["config"], &mut keys);
    assert!(keys.len() > 30);
    for wrong in ["\"many\"", "-1", "[[1]]", "true", "99999999999999999.5", "1979-05-27"] {
        let lines: String = keys.iter().map(|key| format!("{key} = {wrong}\n")).collect();
        sandbox.write("bad.toml", lines);
        let ended = sandbox.run("config check bad.toml");
        for word in ["usize", "u32", "u64", "i64", "f64", "invalid type", "invalid value", "struct"]
        {
            assert!(!ended.stdout.contains(word), "{word}: {}", ended.stdout);
        }
    }
}

fn leaves(prefix: &str, value: &serde_json::Value, keys: &mut Vec<String>) {
    match value.as_object() {
        Some(table) => {
            for (key, value) in table {
                let dot = if prefix.is_empty() { "" } else { "." };
                leaves(&format!("{prefix}{dot}{key}"), value, keys);
            }
        }
        None => keys.push(prefix.to_owned()),
    }
}

#[test]
fn the_schema_that_is_checked_in_is_the_program_s_own() {
    let sandbox = Sandbox::new();
    let printed = sandbox.run("config schema").expect(0).stdout;
    let schema: serde_json::Value = serde_json::from_str(&printed).unwrap();
    let epochs = &schema["$defs"]["train"]["properties"]["epochs"];
    assert_eq!((&epochs["type"], &epochs["default"]), (&"integer".into(), &10.into()));
    assert_eq!(epochs["description"], "Passes over the training samples at most.");
    let symbol = schema["$defs"]["symbol"]["properties"].as_object().unwrap();
    assert_eq!(symbol.keys().collect::<Vec<_>>(), ["data", "model", "task", "train"]);
    let checked_in = include_str!("../configs/schema.json").replace("\r\n", "\n");
    assert!(
        printed == checked_in,
        "configs/schema.json is out of date: cargo mambafleet config schema > configs/schema.json"
    );
}

#[test]
fn the_files_that_are_checked_in_have_no_mistake() {
    let sandbox = Sandbox::new();
    let configs = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs");
    let mut checked = 0;
    for entry in configs.read_dir().unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            finish(sandbox.command("config check").arg(&path)).expect(0);
            checked += 1;
        }
    }
    assert_eq!(checked, 4);
}

/// The project file as the program names it.
fn file(sandbox: &Sandbox) -> String {
    let dir = sandbox.path("").canonicalize().unwrap();
    dir.join("mambafleet.toml").display().to_string()
}

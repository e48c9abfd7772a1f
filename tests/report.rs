//! The page about a run: what it holds, and that it is there whatever became of the run.

use std::path::Path;

use serde_json::Value;

use crate::support::{Ended, Sandbox};

/// A directory that would end a script, were it not data; where such a name is allowed.
const PRICES: &str = if cfg!(windows) { "prices" } else { "x<!--</script>" };

/// The page's JSON.
pub(crate) struct Report {
    html: String,
    page: Value,
}

impl Report {
    fn read(path: &Path) -> Self {
        let html = std::fs::read_to_string(path);
        Self::new(html.unwrap_or_else(|error| panic!("{}: {error}", path.display())))
    }

    fn new(html: String) -> Self {
        let page = block(&html, "page");
        Self { html, page }
    }

    fn row(&self, symbol: &str) -> &Value {
        self.page["symbols"].as_array().unwrap().iter().find(|row| row["s"] == symbol).unwrap()
    }

    /// The details of a symbol.
    pub(crate) fn detail(&self, symbol: &str) -> Value {
        let rows = self.page["symbols"].as_array().unwrap();
        let place = rows.iter().position(|row| row["s"] == symbol).unwrap();
        let detail = block(&self.html, &format!("d-{place}"));
        assert_eq!(detail["s"], symbol);
        detail
    }
}

/// The JSON block of this name.
fn block(html: &str, id: &str) -> Value {
    let begin = format!("<script type=\"application/json\" id=\"{id}\">");
    let (_, rest) = html.split_once(&begin).unwrap_or_else(|| panic!("no block {id}"));
    serde_json::from_str(rest.split_once("</script>").unwrap().0).unwrap()
}

/// The report of the newest run.
pub(crate) fn newest(sandbox: &Sandbox) -> Report {
    Report::read(&sandbox.runs().pop().unwrap().join("report.html"))
}

/// A run of a symbol that goes well and one whose file is missing.
fn two(sandbox: &Sandbox, code: i32, more: &str) -> Ended {
    sandbox.run(format!("train --data {PRICES} --symbols GOOD,BAD {more}").trim_end()).expect(code)
}

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.run(&format!("data synth {PRICES} --symbols GOOD")).expect(0);
    sandbox
}

fn numbers(values: &Value) -> Vec<f64> {
    values.as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect()
}

#[test]
fn training_leaves_a_page_with_everything_about_its_symbols() {
    let sandbox = sandbox();
    let shown = two(&sandbox, 3, "").stdout;
    let run = sandbox.runs().pop().unwrap();
    let path = run.join("report.html");
    assert_eq!(shown.lines().last().unwrap(), format!("report: {}", path.display()));
    let report = Report::read(&path);
    let page = &report.page;
    assert_eq!((&page["schema"], &page["run"]["state"]), (&1.into(), &"finished".into()));
    assert_eq!(page["run"]["id"], run.file_name().unwrap().to_str().unwrap());
    assert_eq!((&page["counts"]["trained"], &page["counts"]["failed"]), (&1.into(), &1.into()));
    assert!(page["evaluation"]["horizons"].is_array() && page["compare"].is_null(), "{page}");
    assert_eq!(page["runs"][0]["good"], 1);
    let stages = page["time"]["stages"].as_array().unwrap();
    assert!(stages[1][0] == "train" && stages[1][1].as_f64().unwrap() > 0.0, "{stages:?}");

    let (good, bad) = (report.row("GOOD"), report.row("BAD"));
    assert_eq!((&good["state"], &good["gen"]), (&"trained".into(), &1.into()));
    assert!(good["test"].as_f64().unwrap() > 0.0 && good["prev"].is_null(), "{good}");
    assert_eq!((good["spark"].as_array().unwrap().len(), &good["epoch"]), (2, &2.into()));
    assert_eq!((&bad["state"], &bad["kind"]), (&"failed".into(), &"data".into()));
    assert!(bad["cause"].as_str().unwrap().contains(PRICES), "{bad}");
    assert!(bad["log"].as_str().unwrap().ends_with("BAD.1.log") && bad["gen"].is_null(), "{bad}");

    // Each attempt has a place in the lane of a worker.
    let lanes = page["timeline"]["lanes"].as_array().unwrap();
    let spans: Vec<_> =
        lanes.iter().flat_map(|lane| lane["spans"].as_array().unwrap().clone()).collect();
    assert_eq!(spans.len(), 2);
    for span in spans {
        let state = if span["i"] == good_place(page) { "ok" } else { "failed" };
        assert!(span["state"] == state && span["to"].as_i64() >= span["from"].as_i64(), "{span}");
    }
}

/// The place of the symbol that goes well.
fn good_place(page: &Value) -> usize {
    page["symbols"].as_array().unwrap().iter().position(|row| row["s"] == "GOOD").unwrap()
}

#[test]
fn a_symbol_in_detail_has_forecasts_that_are_what_backtest_says() {
    let sandbox = sandbox();
    two(&sandbox, 3, "");
    let report = newest(&sandbox);
    let detail = report.detail("GOOD");
    assert_eq!(detail["curves"]["val"].as_array().unwrap().len(), 2);
    let fan = &detail["fan"];
    let days = fan["days"].as_array().unwrap().len();
    assert!(days > 10 && fan["samples"] == days, "{days} of {}", fan["samples"]);
    assert_eq!(
        (numbers(&fan["horizons"]), fan["levels"].as_array().unwrap().len()),
        (vec![1., 3.], 5)
    );
    let kept = sandbox.run("backtest GOOD --format json").expect(0).json();
    let rows: Vec<_> = kept["rows"].as_array().unwrap().iter().collect();
    for (h, horizon) in [1, 3].into_iter().enumerate() {
        assert_eq!(fan["y"][h].as_array().unwrap().len(), days);
        let of: Vec<_> = rows.iter().filter(|row| row["horizon"] == horizon).collect();
        assert_eq!(fan["q"][h].as_array().unwrap().len(), days);
        for sample in [0, days / 2, days - 1] {
            let percent = numbers(&fan["q"][h][sample]);
            let exact = numbers(&of[sample]["log_returns"]);
            let near = |(percent, exact): (&f64, &f64)| (percent - 100.0 * exact).abs() < 6e-4;
            assert!(percent.len() == 5 && percent.iter().zip(&exact).all(near), "{percent:?}");
        }
        let of_horizon = &detail["calibration"][h];
        assert_eq!((&of_horizon["h"], &of_horizon["n"]), (&horizon.into(), &days.into()));
        for whose in ["model", "base"] {
            let shares = numbers(&of_horizon[whose]);
            assert!(shares.is_sorted() && shares.iter().all(|share| (0.0..=1.0).contains(share)));
        }
        // The metrics count the same: what is within the outermost quantiles.
        let shares = numbers(&of_horizon["model"]);
        let metrics = detail["metrics"].as_array().unwrap();
        let model = metrics.iter().find(|row| row["h"] == horizon && row["of"] == "model").unwrap();
        let within = shares[4] - shares[0];
        assert!((within - model["coverage"].as_f64().unwrap()).abs() < 0.02, "{model} {shares:?}");
    }
    assert_eq!(detail["metrics"].as_array().unwrap().len(), 2 * 6);
    assert_eq!(detail["history"].as_array().unwrap().len(), 1);
    let provenance = detail["provenance"].to_string();
    assert!(provenance.contains("fingerprint") && provenance.contains(PRICES), "{provenance}");
    assert!(report.html.len() < 1_000_000, "{}", report.html.len());
}

#[test]
fn what_comes_from_outside_cannot_end_a_script() {
    let sandbox = sandbox();
    two(&sandbox, 3, "");
    let run = sandbox.runs().pop().unwrap();
    let evil = "</script><script>alert(1)</script><!-- \u{2028} \u{fffd}\n";
    let log = sandbox.write("evil.log", "x".repeat(9000) + "\n" + evil + "\u{0}\n");
    std::fs::copy(log, run.join("logs/BAD.1.log")).unwrap();
    let printed = sandbox.run("report --output -").expect(0).stdout;
    let report = Report::new(printed);
    let detail = report.detail("BAD");
    assert_eq!(detail["log"]["text"], format!("{evil}\u{0}\n"));
    assert_eq!((&detail["log"]["file"], &detail["gen"]), (&"BAD.1.log".into(), &Value::Null));
    assert_eq!(detail["attempts"][0]["kind"], "data");
    let html = &report.html;
    assert!(!html.contains("alert(1)</script>") && (cfg!(windows) || !html.contains(PRICES)));
    // Three of them are data, two are code.
    assert_eq!(html.matches("</script>").count(), 5);
    assert!(html.contains("default-src 'none'"));
}

#[test]
fn what_is_up_to_date_is_shown_too_and_compared_with_the_run_before() {
    let sandbox = sandbox();
    let train = format!("train --data {PRICES} --symbols GOOD");
    sandbox.run(&train).expect(0);
    let first = newest(&sandbox);
    sandbox.run(&train).expect(0);
    let second = newest(&sandbox);
    let row = second.row("GOOD");
    assert_eq!((&row["state"], &row["gen"]), (&"up_to_date".into(), &1.into()));
    for key in ["test", "base", "best", "first", "spark"] {
        assert_eq!(row[key], first.row("GOOD")[key], "{key}");
    }
    assert_eq!(second.page["compare"]["run"], first.page["run"]["id"]);
    let compared = &second.page["compare"]["rows"][0];
    assert_eq!((&compared["outcome"], &compared["test"]), (&"trained".into(), &row["test"]));
    assert_eq!(second.page["last_success"]["run"], second.page["run"]["id"]);

    // A third one has a generation before its own, and may be compared with any run.
    sandbox.run(&format!("{train},BAD --force")).expect(3);
    let third = newest(&sandbox);
    let row = third.row("GOOD");
    assert_eq!((&row["gen"], &row["prev"]["gen"]), (&2.into(), &1.into()));
    assert_eq!(third.page["compare"]["run"], second.page["run"]["id"]);
    assert_eq!(third.page["compare"]["added"], serde_json::json!(["BAD"]));
    assert_eq!(third.page["runs"].as_array().unwrap().len(), 3);
    assert!(third.page["last_success"].is_null());
    let id = first.page["run"]["id"].as_str().unwrap();
    let written = sandbox.run(&format!("report --compare {id} --output page.html --format json"));
    let written = written.expect(0).json();
    assert_eq!((&written["type"], &written["symbols"]), (&"report".into(), &2.into()));
    assert_eq!(
        (&written["run"], &written["path"]),
        (&third.page["run"]["id"], &"page.html".into())
    );
    let page = Report::read(&sandbox.path("page.html"));
    assert_eq!(written["bytes"], page.html.len());
    assert_eq!(page.page["compare"]["run"], id);
}

#[test]
fn damage_costs_what_is_damaged_and_nothing_else() {
    let sandbox = sandbox();
    let train = format!("train --data {PRICES} --symbols GOOD --force");
    for _ in 0..3 {
        sandbox.run(&train).expect(0);
    }
    let generation = |n: u32| format!("mambafleet-store/symbols/GOOD/00000{n}");
    sandbox.write(&format!("{}/metrics.json", generation(1)), "{}");
    sandbox.write(&format!("{}/manifest.json", generation(2)), "nonsense");
    sandbox.write(&format!("{}/forecasts.safetensors", generation(3)), "short");
    let run = sandbox.runs().pop().unwrap();
    std::fs::remove_dir_all(run.join("logs")).unwrap();
    sandbox.write(&format!("{}/evaluation.json", run.display()), "[");
    let path = sandbox.run("report").expect(0).stdout;
    let report = Report::read(Path::new(path.trim()));
    let detail = report.detail("GOOD");
    let history = detail["history"].as_array().unwrap();
    let damaged: Vec<_> = history.iter().map(|past| past["damaged"].is_string()).collect();
    assert_eq!(damaged, [true, true, false]);
    assert_eq!((&detail["gen"], &detail["fan"]), (&3.into(), &Value::Null));
    assert!(detail["log"].is_null() && detail["curves"]["val"].is_array());
    assert!(report.page["evaluation"].is_null() && report.row("GOOD")["prev"].is_null());
    // The generation of the run is gone: what there is is shown.
    sandbox.run(&train).expect(0);
    std::fs::remove_dir_all(sandbox.path(&generation(3))).unwrap();
    sandbox.write(&format!("{}/events.jsonl", run.display()), "{\"type\":\"of_tomorrow\"}\n{");
    let name = run.file_name().unwrap().to_str().unwrap();
    let page = sandbox.run(&format!("report {name} --output -")).expect(0).stdout;
    let report = Report::new(page);
    assert_eq!((&report.row("GOOD")["gen"], &report.detail("GOOD")["gen"]), (&3.into(), &4.into()));
}

#[test]
fn runs_are_found_by_name_and_what_is_none_is_refused() {
    let sandbox = sandbox();
    let code = |args: &str, code| sandbox.run(args).expect(code);
    code("report", 4);
    two(&sandbox, 3, "--set observe.report=false");
    let run = sandbox.runs().pop().unwrap();
    assert!(!run.join("report.html").exists());
    let ended = code("report nosuchrun --format json", 4).json();
    assert_eq!((&ended["type"], &ended["kind"]), (&"error".into(), &"nothing_selected".into()));
    code("report --compare nosuchrun", 4);
    code("report --output no/such/directory/page.html", 2);
    code("report --output mambafleet-store/store.json", 2);
    code("report --output mambafleet-store/..", 2);
    let name = run.file_name().unwrap().to_str().unwrap();
    let path = code(&format!("report {}", &name[..10]), 0).stdout;
    assert_eq!(path.trim(), run.join("report.html").display().to_string());
    assert!(run.join("report.html").exists());
}

#[cfg(all(unix, debug_assertions))]
#[test]
fn a_run_is_shown_while_it_goes_on_and_when_it_has_died() {
    use std::process::Stdio;

    use crate::support::Running;

    let sandbox = Sandbox::new();
    let mut command = sandbox.command("train --symbols A,SLEEPS,Z --parallel 1 --backend faulty");
    command.env("MAMBAFLEET_TEST_BACKENDS", "1").stdout(Stdio::null()).stderr(Stdio::null());
    let running = Running::from(command.spawn().unwrap());
    sandbox
        .wait_for_event(|event| event["type"] == "attempt_started" && event["symbol"] == "SLEEPS");
    let shown = || Report::new(sandbox.run("report --output -").expect(0).stdout);
    let states = |report: &Report| {
        ["A", "SLEEPS", "Z"].map(|symbol| report.row(symbol)["state"].as_str().unwrap().to_owned())
    };
    let report = shown();
    assert_eq!(report.page["run"]["state"], "running");
    assert_eq!(states(&report), ["trained", "running", "waiting"]);
    assert!(report.page["timeline"]["end"].is_null());
    assert_eq!(report.detail("A")["gen"], 1);
    drop(running);
    let report = shown();
    assert_eq!(report.page["run"]["state"], "died");
    assert_eq!(states(&report), ["trained", "interrupted", "interrupted"]);
    assert_eq!(report.page["runs"][0]["state"], "died");
    assert_eq!(report.page["counts"]["interrupted"], 2);
}

#[test]
fn a_run_is_compared_with_one_of_its_kind_and_not_with_a_symbol_trained_by_hand_in_between() {
    let sandbox = Sandbox::new();
    let train = |symbols: &str| {
        sandbox.run(&format!("train --symbols {symbols} --force --set observe.report=false"));
    };
    train("A,B,C,D");
    let whole = sandbox.runs().pop().unwrap();
    train("B");
    train("A,B,C");
    sandbox.run("report --output page.html").expect(0);
    let page = Report::read(&sandbox.path("page.html")).page;
    assert_eq!(page["compare"]["run"], whole.file_name().unwrap().to_str().unwrap());
    assert_eq!(page["compare"]["missing"], serde_json::json!(["D"]));
}

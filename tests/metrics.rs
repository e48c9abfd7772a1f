//! Metrics for Prometheus: at an address, and in files.

use std::collections::BTreeMap;
use std::path::Path;

use mambafleet_metrics::families;

use crate::support::Sandbox;

/// The last success of all symbols together.
const SUCCESS: &str = "mambafleet_run_last_success_timestamp_seconds";

/// Two runs of this, with and without prices, are a night that goes well and one that does not.
const NIGHTLY: &str = "[observe]\ntextfile = \"out/nightly.prom\"\n";

/// Series and values of a page: `name{labels}` without the fleet's label, which must be this.
fn page(text: &str, fleet: &str) -> BTreeMap<String, f64> {
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    let samples = samples.map(|line| {
        let (series, value) = line.rsplit_once(' ').unwrap();
        let label = format!("{{fleet=\"{fleet}\"");
        assert!(series.contains(&label), "{line}");
        let series = series.replace(&format!("{label}}}"), "").replace(&(label + ","), "{");
        (series, value.parse().unwrap())
    });
    samples.collect()
}

/// The metrics in a file.
#[track_caller]
fn file(path: &Path, fleet: &str) -> BTreeMap<String, f64> {
    let text = std::fs::read_to_string(path);
    page(&text.unwrap_or_else(|error| panic!("{}: {error}", path.display())), fleet)
}

/// A sandbox whose runs leave `out/nightly.prom`.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    std::fs::create_dir(sandbox.path("out")).unwrap();
    sandbox.configure(NIGHTLY);
    sandbox
}

/// What the newest run of a sandbox has left.
fn nightly(sandbox: &Sandbox) -> BTreeMap<String, f64> {
    file(&sandbox.path("out/nightly.prom"), "nightly")
}

fn of_symbol(symbol: &str) -> String {
    format!("mambafleet_symbol_last_success_timestamp_seconds{{symbol=\"{symbol}\"}}")
}

/// The seconds of a time in JSON.
fn seconds(time: &serde_json::Value) -> f64 {
    let time: jiff::Timestamp = time.as_str().unwrap().parse().unwrap();
    time.as_millisecond() as f64 / 1000.0
}

#[cfg(unix)]
mod at_an_address {
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::process::{Child, Stdio};

    use rustix::process::Signal;

    use super::*;
    use crate::support::Running;
    use crate::support::processes::kill_child;

    /// What an address answers to a request: status line, headers and body.
    fn ask(address: &str, request: &str) -> (String, String) {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.to_lowercase(), body.to_owned())
    }

    fn get(address: &str, path: &str) -> (String, String) {
        ask(
            address,
            &format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"),
        )
    }

    /// Starts a run whose symbol SLEEPS goes on until it is interrupted, and says where it can be asked.
    fn asleep(sandbox: &Sandbox, metrics: &str) -> (Running, String) {
        let mut command = sandbox.command(&format!(
            "train --symbols A,SLEEPS,Z {metrics} --parallel 1 --backend faulty \
             --set run.grace=100ms --format json"
        ));
        command.env("MAMBAFLEET_TEST_BACKENDS", "1").stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child: Child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let mut first = String::new();
        lines.read_line(&mut first).unwrap();
        std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
        let first: serde_json::Value = serde_json::from_str(&first).unwrap();
        assert_eq!((&first["type"], &first["schema"]), (&"metrics".into(), &1.into()), "{first}");
        let url = first["url"].as_str().unwrap();
        let address = url.strip_prefix("http://").unwrap().strip_suffix("/metrics").unwrap();
        (child.into(), address.to_owned())
    }

    #[test]
    fn a_run_can_be_asked_while_it_goes_on() {
        let sandbox = sandbox();
        let (mut run, address) = asleep(&sandbox, "--metrics 127.0.0.1:0");
        sandbox.wait_for_event(|e| e["type"] == "attempt_started" && e["symbol"] == "SLEEPS");
        let (head, body) = get(&address, "/metrics");
        assert!(head.starts_with("http/1.1 200 "), "{head}");
        assert!(head.contains("content-type: text/plain; version=0.0.4"), "{head}");
        let now = page(&body, "nightly");
        let value = |series: &str| now[series];
        assert_eq!(value("mambafleet_run_in_progress"), 1.0);
        assert_eq!(value("mambafleet_run_planned_symbols"), 3.0);
        assert_eq!(value("mambafleet_symbols_total{outcome=\"trained\"}"), 1.0);
        assert_eq!(value("mambafleet_workers_busy"), 1.0);
        assert_eq!(value("mambafleet_queue_length"), 1.0);
        assert_eq!(value("mambafleet_commit_duration_seconds_count"), 1.0);
        assert!(now.contains_key(&of_symbol("A")) && !now.contains_key(&of_symbol("SLEEPS")));
        assert!(!now.contains_key("mambafleet_run_success"));
        let (head, body) = get(&address, "/etc/passwd");
        assert!(head.starts_with("http/1.1 404 ") && !body.contains("root"), "{head}\n{body}");
        // A page of another site that has bent its name to this address.
        let bent = "GET /metrics HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n";
        assert!(ask(&address, bent).0.starts_with("http/1.1 421 "));
        kill_child(&run, Signal::INT);
        assert_eq!(run.code(), Some(130));
        assert!(TcpStream::connect(&address).is_err());
        let after = nightly(&sandbox);
        assert_eq!(after["mambafleet_run_in_progress"], 0.0);
        assert_eq!(after["mambafleet_runs_total{result=\"interrupted\"}"], 1.0);
        assert_eq!(after["mambafleet_run_symbols{outcome=\"interrupted\"}"], 2.0);
        assert_eq!(after["mambafleet_run_success"], 0.0);
        assert!(after.contains_key(&of_symbol("A")) && !after.contains_key(SUCCESS));
    }

    #[test]
    fn workers_memory_is_seen() {
        let sandbox = Sandbox::new();
        sandbox.configure("[observe]\nmetrics = \"127.0.0.1:0\"\n");
        let (mut run, address) = asleep(&sandbox, "--force");
        sandbox.wait_for_event(|e| e["type"] == "attempt_started" && e["symbol"] == "SLEEPS");
        let memory = "mambafleet_worker_memory_bytes{slot=\"1\"}";
        // It is looked at once a second.
        let seen = std::iter::repeat_with(|| {
            std::thread::sleep(std::time::Duration::from_millis(50));
            page(&get(&address, "/metrics").1, "mambafleet").get(memory).copied()
        });
        let seen = seen.take(1200).find_map(|seen| seen);
        assert!(!cfg!(target_os = "linux") || seen.is_some_and(|bytes| bytes > 1e6), "{seen:?}");
        kill_child(&run, Signal::INT);
        assert_eq!(run.code(), Some(130));
    }

    #[test]
    fn an_address_in_use_is_an_error_before_anything_is_done() {
        let sandbox = sandbox();
        sandbox.run("train --symbols A").expect(0);
        let before = nightly(&sandbox);
        let other = TcpListener::bind("127.0.0.1:0").unwrap();
        let taken = other.local_addr().unwrap();
        let elsewhere = format!("train --symbols A --metrics {taken} --store elsewhere");
        let ended = sandbox.run(&elsewhere).expect(2);
        assert!(ended.stderr.contains("in use"), "{}", ended.stderr);
        assert!(ended.stderr.contains("hint: "), "{}", ended.stderr);
        assert!(!sandbox.path("elsewhere").exists());
        // The file says so, and forgets nothing.
        let after = nightly(&sandbox);
        assert_eq!(after["mambafleet_run_success"], 0.0);
        assert_eq!(after["mambafleet_runs_total{result=\"not_begun\"}"], 1.0);
        for series in [SUCCESS, &of_symbol("A"), "mambafleet_symbols_total{outcome=\"trained\"}"] {
            assert_eq!(after[series], before[series], "{series}");
        }
        // Nobody else's address is an error too, and what is no address is one of the configuration.
        sandbox.run("train --symbols A --metrics 192.0.2.1:9464").expect(2);
        let ended = sandbox.run("train --symbols A --metrics localhost").expect(2);
        assert!(ended.stderr.contains("127.0.0.1:9464"), "{}", ended.stderr);
        // A dry run takes no address.
        sandbox.run(&format!("train --symbols A --metrics {taken} --dry-run")).expect(0);
    }
}

#[test]
fn a_night_that_goes_wrong_leaves_the_last_success_as_it_was() {
    let sandbox = sandbox();
    let good = sandbox.run("train --symbols BTC/USD,^GSPC --format json").expect(0);
    let first = nightly(&sandbox);
    assert_eq!(first[SUCCESS], seconds(&good.summary()["finished_at"]));
    for symbol in ["BTC/USD", "^GSPC"] {
        let expected = seconds(&good.outcome(symbol)["last_success"]);
        assert_eq!(first[&of_symbol(symbol)], expected, "{symbol}");
    }
    // The next night there are no prices for one of them.
    sandbox.run("data synth prices --symbols ^GSPC").expect(0);
    let bad = "train --symbols BTC/USD,^GSPC --data prices --force --format json";
    let bad = sandbox.run(bad).expect(3);
    let second = nightly(&sandbox);
    assert_eq!(second["mambafleet_run_success"], 0.0);
    assert_eq!(second[SUCCESS], first[SUCCESS]);
    assert_eq!(second[&of_symbol("BTC/USD")], first[&of_symbol("BTC/USD")]);
    assert_eq!(second[&of_symbol("^GSPC")], seconds(&bad.outcome("^GSPC")["last_success"]));
    assert!(second[&of_symbol("^GSPC")] > first[&of_symbol("^GSPC")]);
    assert_eq!(second["mambafleet_run_symbols{outcome=\"failed\"}"], 1.0);
    // Counters go on.
    assert_eq!(second["mambafleet_symbols_total{outcome=\"trained\"}"], 3.0);
    assert_eq!(second["mambafleet_attempt_failures_total{cause=\"data\"}"], 1.0);
    assert_eq!(second["mambafleet_runs_total{result=\"success\"}"], 1.0);
    assert_eq!(second["mambafleet_runs_total{result=\"failed\"}"], 1.0);
    // A run that cannot begin says so, and changes nothing else.
    sandbox.run("train --symbols BTC/USD --data absent").expect(2);
    let third = nightly(&sandbox);
    assert_eq!((third[SUCCESS], third["mambafleet_run_success"]), (first[SUCCESS], 0.0));
    assert_eq!(third["mambafleet_runs_total{result=\"not_begun\"}"], 1.0);
    assert_eq!(third[&of_symbol("^GSPC")], second[&of_symbol("^GSPC")]);
    // The record says the same as the file even where the file was lost.
    std::fs::remove_file(sandbox.path("out/nightly.prom")).unwrap();
    sandbox.run("train --symbols BTC/USD,^GSPC --data prices").expect(3);
    let fourth = nightly(&sandbox);
    assert_eq!(fourth[SUCCESS], first[SUCCESS]);
    assert_eq!(fourth[&of_symbol("BTC/USD")], first[&of_symbol("BTC/USD")]);
}

#[test]
fn what_is_no_file_of_metrics_is_replaced_with_a_warning() {
    let sandbox = sandbox();
    sandbox.write("out/nightly.prom", "not metrics at all\n");
    let ended = sandbox.run("train --symbols A").expect(0);
    assert!(ended.stderr.contains("line 1 is no metric"), "{}", ended.stderr);
    assert_eq!(nightly(&sandbox)["mambafleet_symbols_total{outcome=\"trained\"}"], 1.0);
}

#[test]
fn a_place_where_no_file_can_be_is_refused_before_anything_is_done() {
    let sandbox = sandbox();
    std::fs::create_dir(sandbox.path("dir.prom")).unwrap();
    for (file, why) in [
        ("absent/a.prom", "absent is not a directory"),
        ("dir.prom", "is not a file"),
        ("out/a.txt", "does not end in .prom"),
    ] {
        let set = format!("train --symbols A --set observe.textfile={file}");
        let ended = sandbox.run(&set).expect(2);
        assert!(ended.stderr.contains(why), "{file}: {}", ended.stderr);
        sandbox.run(&format!("{set} --dry-run")).expect(0);
    }
    sandbox.run("train --symbols A --dry-run").expect(0);
    assert!(!sandbox.store().exists() && !sandbox.path("out/nightly.prom").exists());
}

#[cfg(unix)]
#[test]
fn another_user_may_read_the_file_whatever_the_umask() {
    use std::os::unix::fs::PermissionsExt;

    let sandbox = sandbox();
    let binary = env!("CARGO_BIN_EXE_mambafleet");
    let mut shell = sandbox.shell(&format!("umask 077; {binary} train --symbols A"));
    crate::support::finish(&mut shell).expect(0);
    let mode = std::fs::metadata(sandbox.path("out/nightly.prom")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o644);
    let left: Vec<_> = std::fs::read_dir(sandbox.path("out")).unwrap().collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

#[cfg(unix)]
#[test]
fn a_file_that_cannot_be_written_in_the_end_is_no_success() {
    let sandbox = sandbox();
    // The directory vanishes while the run ends.
    sandbox.configure(&format!("{NIGHTLY}[notify]\ncommand = [\"rmdir\", \"out\"]\n"));
    let ended = sandbox.run("train --symbols A").expect(1);
    assert!(ended.stderr.contains("there is no file of metrics"), "{}", ended.stderr);
}

#[test]
fn a_check_of_the_store_leaves_its_own_file() {
    let sandbox = sandbox();
    sandbox.run("train --symbols A,B").expect(0);
    let check = "verify --all --textfile out/verify.prom";
    sandbox.run(check).expect(0);
    let last = "mambafleet_verify_last_success_timestamp_seconds";
    let path = sandbox.path("out/verify.prom");
    // It is of the fleet whose runs the configuration is about.
    let clean = file(&path, "nightly");
    assert_eq!(clean["mambafleet_verify_generations"], 2.0);
    assert_eq!(clean["mambafleet_verify_faults"], 0.0);
    assert_eq!(clean[last], clean["mambafleet_verify_timestamp_seconds"]);
    let generation = sandbox.store().join("symbols/A");
    let dirs = std::fs::read_dir(&generation).unwrap().map(|entry| entry.unwrap().path());
    let dir = dirs.into_iter().find(|dir| dir.join("metrics.json").is_file()).unwrap();
    sandbox.write(dir.join("metrics.json").to_str().unwrap(), "{}");
    sandbox.run(check).expect(6);
    let damaged = file(&path, "nightly");
    assert_eq!(damaged["mambafleet_verify_damaged_generations"], 1.0);
    assert!(damaged["mambafleet_verify_faults"] >= 1.0);
    assert_eq!(damaged[last], clean[last]);
    assert!(damaged["mambafleet_verify_timestamp_seconds"] > clean[last]);
    // Without a file of the runs it is called as its own.
    sandbox.configure("");
    sandbox.run(check).expect(6);
    assert_eq!(file(&path, "verify")[last], clean[last]);
}

#[test]
fn a_check_does_not_take_the_place_of_the_runs_file_or_of_another_kind() {
    let sandbox = sandbox();
    sandbox.run("train --symbols A").expect(0);
    let ended = sandbox.run("verify --all --textfile ./out/nightly.prom").expect(2);
    assert!(ended.stderr.contains("where runs write theirs"), "{}", ended.stderr);
    sandbox.run("verify --all --textfile out/verify.txt").expect(2);
    sandbox.run("verify A --textfile out/verify.prom").expect(2);
    assert!(!sandbox.path("out/verify.prom").exists());
}

/// The names of metrics that stand in a text.
fn named(text: &str) -> Vec<String> {
    let word = |c: char| !(c.is_ascii_lowercase() || c == '_');
    let words = text.split(word).filter(|word| word.starts_with("mambafleet_"));
    words.map(str::to_owned).collect()
}

#[test]
fn rules_and_dashboard_name_metrics_that_there_are() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/monitoring");
    let known: Vec<_> = families().map(|family| family.name).collect();
    let of = |name: &str| {
        let ends = ["", "_bucket", "_sum", "_count"].iter();
        let mut names = ends.filter_map(|end| name.strip_suffix(end));
        names.find_map(|name| known.iter().find(|known| **known == name))
    };
    let mut used = Vec::new();
    for file in ["alerts.yml", "alerts_test.yml", "grafana-dashboard.json"] {
        let text = std::fs::read_to_string(dir.join(file)).unwrap();
        let names = named(&text);
        assert!(!names.is_empty(), "{file}");
        for name in names {
            let family = of(&name);
            used.push(*family.unwrap_or_else(|| panic!("{file}: there is no metric {name}")));
        }
    }
    let unseen: Vec<_> = known.iter().filter(|name| !used.contains(name)).collect();
    assert_eq!(unseen, [&""; 0], "neither a rule nor a panel shows them");
}

//! Who is told that a run has ended, and that nothing about it can cost a run anything.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use crate::support::processes::{assert_gone, kill_child};
use crate::support::{Running, Sandbox, finish};

/// A command that writes down what it is told.
const WRITES: &str = r#"
[notify]
command = ["sh", "-c", "cat > told.json && env | grep ^MAMBAFLEET_ > told.env"]
"#;

/// One that tells who it is, and never ends, with a child that does not either.
const HANGS: &str = r#"
[notify]
command = ["sh", "-c", "sleep 1000 & echo $$ $! > told.tmp; mv told.tmp told.pids; sleep 1000"]
"#;

fn told(sandbox: &Sandbox) -> Value {
    serde_json::from_slice(&std::fs::read(sandbox.path("told.json")).unwrap()).unwrap()
}

/// What the event log says of telling.
fn notified(sandbox: &Sandbox) -> Vec<Value> {
    sandbox.events().into_iter().filter(|event| event["type"] == "notified").collect()
}

/// Data of which one symbol has none.
fn one_fails(sandbox: &Sandbox) -> &'static str {
    sandbox.run("data synth prices --symbols GOOD").expect(0);
    "train --data prices --symbols GOOD,BAD"
}

/// Waits for the command that hangs; its process and its child's.
fn hanging(sandbox: &Sandbox) -> Vec<u64> {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Ok(text) = std::fs::read_to_string(sandbox.path("told.pids")) {
            return text.split_whitespace().map(|pid| pid.parse().unwrap()).collect();
        }
        assert!(Instant::now() < deadline, "the command was never started");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_command_is_told_everything_on_its_input_and_the_most_in_its_environment() {
    let sandbox = Sandbox::new();
    sandbox.configure(WRITES);
    let ended = sandbox.run(one_fails(&sandbox)).expect(3);
    assert!(!ended.stderr.contains("warning"), "{}", ended.stderr);
    let told = told(&sandbox);
    let run = sandbox.runs().pop().unwrap();
    let summary: Value =
        serde_json::from_slice(&std::fs::read(run.join("summary.json")).unwrap()).unwrap();
    assert_eq!((&told["type"], &told["schema"]), (&"run_ended".into(), &1.into()));
    assert_eq!(told["summary"], summary);
    assert_eq!((&told["exit_code"], &told["error"]), (&3.into(), &Value::Null));
    assert_eq!(told["record"], run.canonicalize().unwrap().to_str().unwrap());
    let text = told["text"].as_str().unwrap();
    assert!(text.contains(": 1 trained, 1 failed in "), "{text}");
    assert!(text.contains("; not current: BAD; not all of these symbols have ever"), "{text}");
    let environment = std::fs::read_to_string(sandbox.path("told.env")).unwrap();
    for (name, value) in [
        ("TEXT", text),
        ("EXIT_CODE", "3"),
        ("RUN", summary["run"].as_str().unwrap()),
        ("RECORD", told["record"].as_str().unwrap()),
        ("TRAINED", "1"),
        ("FAILED", "1"),
        ("UP_TO_DATE", "0"),
        ("KEPT", "0"),
        ("LAST_SUCCESS", ""),
    ] {
        let line = format!("MAMBAFLEET_ENDED_{name}={value}\n");
        assert!(environment.contains(&line), "{line} is missing: {environment}");
    }
    let notified = notified(&sandbox);
    assert_eq!((&notified[0]["by"], &notified[0]["failure"]), (&"command".into(), &Value::Null));
    // It still is the last event that has the summary.
    assert_eq!(sandbox.events().pop().unwrap()["type"], "run_finished");
}

#[test]
fn a_command_may_call_this_program() {
    let sandbox = Sandbox::new();
    let program = env!("CARGO_BIN_EXE_mambafleet");
    sandbox.configure(&format!(
        "[notify]\ncommand = [\"sh\", \"-c\", \"{program} ls --format json > told.json\"]\n"
    ));
    sandbox.run("train --symbols A").expect(0);
    assert_eq!(told(&sandbox)["symbols"][0]["symbol"], "A");
}

#[test]
fn only_failures_are_told_if_that_is_wanted() {
    let sandbox = Sandbox::new();
    sandbox.configure(&format!("{WRITES}when = \"failure\"\n"));
    sandbox.run("train --symbols A").expect(0);
    assert!(!sandbox.path("told.json").exists());
    sandbox.run("train --symbols A --dry-run --deadline 1ms").expect(0);
    assert!(!sandbox.path("told.json").exists());
    sandbox.run("train --symbols A --force --deadline 1ms").expect(7);
    assert_eq!(told(&sandbox)["exit_code"], 7);
}

#[test]
fn what_cannot_be_told_is_a_warning_and_changes_no_exit_code() {
    let sandbox = Sandbox::new();
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for (settings, failure) in [
        ("command = [\"no-such-program\"]".to_owned(), "cannot be started: No such file"),
        ("command = [\"sh\", \"-c\", \"echo why; exit 7\"]".to_owned(), "exited with code 7; its"),
        ("command = [\"sh\", \"-c\", \"kill -9 $$\"]".to_owned(), "killed by signal 9 (SIGKILL)"),
        (format!("url = \"http://{nobody}/secret\""), "cannot be reached: Connection refused"),
        ("url = \"http://no-such-host.invalid/\"".to_owned(), "invalid has no address"),
    ] {
        sandbox.configure(&format!("[notify]\n{settings}\n"));
        let ended = sandbox.run("train --symbols A").expect(0);
        let warning = ended.stderr.lines().find(|line| line.starts_with("warning: "));
        let warning = warning.unwrap_or_else(|| panic!("{settings}: {}", ended.stderr));
        assert!(warning.contains(failure), "{failure} is missing: {warning}");
        assert!(!warning.contains("secret"), "{warning}");
        let told = notified(&sandbox);
        assert!(told[0]["failure"].as_str().unwrap().contains(failure), "{told:?}");
    }
    let runs: Vec<_> = sandbox.runs().into_iter().filter(|run| run.is_dir()).collect();
    let log = std::fs::read_to_string(runs[1].join("logs/notify.log")).unwrap();
    assert_eq!(log, "why\n");
}

#[test]
fn a_command_that_hangs_is_killed_with_all_it_has_started() {
    let sandbox = Sandbox::new();
    sandbox.configure(&format!("{HANGS}timeout = \"500ms\"\n"));
    let ended = sandbox.run("train --symbols A").expect(0);
    assert!(ended.stderr.contains("longer than 0.5 s (notify.timeout)"), "{}", ended.stderr);
    assert_gone(&hanging(&sandbox));
    let told = notified(&sandbox);
    assert!(told[0]["seconds"].as_f64().unwrap() < 5.0, "{told:?}");
}

#[test]
fn of_what_a_command_prints_without_end_the_beginning_is_kept() {
    let sandbox = Sandbox::new();
    let script = "yes | head -c 3000000; yes no | head -c 3000000 >&2; echo done > read.txt";
    sandbox.configure(&format!("[notify]\ncommand = [\"sh\", \"-c\", \"{script}\"]\n"));
    let ended = sandbox.run("train --symbols A").expect(0);
    assert!(!ended.stderr.contains("notify"), "{}", ended.stderr);
    // All of it was read, so that nothing stood in the command's way.
    assert!(sandbox.path("read.txt").is_file());
    let log = sandbox.runs().pop().unwrap().join("logs/notify.log");
    let kept = std::fs::metadata(log).unwrap().len();
    assert!((100_000..=140_000).contains(&kept), "{kept}");
}

#[test]
fn a_command_that_reads_nothing_is_no_obstacle() {
    let sandbox = Sandbox::new();
    sandbox.configure("[notify]\ncommand = [\"true\"]\n");
    // More than a pipe holds.
    let symbols: Vec<_> = (0..400).map(|number| format!("S{number}")).collect();
    let list = symbols.join("\n");
    sandbox.write("list.txt", list);
    sandbox.write("prices/NONE.csv", "");
    let train = "train --data prices --symbols-file list.txt --parallel 2";
    let ended = sandbox.run(train).expect(3);
    assert!(!ended.stderr.contains("warning: "), "{}", ended.stderr);
}

/// Starts a run that sleeps, with this configuration, and interrupts it.
fn interrupted(sandbox: &Sandbox, configuration: &str) -> Running {
    sandbox.configure(configuration);
    let mut command = sandbox
        .command("train --symbols A,SLEEPS --parallel 1 --backend faulty --set run.grace=100ms");
    command.env("MAMBAFLEET_TEST_BACKENDS", "1").stdout(Stdio::null()).stderr(Stdio::null());
    let child: Running = command.spawn().unwrap().into();
    sandbox.wait_for_event(|e| e["type"] == "attempt_started" && e["symbol"] == "SLEEPS");
    kill_child(&child, Signal::INT);
    child
}

#[test]
fn an_interrupted_run_is_told_too() {
    let sandbox = Sandbox::new();
    let mut child = interrupted(&sandbox, WRITES);
    assert_eq!(child.code(), Some(130));
    let told = told(&sandbox);
    assert_eq!((&told["exit_code"], &told["summary"]["signal"]), (&130.into(), &2.into()));
}

#[test]
fn a_second_signal_ends_the_telling() {
    let sandbox = Sandbox::new();
    let mut child = interrupted(&sandbox, HANGS);
    let pids = hanging(&sandbox);
    // Signals close together are one.
    std::thread::sleep(Duration::from_millis(600));
    kill_child(&child, Signal::TERM);
    assert_eq!(child.code(), Some(130));
    assert_gone(&pids);
    assert!(notified(&sandbox)[0]["failure"].as_str().unwrap().contains("a signal came"));
}

#[cfg(target_os = "linux")]
#[test]
fn a_command_does_not_outlive_an_orchestrator_that_is_killed() {
    let sandbox = Sandbox::new();
    let mut child = interrupted(&sandbox, HANGS);
    let pids = hanging(&sandbox);
    kill_child(&child, Signal::KILL);
    child.code();
    assert_gone(&pids[..1]);
    // What it has started itself is not known to anybody any more.
    crate::support::processes::kill(pids[1], Signal::KILL);
}

#[test]
fn a_run_that_cannot_begin_is_told_too() {
    let sandbox = Sandbox::new();
    sandbox.configure(WRITES);
    sandbox.run("train --symbols A --data absent").expect(2);
    let told = told(&sandbox);
    assert_eq!((&told["exit_code"], &told["summary"]), (&2.into(), &Value::Null));
    assert!(told["error"].as_str().unwrap().contains("absent is not a directory"), "{told}");
    assert!(told["text"].as_str().unwrap().contains("absent"), "{told}");
}

/// Takes one post, hands it to `answer`, and gives back what was posted.
fn serve(
    server: TcpListener,
    answer: impl FnOnce(TcpStream) + Send + 'static,
) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let (mut stream, _) = server.accept().unwrap();
        let mut heard = Vec::new();
        let mut buffer = [0; 4096];
        while !heard.ends_with(b"}\n") {
            let read = stream.read(&mut buffer).unwrap();
            heard.extend_from_slice(&buffer[..read]);
        }
        answer(stream);
        String::from_utf8(heard).unwrap()
    })
}

fn server(sandbox: &Sandbox, more: &str) -> TcpListener {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr().unwrap();
    sandbox.configure(&format!("[notify]\nurl = \"http://{address}/hook?key=secret\"\n{more}"));
    server
}

#[test]
fn a_url_is_posted_to() {
    let sandbox = Sandbox::new();
    let server = server(&sandbox, "command = [\"sh\", \"-c\", \"cat > told.json\"]\n");
    let host = server.local_addr().unwrap().to_string();
    let serving = serve(server, |mut stream| {
        stream.write_all(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n").unwrap();
    });
    let ended = sandbox.run("train --symbols A --format json").expect(0);
    let heard = serving.join().unwrap();
    let (head, body) = heard.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("POST /hook?key=secret HTTP/1.1\r\n"), "{head}");
    for line in [
        format!("Host: {host}"),
        "Content-Type: application/json".to_owned(),
        format!("Content-Length: {}", body.len()),
    ] {
        assert!(head.lines().any(|one| one == line), "{line} is missing: {head}");
    }
    let posted: Value = serde_json::from_str(body).unwrap();
    assert_eq!((&posted["exit_code"], &posted["summary"]), (&0.into(), &ended.summary()));
    assert_eq!(posted, told(&sandbox));
    let ways: Vec<_> = notified(&sandbox).iter().map(|event| event["by"].clone()).collect();
    assert_eq!(ways, ["command", "url"]);
    assert!(ended.lines().iter().filter(|event| event["type"] == "notified").count() == 2);
    // The secret of the address is nowhere in the record.
    let run = sandbox.runs().pop().unwrap();
    for file in ["plan.json", "events.jsonl", "summary.json"] {
        let text = std::fs::read_to_string(run.join(file)).unwrap();
        assert!(!text.contains("secret"), "{file}: {text}");
    }
}

#[test]
fn a_url_that_refuses_or_never_answers_is_a_warning() {
    let sandbox = Sandbox::new();
    let serving = serve(server(&sandbox, ""), |mut stream| {
        stream.write_all(b"HTTP/1.1 500 Internal Server Error\r\n\r\n").unwrap();
    });
    let ended = sandbox.run("train --symbols A").expect(0);
    assert!(ended.stderr.contains(" answered 500"), "{}", ended.stderr);
    serving.join().unwrap();

    let (hang_up, hung) = std::sync::mpsc::channel::<()>();
    let serving = serve(server(&sandbox, "timeout = \"300ms\"\n"), move |_stream| {
        let _ = hung.recv();
    });
    let ended = sandbox.run("train --symbols A").expect(0);
    assert!(ended.stderr.contains("longer than 0.3 s (notify.timeout)"), "{}", ended.stderr);
    drop(hang_up);
    serving.join().unwrap();
}

#[test]
fn whom_to_tell_is_configured_like_everything_else() {
    let sandbox = Sandbox::new();
    for (settings, expected) in [
        ("url = \"https://a.example/x\"", "command = [\"curl\", \"-fsS\", \"--json\", \"@-\""),
        ("url = \"localhost\"", "does not begin with http://; write one as in url = "),
        (
            "when = \"sometimes\"",
            "notify.when: \"sometimes\" is not one of \"always\", \"failure\"",
        ),
        ("timeout = \"10\"", "notify.timeout: 10 has no unit"),
        ("timeout = \"0s\"", "notify.timeout: must be above 0"),
        ("command = \"mail\"", "notify.command: "),
        ("command = [\"\"]", "notify.command: begins with an empty name"),
        ("urll = \"\"", "did you mean \"notify.url\"?"),
    ] {
        sandbox.write("bad.toml", format!("[notify]\n{settings}\n"));
        let ended = sandbox.run("train --config bad.toml").expect(2);
        assert!(ended.stderr.contains("bad.toml:2: "), "{settings}: {}", ended.stderr);
        assert!(ended.stderr.contains(expected), "{settings}: {}", ended.stderr);
    }
    sandbox
        .configure("[profile.night.notify]\nwhen = \"failure\"\n[symbol.A.notify]\nurl = \"\"\n");
    let ended = sandbox.run("config show").expect(2);
    assert!(ended.stderr.contains("holds for a whole run, not for a symbol"), "{}", ended.stderr);
    sandbox.configure("[profile.night.notify]\nwhen = \"failure\"\n");
    let mut command = sandbox.command("config show --origin --profile night");
    let shown = finish(command.env("MAMBAFLEET_NOTIFY_TIMEOUT", "3s")).expect(0).stdout;
    assert!(shown.contains("notify.when = \"failure\"  # "), "{shown}");
    assert!(shown.contains(" in [profile.night]"), "{shown}");
    let timeout = "notify.timeout = \"3s\"  # environment variable MAMBAFLEET_NOTIFY_TIMEOUT";
    assert!(shown.contains(timeout), "{shown}");
}

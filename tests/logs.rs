//! What a run and its attempts log, and `mambafleet logs`.

use std::process::Command;

use serde_json::Value;

use crate::support::{Sandbox, finish};

/// A call with the backend that fails by the name of the symbol.
fn faulty(sandbox: &Sandbox, args: &str) -> Command {
    let mut command = sandbox.command(&format!("train {args} --backend faulty"));
    command.env("MAMBAFLEET_TEST_BACKENDS", "1");
    command
}

fn add(sandbox: &Sandbox, log: &str, bytes: &[u8]) {
    let path = sandbox.runs().pop().unwrap().join("logs").join(log);
    let before = std::fs::read(&path).unwrap_or_default();
    sandbox.write(path.to_str().unwrap(), [&before, bytes].concat());
}

fn levels(lines: &[Value], text: &str) -> Vec<String> {
    let lines = lines.iter().filter(|line| line["text"] == text);
    lines.map(|line| line["level"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_run_keeps_json_lines_of_what_it_did_each_with_run_and_symbol() {
    let sandbox = Sandbox::new();
    sandbox.configure("[retries]\nbackend = 1\n");
    finish(&mut faulty(&sandbox, "--symbols ERROR,GOOD")).expect(3);
    let record = sandbox.runs().pop().unwrap();
    let id = record.file_name().unwrap().to_str().unwrap().to_owned();
    let text = std::fs::read_to_string(record.join("log.jsonl")).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for line in &lines {
        assert!(line["timestamp"].is_string() && line["level"].is_string(), "{line}");
        // What follows the run has no span of it, and says what it is about.
        let in_run = line["spans"][0]["run"] == *id;
        assert!(in_run || !line["target"].as_str().unwrap().contains("orchestrator"), "{line}");
    }
    let of_error = |line: &&Value| line["symbol"] == "ERROR" && line["level"] != "DEBUG";
    let said: Vec<_> = lines.iter().filter(of_error).map(|line| &line["message"]).collect();
    let attempt = ["attempt begins", "attempt ended"];
    let expected = [&attempt[..], &["attempt failed"], &attempt, &["symbol done"]].concat();
    assert_eq!(said, expected, "{text}");
    // Also what says nothing of it itself, such as a line of the store.
    let committed = lines.iter().find(|line| line["message"] == "committed").unwrap();
    let span = &committed["spans"][1];
    assert_eq!((&span["symbol"], &span["attempt"]), (&"GOOD".into(), &1.into()), "{committed}");
    let printed = sandbox.run("logs latest --format json").expect(0).lines();
    assert_eq!(printed.len(), lines.len());
    assert!(printed.iter().all(|line| line["type"] == "log_line" && line["run"] == *id));
    assert_eq!(levels(&printed, "attempt failed"), ["WARN"]);
    assert_eq!(levels(&printed, "symbol done").iter().filter(|level| *level == "ERROR").count(), 1);
    // For people, the same lines.
    let human = sandbox.run(&format!("logs {id}")).expect(0).stdout;
    assert_eq!(human.lines().count(), lines.len());
    let failed = human.lines().find(|line| line.contains("attempt failed")).unwrap();
    assert!(
        failed.contains("  WARN mambafleet::run: ERROR, attempt 1: attempt failed"),
        "{failed}"
    );
    assert!(failed.contains("cause=\"this symbol is to fail\"") || failed.contains("to fail"));
}

#[test]
fn the_logs_of_all_attempts_are_printed_in_order_or_that_of_one() {
    let sandbox = Sandbox::new();
    sandbox.configure("[retries]\nbackend = 1\n");
    finish(&mut faulty(&sandbox, "--symbols ERROR")).expect(3);
    let both = sandbox.run("logs latest ERROR").expect(0).stdout;
    let (first, second) = both.split_once("\n==> ERROR, attempt 2 <==\n").unwrap();
    assert_eq!(second, sandbox.run("logs latest ERROR --attempt 2").expect(0).stdout);
    assert_eq!(first, sandbox.run("logs latest ERROR --attempt 1").expect(0).stdout);
    for (log, attempt) in [(first, "attempt=1"), (second, "attempt=2")] {
        let begin = log.lines().next().unwrap();
        assert!(begin.contains(" INFO mambafleet_worker::attempt: attempt begins run="), "{begin}");
        assert!(begin.contains("symbol=ERROR") && begin.contains(attempt), "{begin}");
        assert!(log.lines().last().unwrap().contains(" ERROR mambafleet_worker::attempt: "));
    }
    let lines = sandbox.run("logs latest ERROR --format json").expect(0).lines();
    let attempts: Vec<_> = lines.iter().map(|line| line["attempt"].as_u64().unwrap()).collect();
    assert!(attempts.is_sorted() && attempts.contains(&1) && attempts.contains(&2));
    assert!(lines.iter().all(|line| line["level"].is_string() && line["at"].is_string()));
}

#[test]
fn what_is_not_there_is_answered_with_what_is() {
    let sandbox = Sandbox::new();
    let refused = |call: &str, code: i32, said: &str| {
        let ended = sandbox.run(call).expect(code);
        assert!(ended.stdout.is_empty() && ended.stderr.contains(said), "{call}: {ended:?}");
    };
    refused("logs latest", 4, "is not a store");
    sandbox.run("train --symbols AAPL,MSFT").expect(0);
    sandbox.run("train --symbols AAPL").expect(0);
    let newest = sandbox.runs().pop().unwrap();
    let id = newest.file_name().unwrap().to_str().unwrap();
    sandbox.run(&format!("logs {id} AAPL")).expect(0);
    sandbox.run(&format!("logs {} AAPL", &id[..id.len() - 1])).expect(0);
    refused("logs 2", 2, "2 runs begin with \"2\"");
    refused("logs 1999", 4, id);
    refused(&format!("logs {}", id.replace('-', "_")), 4, &format!("did you mean {id}?"));
    refused("logs latest AAPK", 4, "did you mean AAPL?");
    refused("logs latest GOOG", 4, "it has AAPL");
    refused("logs latest AAPL --attempt 2", 4, "there are logs of attempt 1");
    refused("logs latest A,B", 2, "contains ','");
    refused("logs latest --attempt 1", 2, "SYMBOL");
    sandbox.write(newest.join("log.jsonl").to_str().unwrap(), "");
    assert_eq!(sandbox.run("logs latest").expect(0).stdout, "");
    std::fs::remove_file(newest.join("log.jsonl")).unwrap();
    refused("logs latest", 4, "events.jsonl");
}

#[test]
fn what_programs_wrote_goes_to_a_pipe_as_it_is_and_to_json_as_text() {
    let sandbox = Sandbox::new();
    sandbox.run("train --symbols AAPL").expect(0);
    let wild = b"\x1b]0;title\x07\x1b[31mred \xc3\xa4 \xff\xc3\nlast \xe2\x82";
    add(&sandbox, "AAPL.1.log", wild);
    let output = sandbox.command("logs latest AAPL").output().unwrap();
    assert!(output.stdout.ends_with(&[&wild[..], b"\n"].concat()), "{output:?}");
    let lines = sandbox.run("logs latest AAPL --format json").expect(0).lines();
    let texts: Vec<_> = lines[lines.len() - 2..].iter().map(|line| &line["text"]).collect();
    assert_eq!(texts, ["\x1b]0;title\x07\x1b[31mred ä \u{fffd}\u{fffd}", "last \u{fffd}"]);
    assert!(lines.last().unwrap()["level"].is_null());
}

#[test]
fn what_is_logged_can_be_chosen_and_the_record_has_its_least() {
    let sandbox = Sandbox::new();
    let log =
        |name: &str| std::fs::read_to_string(sandbox.runs().pop().unwrap().join(name)).unwrap();
    let quiet =
        finish(sandbox.command("train --symbols A").env("MAMBAFLEET_LOG", "error")).expect(0);
    assert!(!quiet.stderr.contains("INFO") && !quiet.stderr.contains("WARN"), "{}", quiet.stderr);
    assert!(log("logs/A.1.log").contains(" INFO "), "{}", log("logs/A.1.log"));
    assert!(!log("logs/A.1.log").contains("DEBUG"));
    assert!(log("log.jsonl").contains("\"message\":\"run begins\""));
    let more = sandbox.run("train --symbols B -vv").expect(0).stderr;
    assert!(more.contains(" INFO run begins store="), "{more}");
    assert!(log("logs/B.1.log").contains("DEBUG mambafleet_artifacts"), "{}", log("logs/B.1.log"));
    // What the reporter says is not said twice.
    let some = sandbox.run("train --symbols C -v").expect(0).stderr;
    assert!(
        some.contains("C: attempt 1 on worker 1") && !some.contains("attempt begins"),
        "{some}"
    );
    let wrong = finish(sandbox.command("ls").env("MAMBAFLEET_LOG", "a=b=c")).expect(0).stderr;
    assert!(wrong.contains("WARN MAMBAFLEET_LOG is no filter"), "{wrong}");
}

#[test]
fn a_run_that_is_over_is_followed_to_its_end_at_once() {
    let sandbox = Sandbox::new();
    sandbox.run("train --symbols AAPL").expect(0);
    for call in ["logs latest", "logs latest AAPL", "logs latest AAPL --attempt 1"] {
        let once = sandbox.run(call).expect(0).stdout;
        assert_eq!(sandbox.run(&format!("{call} --follow")).expect(0).stdout, once);
    }
    let missing = sandbox.run("logs latest AAPL --attempt 2 --follow").expect(4);
    assert!(missing.stderr.contains("no log of attempt 2"), "{}", missing.stderr);
}

#[cfg(unix)]
mod unix {
    use std::fs::File;
    use std::io::{BufRead, BufReader, Read};
    use std::os::unix::process::ExitStatusExt;
    use std::process::{Child, ChildStdout, Stdio};

    use rustix::fs::{Mode, OFlags, open};
    use rustix::process::Signal;
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

    use super::*;
    use crate::support::Running;
    use crate::support::processes::{kill, kill_child, workers};

    /// A call whose output is read while it runs.
    struct Following {
        child: Child,
        lines: BufReader<ChildStdout>,
    }

    impl Following {
        fn start(sandbox: &Sandbox, args: &str) -> Self {
            let mut child = sandbox.command(args).stdout(Stdio::piped()).spawn().unwrap();
            let lines = BufReader::new(child.stdout.take().unwrap());
            Self { child, lines }
        }

        /// Reads up to a line that holds this.
        fn read_to(&mut self, text: &str) -> String {
            let mut read = String::new();
            loop {
                let mut line = String::new();
                assert!(self.lines.read_line(&mut line).unwrap() > 0, "{text} never came: {read}");
                read.push_str(&line);
                if line.contains(text) {
                    return read;
                }
            }
        }

        /// What else it prints, and the code that it ends with.
        fn end(mut self) -> (String, Option<i32>) {
            let mut rest = String::new();
            self.lines.read_to_string(&mut rest).unwrap();
            let code = self.child.wait().unwrap().code();
            (rest, code)
        }
    }

    impl Drop for Following {
        fn drop(&mut self) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }

    /// Starts an attempt that goes on until it is told to end.
    fn sleeping(sandbox: &Sandbox, symbols: &str) -> Running {
        sandbox.configure("[retries]\ncrashed = 5\n");
        let mut command = faulty(sandbox, &format!("--symbols {symbols} --set run.grace=100ms"));
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let run = command.spawn().unwrap().into();
        sandbox.wait_for_event(|e| e["type"] == "attempt_started" && e["symbol"] == "SLEEPS");
        run
    }

    #[test]
    fn a_log_is_followed_into_the_next_attempt_and_to_the_end_of_the_run() {
        let sandbox = Sandbox::new();
        let mut run = sleeping(&sandbox, "SLEEPS");
        let mut attempts = Following::start(&sandbox, "logs latest SLEEPS --follow");
        let mut first = Following::start(&sandbox, "logs latest SLEEPS --follow --attempt 1");
        let mut whole = Following::start(&sandbox, "logs latest --follow --format json");
        attempts.read_to("attempt begins");
        first.read_to("attempt begins");
        whole.read_to("attempt begins");
        add(&sandbox, "SLEEPS.1.log", b"half a ");
        kill(workers(&sandbox)[0], Signal::KILL);
        let between = attempts.read_to("==> SLEEPS, attempt 2 <==");
        assert!(between.contains("ERROR mambafleet_orchestrator") && between.contains("SIGKILL"));
        attempts.read_to("attempt=2");
        // The one attempt is over, although the symbol is not.
        assert_eq!(first.end().1, Some(0));
        kill_child(&run, Signal::INT);
        assert_eq!(run.code(), Some(130));
        let (rest, code) = attempts.end();
        assert_eq!((rest.contains("==>"), code), (false, Some(0)));
        let (rest, code) = whole.end();
        assert!(rest.contains("\"text\":\"run ended\"") && code == Some(0), "{rest}");
    }

    #[test]
    fn a_log_is_followed_to_the_end_of_its_symbol_though_the_run_goes_on() {
        let sandbox = Sandbox::new();
        let mut run = sleeping(&sandbox, "SLEEPS,GOOD --parallel 2");
        let good = sandbox.run("logs latest GOOD --follow").expect(0).stdout;
        assert!(good.contains("committed"), "{good}");
        assert_eq!(run.code_now(), None);
        kill_child(&run, Signal::INT);
        assert_eq!(run.code(), Some(130));
    }

    #[test]
    fn following_ends_when_it_is_interrupted_and_when_nobody_reads_any_more() {
        let sandbox = Sandbox::new();
        let mut run = sleeping(&sandbox, "SLEEPS");
        let mut following = Following::start(&sandbox, "logs latest SLEEPS --follow");
        following.read_to("attempt begins");
        kill(u64::from(following.child.id()), Signal::INT);
        // A shell calls this 130.
        assert_eq!(following.child.wait().unwrap().signal(), Some(2));
        let binary = env!("CARGO_BIN_EXE_mambafleet");
        let line = format!("'{binary}' logs latest SLEEPS --follow | head -n 1");
        let ended = finish(&mut sandbox.shell(&line)).expect(0);
        assert_eq!((ended.stdout.lines().count(), ended.stderr.as_str()), (1, ""));
        assert_eq!(run.code_now(), None);
        kill_child(&run, Signal::INT);
        assert_eq!(run.code(), Some(130));
    }

    #[test]
    fn a_terminal_is_shown_what_it_would_obey() {
        let sandbox = Sandbox::new();
        sandbox.run("train --symbols AAPL").expect(0);
        add(&sandbox, "AAPL.1.log", b"\x1b[2Jgone\x07 \xff\nthe end\n");
        let screen = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&screen).unwrap();
        unlockpt(&screen).unwrap();
        let name = ptsname(&screen, Vec::new()).unwrap();
        let line = open(name, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty());
        let mut command = sandbox.command("logs latest AAPL");
        command.stdout(line.unwrap());
        assert!(command.status().unwrap().success());
        // As long as a writer is there, the end of what it wrote is no error.
        let mut shown = Vec::new();
        let mut bytes = [0; 4096];
        let mut screen = File::from(screen);
        while !shown.ends_with(b"the end\r\n") {
            let read = screen.read(&mut bytes).unwrap();
            shown.extend_from_slice(&bytes[..read]);
        }
        let shown = String::from_utf8_lossy(&shown);
        assert!(shown.contains(r"\u{1b}[2Jgone\u{7} \xff"), "{shown}");
        assert!(!shown.contains('\x1b'), "{shown}");
    }
}

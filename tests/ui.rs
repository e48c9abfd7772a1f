//! The live page over real sockets, while other processes train.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use crate::support::processes::kill;
use crate::support::{Running, Sandbox};

/// A server in the background.
struct Ui {
    child: Running,
    url: String,
    address: String,
}

impl Ui {
    fn start(sandbox: &Sandbox, args: &str) -> Self {
        let call = format!("ui --listen 127.0.0.1:0 --format json {args}");
        let mut child: Child = sandbox
            .command(call.trim())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let said: Value = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line:?}"));
        assert_eq!((&said["schema"], &said["type"]), (&1.into(), &"ui".into()));
        let url = said["url"].as_str().unwrap().to_owned();
        let address = url.strip_prefix("http://").unwrap().split('/').next().unwrap().to_owned();
        Self { child: child.into(), url, address }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream
    }

    /// The head and the body of an answer. The server closes after HTTP/1.0, and sends no chunks.
    fn ask(&self, request: &str) -> (String, String) {
        let mut stream = self.connect();
        // A server that hangs up early is no error here.
        let _ = stream.write_all(request.as_bytes());
        let mut bytes = Vec::new();
        if let Err(error) = stream.read_to_end(&mut bytes) {
            assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        }
        let answer = String::from_utf8(bytes).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
        (head.to_owned(), body.to_owned())
    }

    fn get_with(&self, target: &str, headers: &str) -> (u16, String, String) {
        let (head, body) =
            self.ask(&format!("GET {target} HTTP/1.0\r\nHost: localhost\r\n{headers}\r\n"));
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
        (status.unwrap_or(0), head, body)
    }

    fn get(&self, target: &str) -> (u16, String) {
        let (status, _, body) = self.get_with(target, "");
        (status, body)
    }

    fn json(&self, target: &str) -> Value {
        let (status, body) = self.get(target);
        assert_eq!(status, 200, "{target}: {body}");
        serde_json::from_str(&body).unwrap()
    }

    fn listen(&self, target: &str) -> Events {
        let mut stream = self.connect();
        write!(stream, "GET {target} HTTP/1.0\r\nHost: localhost\r\n\r\n").unwrap();
        let mut lines = BufReader::new(stream).lines();
        let head: Vec<String> =
            lines.by_ref().map(|line| line.unwrap()).take_while(|line| !line.is_empty()).collect();
        assert!(head[0].contains(" 200 "), "{head:?}");
        assert!(head.iter().any(|line| line == "content-type: text/event-stream"), "{head:?}");
        Events(lines)
    }

    fn end(mut self, signal: Signal) -> Option<i32> {
        kill(u64::from(self.child.id()), signal);
        self.child.code()
    }
}

/// Server-sent events as they come.
struct Events(std::io::Lines<BufReader<TcpStream>>);

impl Iterator for Events {
    type Item = (String, Value);

    fn next(&mut self) -> Option<Self::Item> {
        let mut event = String::new();
        loop {
            let line = self.0.next()?.unwrap();
            if let Some(name) = line.strip_prefix("event: ") {
                event = name.to_owned();
            } else if let Some(data) = line.strip_prefix("data: ") {
                return Some((event, serde_json::from_str(data).unwrap()));
            }
        }
    }
}

/// A run of A, B, C, D and LAST which cannot end before the file `go` is there.
fn held_run(sandbox: &Sandbox) -> (Running, Running) {
    sandbox.run("train --symbols SEED").expect(0);
    let hold =
        "exec $PROGRAM lock LAST -- sh -c 'touch held; until [ -e go ]; do sleep 0.02; done'";
    let mut hold = sandbox.shell(hold);
    hold.env("PROGRAM", env!("CARGO_BIN_EXE_mambafleet"));
    let holder: Running = hold.stdout(Stdio::null()).spawn().unwrap().into();
    while !sandbox.path("held").exists() {
        std::thread::sleep(Duration::from_millis(5));
    }
    let run = sandbox.start("train --symbols A,B,C,D,LAST --parallel 2 --epochs 4");
    (holder, run)
}

fn run_of(page: &Value) -> String {
    page["run"]["id"].as_str().unwrap().to_owned()
}

/// Takes over what an update says, and checks that it is of this run and newer than the last.
fn merge(page: &mut Value, update: &Value, version: &mut u64) {
    assert_eq!(update["run"], page["run"]["id"]);
    let new = update["v"].as_u64().unwrap();
    assert!(new >= *version, "{new} after {version}");
    *version = new;
    page["counts"] = update["counts"].clone();
    for row in update["rows"].as_array().unwrap() {
        let place = usize::try_from(row[0].as_u64().unwrap()).unwrap();
        assert_eq!(row[1]["s"], page["symbols"][place]["s"]);
        page["symbols"][place] = row[1].clone();
    }
    for part in ["timeline", "time"] {
        if !update[part].is_null() {
            page[part] = update[part].clone();
        }
    }
}

fn states(page: &Value) -> BTreeMap<String, String> {
    let rows = page["symbols"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    rows.map(|row| (text(&row["s"]), text(&row["state"]))).collect()
}

#[test]
fn a_run_is_followed_to_its_end() {
    let sandbox = Sandbox::new();
    let (mut holder, mut train) = held_run(&sandbox);
    let ui = Ui::start(&sandbox, "");
    // The newest run may still be the one before.
    let mut page = ui.json("/api/page");
    while page["symbols"].as_array().unwrap().len() != 5 {
        page = ui.json("/api/page");
    }
    assert_eq!((&page["live"], &page["run"]["state"]), (&true.into(), &"running".into()));
    assert_eq!(page["runs"].as_array().unwrap().len(), 2);
    let run = run_of(&page);
    let mut events = ui.listen(&format!("/api/stream?run={run}"));
    let mut version = 0;
    while page["counts"]["trained"] != 4 {
        let (event, data) = events.next().unwrap();
        if event == "update" {
            merge(&mut page, &data, &mut version);
        }
    }
    // Nothing was lost between the page and the stream.
    let fresh = ui.json(&format!("/api/page?run={run}"));
    let expected = ["trained", "trained", "trained", "trained", "running"].map(str::to_owned);
    assert_eq!(states(&page).into_values().collect::<Vec<_>>(), expected);
    assert_eq!(states(&page), states(&fresh));
    assert_eq!(fresh["counts"], page["counts"]);

    sandbox.write("go", "");
    assert_eq!((train.code(), holder.code()), (Some(0), Some(0)));
    let mut seen = Vec::new();
    while !seen.contains(&"page".to_owned()) {
        let (event, data) = events.next().unwrap();
        if event == "update" {
            merge(&mut page, &data, &mut version);
        }
        seen.push(event);
    }
    let page = ui.json(&format!("/api/page?run={run}"));
    assert_eq!(page["run"]["state"], "finished");
    assert_eq!((&page["counts"]["trained"], &page["counts"]["running"]), (&5.into(), &0.into()));
    let summary = sandbox.runs().pop().unwrap().join("summary.json");
    let summary: Value = serde_json::from_slice(&std::fs::read(summary).unwrap()).unwrap();
    let rows = page["symbols"].as_array().unwrap().iter();
    for (row, of) in rows.zip(summary["symbols"].as_array().unwrap()) {
        assert_eq!((&row["s"], &row["state"]), (&of["symbol"], &of["outcome"]));
        let (shown, exact) =
            (row["test"].as_f64().unwrap(), of["headline"]["test_loss"].as_f64().unwrap());
        assert!((shown - exact).abs() <= 1e-4 * exact.abs(), "{row} {of}");
        assert_eq!((&row["gen"], &row["attempts"]), (&1.into(), &1.into()));
    }
    let detail = ui.json(&format!("/api/symbol?run={run}&symbol=LAST"));
    assert_eq!((&detail["s"], &detail["gen"]), (&"LAST".into(), &1.into()));
    assert_eq!(detail["curves"]["val"].as_array().unwrap().len(), 4);
    assert_eq!(ui.end(Signal::INT), Some(130));
}

#[test]
fn a_store_that_is_not_there_yet_is_waited_for() {
    let sandbox = Sandbox::new();
    let ui = Ui::start(&sandbox, "");
    assert!(ui.get("/").1.contains("<html lang=\"en\" data-live>"));
    assert_eq!(ui.get("/api/page"), (404, "404: there is no run yet\n".to_owned()));
    let mut events = ui.listen("/api/stream");
    assert!(!sandbox.store().exists());
    sandbox.run("train --symbols AAPL").expect(0);
    let (event, data) = events.next().unwrap();
    assert_eq!((event.as_str(), data["runs"].as_array().unwrap().len()), ("runs", 1));
    assert_eq!(events.find(|(event, _)| event == "page").unwrap().0, "page");
    let page = ui.json("/api/page");
    assert_eq!(page["counts"]["trained"], 1);
    // A store elsewhere has other runs.
    assert_eq!(ui.get("/api/page?run=20260101-000000-000-0000").0, 404);
    assert_eq!(ui.end(Signal::TERM), Some(143));
}

/// All files below a directory: when they were changed, and what they hold.
fn tree(dir: &Path) -> BTreeMap<String, (std::time::SystemTime, Vec<u8>)> {
    let mut found = BTreeMap::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(&dir).unwrap() {
            let (path, meta) = entry.map(|e| (e.path(), e.metadata().unwrap())).unwrap();
            let content = if meta.is_file() { std::fs::read(&path).unwrap() } else { Vec::new() };
            found.insert(path.display().to_string(), (meta.modified().unwrap(), content));
            if meta.is_dir() {
                dirs.push(path);
            }
        }
    }
    found
}

/// Targets that ask for what must not be had, or for nothing.
const ODD: [&str; 22] = [
    "/../../../etc/passwd",
    "/%2e%2e/%2e%2e/mambafleet.toml",
    "/..%2fmambafleet.toml",
    "/%252e%252e/mambafleet.toml",
    "/..\\mambafleet.toml",
    "//mambafleet.toml",
    "/mambafleet-store/store.json",
    "/runs",
    "/app.js/../store.json",
    "/app.js%00",
    "/api/page?run=..",
    "/api/page?run=../../symbols",
    "/api/page?run=%2e%2e%2f%2e%2e",
    "/api/page?run=%00",
    "/api/page?run=A",
    "/api/page?run=no-such-run",
    "/api/symbol",
    "/api/symbol?run=..&symbol=AAPL",
    "/api/symbol?run=no-such-run&symbol=AAPL",
    "/api/symbol?run=RUN&symbol=../../../mambafleet.toml",
    "/api/symbol?run=RUN&symbol=..%2f..%2f..%2fmambafleet.toml",
    "/api/stream?run=../x",
];

#[test]
fn browsing_changes_nothing_and_bad_input_gets_nothing() {
    let sandbox = Sandbox::new();
    sandbox.run("train --symbols AAPL,^GSPC").expect(0);
    let ui = Ui::start(&sandbox, "");
    let before = tree(&sandbox.path(""));
    let run = run_of(&ui.json("/api/page"));
    let mut events = ui.listen(&format!("/api/stream?run={run}"));
    assert_eq!(events.next().unwrap().0, "runs");
    for target in ["/", "/app.js", "/app.css", "/uplot.js", "/uplot.css"] {
        let (status, body) = ui.get(target);
        assert!(status == 200 && body.len() > 100, "{target}");
    }
    assert_eq!(ui.json(&format!("/api/symbol?run={run}&symbol=%5EGSPC"))["s"], "^GSPC");

    for odd in ODD {
        let (status, head, body) = ui.get_with(&odd.replace("RUN", &run), "");
        assert!([400, 404].contains(&status), "{odd}: {status}");
        assert_tells_nothing(&sandbox, &head, &body);
    }
    let host = |host: &str| ui.ask(&format!("GET /api/page HTTP/1.1\r\nHost: {host}\r\n\r\n")).0;
    assert!(host("evil.example").contains(" 421 "));
    let long = "a".repeat(1 << 20);
    for request in [
        format!("GET /{long} HTTP/1.0\r\nHost: localhost\r\n\r\n"),
        format!("GET / HTTP/1.0\r\nHost: localhost\r\nX: {long}\r\n\r\n"),
        format!("GET / HTTP/1.0\r\nHost: localhost\r\n{}\r\n", "X: y\r\n".repeat(1000)),
        "POST /api/page HTTP/1.0\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}".to_owned(),
        "GET http://localhost/api/page HTTP/1.0\r\nHost: localhost\r\n\r\n".to_owned(),
        "rubbish\r\n\r\n".to_owned(),
    ] {
        let (head, body) = ui.ask(&request);
        assert!(
            head.is_empty() || head.starts_with("HTTP/1.") && head[9..].starts_with('4'),
            "{head}"
        );
        assert_tells_nothing(&sandbox, &head, &body);
    }
    assert_eq!(ui.get(&format!("/api/page?run={run}")).0, 200);
    assert!(before == tree(&sandbox.path("")), "browsing has changed something");
}

#[track_caller]
fn assert_tells_nothing(sandbox: &Sandbox, head: &str, body: &str) {
    let here = sandbox.path("").display().to_string();
    for secret in [here.trim_end_matches('/'), "root:", "[data.synthetic]", "os error", "panick"] {
        assert!(!head.contains(secret) && !body.contains(secret), "{secret} in {head}\n{body}");
    }
    assert!(head.is_empty() || !head.contains("html"), "{head}");
}

#[test]
fn who_may_ask_is_settled_before_anything_is_served() {
    let sandbox = Sandbox::new();
    let refused = |args: &str| {
        let ended = sandbox.run(&format!("ui {args}")).expect(2);
        assert!(ended.stdout.is_empty(), "{ended:?}");
        ended.stderr
    };
    let open = refused("--listen 0.0.0.0:0");
    assert!(open.contains("no token is set") && open.contains("--token-file"), "{open}");
    assert!(refused("--listen [::]:0").contains("--token-file"));
    assert!(refused("--token short").contains("at least 16 characters"));
    assert!(refused("--token-file absent").contains("absent"));
    sandbox.write("empty", "");
    assert!(refused("--token-file empty").contains("at least 16 characters"));
    refused("--listen localhost");
    refused("--token --token-file empty");
    assert!(refused("--host http://fleet.example").contains("no name of a host"));

    let ui = Ui::start(&sandbox, "");
    let again = sandbox.run(&format!("ui --listen {}", ui.address)).expect(2);
    assert!(again.stderr.contains("is in use"), "{again:?}");
}

#[test]
fn a_token_is_asked_for_where_there_is_one() {
    let sandbox = Sandbox::new();
    let ui = Ui::start(&sandbox, "--token");
    assert_eq!(ui.get("/").0, 401);
    let query = ui.url.split_once('?').unwrap().1;
    let (status, head, _) = ui.get_with(&format!("/?{query}"), "");
    assert_eq!(status, 303);
    let cookie = head.lines().find_map(|line| line.strip_prefix("set-cookie: ")).unwrap();
    let cookie = format!("Cookie: {}\r\n", cookie.split(';').next().unwrap());
    assert_eq!(ui.get_with("/", &cookie).0, 200);
    assert_eq!(ui.get_with("/api/page", &cookie).0, 404);

    sandbox.write("token", "0123456789abcdef\nnot this\n");
    let ui = Ui::start(&sandbox, "--token-file token --host fleet.example");
    assert!(!ui.url.contains("token"), "{}", ui.url);
    let bearer = |token: &str| ui.get_with("/", &format!("Authorization: Bearer {token}\r\n")).0;
    assert_eq!([bearer("0123456789abcdef"), bearer("0123456789abcdeg")], [200, 401]);
    let named =
        "GET / HTTP/1.0\r\nHost: fleet.example\r\nAuthorization: Bearer 0123456789abcdef\r\n\r\n";
    assert!(ui.ask(named).0.contains(" 200 "));
}

//! Clients that listen, and what they hear.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;

/// Clients that hear the same; so many of them keep what they hear.
const KEEPING: usize = 3;

/// Clients in threads of their own. Most read and look at nothing, as a page does that nobody looks at.
pub(crate) struct Clients(Vec<JoinHandle<Vec<Arrival>>>);

/// A message, and when it came, in seconds since 1970.
pub(crate) struct Arrival {
    at: f64,
    data: String,
}

/// What the clients that keep it have heard.
#[derive(Default)]
pub(crate) struct Heard {
    pub(crate) arrivals: Vec<Vec<Arrival>>,
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}

impl Clients {
    /// Connects as soon as there is a run.
    pub(crate) fn start(address: SocketAddr, count: usize) -> Self {
        let run = loop {
            if let Some(run) = newest(address) {
                break run;
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        let client = |number: usize| {
            let run = run.clone();
            let thread = std::thread::Builder::new().stack_size(128 << 10);
            thread.spawn(move || listen(address, &run, number < KEEPING)).unwrap()
        };
        Self((0..count).map(client).collect())
    }

    /// What was heard; the server is gone.
    pub(crate) fn end(self) -> Heard {
        let heard = self.0.into_iter().map(|client| client.join().unwrap());
        Heard { arrivals: heard.take(KEEPING).collect() }
    }
}

fn newest(address: SocketAddr) -> Option<String> {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET /api/page HTTP/1.0\r\nHost: localhost\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let page: Value = head.contains(" 200 ").then(|| serde_json::from_str(body).unwrap())?;
    Some(page["run"]["id"].as_str().unwrap().to_owned())
}

fn listen(address: SocketAddr, run: &str, keep: bool) -> Vec<Arrival> {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET /api/stream?run={run} HTTP/1.0\r\nHost: localhost\r\n\r\n").unwrap();
    if !keep {
        let mut buffer = [0; 64 << 10];
        while stream.read(&mut buffer).is_ok_and(|read| read > 0) {}
        return Vec::new();
    }
    let lines = BufReader::new(stream).lines().map_while(Result::ok);
    let data = lines.filter_map(|line| line.strip_prefix("data: ").map(str::to_owned));
    data.map(|data| Arrival { at: now(), data }).collect()
}

/// How long each event of a run took to arrive at each client, in seconds: epochs, and symbols' ends.
pub(crate) fn delays(record: &Path, heard: &Heard) -> Vec<f64> {
    let events = std::fs::read_to_string(record.join("events.jsonl")).unwrap();
    let events: Vec<Value> =
        events.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut delays = Vec::new();
    for arrivals in &heard.arrivals {
        let shown = shown(arrivals);
        let Some(first) = arrivals.first() else { continue };
        for event in &events {
            let at: f64 =
                event["at"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap().as_nanosecond()
                    as f64
                    / 1e9;
            let progress = match event["type"].as_str() {
                Some("progress") => event["epoch"].as_u64().unwrap(),
                Some("symbol_finished") => u64::MAX,
                _ => continue,
            };
            // What was before the client came, it got with the page.
            if at < first.at {
                continue;
            }
            let rows = shown.get(event["symbol"].as_str().unwrap());
            let arrival = rows.and_then(|rows| rows.iter().find(|(_, done)| *done >= progress));
            delays.push(arrival.map_or(f64::INFINITY, |(arrival, _)| arrival - at));
        }
    }
    delays
}

/// How far each symbol was shown to be, when.
fn shown(arrivals: &[Arrival]) -> BTreeMap<String, Vec<(f64, u64)>> {
    let mut shown: BTreeMap<String, Vec<(f64, u64)>> = BTreeMap::new();
    for Arrival { at, data } in arrivals {
        let data: Value = serde_json::from_str(data).unwrap();
        for row in data["rows"].as_array().into_iter().flatten() {
            let row = &row[1];
            let settled =
                !["waiting", "running", "retrying"].contains(&row["state"].as_str().unwrap());
            let done = if settled { u64::MAX } else { row["epoch"].as_u64().unwrap_or(0) };
            shown.entry(row["s"].as_str().unwrap().to_owned()).or_default().push((*at, done));
        }
    }
    shown
}

//! One run under one kind of load.

use std::fmt;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::bad;
use crate::clients::{Clients, delays};

/// What a run is measured beside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Nothing.
    Alone,
    /// The live page, and clients that listen.
    Listened,
    /// And clients that do what they should not.
    Attacked,
}

pub(crate) const KINDS: [Kind; 3] = [Kind::Alone, Kind::Listened, Kind::Attacked];

/// How much of everything there is.
pub(crate) struct Load {
    pub(crate) rounds: usize,
    symbols: usize,
    workers: usize,
    clients: usize,
    epochs: usize,
}

/// What was measured of a run.
pub(crate) struct Measured {
    kind: Kind,
    /// Wall time in seconds.
    seconds: f64,
    /// Processor time of workers and orchestrator in seconds.
    cpu: f64,
    /// Processor time of the live page's process in seconds, while the run went on.
    ui: f64,
    /// From events to their arrival at clients, in seconds; sorted.
    delays: Vec<f64>,
    /// Messages that a client got.
    messages: usize,
    /// What came of the requests that should not be.
    bad: String,
}

impl Load {
    pub(crate) fn from_args(args: impl Iterator<Item = String>) -> Self {
        let mut load = Self { rounds: 3, symbols: 40, workers: 10, clients: 200, epochs: 10 };
        // Cargo adds --bench.
        let args: Vec<String> = args.filter(|arg| arg != "--bench").collect();
        for pair in args.chunks(2) {
            let value = pair.get(1).expect("each option has a value");
            let value = value.parse().expect("values are whole numbers");
            match pair[0].as_str() {
                "--rounds" => load.rounds = value,
                "--symbols" => load.symbols = value,
                "--workers" => load.workers = value,
                "--clients" => load.clients = value,
                "--epochs" => load.epochs = value,
                other => println!("{other} is no option"),
            }
        }
        load
    }
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rounds, symbols, workers, clients, epochs } = self;
        write!(
            f,
            "{symbols} symbols of {epochs} epochs in {workers} workers; {clients} clients listen; {rounds} rounds"
        )
    }
}

fn program(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mambafleet"));
    command.current_dir(dir).env("XDG_CONFIG_HOME", dir).stdin(Stdio::null());
    command
}

/// The live page in the background.
struct Ui {
    child: Child,
    address: SocketAddr,
}

impl Ui {
    fn start(dir: &Path) -> Self {
        let mut command = program(dir);
        command.args(["ui", "--listen", "127.0.0.1:0", "--format", "json"]);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let said: Value = serde_json::from_str(&line).unwrap();
        let url = said["url"].as_str().unwrap();
        let address = url.strip_prefix("http://").unwrap().trim_end_matches('/').parse().unwrap();
        Self { child, address }
    }

    /// Processor time so far, in seconds.
    fn cpu(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
        let ticks: f64 = fields[11..13].iter().map(|text| text.parse::<f64>().unwrap()).sum();
        // The kernel counts in hundredths for everybody, whatever its own clock does.
        ticks / 100.0
    }
}

impl Drop for Ui {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn measure(kind: Kind, load: &Load) -> Measured {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let ui = (kind != Kind::Alone).then(|| Ui::start(dir));
    let began = Instant::now();
    let mut train = train(dir, load);
    let before = ui.as_ref().map(Ui::cpu);
    let clients = ui.as_ref().map(|ui| Clients::start(ui.address, load.clients));
    let over = Arc::new(AtomicBool::new(false));
    let bad = ui.as_ref().filter(|_| kind == Kind::Attacked);
    let bad = bad.map(|ui| bad::start(ui.address, &over));
    assert!(train.wait().unwrap().success(), "the run has failed");
    let seconds = began.elapsed().as_secs_f64();
    // What is under way arrives.
    std::thread::sleep(Duration::from_secs(2));
    let ui_cpu = ui.as_ref().map_or(0.0, |ui| ui.cpu() - before.unwrap());
    over.store(true, Ordering::Release);
    let bad = bad.map_or_else(String::new, |bad| bad.join().unwrap());
    drop(ui);
    let got = clients.map(Clients::end).unwrap_or_default();
    let record = record(dir);
    let mut delays = delays(&record, &got);
    delays.sort_by(f64::total_cmp);
    let messages = got.arrivals.first().map_or(0, Vec::len);
    Measured { kind, seconds, cpu: cpu(&record), ui: ui_cpu, delays, messages, bad }
}

fn train(dir: &Path, load: &Load) -> Child {
    let symbols: Vec<String> = (1..=load.symbols).map(|number| format!("S{number}")).collect();
    let mut command = program(dir);
    command.args(["train", "--symbols", &symbols.join(",")]);
    command.args(["--parallel", &load.workers.to_string(), "--epochs", &load.epochs.to_string()]);
    command.args(["--set", "train.patience=1000"]);
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// The directory of the only run.
fn record(dir: &Path) -> std::path::PathBuf {
    let runs = std::fs::read_dir(dir.join("mambafleet-store/runs")).unwrap();
    let mut runs = runs.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir());
    runs.next().unwrap()
}

/// What the run itself says it took of the processors.
fn cpu(record: &Path) -> f64 {
    let summary = std::fs::read(record.join("summary.json")).unwrap();
    let summary: Value = serde_json::from_slice(&summary).unwrap();
    let time = &summary["time"];
    let stages = time["stages"].as_object().unwrap().values();
    let stages: f64 = stages.map(|stage| stage["cpu_seconds"].as_f64().unwrap()).sum();
    stages + time["orchestrator_cpu_seconds"].as_f64().unwrap()
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, seconds, cpu, ui, messages, bad, .. } = self;
        write!(f, "{kind:?}: {seconds:.1} s, CPU {cpu:.1} s")?;
        if *kind == Kind::Alone {
            return Ok(());
        }
        let share = 100.0 * ui / cpu;
        write!(f, "; the page's process {ui:.2} s, {share:.2} % of it; {messages} messages each")?;
        write!(f, "; {}{bad}", Delays(&self.delays))
    }
}

/// Delays in words.
struct Delays<'a>(&'a [f64]);

impl fmt::Display for Delays<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(sorted) = self;
        let Some(last) = sorted.last() else { return write!(f, "no event arrived") };
        let part = |of: f64| sorted[((sorted.len() - 1) as f64 * of) as usize];
        let (median, most) = (part(0.5), part(0.99));
        let count = sorted.len();
        write!(f, "delay of {count} events: median {median:.3} s, p99 {most:.3} s, max {last:.3} s")
    }
}

/// All rounds together.
pub(crate) fn report(all: &[Measured]) {
    let of = |kind, value: fn(&Measured) -> f64| {
        let mut values: Vec<f64> = all.iter().filter(|m| m.kind == kind).map(value).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
    };
    println!("\nmedians of the rounds, beside a run alone:");
    for kind in [Kind::Listened, Kind::Attacked] {
        let share = of(kind, |m| 100.0 * m.ui / m.cpu);
        let cpu = of(kind, |m| m.cpu) / of(Kind::Alone, |m| m.cpu);
        let seconds = of(kind, |m| m.seconds) / of(Kind::Alone, |m| m.seconds);
        let mut delays: Vec<f64> =
            all.iter().filter(|m| m.kind == kind).flat_map(|m| m.delays.clone()).collect();
        delays.sort_by(f64::total_cmp);
        println!(
            "{kind:?}: the page's process takes {share:.2} % of the run's CPU time; the run's CPU time x {cpu:.3}, \
             wall time x {seconds:.3}; {}",
            Delays(&delays)
        );
    }
}

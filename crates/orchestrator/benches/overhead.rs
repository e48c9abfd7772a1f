//! What the orchestrator costs: runs of jobs that do nothing, beside `xargs` and Python's
//! `multiprocessing.Pool`. Prints a table; `just bench-overhead`.
//!
//! A worker here answers every job at once, so all that is measured is the orchestrator: plan,
//! scheduler, processes, messages, event log.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints, and ends by panicking"
)]

use std::io::{BufRead, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use mambafleet_artifacts::Store;
use mambafleet_orchestrator::{
    Reporter, RunEvent, RunPlan, RunPolicy, StampedEvent, WorkerCommand, new_run_id,
};
use mambafleet_protocol::codec::{self, Line};
use mambafleet_protocol::{
    JobResult, JobSpec, PROTOCOL_VERSION, StageTimes, Symbol, WorkerEvent, WorkerRequest,
    process_cpu_time,
};

/// The argument that makes this program a worker.
const WORKER: &str = "noop-worker";

/// Workers side by side.
const PARALLEL: usize = 10;

fn main() {
    if std::env::args().any(|arg| arg == WORKER) {
        return work();
    }
    println!("jobs that do nothing, {PARALLEL} at a time\n");
    println!("{:28} {:>6} {:>9} {:>9} {:>11}", "", "jobs", "seconds", "jobs/s", "start-up");
    let xargs = row("xargs -P10, a process a job", 500, &|| xargs(500));
    row("multiprocessing.Pool(10)", 500, &|| pool(500));
    let ours = row("mambafleet", 500, &|| fleet(500).0);
    println!("\nmambafleet / xargs: {:.1} times the jobs per second", ours / xargs);
    println!("\n{:>6} {:>22} {:>24}", "jobs", "own CPU, ms per job", "memory, KiB per job");
    // Memory is compared within one process: the runs grow, so each adds what is its own.
    for jobs in [500, 1000, 2000, 5000] {
        let before = resident();
        let (_, cpu) = fleet(jobs);
        let per_job = |total: f64| total / jobs as f64;
        let grown = resident().saturating_sub(before) as f64;
        println!("{jobs:>6} {:>22.3} {:>24.2}", per_job(1e3 * cpu), per_job(grown));
    }
}

/// Measures one way three times, prints the fastest, and returns its jobs per second.
fn row(name: &str, jobs: usize, run: &dyn Fn() -> (Duration, Option<Duration>)) -> f64 {
    let best = (0..3).map(|_| run()).min_by_key(|(whole, _)| *whole);
    let (whole, first) = best.unwrap_or_default();
    let rate = jobs as f64 / whole.as_secs_f64();
    let first = first.map_or_else(String::new, |first| format!("{:.3} s", first.as_secs_f64()));
    println!("{name:28} {jobs:>6} {:>9.3} {rate:>9.0} {first:>11}", whole.as_secs_f64());
    rate
}

/// Answers every job at once.
fn work() {
    let mut out = std::io::stdout();
    let mut say = |event: &WorkerEvent| {
        out.write_all(codec::encode(event).unwrap().as_bytes()).unwrap();
        out.flush().unwrap();
    };
    let (protocol, pid) = (PROTOCOL_VERSION, std::process::id());
    say(&WorkerEvent::Hello { protocol, pid, version: String::new(), cpu_seconds: 0.0 });
    for line in std::io::stdin().lock().lines() {
        let Line::Message { message: WorkerRequest::Run { job }, .. } =
            codec::decode(line.unwrap().as_bytes())
        else {
            return;
        };
        say(&WorkerEvent::Finished {
            symbol: job.symbol.clone(),
            attempt: job.attempt,
            seconds: 0.0,
            times: StageTimes::default(),
            result: JobResult::UpToDate { generation: 1 },
        });
    }
}

/// Notes when the first attempt begins.
struct First {
    began: Instant,
    first: Option<Duration>,
}

impl Reporter for First {
    fn on_event(&mut self, event: &StampedEvent) {
        if self.first.is_none() && matches!(event.event, RunEvent::AttemptStarted { .. }) {
            self.first = Some(self.began.elapsed());
        }
    }
}

/// Wall time of a run and until its first attempt, and the processor time of the orchestrator in
/// seconds.
fn fleet(jobs: usize) -> ((Duration, Option<Duration>), f64) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open_or_create(dir.path().join("store")).unwrap();
    let policy = RunPolicy::plain(PARALLEL);
    let run = new_run_id().unwrap();
    let mut plan = RunPlan::new(run, "bench".into(), store.root().to_owned(), policy, Vec::new());
    plan.jobs = (0..jobs).map(|number| job(&plan, number)).collect();
    let program = std::env::current_exe().unwrap();
    let command = WorkerCommand { program, args: vec![WORKER.into()] };
    let (began, cpu) = (Instant::now(), process_cpu_time());
    let mut reporter = First { began, first: None };
    let summary =
        mambafleet_orchestrator::run(&plan, &store, command, None, &mut reporter).unwrap();
    assert!(summary.all_good());
    ((began.elapsed(), reporter.first), (process_cpu_time() - cpu).as_secs_f64())
}

fn job(plan: &RunPlan, number: usize) -> JobSpec {
    let symbol = Symbol::new(format!("S{number}")).unwrap();
    JobSpec::usual(plan.run.clone(), symbol, plan.store.clone())
}

/// A process that does nothing for each of so many lines.
fn xargs(jobs: usize) -> (Duration, Option<Duration>) {
    let began = Instant::now();
    let mut child = Command::new("xargs")
        .args(["-P", "10", "-n", "1", "true"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let lines: String = (0..jobs).map(|number| format!("{number}\n")).collect();
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
    (began.elapsed(), None)
}

/// The same number of calls of a function that does nothing.
fn pool(jobs: usize) -> (Duration, Option<Duration>) {
    let script = format!(
        "import multiprocessing\n\
         def noop(n): return n\n\
         with multiprocessing.Pool({PARALLEL}) as pool: pool.map(noop, range({jobs}), chunksize=1)"
    );
    let began = Instant::now();
    let status = Command::new("python3").args(["-c", &script]).status();
    assert!(status.is_ok_and(|status| status.success()), "python3 is needed");
    (began.elapsed(), None)
}

/// Resident memory of this process in KiB; 0 where the system does not say.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}

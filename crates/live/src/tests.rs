//! Runs that tests carry out themselves: a record that grows, without any worker.

use mambafleet_artifacts::{Store, atomic_write};
use mambafleet_orchestrator::{
    RunEvent, RunPlan, RunPolicy, RunRecord, RunSummary, RunTime, StampedEvent,
};
use mambafleet_protocol::{EpochReport, JobSpec, Outcome, RunId, SkipReason, Symbol};
use mambafleet_report::model::RunState;
use serde_json::Value;
use tempfile::TempDir;

use crate::follower::Follower;
use crate::hub::{Hub, Missing, locked};
use crate::messages;
use crate::runs::Runs;

/// A store, and the record of a run that goes on as long as this lives.
struct Fixture {
    dir: TempDir,
    store: Store,
    plan: RunPlan,
    record: Option<RunRecord>,
}

fn run_id(number: usize) -> RunId {
    RunId::new(format!("20260301-041500-12{number}-3f9a")).unwrap()
}

impl Fixture {
    fn new(symbols: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open_or_create(dir.path().join("store")).unwrap();
        let plan = plan(&store, &run_id(1), symbols);
        let record = RunRecord::create(&store.runs_dir(), &plan).unwrap();
        Self { dir, store, plan, record: Some(record) }
    }

    fn tell(&mut self, event: RunEvent) {
        self.record.as_mut().unwrap().append(&StampedEvent::now(event));
    }

    fn follower(&self) -> Follower {
        Follower::open(&self.store, &self.plan.run).unwrap()
    }

    fn hub(&self) -> Hub {
        Hub::new(self.dir.path().join("store"))
    }

    /// Ends the run, with all symbols skipped.
    fn end(&mut self) {
        let symbols = self.plan.jobs.iter();
        let symbols = symbols.map(|job| mambafleet_orchestrator::SymbolSummary {
            symbol: job.symbol.clone(),
            last_success: None,
            attempt_seconds: 0.0,
            outcome: skipped(),
        });
        let (run, at) = (self.plan.run.clone(), self.plan.created_at);
        let time = RunTime::default();
        let summary = RunSummary::new(run, at, 1.0, None, time, symbols.collect());
        self.record.take().unwrap().finish(&summary).unwrap();
    }
}

fn plan(store: &Store, run: &RunId, symbols: &[&str]) -> RunPlan {
    let root = store.root().to_owned();
    let job = |name: &&str| JobSpec::usual(run.clone(), symbol(name), root.clone());
    let jobs = symbols.iter().map(job).collect();
    RunPlan::new(run.clone(), "mambafleet".to_owned(), root.clone(), RunPolicy::plain(2), jobs)
}

fn symbol(name: &str) -> Symbol {
    Symbol::new(name).unwrap()
}

fn skipped() -> Outcome {
    Outcome::Skipped { reason: SkipReason::Deadline, why: "late".to_owned(), attempts: 0 }
}

fn begun(name: &str) -> RunEvent {
    RunEvent::AttemptStarted { symbol: symbol(name), attempt: 1, worker: 1, pid: 7 }
}

fn epoch(name: &str, epoch: usize) -> RunEvent {
    RunEvent::Progress(EpochReport {
        symbol: symbol(name),
        epoch,
        epochs: 9,
        train_loss: 1.0,
        validation_loss: 1.0,
        samples_per_second: 9.0,
    })
}

/// Looks until there are news; the record is not read on twice within a moment.
#[track_caller]
fn news(follower: &mut Follower) -> Vec<String> {
    for _ in 0..5000 {
        follower.look();
        let news = follower.news(false);
        if !news.is_empty() {
            return news.iter().map(|m| String::from_utf8(m.to_vec()).unwrap()).collect();
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    panic!("nothing is new");
}

fn update(message: &str) -> Value {
    let data = message.strip_prefix("event: update\ndata: ").and_then(|m| m.strip_suffix("\n\n"));
    let data = data.unwrap_or_else(|| panic!("{message}"));
    assert!(!data.contains('\n'));
    serde_json::from_str(data).unwrap()
}

fn epochs(update: &Value) -> Vec<(u64, u64)> {
    let rows = update["rows"].as_array().unwrap().iter();
    rows.map(|row| (row[0].as_u64().unwrap(), row[1]["epoch"].as_u64().unwrap_or(0))).collect()
}

#[test]
fn only_what_has_changed_is_told() {
    let mut run = Fixture::new(&["A", "B", "C"]);
    let mut follower = run.follower();
    assert!(follower.news(false).is_empty());
    run.tell(begun("B"));
    let first = update(&news(&mut follower)[0]);
    assert_eq!((&first["run"], epochs(&first)), (&run.plan.run.as_str().into(), vec![(1, 0)]));
    assert_eq!((&first["counts"]["running"], &first["counts"]["waiting"]), (&1.into(), &2.into()));
    assert_eq!(first["timeline"]["lanes"][0]["spans"][0]["i"], 1);
    run.tell(epoch("B", 1));
    run.tell(epoch("B", 2));
    let second = update(&news(&mut follower)[0]);
    assert_eq!(epochs(&second), [(1, 2)]);
    assert!(second["v"].as_u64() > first["v"].as_u64() && second.get("time").is_none());
    assert!(follower.news(false).is_empty());
    // Who comes now may have loaded the page before all that.
    let caught_up = follower.news(true);
    assert_eq!(epochs(&update(std::str::from_utf8(&caught_up[0]).unwrap())), [(1, 2)]);
}

#[test]
fn the_page_is_to_be_loaded_anew_when_the_run_turns() {
    let mut run = Fixture::new(&["A"]);
    let mut follower = run.follower();
    let anew = std::str::from_utf8(messages::PAGE).unwrap();
    run.tell(RunEvent::Draining { signal: "SIGINT".to_owned(), running: 0, grace: None });
    assert_eq!(news(&mut follower)[0], anew);
    run.end();
    assert_eq!(news(&mut follower)[0], anew);
    assert!(follower.news(false).is_empty());
    let record = RunRecord::dir_of(&run.store.runs_dir(), &run.plan.run);
    atomic_write(&record.join("evaluation.json"), b"{}").unwrap();
    assert_eq!(news(&mut follower), [anew]);
    assert!(follower.news(false).is_empty());
}

#[test]
fn a_page_is_made_once_and_again_when_something_has_changed() {
    let mut run = Fixture::new(&["A", "B"]);
    let hub = run.hub();
    let page = hub.page(None).unwrap();
    assert_eq!(hub.page(Some(run.plan.run.clone())).unwrap().as_ptr(), page.as_ptr());
    let json: Value = serde_json::from_slice(&page).unwrap();
    assert_eq!((&json["live"], &json["run"]["state"]), (&true.into(), &"running".into()));
    assert_eq!(
        (&json["runs"][0]["id"], &json["runs"][0]["symbols"]),
        (&json["run"]["id"], &2.into())
    );
    run.tell(RunEvent::SymbolFinished { symbol: symbol("A"), outcome: skipped() });
    let mut fresh = page.clone();
    for _ in 0..5000 {
        fresh = hub.page(None).unwrap();
        if fresh != page {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    let json: Value = serde_json::from_slice(&fresh).unwrap();
    assert_eq!(json["symbols"][0]["state"], "skipped");
}

#[test]
fn what_is_not_there_is_missing() {
    let run = Fixture::new(&["A"]);
    let nowhere = Hub::new(run.dir.path().join("nowhere"));
    assert_eq!(nowhere.page(None), Err(Missing::Runs));
    assert_eq!(nowhere.page(Some(run_id(1))), Err(Missing::Run));
    let hub = run.hub();
    assert_eq!(hub.page(Some(run_id(2))), Err(Missing::Run));
    assert_eq!(hub.detail(&run_id(1), &symbol("B")), Err(Missing::Symbol));
    assert_eq!(hub.detail(&run_id(2), &symbol("A")), Err(Missing::Run));
    // It is no path, whatever it looks like.
    assert_eq!(hub.detail(&run_id(1), &symbol("../A")), Err(Missing::Symbol));
    let detail = hub.detail(&run_id(1), &symbol("A")).unwrap();
    assert_eq!(hub.detail(&run_id(1), &symbol("A")).unwrap().as_ptr(), detail.as_ptr());
}

#[test]
fn runs_are_listed_as_they_are() {
    let mut run = Fixture::new(&["A", "B"]);
    let dir = run.store.runs_dir();
    let mut runs = Runs::default();
    runs.look(&dir).unwrap();
    let states = |runs: &Runs| runs.lines().iter().map(|line| line.state).collect::<Vec<_>>();
    assert_eq!((states(&runs), runs.newest()), (vec![RunState::Running], Some(&run_id(1))));
    let version = runs.version();
    runs.look(&dir).unwrap();
    assert_eq!(runs.version(), version);
    // One that has not left a plan yet is none.
    mambafleet_artifacts::create_dir_durable(&dir.join(run_id(2).as_str())).unwrap();
    runs.look(&dir).unwrap();
    assert_eq!(runs.version(), version);
    run.tell(RunEvent::SymbolFinished {
        symbol: symbol("A"),
        outcome: Outcome::UpToDate { generation: 3 },
    });
    // Killed: the lock is free, and there is no summary.
    run.record = None;
    runs.look(&dir).unwrap();
    assert_eq!(states(&runs), [RunState::Died]);
    assert_eq!((runs.lines()[0].good, runs.lines()[0].failed), (1, 0));
    let mut later = Fixture { plan: plan(&run.store, &run_id(3), &["A"]), ..run };
    later.record = Some(RunRecord::create(&dir, &later.plan).unwrap());
    later.end();
    runs.look(&dir).unwrap();
    assert_eq!(states(&runs), [RunState::Finished, RunState::Died]);
    assert_eq!(runs.newest(), Some(&run_id(3)));
}

#[test]
fn runs_that_nobody_listens_to_are_forgotten() {
    let run = Fixture::new(&["A"]);
    let hub = run.hub();
    let others: Vec<_> = (2..9).map(run_id).collect();
    for other in &others {
        drop(RunRecord::create(&run.store.runs_dir(), &plan(&run.store, other, &["A"])).unwrap());
    }
    let _listening = hub.subscribe(Some(run_id(2))).unwrap();
    for other in &others {
        hub.page(Some(other.clone())).unwrap();
    }
    let kept = hub.in_memory_now();
    assert!(kept.contains(&run_id(2)) && kept.contains(&run_id(8)) && !kept.contains(&run_id(3)));
    assert!(kept.len() < others.len());
    assert!(!locked(&hub.channels).is_silent());
}

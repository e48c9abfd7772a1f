//! The scheduler against hand-made histories, and against a fleet that fails at random.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn policy(retries: u32) -> RetryPolicy {
    RetryPolicy { retries, backoff: SECOND, backoff_max: 60 * SECOND }
}

fn up_to_date() -> JobResult {
    JobResult::UpToDate { generation: 1 }
}

fn failed(kind: FailureKind) -> JobResult {
    JobResult::Failed { kind, cause: "test".into(), hint: None }
}

fn ended(slot: usize, result: JobResult) -> Input {
    Input::AttemptEnded { slot, seconds: 1.0, result }
}

fn gone(slot: usize) -> Input {
    Input::WorkerGone { slot, kind: FailureKind::Crashed, cause: "signal 9".into() }
}

#[test]
fn workers_are_reused_and_leave_when_all_is_done() {
    let mut s = Scheduler::new(3, 1, policy(0), 1);
    assert_eq!(s.on(Duration::ZERO, Input::Tick), [Action::Spawn { slot: 0 }]);
    for job in 0..3 {
        let input = if job == 0 { Input::WorkerUp { slot: 0 } } else { ended(0, up_to_date()) };
        let actions = s.on(SECOND, input);
        assert_eq!(actions.last(), Some(&Action::Assign { slot: 0, job, attempt: 1 }));
    }
    let actions = s.on(SECOND, ended(0, up_to_date()));
    assert_eq!(actions.last(), Some(&Action::Stop { slot: 0 }));
    assert!(!s.is_done());
    s.on(SECOND, gone(0));
    assert!(s.is_done());
}

#[test]
fn no_more_workers_than_jobs() {
    let mut s = Scheduler::new(2, 10, policy(0), 1);
    assert_eq!(s.on(Duration::ZERO, Input::Tick).len(), 2);
}

#[test]
fn a_crash_costs_one_attempt_and_the_worker_is_replaced() {
    let mut s = Scheduler::new(1, 1, policy(1), 1);
    s.on(Duration::ZERO, Input::Tick);
    s.on(Duration::ZERO, Input::WorkerUp { slot: 0 });
    let actions = s.on(SECOND, gone(0));
    let [Action::Retry { attempt: 1, delay, .. }, Action::Spawn { slot: 0 }] = &actions[..] else {
        panic!("{actions:?}");
    };
    let due = SECOND + *delay;
    assert_eq!(s.next_wake(), Some(due));
    assert!(s.on(SECOND, Input::WorkerUp { slot: 0 }).is_empty(), "assigned before it was due");
    let again = s.on(due, Input::Tick);
    assert_eq!(again, [Action::Assign { slot: 0, job: 0, attempt: 2 }]);
    let actions = s.on(due, gone(0));
    let cause = "signal 9".into();
    let result = JobResult::Failed { kind: FailureKind::Crashed, cause, hint: None };
    let settled = Settled::Attempt { result, seconds: 0.0 };
    assert_eq!(actions, [Action::Settle { job: 0, attempts: 2, end: settled }]);
    assert!(s.is_done());
}

#[test]
fn bad_data_is_not_tried_twice() {
    let mut s = Scheduler::new(1, 1, policy(5), 1);
    s.on(Duration::ZERO, Input::Tick);
    s.on(Duration::ZERO, Input::WorkerUp { slot: 0 });
    let actions = s.on(SECOND, ended(0, failed(FailureKind::Data)));
    assert!(matches!(actions[0], Action::Settle { attempts: 1, .. }), "{actions:?}");
}

#[test]
fn draining_starts_nothing_and_lets_the_running_finish() {
    let mut s = Scheduler::new(4, 2, policy(3), 1);
    s.on(Duration::ZERO, Input::Tick);
    s.on(Duration::ZERO, Input::WorkerUp { slot: 0 });
    s.on(Duration::ZERO, Input::WorkerUp { slot: 1 });
    let actions = s.on(SECOND, Input::Drain);
    let interrupted =
        |job| Action::Settle { job, attempts: 0, end: Settled::Interrupted { started: false } };
    assert_eq!(actions, [interrupted(2), interrupted(3)]);
    let actions = s.on(SECOND, ended(0, up_to_date()));
    assert!(matches!(actions[0], Action::Settle { job: 0, .. }));
    assert_eq!(actions[1], Action::Stop { slot: 0 });
    // The other one outlives its grace period and is killed.
    s.on(SECOND, Input::Kill);
    let actions = s.on(SECOND, gone(1));
    let end = Settled::Interrupted { started: true };
    assert_eq!(actions, [Action::Settle { job: 1, attempts: 1, end }]);
    s.on(SECOND, gone(0));
    assert!(s.is_done());
}

#[test]
fn a_crash_while_draining_is_a_failure_and_is_not_tried_again() {
    let mut s = Scheduler::new(1, 1, policy(3), 1);
    s.on(Duration::ZERO, Input::Tick);
    s.on(Duration::ZERO, Input::WorkerUp { slot: 0 });
    s.on(SECOND, Input::Drain);
    let actions = s.on(SECOND, gone(0));
    let [Action::Settle { attempts: 1, end: Settled::Attempt { result, .. }, .. }] = &actions[..]
    else {
        panic!("{actions:?}");
    };
    assert!(matches!(result, JobResult::Failed { kind: FailureKind::Crashed, .. }), "{result:?}");
    assert!(s.is_done());
}

#[test]
fn workers_that_never_start_are_waited_for_ever_longer_until_the_run_gives_up() {
    let mut s = Scheduler::new(2, 1, policy(3), 1);
    s.on(Duration::ZERO, Input::Tick);
    let mut now = Duration::ZERO;
    for _ in 0..SPARE_DEATHS + 1 {
        assert!(s.on(now, gone(0)).is_empty(), "started again at once");
        let due = s.next_wake().unwrap();
        assert!(due > now);
        now = due;
        assert_eq!(s.on(now, Input::Tick), [Action::Spawn { slot: 0 }]);
    }
    assert_eq!(s.on(now, gone(0)).len(), 2);
    assert!(s.is_done());
}

/// What the random fleet does next.
#[derive(Debug, Clone)]
enum Chaos {
    Up(usize),
    End(usize, bool),
    Gone(usize),
    Wait(u64),
    Drain,
    Kill,
}

fn chaos() -> impl Strategy<Value = Vec<Chaos>> {
    let step = prop_oneof![
        5 => (0_usize..4).prop_map(Chaos::Up),
        8 => (0_usize..4, any::<bool>()).prop_map(|(slot, good)| Chaos::End(slot, good)),
        2 => (0_usize..4).prop_map(Chaos::Gone),
        4 => (0_u64..3000).prop_map(Chaos::Wait),
        1 => Just(Chaos::Drain),
        1 => Just(Chaos::Kill),
    ];
    proptest::collection::vec(step, 0..200)
}

/// A fleet as the dispatcher would see it: which slots hold a process, and its job.
#[derive(Default)]
struct Fleet {
    alive: BTreeMap<usize, Option<usize>>,
    settled: BTreeMap<usize, u32>,
    draining: bool,
}

impl Fleet {
    fn apply(&mut self, actions: Vec<Action>, retries: u32) {
        for action in actions {
            match action {
                Action::Spawn { slot } => {
                    assert!(!self.draining, "spawned while draining");
                    assert!(self.alive.insert(slot, None).is_none(), "slot taken twice");
                }
                Action::Assign { slot, job, attempt } => {
                    assert!(!self.draining, "assigned while draining");
                    let running = self.alive.values().any(|held| *held == Some(job));
                    assert!(!running, "job {job} runs twice");
                    assert!(!self.settled.contains_key(&job), "job {job} was settled");
                    assert!(attempt <= retries + 1);
                    assert_eq!(self.alive.insert(slot, Some(job)), Some(None));
                }
                Action::Stop { slot } => assert_eq!(self.alive[&slot], None),
                Action::Retry { delay, .. } => assert!(delay >= SECOND / 2),
                Action::Settle { job, attempts, .. } => {
                    assert!(self.settled.insert(job, attempts).is_none(), "job {job} twice");
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn every_job_is_settled_exactly_once(
        jobs in 0_usize..8, slots in 1_usize..4, retries in 0_u32..3, steps in chaos(),
    ) {
        let mut s = Scheduler::new(jobs, slots, policy(retries), 7);
        let mut fleet = Fleet::default();
        let mut now = Duration::ZERO;
        fleet.apply(s.on(now, Input::Tick), retries);
        for step in steps {
            let input = match step {
                Chaos::Up(slot) if fleet.alive.contains_key(&slot) => Input::WorkerUp { slot },
                Chaos::End(slot, good) if matches!(fleet.alive.get(&slot), Some(Some(_))) => {
                    fleet.alive.insert(slot, None);
                    let result = if good { up_to_date() } else { failed(FailureKind::Store) };
                    ended(slot, result)
                }
                Chaos::Gone(slot) if fleet.alive.remove(&slot).is_some() => gone(slot),
                Chaos::Wait(ms) => {
                    now += Duration::from_millis(ms);
                    Input::Tick
                }
                Chaos::Drain => {
                    fleet.draining = true;
                    Input::Drain
                }
                Chaos::Kill => {
                    fleet.draining = true;
                    Input::Kill
                }
                _ => continue,
            };
            let actions = s.on(now, input);
            fleet.apply(actions, retries);
        }
        // Whatever happened so far, a fleet that behaves from now on brings the run to its end.
        for _ in 0..200 {
            if s.is_done() {
                break;
            }
            now += 60 * SECOND;
            let actions = s.on(now, Input::Tick);
            fleet.apply(actions, retries);
            for slot in 0..slots {
                let Some(held) = fleet.alive.get(&slot).copied() else { continue };
                let actions = s.on(now, Input::WorkerUp { slot });
                fleet.apply(actions, retries);
                if held.is_some() {
                    fleet.alive.insert(slot, None);
                    let actions = s.on(now, ended(slot, up_to_date()));
                    fleet.apply(actions, retries);
                }
                let unsettled = fleet.settled.len() < jobs;
                if !unsettled && fleet.alive.remove(&slot).is_some() {
                    let actions = s.on(now, gone(slot));
                    fleet.apply(actions, retries);
                }
            }
        }
        prop_assert!(s.is_done());
        prop_assert_eq!(fleet.settled.len(), jobs);
    }
}

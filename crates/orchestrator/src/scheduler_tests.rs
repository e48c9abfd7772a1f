//! The scheduler against hand-made histories, and against a fleet that fails at random.

use std::collections::{BTreeMap, BTreeSet};

use mambafleet_protocol::Headline;
use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn rules(retries: u32, seed: u64) -> Rules {
    let (by_kind, backoff, backoff_max) = (BTreeMap::new(), SECOND, 60 * SECOND);
    let retry = RetryPolicy { retries, by_kind, backoff, backoff_max };
    Rules { retry, seed, ..Rules::default() }
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
    let mut s = Scheduler::new(3, 1, rules(0, 1));
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
    let mut s = Scheduler::new(2, 10, rules(0, 1));
    assert_eq!(s.on(Duration::ZERO, Input::Tick).len(), 2);
}

#[test]
fn a_crash_costs_one_attempt_and_the_worker_is_replaced() {
    let mut s = Scheduler::new(1, 1, rules(1, 1));
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
    let mut s = Scheduler::new(1, 1, rules(5, 1));
    s.on(Duration::ZERO, Input::Tick);
    s.on(Duration::ZERO, Input::WorkerUp { slot: 0 });
    let actions = s.on(SECOND, ended(0, failed(FailureKind::Data)));
    assert!(matches!(actions[0], Action::Settle { attempts: 1, .. }), "{actions:?}");
}

#[test]
fn draining_starts_nothing_and_lets_the_running_finish() {
    let mut s = Scheduler::new(4, 2, rules(3, 1));
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
    let mut s = Scheduler::new(1, 1, rules(3, 1));
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
    let mut s = Scheduler::new(2, 1, rules(3, 1));
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

/// A scheduler whose workers are up.
fn started(jobs: usize, slots: usize, rules: Rules) -> Scheduler {
    let mut s = Scheduler::new(jobs, slots, rules);
    s.on(Duration::ZERO, Input::Tick);
    (0..slots).for_each(|slot| drop(s.on(Duration::ZERO, Input::WorkerUp { slot })));
    s
}

fn skipped(job: usize, attempts: u32, reason: SkipReason) -> Action {
    Action::Settle { job, attempts, end: Settled::Skipped { reason } }
}

#[test]
fn what_ran_out_of_memory_runs_again_alone() {
    let mut s = started(4, 2, rules(1, 1));
    let actions = s.on(SECOND, ended(0, failed(FailureKind::OutOfMemory)));
    let [Action::Retry { job: 0, delay, .. }, Action::Assign { slot: 0, job: 2, .. }] = actions[..]
    else {
        panic!("{actions:?}");
    };
    let due = SECOND + delay;
    assert_eq!(s.on(due, Input::Tick), []);
    // Job 1 ends; job 3 goes before the one that waits for the others to end.
    let actions = s.on(due, ended(1, up_to_date()));
    assert_eq!(actions.last(), Some(&Action::Assign { slot: 1, job: 3, attempt: 1 }));
    assert_eq!(s.on(due, ended(0, up_to_date())).len(), 1);
    let actions = s.on(due, ended(1, up_to_date()));
    let alone = Action::Assign { slot: 0, job: 0, attempt: 2 };
    assert_eq!(actions.last(), Some(&alone));
    assert_eq!(s.running(), 1);
}

#[test]
fn nothing_starts_that_cannot_be_done_by_the_deadline() {
    let expected = [2, 100, 3, 1].map(|n| Some(n * SECOND)).to_vec();
    let deadline = Some(10 * SECOND);
    let mut s = started(4, 1, Rules { deadline, expected, ..rules(0, 1) });
    // For jobs 1 and 2 there is time to see whether they need to be done, and no more.
    let check = |job| Some(Action::Check { slot: 0, job, attempt: 1 });
    let actions = s.on(8 * SECOND, ended(0, up_to_date()));
    assert_eq!(actions.last().cloned(), check(1));
    let actions = s.on(8 * SECOND, ended(0, JobResult::TooLate));
    assert_eq!(actions[0], skipped(1, 0, SkipReason::Deadline));
    assert_eq!(actions.last().cloned(), check(2));
    let actions = s.on(8 * SECOND, ended(0, up_to_date()));
    assert_eq!(actions.last(), Some(&Action::Assign { slot: 0, job: 3, attempt: 1 }));
    s.on(12 * SECOND, ended(0, up_to_date()));
    s.on(12 * SECOND, gone(0));
    assert!(s.is_done());
}

#[test]
fn the_deadline_ends_the_wait_for_retries_and_what_is_unknown_may_start_before_it() {
    let mut s = started(2, 1, Rules { deadline: Some(2 * SECOND), ..rules(3, 1) });
    let crash = failed(FailureKind::Store);
    let actions = s.on(1500 * SECOND / 1000, ended(0, crash));
    assert_eq!(actions.last(), Some(&Action::Assign { slot: 0, job: 1, attempt: 1 }));
    assert!(s.next_wake() <= Some(2 * SECOND));
    assert_eq!(s.on(2 * SECOND, Input::Tick), [skipped(0, 1, SkipReason::Deadline)]);
}

#[test]
fn what_is_unknown_takes_as_long_as_the_others() {
    let mut s = started(4, 1, Rules { deadline: Some(10 * SECOND), ..rules(0, 1) });
    let headline = Headline {
        epochs: 1,
        first_validation_loss: 0.5,
        best_validation_loss: 0.5,
        test_loss: 0.5,
        baseline_loss: 0.5,
    };
    let committed = || JobResult::Committed { generation: 1, headline };
    let done = |seconds| Input::AttemptEnded { slot: 0, seconds, result: committed() };
    // Four seconds each fit in twice; then there are two left.
    let actions = s.on(4 * SECOND, done(4.0));
    assert_eq!(actions.last(), Some(&Action::Assign { slot: 0, job: 1, attempt: 1 }));
    let actions = s.on(8 * SECOND, done(4.0));
    assert_eq!(actions.last(), Some(&Action::Check { slot: 0, job: 2, attempt: 1 }));
}

#[test]
fn too_many_failures_end_the_run() {
    let mut s = started(5, 2, Rules { max_failures: Some(2), ..rules(0, 1) });
    let first = s.on(SECOND, ended(0, failed(FailureKind::Data)));
    assert_eq!(first.last(), Some(&Action::Assign { slot: 0, job: 2, attempt: 1 }));
    let actions = s.on(SECOND, ended(1, failed(FailureKind::Data)));
    let why = SkipReason::TooManyFailures;
    assert_eq!(actions[1..], [skipped(3, 0, why), skipped(4, 0, why)]);
    // What runs may finish.
    let actions = s.on(SECOND, ended(0, up_to_date()));
    assert!(matches!(actions[0], Action::Settle { job: 2, .. }), "{actions:?}");
}

#[test]
fn workers_are_replaced_after_so_many_jobs() {
    let mut s = started(3, 1, Rules { jobs_per_worker: Some(2), ..rules(0, 1) });
    s.on(SECOND, ended(0, up_to_date()));
    let actions = s.on(SECOND, ended(0, up_to_date()));
    assert_eq!(actions.last(), Some(&Action::Stop { slot: 0 }));
    assert_eq!(s.on(SECOND, gone(0)), [Action::Spawn { slot: 0 }]);
    let actions = s.on(SECOND, Input::WorkerUp { slot: 0 });
    assert_eq!(actions, [Action::Assign { slot: 0, job: 2, attempt: 1 }]);
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
    /// Slots whose worker was asked to end.
    leaving: BTreeSet<usize>,
    draining: bool,
}

impl Fleet {
    fn apply(&mut self, actions: Vec<Action>, retries: u32) {
        for action in actions {
            match action {
                Action::Spawn { slot } => {
                    assert!(!self.draining, "spawned while draining");
                    assert!(self.alive.insert(slot, None).is_none(), "slot taken twice");
                    self.leaving.remove(&slot);
                }
                Action::Assign { slot, job, attempt } | Action::Check { slot, job, attempt } => {
                    assert!(!self.draining, "assigned while draining");
                    let running = self.alive.values().any(|held| *held == Some(job));
                    assert!(!running, "job {job} runs twice");
                    assert!(!self.settled.contains_key(&job), "job {job} was settled");
                    assert!(attempt <= retries + 1);
                    assert!(!self.leaving.contains(&slot), "assigned to one that leaves");
                    assert_eq!(self.alive.insert(slot, Some(job)), Some(None));
                }
                Action::Stop { slot } => {
                    assert_eq!(self.alive[&slot], None);
                    self.leaving.insert(slot);
                }
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
        jobs_per_worker in proptest::option::of(1_u32..3),
        deadline in proptest::option::of(0_u64..5000),
        max_failures in proptest::option::of(1_u32..4),
    ) {
        let expected = (0..jobs).map(|job| (job % 2 == 0).then_some(SECOND)).collect();
        let deadline = deadline.map(Duration::from_millis);
        let base = rules(retries, 7);
        let rules = Rules { jobs_per_worker, deadline, max_failures, expected, ..base };
        let mut s = Scheduler::new(jobs, slots, rules);
        let mut fleet = Fleet::default();
        let mut now = Duration::ZERO;
        fleet.apply(s.on(now, Input::Tick), retries);
        for step in steps {
            let input = match step {
                Chaos::Up(slot) if fleet.alive.contains_key(&slot) => Input::WorkerUp { slot },
                Chaos::End(slot, good) if matches!(fleet.alive.get(&slot), Some(Some(_))) => {
                    fleet.alive.insert(slot, None);
                    let kinds = [FailureKind::Store, FailureKind::OutOfMemory];
                    let bad = || failed(kinds[slot % 2]);
                    let result = if good { up_to_date() } else { bad() };
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
                let leaves = fleet.leaving.contains(&slot) || fleet.settled.len() == jobs;
                if leaves && fleet.alive.remove(&slot).is_some() {
                    let actions = s.on(now, gone(slot));
                    fleet.apply(actions, retries);
                }
            }
        }
        prop_assert!(s.is_done());
        prop_assert_eq!(fleet.settled.len(), jobs);
    }
}

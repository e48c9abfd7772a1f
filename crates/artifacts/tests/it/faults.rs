//! Every operation fails, with each error that it may fail with: what the caller is told, what
//! readers see, and what a crash after that may take.
#![expect(clippy::panic, reason = "what went wrong is told with all that led to it")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use mambafleet_artifacts::vfs::Vfs;
use mambafleet_artifacts::{Fault, Problem, Store, StoreError, StoreOptions, SymbolStore, Wait};
use tempfile::TempDir;

use crate::crash::{self, Contents, Promise};
use crate::sim::{Disk, Kind, SimVfs, Tree, Verdict};
use crate::{commit, id_of, try_stage};

const EIO: i32 = 5;
const ENOSPC: i32 = 28;
/// What the operating system may answer: no such device, try again, not permitted, too many open
/// files, no room, read-only, over quota.
const ERRORS: [(&str, i32); 7] = [
    ("EIO", EIO),
    ("EINTR", 4),
    ("EACCES", 13),
    ("EMFILE", 24),
    ("ENOSPC", ENOSPC),
    ("EROFS", 30),
    ("EDQUOT", 122),
];

/// Which operations an error that lasts affects.
type Affected = fn(Kind) -> bool;

type Work = fn(&SymbolStore) -> Result<(), StoreError>;

/// What is done while something fails; the generations that are there afterwards when it succeeds,
/// and those that are there in any case.
struct Job {
    name: &'static str,
    work: Work,
    adds: Contents,
    removes: &'static [u64],
}

fn jobs() -> Vec<Job> {
    let job = |name, work, adds: &[(u64, u64)], removes| Job {
        name,
        work,
        adds: adds.iter().copied().collect(),
        removes,
    };
    vec![
        job("commit", |symbol| commit(symbol, 40).map(drop), &[(4, 40)], &[]),
        job("prepared commit", prepared_commit, &[(4, 40)], &[]),
        job("rollback", |symbol| symbol.rollback(Some(1), Wait::Fail).map(drop), &[(4, 10)], &[]),
        job("gc", |symbol| symbol.gc(&crash::keep(1), false).map(drop), &[], &[1, 2]),
        job("export", |symbol| symbol.export(3, Path::new("/sim/export")).map(drop), &[], &[]),
        job("latest", read_latest, &[], &[]),
        job("verify", verify, &[], &[]),
    ]
}

fn prepared_commit(symbol: &SymbolStore) -> Result<(), StoreError> {
    let mut transaction = try_stage(symbol, 40)?;
    transaction.prepare()?;
    transaction.commit(&symbol.lock(Wait::Fail)?).map(drop)
}

/// Only what the disk itself cannot read is stepped over, and then by name; no other refusal makes
/// an intact generation look damaged.
fn read_latest(symbol: &SymbolStore) -> Result<(), StoreError> {
    let latest = symbol.latest()?.unwrap();
    assert!(latest.skipped().iter().all(is_unreadable), "{:?}", latest.skipped());
    assert_eq!(id_of(&latest), if latest.skipped().is_empty() { 30 } else { 20 });
    Ok(())
}

fn verify(symbol: &SymbolStore) -> Result<(), StoreError> {
    let faults = symbol.verify_all()?.faults;
    assert!(faults.iter().all(is_unreadable), "{faults:?}");
    Ok(())
}

fn is_unreadable(fault: &Fault) -> bool {
    matches!(fault.problem, Problem::Unreadable { .. })
}

/// A disk with a store that holds three generations, all of it durable, and the promise of them.
fn three_generations() -> (Tree, Promise) {
    let locks = Arc::new(tempfile::tempdir().unwrap());
    let vfs = SimVfs::new(Disk::holding(&crash::bare()), Some(locks));
    let store = open(&vfs).unwrap();
    let symbol = store.symbol(&"AAPL".parse().unwrap());
    let must = Contents::from([(1, 10), (2, 20), (3, 30)]);
    for id in must.values() {
        commit(&symbol, *id).unwrap();
    }
    vfs.sync_dir(symbol.dir()).unwrap();
    vfs.sync_dir(store.root()).unwrap();
    (vfs.as_it_is(), Promise { store: true, must, ..Promise::default() })
}

fn open(vfs: &SimVfs) -> Result<Store, StoreError> {
    StoreOptions::default().vfs(Arc::new(vfs.clone())).open_or_create(crash::ROOT)
}

/// One attempt at a job.
struct Attempt {
    vfs: SimVfs,
    symbol: SymbolStore,
    result: Result<(), StoreError>,
    /// Whether the fault was reached.
    hit: bool,
}

/// Does a job on a fresh copy of the disk. From its operation `from` on, `judge` decides.
fn attempt(
    disk: &Tree,
    locks: &Arc<TempDir>,
    work: Work,
    judge: impl Fn(usize, Kind) -> Verdict + Send + Sync + 'static,
) -> Attempt {
    let vfs = SimVfs::new(Disk::holding(disk), Some(locks.clone()));
    let symbol = open(&vfs).unwrap().symbol(&"AAPL".parse().unwrap());
    let start = vfs.operations();
    let hit = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let was_hit = hit.clone();
    vfs.set_hook(move |operation| {
        let verdict = judge(operation.index - start, operation.kind);
        was_hit.fetch_or(verdict != Verdict::Done, std::sync::atomic::Ordering::Relaxed);
        verdict
    });
    let result = work(&symbol);
    vfs.clear_hook();
    let hit = hit.load(std::sync::atomic::Ordering::Relaxed);
    Attempt { vfs, symbol, result, hit }
}

/// Checks what is left after an attempt, for readers now and after a crash. Returns what the
/// caller was told.
fn judge(attempt: &Attempt, job: &Job, before: &Promise, locks: &Arc<TempDir>) -> &'static str {
    let Attempt { vfs, symbol, result, hit } = attempt;
    let (mut promise, name) = (before.clone(), job.name);
    let outcome = match result {
        Ok(()) => {
            promise.must.extend(&job.adds);
            "done all the same"
        }
        Err(StoreError::CommitUncertain { .. }) => {
            promise.may.extend(&job.adds);
            let newest = symbol.latest().unwrap().unwrap();
            assert_eq!(Some(&id_of(&newest)), job.adds.values().next(), "{name}");
            "CommitUncertain"
        }
        Err(error) => {
            let text = error.to_string();
            assert!(text.contains("/sim") || text.contains("AAPL"), "{name}: {text}");
            "an error"
        }
    };
    // What cannot be read has no known age, and is kept.
    for &generation in job.removes {
        let id = promise.must.remove(&generation);
        promise.may.extend(id.filter(|_| *hit || result.is_err()).map(|id| (generation, id)));
    }
    let found: Vec<u64> = symbol.generations().unwrap();
    let allowed = |generation: &u64| {
        promise.must.contains_key(generation) || promise.may.contains_key(generation)
    };
    assert!(found.iter().all(allowed), "{name}: {found:?} after {result:?}");
    let faults = symbol.verify_all().unwrap().faults;
    assert!(faults.is_empty(), "{name}: {faults:?} after {result:?}");
    for tree in vfs.after_a_crash() {
        crash::check(&tree, &promise, locks.clone())
            .unwrap_or_else(|fault| panic!("{name}, {result:?}, crash: {fault}\n{tree:#?}"));
    }
    outcome
}

#[test]
fn every_operation_may_fail_in_every_way() {
    let (disk, promise) = three_generations();
    let locks = Arc::new(tempfile::tempdir().unwrap());
    let verdicts = ERRORS.iter().map(|&(name, code)| (name, Verdict::Failed(code)));
    let verdicts: Vec<_> = verdicts.chain([("short", Verdict::Short)]).collect();
    let mut injected = 0;
    for job in jobs() {
        let mut outcomes: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        for &(fault, verdict) in &verdicts {
            for at in 0.. {
                let judged = move |index, _| if index == at { verdict } else { Verdict::Done };
                let attempt = attempt(&disk, &locks, job.work, judged);
                let outcome = judge(&attempt, &job, &promise, &locks);
                if !attempt.hit {
                    assert_eq!(outcome, "done all the same", "{}: nothing failed", job.name);
                    break;
                }
                assert!(verdict != Verdict::Short || outcome == "done all the same");
                *outcomes.entry((fault, outcome)).or_default() += 1;
                injected += 1;
            }
        }
        for ((fault, outcome), times) in outcomes {
            println!("{:16} {fault:7} {times:4} times: {outcome}", job.name);
        }
    }
    println!("{injected} faults injected, none of them broke a promise");
    assert!(injected > 1000, "{injected}");
}

/// A full disk stays full, a read-only one read-only, and a process out of descriptors out of them.
#[test]
fn an_error_that_lasts_ends_in_one_clear_error() {
    let (disk, promise) = three_generations();
    let locks = Arc::new(tempfile::tempdir().unwrap());
    let needs_room = |kind| {
        use Kind::{
            Create, CreateDir, Link, OpenHint, OpenLock, Overwrite, Rename, RenameNew, Reserve,
            Write,
        };
        matches!(
            kind,
            Create
                | CreateDir
                | Link
                | OpenHint
                | OpenLock
                | Overwrite
                | Rename
                | RenameNew
                | Reserve
                | Write
        )
    };
    let needs_a_descriptor = |kind| {
        matches!(
            kind,
            Kind::List
                | Kind::Open
                | Kind::Create
                | Kind::OpenHint
                | Kind::OpenLock
                | Kind::SyncDir
        )
    };
    let lasting: [(i32, Affected); 5] = [
        (ENOSPC, needs_room),
        (122, needs_room),
        (30, needs_room),
        (24, needs_a_descriptor),
        (EIO, |_| true),
    ];
    for job in jobs() {
        for (code, applies) in lasting {
            for from in 0.. {
                let judged = move |index, kind| {
                    if index >= from && applies(kind) {
                        Verdict::Failed(code)
                    } else {
                        Verdict::Done
                    }
                };
                let attempt = attempt(&disk, &locks, job.work, judged);
                judge(&attempt, &job, &promise, &locks);
                if !attempt.hit {
                    break;
                }
            }
        }
    }
}

/// A store that cannot be created leaves nothing that is taken for one.
#[test]
fn a_store_is_created_or_not() {
    let locks = Arc::new(tempfile::tempdir().unwrap());
    for (_, code) in ERRORS {
        for at in 0.. {
            let vfs = SimVfs::new(Disk::holding(&crash::bare()), Some(locks.clone()));
            vfs.set_hook(
                move |operation| {
                    if operation.index == at { Verdict::Failed(code) } else { Verdict::Done }
                },
            );
            let created = open(&vfs);
            vfs.clear_hook();
            let promise = Promise { store: created.is_ok(), ..Promise::default() };
            for tree in vfs.after_a_crash() {
                crash::check(&tree, &promise, locks.clone()).unwrap();
            }
            if let Err(error) = created {
                assert!(error.to_string().contains("/sim"), "{error}");
            }
            if vfs.operations() <= at {
                break;
            }
        }
    }
}

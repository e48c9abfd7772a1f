//! Every state that a crash may leave the disk in, at every moment of everything that the store
//! does, by the rules of Pillai et al., "All File Systems Are Not Created Equal" (OSDI 2014):
//! what was not synced may be lost or reordered, name by name and write by write.
//!
//! In each of them the store must open, hold everything it acknowledged, show nothing but whole
//! generations, and go on working. And no sync may be superfluous: without any one of them, some
//! state must be found that breaks a promise.
#![expect(clippy::print_stdout, clippy::panic, reason = "the count of states is the proof")]

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mambafleet_artifacts::vfs::Vfs;
use mambafleet_artifacts::{Digest, Retention, Store, StoreError, StoreOptions, SymbolStore, Wait};
use rayon::prelude::*;
use tempfile::TempDir;

use crate::sim::{Disk, Kind, OPAQUE, Operation, SimVfs, Tree, Verdict};
use crate::{commit, id_of, stage, try_stage};

pub(crate) const ROOT: &str = "/sim/store";
const EXPORT: &str = "/sim/export";

/// Which content belongs to which generation.
pub(crate) type Contents = BTreeMap<u64, u64>;

/// What a crash may not take, and what it may.
#[derive(Debug, Clone, Default)]
pub(crate) struct Promise {
    /// The store was created.
    pub(crate) store: bool,
    /// These generations were acknowledged.
    pub(crate) must: Contents,
    /// These may be there or not: they are being committed or collected.
    pub(crate) may: Contents,
    /// The content that was exported, and whether that was acknowledged.
    pub(crate) export: Option<(u64, bool)>,
}

/// What becomes of the operations of a run.
#[derive(Default)]
struct Control {
    /// The sync that does nothing.
    skipped: Option<usize>,
    /// How many more operations there are before the process dies.
    life: Option<usize>,
    /// The syncs that were asked for.
    syncs: Vec<Operation>,
}

impl Control {
    fn judge(&mut self, operation: &Operation) -> Verdict {
        match &mut self.life {
            Some(0) => return Verdict::Dead,
            Some(life) => *life -= 1,
            None => {}
        }
        if !matches!(operation.kind, Kind::SyncFile | Kind::SyncDir) {
            return Verdict::Done;
        }
        self.syncs.push(operation.clone());
        if self.skipped == Some(operation.index) { Verdict::Skipped } else { Verdict::Done }
    }
}

/// A run that notes what was promised at each moment.
struct Run {
    vfs: SimVfs,
    store: Option<Store>,
    control: Arc<Mutex<Control>>,
    /// The moment at which the process died that was to die.
    death: usize,
    /// From which moment on each promise holds.
    promises: Vec<(usize, Promise)>,
}

impl Run {
    fn new(skipped: Option<usize>) -> Self {
        let locks = Arc::new(tempfile::tempdir().unwrap());
        let vfs = SimVfs::new(Disk::holding(&bare()), Some(locks));
        let control = Arc::new(Mutex::new(Control { skipped, ..Control::default() }));
        let judge = control.clone();
        vfs.set_hook(move |operation| judge.lock().unwrap().judge(operation));
        vfs.record_moments();
        Self { vfs, store: None, control, death: 0, promises: vec![(0, Promise::default())] }
    }

    /// Opens the store, which is then promised to exist.
    fn open(&mut self) {
        let options = StoreOptions::default().vfs(Arc::new(self.vfs.clone()));
        self.store = Some(options.open_or_create(ROOT).unwrap());
        self.promise(|promise| promise.store = true);
    }

    /// Whether a process that does this dies when it has done so many operations.
    fn dies_after(&mut self, operations: usize, act: impl FnOnce(&Self)) -> bool {
        self.control.lock().unwrap().life = Some(operations);
        act(self);
        let dead = self.control.lock().unwrap().life.take() == Some(0);
        if dead {
            self.death = self.vfs.moments() - 1;
        }
        dead
    }

    fn symbol(&self) -> SymbolStore {
        self.store.as_ref().unwrap().symbol(&"AAPL".parse().unwrap())
    }

    /// From now on this is promised too.
    fn promise(&mut self, change: impl FnOnce(&mut Promise)) {
        let mut promise = self.promises.last().unwrap().1.clone();
        change(&mut promise);
        self.promises.push((self.vfs.moments() - 1, promise));
    }

    /// Commits `id` as `generation`, with what is promised before and after.
    fn commit(&mut self, generation: u64, id: u64, act: impl FnOnce(&SymbolStore) -> u64) {
        self.promise(|promise| {
            promise.may.insert(generation, id);
        });
        assert_eq!(act(&self.symbol()), generation);
        self.promise(|promise| {
            promise.may.remove(&generation);
            promise.must.insert(generation, id);
        });
    }

    /// Every distinct state from `moment` on, with the promise that it must keep.
    fn states(&self, moment: usize) -> impl Iterator<Item = (usize, Tree, &Promise)> {
        let moments = self.vfs.take_moments();
        let mut seen = BTreeSet::new();
        moments.into_iter().enumerate().skip(moment).flat_map(move |(at, disk)| {
            let current: Vec<usize> = self.promises_at(at).collect();
            let fresh: Vec<_> = disk
                .after_a_crash()
                .into_iter()
                .flat_map(|tree| current.iter().map(move |&promise| (promise, tree.clone())))
                .filter(|state| seen.insert(state.clone()))
                .collect();
            fresh.into_iter().map(move |(promise, tree)| (at, tree, &self.promises[promise].1))
        })
    }

    /// The promise that holds while the disk is as at `moment`; after the last operation before an
    /// acknowledgement, both that before it and that after it.
    fn promises_at(&self, moment: usize) -> impl Iterator<Item = usize> {
        (0..self.promises.len()).filter(move |&index| {
            let ends = self.promises.get(index + 1).map_or(usize::MAX, |(start, _)| *start);
            (self.promises[index].0..=ends).contains(&moment)
        })
    }
}

/// Creates a store, commits with and without preparing, goes back, collects, exports.
fn ordinary(run: &mut Run) {
    run.open();
    run.commit(1, 10, |symbol| commit_prepared(symbol, 10, false));
    run.commit(2, 20, |symbol| commit_prepared(symbol, 20, true));
    run.commit(3, 30, |symbol| commit_prepared(symbol, 30, true));
    run.commit(4, 10, |symbol| symbol.rollback(Some(1), Wait::Fail).unwrap().generation);
    run.promise(|promise| {
        let kept = promise.must.split_off(&4);
        promise.may = std::mem::replace(&mut promise.must, kept);
    });
    run.symbol().gc(&keep(1), false).unwrap();
    run.promise(|promise| promise.may.clear());
    run.commit(5, 50, |symbol| commit_prepared(symbol, 50, true));
    run.promise(|promise| promise.export = Some((10, false)));
    run.symbol().export(4, Path::new(EXPORT)).unwrap();
    run.promise(|promise| promise.export = Some((10, true)));
}

/// Two writers: what the second prepared is outdated when it commits.
fn overtaken(run: &mut Run) {
    run.open();
    run.commit(1, 10, |symbol| commit_prepared(symbol, 10, true));
    let mut late = stage(&run.symbol(), 30);
    late.prepare().unwrap();
    run.commit(2, 20, |symbol| commit_prepared(symbol, 20, true));
    run.commit(3, 30, |symbol| late.commit(&symbol.lock(Wait::Fail).unwrap()).unwrap().generation);
}

/// Whoever creates the store dies after so many operations, and another process takes over. False
/// when it survives that.
fn creator_dies(run: &mut Run, life: usize) -> bool {
    let options = StoreOptions::default().vfs(Arc::new(run.vfs.clone()));
    let dead = run.dies_after(life, |_| drop(options.open_or_create(ROOT)));
    run.open();
    run.commit(1, 10, |symbol| commit_prepared(symbol, 10, true));
    dead
}

/// A process dies after so many operations of `act`, and another one commits.
fn writer_dies(
    run: &mut Run,
    life: usize,
    act: fn(&SymbolStore) -> Result<(), StoreError>,
) -> bool {
    run.open();
    run.commit(1, 10, |symbol| commit_prepared(symbol, 10, true));
    run.promise(|promise| promise.may.extend([(2, 10)]));
    let dead = run.dies_after(life, |run| drop(act(&run.symbol())));
    let next = run.symbol().generations().unwrap().pop().unwrap() + 1;
    run.commit(next, 50, |symbol| commit_prepared(symbol, 50, true));
    dead
}

/// A collector dies after so many operations, and another process commits.
fn collector_dies(run: &mut Run, life: usize) -> bool {
    three_of_which_one_is_kept(run);
    let dead = run.dies_after(life, |run| drop(run.symbol().gc(&keep(1), false)));
    run.commit(4, 50, |symbol| commit_prepared(symbol, 50, true));
    dead
}

/// Commits three generations, of which two may be collected.
fn three_of_which_one_is_kept(run: &mut Run) {
    run.open();
    run.commit(1, 10, |symbol| commit_prepared(symbol, 10, true));
    run.commit(2, 20, |symbol| commit_prepared(symbol, 20, true));
    run.commit(3, 30, |symbol| commit_prepared(symbol, 30, true));
    run.promise(|promise| {
        let kept = promise.must.split_off(&3);
        promise.may = std::mem::replace(&mut promise.must, kept);
    });
}

/// Runs `script` with a process that dies after 0, 1, 2, ... operations, until it survives.
fn each_death(mut script: impl FnMut(&mut Run, usize) -> bool) -> Vec<Run> {
    let mut runs = Vec::new();
    loop {
        let mut run = Run::new(None);
        let dead = script(&mut run, runs.len());
        runs.push(run);
        if !dead {
            return runs;
        }
    }
}

fn commit_prepared(symbol: &SymbolStore, id: u64, prepare: bool) -> u64 {
    let mut transaction = stage(symbol, id);
    if prepare {
        transaction.prepare().unwrap();
    }
    transaction.commit(&symbol.lock(Wait::Fail).unwrap()).unwrap().generation
}

/// A disk on which a store may be made.
pub(crate) fn bare() -> Tree {
    let sim = Tree::Dir(Arc::default());
    Tree::Dir(Arc::new(BTreeMap::from([("sim".to_owned(), sim)])))
}

pub(crate) fn keep(generations: usize) -> Retention {
    Retention { keep: NonZeroUsize::new(generations).unwrap(), min_age: Duration::ZERO }
}

/// Checks what a crash left, as the next process would find it.
pub(crate) fn check(tree: &Tree, promise: &Promise, locks: Arc<TempDir>) -> Result<(), String> {
    let vfs = SimVfs::new(Disk::holding(&of_an_earlier_boot(tree)), Some(locks));
    let looked_into = watch_what_is_opaque(&vfs);
    let options = StoreOptions::default().vfs(Arc::new(vfs.clone()));
    let broken = |error: StoreError| error.to_string();
    if promise.store {
        options.open(ROOT).map_err(broken)?;
    }
    let store = options.open_or_create(ROOT).map_err(broken)?;
    let symbol = store.symbol(&"AAPL".parse().unwrap());
    let found = symbol.generations().map_err(broken)?;
    let expected =
        |generation| promise.must.get(generation).or_else(|| promise.may.get(generation)).copied();
    for generation in &found {
        symbol.verify(*generation).map_err(broken)?;
        let id = id_of(&symbol.snapshot(*generation).map_err(broken)?);
        ensure(Some(id) == expected(generation), || format!("{generation} holds {id}"))?;
    }
    for generation in promise.must.keys() {
        ensure(found.contains(generation), || format!("{generation} is lost"))?;
    }
    let any = promise.must.len() + promise.may.len() > 1;
    ensure(!any || !found.is_empty(), || "nothing is left".to_owned())?;
    let latest = symbol.latest().map_err(broken)?;
    ensure(latest.map(|latest| latest.generation()) == found.last().copied(), || {
        "the newest is not the latest".to_owned()
    })?;
    check_export(&vfs, &store, promise)?;
    go_on(&symbol, promise.must.keys().next_back().copied())?;
    let left: Vec<_> = vfs.list(symbol.dir()).map_err(|error| error.to_string())?;
    let left = left.iter().find(|(name, _)| is_opaque(&name.to_string_lossy()));
    ensure(left.is_none() || !cfg!(target_os = "linux"), || format!("{left:?} was left"))?;
    ensure(!looked_into.load(Ordering::Relaxed), || "staging was looked into".to_owned())
}

fn is_opaque(name: &str) -> bool {
    OPAQUE.iter().any(|prefix| name.starts_with(prefix))
}

/// What was staged before the crash, under the name that shows that it was.
fn of_an_earlier_boot(tree: &Tree) -> Tree {
    let Tree::Dir(entries) = tree else { return tree.clone() };
    let renamed = |(name, tree): (&String, &Tree)| {
        let prefix = OPAQUE.iter().find(|prefix| name.starts_with(**prefix));
        let name = prefix.map_or_else(
            || name.clone(),
            |prefix| format!("{prefix}fffffffe{}", &name[prefix.len() + 8..]),
        );
        (name, of_an_earlier_boot(tree))
    };
    Tree::Dir(Arc::new(entries.iter().map(renamed).collect()))
}

/// Becomes true when something is asked about the content of a directory that is opaque.
fn watch_what_is_opaque(vfs: &SimVfs) -> Arc<AtomicBool> {
    let looked_into = Arc::new(AtomicBool::new(false));
    let into = looked_into.clone();
    vfs.set_hook(move |operation| {
        let above = operation.path.parent().into_iter().flat_map(Path::components);
        let mut above = above.map(|part| part.as_os_str().to_string_lossy());
        if above.any(|name| is_opaque(&name) && name.contains("-fffffffe-")) {
            into.store(true, Ordering::Relaxed);
        }
        Verdict::Done
    });
    looked_into
}

fn check_export(vfs: &SimVfs, store: &Store, promise: &Promise) -> Result<(), String> {
    let Some((_, acknowledged)) = promise.export else { return Ok(()) };
    let there = vfs.kind(Path::new(EXPORT)).is_ok();
    ensure(there || !acknowledged, || "the export is lost".to_owned())?;
    if !there {
        return Ok(());
    }
    let symbol = store.symbol(&"AAPL".parse().unwrap());
    let exported = |name: &str| {
        let mut bytes = Vec::new();
        let mut file = vfs.open(&Path::new(EXPORT).join(name))?;
        file.read_to_end(&mut bytes).map(|_| bytes)
    };
    let original = symbol.snapshot(4).map_err(|error| error.to_string())?;
    for file in &original.manifest().files {
        let same = exported(&file.name).is_ok_and(|bytes| Digest::of(&bytes) == file.blake3);
        ensure(same, || format!("the export's {} is damaged", file.name))?;
    }
    let manifest = exported("manifest.json").ok().and_then(|b| serde_json::from_slice(&b).ok());
    ensure(manifest.as_ref() == Some(original.manifest()), || "no manifest".to_owned())
}

/// After the crash life goes on: numbers are not used twice, and history stays without a fault.
fn go_on(symbol: &SymbolStore, acknowledged: Option<u64>) -> Result<(), String> {
    let broken = |error: StoreError| error.to_string();
    let report = symbol.verify_all().map_err(broken)?;
    ensure(report.is_clean(), || format!("{:?}", report.faults))?;
    let next = commit(symbol, 77).map_err(broken)?.generation;
    ensure(Some(next) > acknowledged, || format!("{next} was used before"))?;
    let latest = symbol.latest().map_err(broken)?.map(|latest| id_of(&latest));
    ensure(latest == Some(77), || format!("{latest:?} after the next commit"))?;
    symbol.gc(&keep(1), false).map_err(broken)?;
    let report = symbol.verify_all().map_err(broken)?;
    ensure(report.is_clean() && report.generations == [next], || format!("{report:?}"))
}

fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise()) }
}

/// Checks all states of a run from `moment` on: how many there are, or the first bad one.
fn enumerate(run: &Run, moment: usize) -> Result<usize, String> {
    let idle: Mutex<Vec<Arc<TempDir>>> = Mutex::default();
    let check = |(at, tree, promise): (usize, Tree, &Promise)| {
        let pooled = idle.lock().unwrap().pop();
        let locks = pooled.unwrap_or_else(|| Arc::new(tempfile::tempdir().unwrap()));
        check(&tree, promise, locks.clone())
            .map_err(|fault| format!("after operation {at}: {fault}\n{promise:?}\n{tree:#?}"))?;
        idle.lock().unwrap().push(locks);
        Ok(1)
    };
    run.states(moment).par_bridge().map(check).try_reduce(|| 0, |one, other| Ok(one + other))
}

/// The path of a sync without what differs from run to run.
fn described(Operation { kind, path, .. }: &Operation) -> String {
    let name = |part: std::path::Component<'_>| {
        let name = part.as_os_str().to_string_lossy();
        let random = [".staging-", ".trash-", ".tmp-"];
        let prefix = random.iter().find(|prefix| name.starts_with(**prefix));
        prefix.map_or_else(|| name.to_string(), |prefix| format!("{prefix}*"))
    };
    let path: PathBuf = path.components().map(name).collect();
    format!("{kind:?} {}", path.display())
}

/// Whether something goes wrong when `script` runs without this sync.
fn is_needed(script: &dyn Fn(&mut Run), sync: &Operation) -> bool {
    let mut run = Run::new(Some(sync.index));
    script(&mut run);
    enumerate(&run, sync.moment).is_err()
}

/// The syncs of a script without which nothing can go wrong.
fn superfluous(script: fn(&mut Run)) -> Vec<String> {
    let mut run = Run::new(None);
    script(&mut run);
    let syncs = std::mem::take(&mut run.control.lock().unwrap().syncs);
    let needless = syncs.iter().filter(|sync| !is_needed(&script, sync));
    let needless: Vec<String> = needless.map(described).collect();
    println!("{} syncs, {} of them superfluous: {needless:?}", syncs.len(), needless.len());
    needless
}

/// Enumerates all runs and says how many states there were.
fn enumerate_all(name: &str, runs: &[Run]) {
    let states: usize = runs
        .iter()
        .map(|run| enumerate(run, run.death).unwrap_or_else(|fault| panic!("{name}: {fault}")))
        .sum();
    println!("{name}: {states} states in {} runs, none of them bad", runs.len());
    assert!(states > 100, "{name}: {states} states");
}

#[test]
fn no_crash_breaks_a_promise() {
    for (name, script) in [("ordinary", ordinary as fn(&mut Run)), ("overtaken", overtaken)] {
        let mut run = Run::new(None);
        script(&mut run);
        enumerate_all(name, &[run]);
    }
}

#[test]
fn no_crash_after_a_death_breaks_a_promise() {
    enumerate_all("the creator dies", &each_death(creator_dies));
    let commit =
        |symbol: &SymbolStore| try_stage(symbol, 10)?.commit(&symbol.lock(Wait::Fail)?).map(drop);
    enumerate_all("a writer dies", &each_death(|run, life| writer_dies(run, life, commit)));
    let rollback = |symbol: &SymbolStore| symbol.rollback(Some(1), Wait::Fail).map(drop);
    enumerate_all("a rollback dies", &each_death(|run, life| writer_dies(run, life, rollback)));
    enumerate_all("a collector dies", &each_death(collector_dies));
}

#[test]
fn every_sync_is_needed() {
    assert_eq!(superfluous(ordinary), Vec::<String>::new());
}

/// Of the guess that turned out wrong, the manifest and the names were synced in vain.
#[test]
fn every_sync_is_needed_but_those_of_a_wrong_guess() {
    let guess = "/sim/store/symbols/AAPL/.staging-*";
    assert_eq!(
        superfluous(overtaken),
        [format!("SyncFile {guess}/manifest.json"), format!("SyncDir {guess}")]
    );
}

/// Whoever opens a store finishes what its creator may not have got round to.
#[test]
fn every_sync_of_a_second_opening_is_needed() {
    let (mut all, mut needed) = (BTreeSet::new(), BTreeSet::new());
    for (life, run) in each_death(creator_dies).into_iter().enumerate() {
        let (opened, _) = *run.promises.iter().find(|(_, promise)| promise.store).unwrap();
        let syncs = std::mem::take(&mut run.control.lock().unwrap().syncs);
        for sync in syncs.iter().filter(|sync| (life..opened).contains(&sync.moment)) {
            let script = |run: &mut Run| {
                creator_dies(run, life);
            };
            all.insert(described(sync));
            if is_needed(&script, sync) {
                needed.insert(described(sync));
            }
        }
    }
    assert_eq!(all, needed);
    assert!(all.contains("SyncDir /sim/store"), "{all:?}");
}

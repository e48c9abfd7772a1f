//! Random sequences of operations against the simplest possible model of a store.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::time::Duration;

use mambafleet_artifacts::{Retention, Snapshot, Store, StoreError, Transaction, Wait};
use mambafleet_protocol::Symbol;
use proptest::prelude::*;

use crate::{empty_store, id_of, names_in, stage};

const SYMBOLS: [&str; 3] = ["AAPL", "^GSPC", "brk.b"];

#[derive(Debug, Clone)]
enum Operation {
    /// Stage a set for a symbol, and keep it for later.
    Stage { symbol: usize, id: u64 },
    /// Prepare a set that was staged, as often as it comes.
    Prepare { which: usize },
    /// Commit a set that was staged, in whatever order.
    Commit { which: usize },
    /// Drop a set that was staged.
    Abandon { which: usize },
    /// Bring a generation of a symbol back, or the one before the newest.
    Rollback { symbol: usize, to: Option<usize> },
    /// Collect all but the newest of a symbol.
    Collect { symbol: usize, keep: usize },
    /// Open the newest of a symbol, and keep it open while others go on.
    Read { symbol: usize },
    /// Open the store anew.
    Reopen,
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        3 => (0..SYMBOLS.len(), 0..1000_u64).prop_map(|(symbol, id)| Operation::Stage { symbol, id }),
        3 => any::<usize>().prop_map(|which| Operation::Commit { which }),
        1 => any::<usize>().prop_map(|which| Operation::Abandon { which }),
        2 => any::<usize>().prop_map(|which| Operation::Prepare { which }),
        1 => (0..SYMBOLS.len(), any::<Option<usize>>())
            .prop_map(|(symbol, to)| Operation::Rollback { symbol, to }),
        1 => (0..SYMBOLS.len(), 1..4_usize)
            .prop_map(|(symbol, keep)| Operation::Collect { symbol, keep }),
        1 => (0..SYMBOLS.len()).prop_map(|symbol| Operation::Read { symbol }),
        1 => Just(Operation::Reopen),
    ]
}

/// What a symbol holds: generation g has the content `ids[g - 1]`, if it is above `collected`.
#[derive(Debug, Default)]
struct History {
    ids: Vec<u64>,
    collected: usize,
}

impl History {
    /// Its generations, ascending, each with its content.
    fn generations(&self) -> Vec<(u64, u64)> {
        let all = self.ids.iter().enumerate().map(|(at, &id)| (at as u64 + 1, id));
        all.skip(self.collected).collect()
    }

    /// The generation that a rollback brings back: the one asked for, or the one before the newest.
    fn target(&self, to: Option<usize>) -> Option<(u64, u64)> {
        let generations = self.generations();
        match to {
            Some(which) if !generations.is_empty() => Some(generations[which % generations.len()]),
            _ => generations.iter().rev().nth(1).copied(),
        }
    }
}

type Model = BTreeMap<Symbol, History>;

fn check(store: &Store, model: &Model) {
    let known: Vec<_> = model.keys().cloned().collect();
    assert_eq!(store.symbols().unwrap(), known);
    for (symbol, history) in model {
        let symbol = store.symbol(symbol);
        let found = symbol.generations().unwrap();
        let found = found.into_iter().map(|at| (at, id_of(&symbol.snapshot(at).unwrap())));
        let found: Vec<_> = found.collect();
        assert_eq!(found, history.generations());
        let newest = symbol.latest().unwrap().unwrap();
        assert_eq!(Some((newest.generation(), id_of(&newest))), found.last().copied());
        assert!(symbol.verify_all().unwrap().is_clean());
        assert!(names_in(&symbol).iter().all(|name| !name.starts_with(".trash-")));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_store_behaves_like_a_list_per_symbol(
        operations in prop::collection::vec(operation(), 1..40),
    ) {
        let (_dir, mut store) = empty_store();
        let mut model = Model::new();
        let mut staged: Vec<(Transaction, u64)> = Vec::new();
        let mut open: Vec<(Snapshot, u64)> = Vec::new();
        for operation in operations {
            match operation {
                Operation::Stage { symbol, id } => {
                    let symbol = SYMBOLS[symbol].parse().unwrap();
                    staged.push((stage(&store.symbol(&symbol), id), id));
                }
                Operation::Commit { which } if !staged.is_empty() => {
                    let (transaction, id) = staged.swap_remove(which % staged.len());
                    let symbol = transaction.symbol().clone();
                    let lock = store.symbol(&symbol).lock(Wait::Fail).unwrap();
                    let done = transaction.commit(&lock).unwrap();
                    let ids = &mut model.entry(symbol).or_default().ids;
                    ids.push(id);
                    prop_assert_eq!(done.generation, ids.len() as u64);
                }
                Operation::Prepare { which } if !staged.is_empty() => {
                    let which = which % staged.len();
                    staged[which].0.prepare().unwrap();
                }
                Operation::Rollback { symbol, to } => {
                    let symbol = SYMBOLS[symbol].parse().unwrap();
                    let history = model.get_mut(&symbol);
                    let target = history.as_ref().and_then(|history| history.target(to));
                    let asked = target.filter(|_| to.is_some()).map(|(generation, _)| generation);
                    let done = store.symbol(&symbol).rollback(asked, Wait::Fail);
                    if let (Some(history), Some((_, id))) = (history, target) {
                        history.ids.push(id);
                        prop_assert_eq!(done.unwrap().generation, history.ids.len() as u64);
                    } else {
                        let refused = matches!(done, Err(StoreError::NotFound { .. }));
                        prop_assert!(refused, "{:?}", done);
                    }
                }
                Operation::Collect { symbol, keep } => {
                    let symbol = SYMBOLS[symbol].parse().unwrap();
                    let keep = NonZeroUsize::new(keep).unwrap();
                    let retention = Retention { keep, min_age: Duration::ZERO };
                    let planned = store.symbol(&symbol).gc(&retention, true).unwrap();
                    let collected = store.symbol(&symbol).gc(&retention, false).unwrap();
                    prop_assert_eq!(&planned.removed, &collected.removed);
                    if let Some(history) = model.get_mut(&symbol) {
                        let kept = history.ids.len().saturating_sub(keep.get());
                        history.collected = history.collected.max(kept);
                    }
                }
                Operation::Read { symbol } => {
                    let symbol = SYMBOLS[symbol].parse().unwrap();
                    let newest = store.symbol(&symbol).latest().unwrap();
                    let expected = model.get(&symbol).map(|history| history.ids[history.ids.len() - 1]);
                    prop_assert_eq!(newest.as_ref().map(id_of), expected);
                    open.extend(newest.zip(expected));
                }
                Operation::Abandon { which } if !staged.is_empty() => {
                    drop(staged.swap_remove(which % staged.len()));
                }
                Operation::Commit { .. } | Operation::Abandon { .. } | Operation::Prepare { .. } => {}
                Operation::Reopen => store = Store::open(store.root()).unwrap(),
            }
        }
        check(&store, &model);
        for (snapshot, id) in open {
            prop_assert_eq!(id_of(&snapshot), id);
        }
    }
}

//! Random sequences of operations against the simplest possible model of a store.

use std::collections::BTreeMap;

use mambafleet_artifacts::{Store, Transaction, Wait};
use mambafleet_protocol::Symbol;
use proptest::prelude::*;

use crate::{empty_store, id_of, stage};

const SYMBOLS: [&str; 3] = ["AAPL", "^GSPC", "brk.b"];

#[derive(Debug, Clone)]
enum Operation {
    /// Stage a set for a symbol, and keep it for later.
    Stage { symbol: usize, id: u64 },
    /// Commit a set that was staged, in whatever order.
    Commit { which: usize },
    /// Drop a set that was staged.
    Abandon { which: usize },
    /// Open the store anew.
    Reopen,
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        3 => (0..SYMBOLS.len(), 0..1000_u64).prop_map(|(symbol, id)| Operation::Stage { symbol, id }),
        3 => any::<usize>().prop_map(|which| Operation::Commit { which }),
        1 => any::<usize>().prop_map(|which| Operation::Abandon { which }),
        1 => Just(Operation::Reopen),
    ]
}

/// For each symbol the ids in the order of their commits: generation g holds `ids[g - 1]`.
type Model = BTreeMap<Symbol, Vec<u64>>;

fn check(store: &Store, model: &Model) {
    let known: Vec<_> = model.keys().cloned().collect();
    assert_eq!(store.symbols().unwrap(), known);
    for (symbol, ids) in model {
        let symbol = store.symbol(symbol);
        let numbers: Vec<u64> = (1..=ids.len() as u64).collect();
        assert_eq!(symbol.generations().unwrap(), numbers);
        let newest = symbol.latest().unwrap().unwrap();
        assert_eq!((newest.generation(), Some(&id_of(&newest))), (ids.len() as u64, ids.last()));
        assert!(symbol.verify_all().unwrap().is_clean());
        for (number, id) in numbers.into_iter().zip(ids) {
            assert_eq!(id_of(&symbol.snapshot(number).unwrap()), *id);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_store_behaves_like_a_list_per_symbol(
        operations in prop::collection::vec(operation(), 1..25),
    ) {
        let (_dir, mut store) = empty_store();
        let mut model = Model::new();
        let mut staged: Vec<(Transaction, u64)> = Vec::new();
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
                    let ids = model.entry(symbol).or_default();
                    ids.push(id);
                    prop_assert_eq!(done.generation, ids.len() as u64);
                }
                Operation::Abandon { which } if !staged.is_empty() => {
                    drop(staged.swap_remove(which % staged.len()));
                }
                Operation::Commit { .. } | Operation::Abandon { .. } => {}
                Operation::Reopen => store = Store::open(store.root()).unwrap(),
            }
        }
        check(&store, &model);
    }
}

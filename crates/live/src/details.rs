//! Details of symbols, kept for a while.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use mambafleet_protocol::{RunId, Symbol};
use mambafleet_web::Bytes;

/// Details that are kept.
const KEPT: usize = 32;

/// How long they are.
const FRESH: Duration = Duration::from_secs(20);

/// The details that were asked for last.
#[derive(Default)]
pub(crate) struct Details(VecDeque<Kept>);

struct Kept {
    run: RunId,
    symbol: Symbol,
    /// What its row said by then.
    row: String,
    made: Instant,
    json: Bytes,
}

impl Details {
    /// The details of a symbol whose row says this, if they are kept.
    pub(crate) fn get(&self, run: &RunId, symbol: &Symbol, row: &str) -> Option<Bytes> {
        let same = |kept: &&Kept| kept.symbol == *symbol && kept.run == *run && kept.row == row;
        let kept = self.0.iter().find(same)?;
        (kept.made.elapsed() < FRESH).then(|| kept.json.clone())
    }

    /// Keeps details, in place of those that were made first.
    pub(crate) fn keep(&mut self, run: RunId, symbol: Symbol, row: String, json: Bytes) {
        self.0.retain(|kept| kept.symbol != symbol || kept.run != run);
        if self.0.len() == KEPT {
            self.0.pop_front();
        }
        self.0.push_back(Kept { run, symbol, row, made: Instant::now(), json });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_hold_until_the_row_says_something_else() {
        let run = RunId::new("r").unwrap();
        let symbol = |number: usize| Symbol::new(format!("S{number}")).unwrap();
        let mut details = Details::default();
        for number in 0..=KEPT {
            details.keep(run.clone(), symbol(number), "row".into(), Bytes::from_static(b"old"));
        }
        assert_eq!(details.get(&run, &symbol(0), "row"), None);
        assert_eq!(details.get(&run, &symbol(1), "row").as_deref(), Some(&b"old"[..]));
        assert_eq!(details.get(&run, &symbol(1), "another"), None);
        assert_eq!(details.get(&RunId::new("q").unwrap(), &symbol(1), "row"), None);
        details.keep(run.clone(), symbol(1), "another".into(), Bytes::from_static(b"new"));
        assert_eq!(details.get(&run, &symbol(1), "another").as_deref(), Some(&b"new"[..]));
        assert_eq!(details.get(&run, &symbol(2), "row").as_deref(), Some(&b"old"[..]));
    }
}

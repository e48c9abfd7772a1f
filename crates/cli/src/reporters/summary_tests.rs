use std::path::PathBuf;

use mambafleet_orchestrator::new_run_id;
use mambafleet_protocol::Headline;

use super::*;
use crate::style::Look;

fn trained(test_loss: f64) -> Outcome {
    let headline = Headline {
        epochs: 5,
        first_validation_loss: 0.3,
        best_validation_loss: 0.2,
        test_loss,
        baseline_loss: 0.25,
    };
    Outcome::Trained { generation: 2, attempts: 1, seconds: 12.0, headline }
}

fn failed(kind: FailureKind) -> Outcome {
    let (cause, hint) = ("it went wrong".to_owned(), Some("mend it".to_owned()));
    Outcome::Failed { kind, cause, hint, attempts: 2, log: PathBuf::from("no/such.log") }
}

fn summary(outcomes: impl IntoIterator<Item = Outcome>) -> RunSummary {
    let symbol = |(index, outcome)| SymbolSummary {
        symbol: Symbol::new(format!("S{index:03}")).unwrap(),
        last_success: None,
        attempt_seconds: 10.0 + f64::from(index),
        outcome,
    };
    let symbols = (0_u32..).zip(outcomes).map(symbol).collect();
    let started = "2026-11-24T03:12:00Z".parse().unwrap();
    RunSummary::new(new_run_id().unwrap(), started, 100.0, None, RunTime::default(), symbols)
}

fn change(index: usize, rise: f64, common_samples: Option<usize>) -> Change {
    let symbol = Symbol::new(format!("S{index:03}")).unwrap();
    let (old_loss, new_loss) = (0.2, 0.2 * (1.0 + rise));
    Change { symbol, old: 1, new: Some(2), old_loss, new_loss, common_samples }
}

fn text(summary: &RunSummary, changes: &[Change], width: Option<usize>, whole: bool) -> String {
    let record = Path::new("store/runs/R");
    let closing = Closing { summary, record, synthetic: false, changes, whole };
    let text = summary_table(&closing, Page { look: Look::default(), width });
    text.replace(summary.run.as_str(), "R")
}

#[test]
fn a_small_run_is_told_whole() {
    let mut summary = summary([trained(0.24), failed(FailureKind::LockBusy), trained(0.26)]);
    summary.time.locks = LockWaits { commits: 2, waited: 1, seconds: 2.5, longest_seconds: 2.5 };
    let changes = [change(2, 0.04, Some(250)), change(0, -0.01, None)];
    insta::assert_snapshot!(text(&summary, &changes, Some(80), false), @"
    SYMBOL  OUTCOME  GEN  EPOCHS   VALIDATION LOSS  TEST LOSS  VS BASELINE  TIME
    S000    trained    2       5  0.3000 -> 0.2000     0.2400       +4.0 %   12s
    S001    failed
    S002    trained    2       5  0.3000 -> 0.2000     0.2600       -4.0 %   12s

    S001 failed (lock busy, 2 attempts): it went wrong
      hint: mend it
      log:  no/such.log
      never trained before

    against the generation before:
    SYMBOL  GEN        WAS      IS  CHANGE  COMPARED ON
    S002    1 -> 2  0.2000  0.2080  +4.0 %  250 common samples
    S000    1 -> 2  0.2000  0.1980  -1.0 %  own test parts
    own test parts: each model's test loss, on the newest days it had, which may be
      others

    2 trained, 1 failed in 1m 40s
    locks: 1 of 2 commits waited, 2.5s in all, 2.5s at most; 1 symbol gave up
    not all of these symbols have ever gone well in one run
    record: store/runs/R
    ");
}

#[test]
fn of_many_symbols_a_terminal_shows_what_stands_out_and_a_pipe_everything() {
    let outcomes = (0..60).map(|index| match index {
        0..13 => failed(FailureKind::Crashed),
        _ => trained(0.24),
    });
    let summary = summary(outcomes);
    let changes: Vec<_> =
        (0..20).map(|index| change(index, -0.01 * index as f64, Some(9))).collect();
    let shown = text(&summary, &changes, Some(80), false);
    insta::assert_snapshot!(shown.split_once("S009 failed").unwrap().1, @"
     (crashed, 2 attempts): it went wrong
      hint: mend it
      log:  no/such.log
      never trained before

    and 3 more: S010, S011, S012

    against the generation before, the worst 5 of 20:
    SYMBOL  GEN        WAS      IS  CHANGE  COMPARED ON
    S000    1 -> 2  0.2000  0.2000  +0.0 %  9 common samples
    S001    1 -> 2  0.2000  0.1980  -1.0 %  9 common samples
    S002    1 -> 2  0.2000  0.1960  -2.0 %  9 common samples
    S003    1 -> 2  0.2000  0.1940  -3.0 %  9 common samples
    S004    1 -> 2  0.2000  0.1920  -4.0 %  9 common samples

    47 trained, 13 failed in 1m 40s
    slowest: S059 1m 9s, S058 1m 8s, S057 1m 7s, S056 1m 6s, S055 1m 5s
    not all of these symbols have ever gone well in one run
    a row for each of 60 symbols: mambafleet runs R --all
    record: store/runs/R
    ");
    assert!(!shown.contains("S059  trained"), "{shown}");
    for whole in [text(&summary, &changes, None, false), text(&summary, &changes, Some(80), true)] {
        let rows = whole.lines().filter(|line| line.contains("  trained")).count();
        assert_eq!((rows, whole.matches(" failed (crashed").count()), (47, 13), "{whole}");
        assert!(!whole.contains("--all"), "{whole}");
    }
}

#[test]
fn of_locks_only_what_was_counted_is_told() {
    let mut summary = summary([trained(0.24)]);
    assert_eq!(locks(&summary), None, "a summary of an older version");
    summary.time.locks.commits = 1;
    assert_eq!(locks(&summary).unwrap(), "\nlocks: none of 1 commit waited");
    summary.symbols[0].outcome = failed(FailureKind::LockBusy);
    summary.time.locks.commits = 0;
    assert_eq!(locks(&summary).unwrap(), "\nlocks: none of 0 commits waited; 1 symbol gave up");
}

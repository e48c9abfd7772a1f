use std::time::Duration;

use mambafleet_orchestrator::{RunEvent, RunPlan, RunPolicy, RunningNow, Status, new_run_id};
use mambafleet_protocol::{
    EpochReport, FailureKind, Headline, JobSpec, Outcome, SampleCounts, Symbol,
};

use super::*;

const UNICODE: Look = Look { colour: false, unicode: true };
const ASCII: Look = Look { colour: false, unicode: false };

fn symbol(name: &str) -> Symbol {
    Symbol::new(name).unwrap()
}

/// A run on three workers, and the moment at which it began.
struct Run {
    board: Board,
    began: Instant,
    now: Instant,
}

impl Run {
    fn new(symbols: &[&str]) -> Self {
        let run = new_run_id().unwrap();
        let job = |name: &&str| JobSpec::usual(run.clone(), symbol(name), "store".into());
        let jobs = symbols.iter().map(job).collect();
        let program = "mambafleet".to_owned();
        let plan = RunPlan::new(run, program, "store".into(), RunPolicy::plain(3), jobs);
        let began = Instant::now();
        Self { board: Board::new(&plan, began), began, now: began }
    }

    fn at(&mut self, seconds: u64) -> &mut Self {
        self.now = self.began + Duration::from_secs(seconds);
        self
    }

    fn on(&mut self, event: &RunEvent) -> &mut Self {
        self.board.on(event, self.now);
        self
    }

    fn starts(&mut self, name: &str, worker: u64, attempt: u32) -> &mut Self {
        let (symbol, pid) = (symbol(name), 1);
        self.on(&RunEvent::AttemptStarted { symbol, attempt, worker, pid })
    }

    fn epochs(&mut self, name: &str, losses: &[f64]) -> &mut Self {
        for (index, loss) in losses.iter().enumerate() {
            self.on(&RunEvent::Progress(EpochReport {
                symbol: symbol(name),
                epoch: index + 1,
                epochs: 20,
                train_loss: loss - 0.01,
                validation_loss: *loss,
                samples_per_second: 12_345.6,
            }));
        }
        self
    }

    fn ends(&mut self, name: &str, outcome: Outcome) -> &mut Self {
        self.on(&RunEvent::SymbolFinished { symbol: symbol(name), outcome })
    }

    fn lines(&self, width: usize, height: usize, look: Look) -> Vec<String> {
        panel(&self.board, self.now, Room { width, height }, look)
    }

    fn shown(&self, width: usize, height: usize, look: Look) -> String {
        self.lines(width, height, look).join("\n")
    }
}

fn trained() -> Outcome {
    let headline = Headline {
        epochs: 20,
        first_validation_loss: 0.3,
        best_validation_loss: 0.2,
        test_loss: 0.25,
        baseline_loss: 0.26,
    };
    Outcome::Trained { generation: 1, attempts: 1, seconds: 60.0, headline }
}

fn failed() -> Outcome {
    let (kind, cause) = (FailureKind::Data, "no".to_owned());
    Outcome::Failed { kind, cause, hint: None, attempts: 1, log: "log".into() }
}

/// Five symbols: one is done, one has failed, three are in training, one of them for the second time.
fn busy() -> Run {
    let mut run = Run::new(&["AAPL", "BRK.B", "MSFT", "NVDA", "GOOG", "TSLA"]);
    run.starts("AAPL", 1, 1).starts("BRK.B", 2, 1).starts("MSFT", 3, 1);
    run.at(60).ends("AAPL", trained()).starts("NVDA", 1, 1);
    run.epochs("BRK.B", &[0.5, 0.4, 0.45, 0.3, 0.29, 0.28, 0.27, 0.26, 0.25, 0.24]);
    run.ends("MSFT", failed()).starts("GOOG", 3, 2);
    run.epochs("GOOG", &[0.25, 0.26]);
    let now = RunningNow {
        symbol: symbol("BRK.B"),
        attempt: 1,
        worker: 2,
        pid: None,
        seconds: 60.0,
        silent_seconds: 0.0,
        last: String::new(),
        memory: Some(45 << 20),
    };
    run.on(&RunEvent::Pulse(Status { running: vec![now], waiting: 1 }));
    run.at(70);
    run
}

#[test]
fn a_line_for_each_worker_and_one_for_the_run() {
    insta::assert_snapshot!(busy().shown(80, 24, UNICODE), @"
    SYMBOL  EPOCH    TRY  VALIDATION          TIME   TRAIN  SAMPLES/S   MEMORY
    NVDA    loading                            10s
    BRK.B   10/20         0.2400 █▅▇▂▂▂▁▁   1m 10s  0.2300     12,346   45 MiB
    GOOG    2/20       2  0.2600 ▁█            10s  0.2500     12,346
    ━━━━━━━━━━┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈  2 of 6 done, 1 failed, 1m 10s, about 2m left
    ");
}

#[test]
fn ascii_will_do() {
    let shown = busy().shown(80, 24, ASCII);
    assert!(shown.is_ascii(), "{shown}");
    insta::assert_snapshot!(shown, @"
    SYMBOL  EPOCH    TRY  VALIDATION          TIME   TRAIN  SAMPLES/S   MEMORY
    NVDA    loading                            10s
    BRK.B   10/20         0.2400 #=*..___   1m 10s  0.2300     12,346   45 MiB
    GOOG    2/20       2  0.2600 _#            10s  0.2500     12,346
    [========>                   ]  2 of 6 done, 1 failed, 1m 10s, about 2m left
    ");
}

#[test]
fn a_wide_terminal_has_longer_curves_and_bars() {
    insta::assert_snapshot!(busy().shown(140, 50, UNICODE), @"
    SYMBOL  EPOCH    TRY  VALIDATION                      TIME   TRAIN  SAMPLES/S   MEMORY
    NVDA    loading                                        10s                              ┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈
    BRK.B   10/20         0.2400 █▅▇▃▂▂▂▂▁▁             1m 10s  0.2300     12,346   45 MiB  ━━━━━━━━━━━━┈┈┈┈┈┈┈┈┈┈┈┈
    GOOG    2/20       2  0.2600 ▁█                        10s  0.2500     12,346           ━━┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈
    ━━━━━━━━━━━━━━━━━━━━┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈┈  2 of 6 done, 1 failed, 1m 10s, about 2m left
    ");
}

#[test]
fn what_does_not_fit_is_left_out_from_the_right_and_nothing_is_wrapped() {
    let run = busy();
    insta::assert_snapshot!(run.shown(40, 24, UNICODE), @"
    SYMBOL  EPOCH    TRY  VALIDATION
    NVDA    loading
    BRK.B   10/20         0.2400 █▅▇▂▂▂▁▁
    GOOG    2/20       2  0.2600 ▁█
    ━━━┈┈┈┈┈┈  2/6, 1 failed, about 2m left
    ");
    for columns in 1..150 {
        for look in [UNICODE, ASCII, Look { colour: true, unicode: true }] {
            for line in run.lines(columns, 24, look) {
                assert!(width(&line) < columns.max(2), "{columns}: {line}");
            }
        }
    }
}

#[test]
fn there_are_never_more_lines_than_fit() {
    let run = busy();
    insta::assert_snapshot!(run.shown(60, 4, UNICODE), @"
    NVDA    loading                       10s
    and 2 more running
    ━━━━┈┈┈┈┈┈┈┈┈  2 of 6 done, 1 failed, 1m 10s, about 2m left
    ");
    insta::assert_snapshot!(run.shown(60, 2, UNICODE), @"━━━━┈┈┈┈┈┈┈┈┈  2 of 6 done, 1 failed, 1m 10s, about 2m left");
    for rows in 1..30 {
        let lines = run.lines(80, rows, UNICODE);
        assert!(lines.len() < rows.max(2), "{rows}: {lines:?}");
        assert!(lines.last().unwrap().contains("2 of 6"), "{rows}");
        let named =
            lines.iter().filter(|line| line.contains("s  ") || line.contains("10s")).count();
        let folded =
            lines.iter().any(|line| line.contains("more running") || line.contains("3 running"));
        assert!(named >= 3 || folded || lines.len() == 1, "{rows}: {lines:?}");
    }
}

#[test]
fn before_anything_is_known_nothing_is_foretold_and_a_run_that_ends_says_so() {
    let mut run = Run::new(&["A", "B"]);
    assert_eq!(run.shown(80, 24, ASCII), "[                            ]  0 of 2 done, 0s");
    run.starts("A", 1, 1).at(3);
    run.on(&RunEvent::Loaded(SampleCounts {
        symbol: symbol("A"),
        bars: 9,
        train: 5,
        validation: 1,
        test: 1,
    }));
    let lines = run.lines(80, 24, ASCII);
    assert_eq!(
        lines[1..],
        [
            "A       epoch 1                        3s",
            "[                            ]  0 of 2 done, 3s"
        ]
    );
    run.on(&RunEvent::Draining { signal: "SIGINT".into(), running: 1, grace: None });
    assert!(run.shown(80, 24, ASCII).ends_with("0 of 2 done, 3s, ending, 1 running"));
    run.on(&RunEvent::Resumed { seconds: 2.0 });
    assert!(run.shown(80, 24, ASCII).contains("0 of 2 done, 1s"), "a pause is no time");
}

#[test]
fn a_second_fold_begins_a_new_curve() {
    let mut run = Run::new(&["A"]);
    run.starts("A", 1, 1).epochs("A", &[0.9, 0.8]).epochs("A", &[0.5, 0.4]);
    assert!(run.shown(80, 24, ASCII).contains("0.4000 #_ "), "{}", run.shown(80, 24, ASCII));
}

#[test]
fn long_symbols_are_cut_and_few_columns_are_left_for_the_rest() {
    let name = "A-VERY-LONG-SYMBOL-THAT-NOBODY-CAN-READ";
    let mut run = Run::new(&[name, "B"]);
    run.starts(name, 1, 1).epochs(name, &[0.5]);
    let lines = run.lines(40, 24, UNICODE);
    assert!(lines[1].starts_with("A-VERY…  1/20     0.5000 ▅"), "{lines:?}");
}

#[test]
fn curves_show_what_is_finite_between_the_lowest_and_the_highest() {
    assert_eq!(curve(&[], 8, UNICODE), "");
    assert_eq!(curve(&[1.0], 8, ASCII), "=");
    assert_eq!(curve(&[3.0, 2.0, 1.0, 2.0], 8, UNICODE), "█▅▁▅");
    assert_eq!(curve(&[1.0, f64::NAN, 2.0], 8, ASCII), "_#");
    let falling: Vec<f64> = (0..100).map(|n| f64::from(100 - n)).collect();
    assert_eq!(curve(&falling, 8, UNICODE), "█▇▆▅▄▃▂▁");
}

#[test]
fn bars_are_as_long_as_they_are_to_be() {
    for share in [0.0, 0.01, 0.26, 0.5, 0.99, 1.0, f64::NAN] {
        for look in [UNICODE, ASCII] {
            assert_eq!(width(&bar(share, 10, look)), 10, "{share}");
        }
    }
    assert_eq!([0.0, 0.5, 1.0].map(|share| bar(share, 6, ASCII)), ["[    ]", "[=>  ]", "[====]"]);
    assert_eq!(
        [0.0, 0.25, 1.0].map(|share| bar(share, 6, UNICODE)),
        ["┈┈┈┈┈┈", "━╸┈┈┈┈", "━━━━━━"]
    );
}

#[test]
fn numbers_are_short() {
    assert_eq!([0.4, 999.6, 1_234_567.0].map(thousands), ["0", "1,000", "1,234,567"]);
    assert_eq!([3 << 20, 12 << 30].map(memory), ["3 MiB", "12 GiB"]);
    assert_eq!([0.9, 9.99, 61.0].map(clock), ["0s", "9s", "1m 1s"]);
}

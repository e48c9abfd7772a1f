//! Writes the report of a made-up run: `fleet -- 500 OUT.html`. The same number gives the same file.

#![expect(clippy::print_stdout, reason = "an example says what it did")]

use std::path::PathBuf;

use jiff::Timestamp;
use mambafleet_artifacts::atomic_write;
use mambafleet_protocol::{FailureKind, mix64};
use mambafleet_report::model::{
    AttemptLine, Before, Calibration, Compare, ComparedRow, Counts, Curves, Detail, Fan, Lane,
    LastSuccess, LogTail, MetricsRow, PAGE_SCHEMA, Page, Past, Retry, Row, Run, RunLine, RunState,
    Span, SpanState, State, Time, Timeline,
};
use mambafleet_report::{Num, html};

/// When the run began.
const START: i64 = 1_795_800_000_000;

const HORIZONS: [usize; 3] = [1, 5, 20];
const LEVELS: [f64; 5] = [0.05, 0.25, 0.5, 0.75, 0.95];
/// The standard normal distribution's quantiles at the levels.
const NORMAL: [f64; 5] = [-1.645, -0.674, 0.0, 0.674, 1.645];
const WORKERS: usize = 10;
const EPOCHS: usize = 40;

/// Numbers that are the same each time.
struct Numbers(u64);

impl Numbers {
    fn uniform(&mut self) -> f64 {
        self.0 = mix64(self.0.wrapping_add(0x9e37_79b9_7f4a_7c15));
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// About normal, with a standard deviation of 1.
    fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.uniform()).sum::<f64>() - 6.0
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let usage = "usage: fleet SYMBOLS OUT.html";
    let symbols: usize = args.next().ok_or(usage)?.parse()?;
    let out = PathBuf::from(args.next().ok_or(usage)?);
    let mut numbers = Numbers(symbols as u64);
    let page = page(symbols, &mut numbers);
    let samples = if symbols > 100 { 120 } else { 250 };
    let details: Vec<_> =
        page.symbols.iter().map(|row| detail(row, samples, &mut numbers)).collect();
    let text = html(&page, &details)?;
    atomic_write(&out, text.as_bytes())?;
    println!("{}: {} symbols, {:.2} MB", out.display(), symbols, text.len() as f64 / 1e6);
    Ok(())
}

fn name(place: usize) -> String {
    let letter = |n: usize| char::from(b'A' + (n % 26) as u8);
    [place / 676, place / 26, place].iter().map(|n| letter(*n)).chain(['X']).collect()
}

fn page(symbols: usize, numbers: &mut Numbers) -> Page {
    let rows: Vec<Row> = (0..symbols).map(|place| row(place, numbers)).collect();
    let timeline = timeline(&rows, numbers);
    let end = timeline.end.unwrap_or(START);
    let seconds = (end - START) as f64 / 1000.0;
    let stage = |(name, share): (&str, f64)| {
        let wall = share * seconds * WORKERS as f64;
        (name.to_owned(), Num(wall), Num(0.98 * wall))
    };
    let stages = [("load", 0.01), ("train", 0.9), ("validate", 0.03), ("evaluate", 0.01)];
    let run = |n: i64| format!("202611{:02}-033000-123-{:04x}", 28 - n, mix64(n as u64) as u16);
    Page {
        schema: PAGE_SCHEMA,
        generated_at: end,
        program: "mambafleet 0.1.0".to_owned(),
        synthetic: true,
        run: Run {
            id: run(0),
            state: RunState::Finished,
            started_at: START,
            finished_at: Some(end),
            seconds: Num(seconds),
            workers: WORKERS,
            threads: 1,
            store: "/srv/models/store".to_owned(),
            record: format!("/srv/models/store/runs/{}", run(0)),
            ..Run::default()
        },
        counts: Counts::of(rows.iter().map(|row| row.state)),
        time: Some(Time {
            stages: stages.into_iter().map(stage).collect(),
            idle: Some(Num(0.05 * seconds * WORKERS as f64)),
            orchestrator_cpu: Some(Num(0.3)),
            worker_memory: Some(61 << 20),
        }),
        last_success: Some(LastSuccess { run: run(3), finished_at: START - 3 * 86_400_000 }),
        compare: Some(compare(&rows, run(1), numbers)),
        runs: (0..20).map(|n| run_line(run(n), n, symbols)).collect(),
        symbols: rows,
        timeline,
        ..Page::default()
    }
}

fn run_line(id: String, n: i64, symbols: usize) -> RunLine {
    let failed = symbols / 25;
    RunLine {
        id,
        started_at: START - n * 86_400_000,
        state: RunState::Finished,
        symbols,
        good: symbols - failed,
        failed,
        seconds: Some(Num(600.0 + n as f64)),
    }
}

fn row(place: usize, numbers: &mut Numbers) -> Row {
    let state = match place % 25 {
        7 => State::Failed,
        11 | 12 => State::UpToDate,
        18 => State::Kept,
        _ => State::Trained,
    };
    let base = 0.25 + 0.1 * numbers.uniform();
    let test = base * (1.0 - 0.05 * numbers.normal());
    let mut row = Row {
        s: name(place),
        state,
        attempts: 1 + u32::from(place % 25 == 7),
        seconds: Some(Num(2.0 + 9.0 * numbers.uniform())),
        prev: Some(Before {
            generation: 40,
            test: Some(Num(test * (1.0 + 0.02 * numbers.normal()))),
            base: Some(Num(base)),
        }),
        last_success: Some(START - 86_400_000),
        notes: usize::from(place.is_multiple_of(9)),
        ..Row::default()
    };
    if state == State::Failed {
        row.kind = Some(FailureKind::Diverged);
        row.cause = Some("the loss was not finite in epoch 3".to_owned());
        row.hint = Some("a smaller train.learning_rate may help".to_owned());
        row.log = Some(format!("/srv/models/store/runs/x/logs/{}.2.log", row.s));
        return row;
    }
    let losses = losses(base, numbers);
    row.generation = Some(41);
    (row.epoch, row.epochs) = (Some(EPOCHS), Some(EPOCHS));
    (row.first, row.best) = (losses.first().copied(), losses.last().copied());
    (row.val, row.train) = (row.best, row.best);
    (row.test, row.base) = (Some(Num(test)), Some(Num(base)));
    row.spark = losses;
    (row.rate, row.memory) = (Some(Num(9000.0 + 500.0 * numbers.normal())), Some(60 << 20));
    (row.lock, row.bytes) = (Some(Num(0.001 * numbers.uniform())), Some(210_000));
    row
}

fn losses(base: f64, numbers: &mut Numbers) -> Vec<Num> {
    let loss =
        |epoch: usize, noise: f64| base * (1.0 + 0.5 * (-(epoch as f64) / 8.0).exp()) + noise;
    (0..EPOCHS).map(|epoch| Num(loss(epoch, 0.002 * numbers.normal()))).collect()
}

/// Hands the symbols to whichever worker is free first.
fn timeline(rows: &[Row], numbers: &mut Numbers) -> Timeline {
    let mut free = [START + 200; WORKERS];
    let lane = |worker: usize| Lane {
        worker: worker as u64 + 1,
        pid: Some(4000 + worker as u32),
        started: START + 150,
        ..Lane::default()
    };
    let mut lanes: Vec<Lane> = (0..WORKERS).map(lane).collect();
    let mut retries = Vec::new();
    for (i, row) in rows.iter().enumerate() {
        for attempt in 1..=row.attempts {
            let worker = (0..WORKERS).min_by_key(|worker| free[*worker]).unwrap_or_default();
            let from = free[worker] + 3;
            let to = from + 2000 + (9000.0 * numbers.uniform()) as i64;
            free[worker] = to;
            let state = match row.state {
                State::Failed => SpanState::Failed,
                State::UpToDate => SpanState::UpToDate,
                _ => SpanState::Ok,
            };
            let cause = row.cause.clone();
            let (to, lock) = (Some(to), Num(0.001 * numbers.uniform()));
            lanes[worker].spans.push(Span { i, attempt, from, to, state, cause, lock, kind: None });
            if attempt < row.attempts {
                let (at, until) = (free[worker], free[worker] + 2000);
                retries.push(Retry { i, attempt: attempt + 1, at, until });
            }
        }
    }
    let end = free.iter().max().copied();
    Timeline { start: START, end, lanes, retries, pauses: Vec::new() }
}

fn compare(rows: &[Row], run: String, numbers: &mut Numbers) -> Compare {
    let row = |(i, row): (usize, &Row)| ComparedRow {
        i,
        outcome: State::Trained,
        generation: Some(40),
        test: row.prev.and_then(|prev| prev.test),
        skill: Some(Num(0.05 * numbers.normal())),
        seconds: row.seconds,
    };
    let rows = rows.iter().enumerate().map(row).collect();
    let added = vec![name(0)];
    Compare { run, started_at: START - 86_400_000, missing: vec!["GONE".to_owned()], added, rows }
}

fn detail(row: &Row, samples: usize, numbers: &mut Numbers) -> Detail {
    let base = row.base.map_or(0.3, |base| base.0);
    let val = losses(base, numbers);
    let (fan, calibration) = forecasts(samples, numbers);
    let file = format!("{}.{}.log", row.s, row.attempts);
    let line = "2026-11-28T03:30:12.345678Z  INFO attempt{symbol=AAPL}: epoch 12 of 40: 0.2731\n";
    Detail {
        s: row.s.clone(),
        generation: Some(row.generation.unwrap_or(40)),
        created_at: Some(START),
        curves: Curves { train: losses(base, numbers), val, best: Some(EPOCHS) },
        fan: Some(fan),
        calibration,
        metrics: HORIZONS.into_iter().flat_map(|h| metrics(h, numbers)).collect(),
        history: (0..20).map(|n| past(22 + n, base, numbers)).collect(),
        quality: (0..row.notes).map(|_| "12 rows with blank cells were left out".into()).collect(),
        provenance: provenance(),
        attempts: (1..=row.attempts).map(|attempt| tried(row, attempt)).collect(),
        log: Some(LogTail { file, text: line.repeat(if row.notes > 0 { 90 } else { 8 }) }),
        ..Detail::default()
    }
}

fn tried(row: &Row, attempt: u32) -> AttemptLine {
    AttemptLine {
        attempt,
        worker: 1,
        from: START,
        to: Some(START + 5000),
        kind: row.kind,
        cause: row.cause.clone(),
        log: format!("{}.{attempt}.log", row.s),
    }
}

fn forecasts(samples: usize, numbers: &mut Numbers) -> (Fan, Vec<Calibration>) {
    let mut fan = Fan {
        days: (0..samples as i64).map(|day| 20_000 + day * 7 / 5).collect(),
        horizons: HORIZONS.to_vec(),
        levels: LEVELS.to_vec(),
        samples: 600,
        q: vec![Vec::new(); HORIZONS.len()],
        y: vec![Vec::new(); HORIZONS.len()],
    };
    let mut sigma = 1.2;
    for _ in 0..samples {
        sigma = (sigma * (0.05 * numbers.normal()).exp()).clamp(0.4, 4.0);
        for (h, horizon) in HORIZONS.into_iter().enumerate() {
            let unit = sigma * (horizon as f64).sqrt();
            let quantile = |normal: f64| Num(unit * (normal + 0.05)).decimals(3);
            fan.q[h].push(NORMAL.map(quantile).to_vec());
            fan.y[h].push(Num(unit * numbers.normal()).decimals(3));
        }
    }
    let mut shares =
        |spread: f64| LEVELS.map(|level| Num((level + spread * numbers.normal()).clamp(0.0, 1.0)));
    let of = |h: usize| Calibration {
        h,
        n: 600,
        levels: LEVELS.to_vec(),
        model: shares(0.02).to_vec(),
        base: shares(0.03).to_vec(),
    };
    (fan, HORIZONS.map(of).to_vec())
}

fn metrics(h: usize, numbers: &mut Numbers) -> Vec<MetricsRow> {
    let forecasts = ["model", "raw", "zero", "train_mean", "ridge", "ewma_quantiles"];
    let mut some = |around: f64| Some(Num(around * (1.0 + 0.1 * numbers.normal())));
    let row = |of: &'static str| {
        let with = ["model", "raw", "ewma_quantiles"].contains(&of);
        MetricsRow {
            h,
            of,
            pinball: some(0.3).filter(|_| with),
            coverage: some(0.9).filter(|_| with),
            nominal: Some(Num(0.9)).filter(|_| with),
            rmse: some(0.02),
            mae: some(0.015),
            mase: some(1.0),
            skill: some(0.01),
            direction: some(0.5),
            up: some(0.53),
            ic: some(0.02),
        }
    };
    forecasts.into_iter().map(row).collect()
}

fn past(generation: u64, base: f64, numbers: &mut Numbers) -> Past {
    let mut some = |around: f64| Some(Num(around * (1.0 + 0.03 * numbers.normal())));
    Past {
        generation,
        created_at: Some(START - (42 - generation as i64) * 86_400_000),
        val: some(base),
        test: some(base),
        base: some(base),
        seconds: some(6.0),
        run: Some("20261127-033000-123-1a2b".to_owned()),
        ..Past::default()
    }
}

fn provenance() -> Vec<(String, String)> {
    let hash = "4f1b0c2d9e8a7b6c5d4e3f2a1b0c9d8e7f6a5b4c3d2e1f0a9b8c7d6e5f4a3b2c";
    let committed = Timestamp::from_millisecond(START).unwrap_or_default().to_string();
    let named = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    [
        ("fingerprint", hash),
        ("run", "20261128-033000-123-1a2b, attempt 1"),
        ("program", "mambafleet 0.1.0"),
        ("backend", "native (1)"),
        ("seed", "42"),
        ("model", "d_model 64, n_layers 2, d_state 16, d_conv 4, expand 2, dt_rank 4"),
        ("data", "/srv/prices/AAPL.csv"),
        ("bars", "4103, 2010-01-04 to 2026-11-27"),
        ("training part", "2829 samples, 2010-03-30 to 2021-06-25"),
        ("validation part", "588 samples, 2021-07-26 to 2023-11-24"),
        ("test part", "607 samples, 2023-12-26 to 2026-10-29"),
        ("committed", &committed),
        ("manifest", hash),
    ]
    .map(named)
    .to_vec()
}

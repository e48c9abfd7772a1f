//! What a training step costs on each instruction set, against what the processor could do.
//! `just bench-step` runs it; criterion's figures come first, the table last.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints, and ends when something fails"
)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion};
use mambafleet_backend::{Batch, ModelConfig, Objective, OptimizerConfig, Trainer};
use mambafleet_backend_native::NativeBackend;
use mambafleet_kernels::{Isa, roofline};
use mambafleet_protocol::ModelSpec;

const OPTIMIZER: OptimizerConfig = OptimizerConfig::USUAL;

/// How often the table measures each step.
const ROUNDS: usize = 15;

/// A size that is measured.
struct Size {
    name: &'static str,
    batch: usize,
    config: ModelConfig,
}

/// The reference sizes.
fn sizes() -> [Size; 2] {
    let size = |name, batch, d_model, n_layers, seq_len, dt_rank| Size {
        name,
        batch,
        config: ModelConfig {
            spec: ModelSpec { d_model, n_layers, d_state: 16, d_conv: 4, expand: 2, dt_rank },
            n_features: 8,
            seq_len,
            objective: Objective::Mse { targets: 5 },
        },
    };
    [size("ref-S", 64, 64, 2, 64, 4), size("ref-M", 32, 128, 4, 128, 8)]
}

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    for size in sizes() {
        let mut group = criterion.benchmark_group(size.name);
        for isa in Isa::available() {
            let (mut trainer, batch) = size.trainer(isa);
            group.bench_function(BenchmarkId::from_parameter(isa), |bencher| {
                bencher.iter(|| trainer.train_step(&batch, 1e-3).unwrap());
            });
        }
        group.finish();
    }
    criterion.final_summary();
    // `cargo test` calls without this argument, and lists and tests with another beside it.
    let args: Vec<String> = std::env::args().collect();
    let only_looks = |arg: &String| arg == "--test" || arg == "--list";
    if args.iter().any(|arg| arg == "--bench") && !args.iter().any(only_looks) {
        print_table();
    }
}

impl Size {
    /// A fresh trainer on one thread, and a batch for it.
    fn trainer(&self, isa: Isa) -> (Box<dyn Trainer>, Batch) {
        let trainer = NativeBackend::create_on(isa, &self.config, &OPTIMIZER, 1, 1).unwrap();
        let (window, targets) = (self.config.seq_len * self.config.n_features, 5);
        let wave = |len: usize| (0..len).map(|i| ((i * 37 + i / 11) as f32 * 0.7).sin()).collect();
        let (inputs, targets) = (wave(self.batch * window), wave(self.batch * targets));
        (trainer, Batch { inputs, targets, samples: self.batch })
    }

    /// Floating-point operations of a step's matrix products, forward and backward, where the last
    /// layer computes what comes after its scan for one time step only.
    fn products(&self) -> f64 {
        let spec = self.config.spec;
        let (width, inner) = (spec.d_model, spec.expand * spec.d_model);
        let columns = spec.dt_rank + 2 * spec.d_state;
        let before = inner * (width + columns + spec.dt_rank);
        let after = 2 * inner * width;
        let steps = self.config.seq_len * self.batch;
        let every = steps * (spec.n_layers * before + (spec.n_layers - 1) * after);
        let input = steps * width * self.config.n_features;
        (6 * (every + self.batch * after) + 4 * input) as f64
    }

    /// Multiplications of a step's scans, fused with an addition or not. Per state: 9 forward, 8
    /// to compute it again and 8 backward; in the last layer 8 forward and 11 backward.
    fn multiplications(&self) -> f64 {
        let spec = self.config.spec;
        let states = spec.expand * spec.d_model * spec.d_state * self.config.seq_len * self.batch;
        (states * (25 * (spec.n_layers - 1) + 19)) as f64
    }
}

/// Processor time of this thread.
#[cfg(unix)]
fn thread_time() -> Duration {
    use rustix::time::{ClockId, clock_gettime};
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap())
}

/// Wall time, where there is no such clock.
#[cfg(not(unix))]
fn thread_time() -> Duration {
    static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    START.get_or_init(Instant::now).elapsed()
}

/// Seconds of processor time that `work` takes.
fn seconds(work: impl FnOnce()) -> f64 {
    let start = thread_time();
    work();
    (thread_time() - start).as_secs_f64()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Operations per second of `operations` in `work`: the best of some tries.
fn best_rate(operations: f64, mut work: impl FnMut()) -> f64 {
    (0..ROUNDS).map(|_| operations / seconds(&mut work)).fold(0.0, f64::max)
}

/// One row of the table.
struct Row {
    size: usize,
    isa: Isa,
    peak: f64,
    floor: f64,
    step: f64,
}

fn print_table() {
    let started = Instant::now();
    let sizes = sizes();
    let mut runs = Vec::new();
    for (index, size) in sizes.iter().enumerate() {
        for isa in Isa::available() {
            runs.push((index, isa, size.trainer(isa), Vec::new()));
        }
    }
    // The runs take turns, so that their ratios do not depend on what else the machine does.
    for round in 0..=ROUNDS {
        for (_, _, (trainer, batch), times) in &mut runs {
            let time = seconds(|| {
                black_box(trainer.train_step(batch, 1e-3).unwrap());
            });
            if round > 0 {
                times.push(time);
            }
        }
    }
    let rows = runs.into_iter().map(|(size, isa, _, times)| {
        let peak = best_rate(roofline::products_operations(isa), || {
            black_box(roofline::products(isa));
        });
        // A multiplication takes the time of a multiplication with addition.
        let floor = (sizes[size].products() + 2.0 * sizes[size].multiplications()) / peak;
        Row { size, isa, peak, floor, step: median(times) }
    });
    let rows: Vec<Row> = rows.collect();
    println!(
        "\n| size | instructions | ms per step | floor, ms | step / floor | GFLOP/s | peak GFLOP/s |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- |");
    for row in &rows {
        let size = &sizes[row.size];
        println!(
            "| {} | {} | {:.1} | {:.1} | {:.2} | {:.1} | {:.1} |",
            size.name,
            row.isa,
            row.step * 1e3,
            row.floor * 1e3,
            row.step / row.floor,
            size.products() / row.step * 1e-9,
            row.peak * 1e-9
        );
    }
    print_ratios(&rows, &sizes);
    println!(
        "took {:.0} s; peak memory of this process {}",
        started.elapsed().as_secs_f64(),
        peak_memory()
    );
}

/// How much slower AVX2 is than AVX-512, where there are both.
fn print_ratios(rows: &[Row], sizes: &[Size]) {
    for (index, size) in sizes.iter().enumerate() {
        let step = |name: &str| {
            rows.iter().find(|row| row.size == index && row.isa.name() == name).map(|row| row.step)
        };
        match (step("avx2"), step("avx512")) {
            (Some(avx2), Some(avx512)) => {
                println!("{}: avx2 takes {:.2} times as long as avx512", size.name, avx2 / avx512);
            }
            _ => println!("{}: avx2 and avx512 cannot be compared on this machine", size.name),
        }
    }
}

/// The most memory that this process has had, where the system tells.
fn peak_memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.map_or_else(|| "unknown".to_owned(), |value| value.trim().to_owned())
}

//! Takes training steps of a reference model on one thread and says what they took: this
//! backend's side of `just bench-peers`.
//!
//! `step ref-S|ref-M` prints a line when it is ready. For each line of its input, a number of
//! seconds, it then takes steps for as long and prints, as JSON, how many there were and what one
//! took: `wall_ms`, and the thread's processor time `cpu_ms`.

use std::error::Error;
use std::io::{Write, stdin, stdout};
use std::time::{Duration, Instant};

use mambafleet_backend::{Backend, Batch, ModelConfig, Objective, OptimizerConfig, Trainer};
use mambafleet_backend_native::NativeBackend;
use mambafleet_protocol::ModelSpec;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

const RATE: f64 = 1e-3;
const OPTIMIZER: OptimizerConfig =
    OptimizerConfig { grad_clip: f64::INFINITY, ..OptimizerConfig::USUAL };

/// A reference model and its batch size.
fn reference(name: &str) -> Option<(ModelConfig, usize)> {
    let (d_model, n_layers, dt_rank, seq_len, samples) = match name {
        "ref-S" => (64, 2, 4, 64, 64),
        "ref-M" => (128, 4, 8, 128, 32),
        _ => return None,
    };
    let spec = ModelSpec { d_model, n_layers, d_state: 16, d_conv: 4, expand: 2, dt_rank };
    let objective = Objective::Mse { targets: 5 };
    Some((ModelConfig { spec, n_features: 8, seq_len, objective }, samples))
}

/// Numbers even over -1.5 to 1.5.
fn batch(config: &ModelConfig, samples: usize) -> Batch {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let mut fill = |len: usize| {
        let mut next = || (random.next_u32() >> 8) as f32 / (1_u32 << 24) as f32;
        (0..len).map(|_| 3.0 * next() - 1.5).collect()
    };
    let inputs = fill(samples * config.seq_len * config.n_features);
    let targets = fill(samples * config.n_targets());
    Batch { inputs, targets, samples }
}

/// Processor time of this thread.
#[cfg(unix)]
fn processor_time(_started: Instant) -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(now).unwrap_or_default()
}

/// Wall time, where there is no such clock.
#[cfg(not(unix))]
fn processor_time(started: Instant) -> Duration {
    started.elapsed()
}

/// Takes steps for `seconds`, one at least, and describes them.
fn round(trainer: &mut dyn Trainer, batch: &Batch, seconds: f64) -> Result<String, Box<dyn Error>> {
    let (wall, mut steps) = (Instant::now(), 0_u32);
    let cpu = processor_time(wall);
    while steps == 0 || wall.elapsed().as_secs_f64() < seconds {
        trainer.train_step(batch, RATE)?;
        steps += 1;
    }
    let per_step = |time: Duration| 1e3 * time.as_secs_f64() / f64::from(steps);
    let (wall_ms, cpu_ms) = (per_step(wall.elapsed()), per_step(processor_time(wall) - cpu));
    Ok(format!(r#"{{"steps":{steps},"wall_ms":{wall_ms},"cpu_ms":{cpu_ms}}}"#))
}

fn main() -> Result<(), Box<dyn Error>> {
    let name = std::env::args().nth(1).unwrap_or_default();
    let (config, samples) = reference(&name).ok_or("usage: step ref-S|ref-M")?;
    let batch = batch(&config, samples);
    let mut trainer = NativeBackend.create(&config, &OPTIMIZER, 1, 1)?;
    let started = Instant::now();
    trainer.train_step(&batch, RATE)?;
    let first = started.elapsed().as_secs_f64();
    let version = NativeBackend.version();
    writeln!(stdout(), r#"{{"ready":"{version}","first_step_s":{first}}}"#)?;
    for line in stdin().lines() {
        let report = round(trainer.as_mut(), &batch, line?.trim().parse()?)?;
        writeln!(stdout(), "{report}")?;
    }
    Ok(())
}

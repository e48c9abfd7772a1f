//! A backend that fails in every way that a backend can, by the name of the symbol. Only builds for
//! tests have it.

use std::io::Write;
use std::time::Duration;

use mambafleet_backend::{
    Backend, BackendError, Fitted, Job, Model, ModelConfig, NamedTensors, Observer,
    OptimizerConfig, Samples, Trainer,
};
use mambafleet_backend_native::NativeBackend;

/// Trains like `native`, apart from what these symbols make it do: `ERROR`, `DIVERGES`, `DIES`,
/// `HANGS`, `SLEEPS`, `EATS`, `RUBBISH`; `DAWDLES` takes three seconds more.
pub(super) struct FaultyBackend;

/// What `EATS` takes at a time, in bytes, and how often.
const BITE: usize = 16 << 20;
const BITES: usize = 200;

fn misbehave(job: &Job<'_>, observer: &mut dyn Observer) -> Result<(), BackendError> {
    let pause = Duration::from_millis(20);
    match job.symbol.as_str() {
        "ERROR" => Err(BackendError::Failed("this symbol is to fail".to_owned())),
        // With a lower learning rate, as in the third attempt, it does not.
        "DIVERGES" if job.train.learning_rate > 1e-4 => {
            Err(BackendError::Diverged { what: "the loss", value: f64::NAN, step: 7 })
        }
        "DIES" => {
            #[cfg(unix)]
            if let Err(error) = rustix::process::kill_process(
                rustix::process::getpid(),
                rustix::process::Signal::KILL,
            ) {
                return Err(BackendError::Failed(error.to_string()));
            }
            Err(BackendError::Lost("this process should be dead".to_owned()))
        }
        "HANGS" => loop {
            std::thread::sleep(pause);
        },
        "SLEEPS" => loop {
            std::thread::sleep(pause);
            if observer.is_cancelled() {
                return Err(BackendError::Cancelled);
            }
        },
        "DAWDLES" => {
            std::thread::sleep(Duration::from_secs(3));
            Ok(())
        }
        "EATS" => {
            let mut eaten = Vec::new();
            for _ in 0..BITES {
                eaten.push(vec![1_u8; BITE]);
                std::thread::sleep(pause);
                if observer.is_cancelled() {
                    return Err(BackendError::Cancelled);
                }
            }
            Err(BackendError::Failed(format!("{} bites were allowed", eaten.len())))
        }
        "RUBBISH" => loop {
            let line = b"{\"mambafleet\": rubbish on standard output\n";
            if std::io::stdout().write_all(line).is_err() || observer.is_cancelled() {
                return Err(BackendError::Cancelled);
            }
        },
        _ => Ok(()),
    }
}

impl Backend for FaultyBackend {
    fn name(&self) -> &'static str {
        "faulty"
    }

    fn description(&self) -> &'static str {
        "fails in every way, for tests"
    }

    fn version(&self) -> &'static str {
        "faulty-1"
    }

    fn create(
        &self,
        config: &ModelConfig,
        optimizer: &OptimizerConfig,
        seed: u64,
        threads: usize,
    ) -> Result<Box<dyn Trainer>, BackendError> {
        NativeBackend.create(config, optimizer, seed, threads)
    }

    fn fit(
        &self,
        job: &Job<'_>,
        train: &dyn Samples,
        validation: &dyn Samples,
        observer: &mut dyn Observer,
    ) -> Result<Fitted, BackendError> {
        misbehave(job, observer)?;
        NativeBackend.fit(job, train, validation, observer)
    }

    fn load(
        &self,
        config: &ModelConfig,
        tensors: &NamedTensors,
        threads: usize,
    ) -> Result<Box<dyn Model>, BackendError> {
        NativeBackend.load(config, tensors, threads)
    }
}

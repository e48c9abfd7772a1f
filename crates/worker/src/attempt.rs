//! One attempt at one symbol, from bars to a committed generation.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use mambafleet_artifacts::{Store, SymbolStore, Wait};
use mambafleet_backend::{Backend, Job, ModelConfig, NamedTensors, OptimizerConfig, Registry};
use mambafleet_dataset::{self as dataset, Dataset};
use mambafleet_protocol::{
    Headline, JobResult, JobSpec, SampleCounts, Spent, StageTimes, Stopwatch, TrainSpec,
    WorkerEvent, cause_chain,
};

use crate::evaluation::{Metrics, evaluate};
use crate::metadata::METADATA_SCHEMA;
use crate::training::{Part, Reporting, thinned};
use crate::{
    AttemptError, Emitter, METADATA_FILE, METRICS_FILE, Metadata, Provenance, StageSeconds,
    fingerprint,
};

/// Carries out one job and reports how it ended.
pub fn run_attempt(job: &JobSpec, registry: &Registry, program: &str, emitter: &Emitter) {
    let span =
        tracing::info_span!("attempt", run = %job.run, symbol = %job.symbol, n = job.attempt);
    let _entered = span.enter();
    let mut clock = Clock::start();
    let (symbol, attempt) = (job.symbol.clone(), job.attempt);
    emitter.emit(&WorkerEvent::Started { symbol: symbol.clone(), attempt });
    let result = match train_and_commit(job, registry, program, emitter, &mut clock) {
        Ok(result) => result,
        Err(AttemptError::Deserted) => return,
        Err(error) => {
            tracing::error!(kind = %error.kind(), error = cause_chain(&error), "attempt failed");
            error.into()
        }
    };
    let (seconds, times) = clock.stop();
    emitter.emit(&WorkerEvent::Finished { symbol, attempt, seconds, times, result });
}

/// Measures an attempt, stage by stage.
struct Clock {
    whole: Stopwatch,
    stage: Stopwatch,
    times: StageTimes,
}

impl Clock {
    fn start() -> Self {
        let whole = Stopwatch::start();
        Self { whole, stage: whole, times: StageTimes::default() }
    }

    /// What has passed since the last stage ended belongs to the one that `stage` picks.
    fn end(&mut self, stage: impl FnOnce(&mut StageTimes) -> &mut Spent) {
        *stage(&mut self.times) += self.stage.lap();
    }

    /// Wall time of the whole, and what its stages took.
    fn stop(mut self) -> (f64, StageTimes) {
        self.end(|times| &mut times.other);
        (self.whole.spent().seconds, self.times)
    }
}

fn train_and_commit(
    job: &JobSpec,
    registry: &Registry,
    program: &str,
    emitter: &Emitter,
    clock: &mut Clock,
) -> Result<JobResult, AttemptError> {
    let started_at = Timestamp::now();
    job.task.validate()?;
    job.model.validate()?;
    job.train.validate()?;
    let backend = &*registry.open(&job.train.backend, job.program.as_ref())?;
    let bars = dataset::load(&job.symbol, &job.data)?;
    if let Some(reading) = bars.reading.as_ref().filter(|reading| reading.mended()) {
        tracing::warn!(mended = %reading, "the file has blemishes");
    }
    let identity = backend.identity()?;
    let fingerprint = fingerprint(job, &bars, &identity)?;
    let store = Store::open(&job.store)?.symbol(&job.symbol);
    if let Some(generation) = up_to_date(job, &store, &fingerprint)? {
        tracing::info!(generation, "up to date");
        return Ok(JobResult::UpToDate { generation });
    }
    if job.check_only {
        tracing::info!("not up to date, and there is no time left to train");
        return Ok(JobResult::TooLate);
    }
    let data = dataset::prepare(&bars, &job.task)?;
    clock.end(|times| &mut times.load);
    announce(job, &data, bars.bars.len(), emitter);
    let config = ModelConfig::for_task(&job.task, job.model);
    let optimizer = OptimizerConfig::from(&job.train);
    let settings = TrainSpec {
        learning_rate: job.train.learning_rate * job.learning_rate_scale,
        ..job.train.clone()
    };
    let told = Job {
        symbol: &job.symbol,
        run: &job.run,
        attempt: job.attempt,
        task: &job.task,
        config: &config,
        train: &settings,
        optimizer: &optimizer,
        threads: job.threads,
    };
    let fitted = train(&told, backend, &data, Reporting::new(job, emitter), clock)?;
    let metadata = Metadata {
        schema: METADATA_SCHEMA,
        symbol: job.symbol.clone(),
        fingerprint,
        task: job.task.clone(),
        model: config,
        scaler: data.scaler().clone(),
        train: settings,
        optimizer,
        source: job.data.clone(),
        data: data.summary().clone(),
        provenance: Provenance {
            program: program.to_owned(),
            backend: backend.name().to_owned(),
            backend_version: identity,
            command: job.program.as_ref().map(|program| program.argv.clone()),
            run: job.run.clone(),
            attempt: job.attempt,
            started_at,
            threads: job.threads,
            seconds: StageSeconds::from(&clock.times),
        },
    };
    let result = commit(job, &store, &fitted, &metadata)?;
    clock.end(|times| &mut times.commit);
    Ok(result)
}

/// The newest generation, if it has this fingerprint and is whole. When training is forced, it must
/// come from a run that this one goes on with.
fn up_to_date(
    job: &JobSpec,
    store: &SymbolStore,
    fingerprint: &str,
) -> Result<Option<u64>, AttemptError> {
    if job.force && job.resumes.is_empty() {
        return Ok(None);
    }
    let latest = match store.latest() {
        Ok(Some(snapshot)) if snapshot.skipped().is_empty() => snapshot,
        Ok(_) => return Ok(None),
        // Nothing readable is left: a new generation is what is needed.
        Err(error) if error.is_corrupt() => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let same = latest.json::<Metadata>(METADATA_FILE).is_ok_and(|metadata| {
        let of_this_run = job.resumes.contains(&metadata.provenance.run);
        metadata.fingerprint == fingerprint && (of_this_run || !job.force)
    });
    Ok(same.then(|| latest.generation()))
}

fn announce(job: &JobSpec, data: &Dataset, bars: usize, emitter: &Emitter) {
    let (train, validation, test) =
        (data.train().len(), data.validation().len(), data.test().len());
    tracing::info!(bars, train, validation, test, "data ready");
    emitter.emit(&WorkerEvent::Loaded(SampleCounts {
        symbol: job.symbol.clone(),
        bars,
        train,
        validation,
        test,
    }));
}

/// A trained model with what is known of it.
struct Fitted {
    tensors: NamedTensors,
    metrics: Metrics,
}

fn train(
    job: &Job<'_>,
    backend: &dyn Backend,
    data: &Dataset,
    mut observer: Reporting<'_>,
    clock: &mut Clock,
) -> Result<Fitted, AttemptError> {
    let validated = thinned(data.validation(), job.train.validation_stride);
    let train = Part { data, anchors: data.train() };
    let validation = Part { data, anchors: &validated };
    let mut trained = backend.fit(job, &train, &validation, &mut observer)?;
    clock.end(|times| &mut times.train);
    clock.times.train = clock.times.train - trained.validation;
    clock.times.validate += trained.validation;
    let metrics = evaluate(&mut trained, job.task, job.config, data, &validation)?;
    clock.end(|times| &mut times.evaluate);
    Ok(Fitted { tensors: trained.model.tensors()?, metrics })
}

/// Stages all files, takes the lock, commits.
fn commit(
    job: &JobSpec,
    store: &SymbolStore,
    fitted: &Fitted,
    metadata: &Metadata,
) -> Result<JobResult, AttemptError> {
    let mut transaction = store.begin()?;
    let tensors = fitted
        .tensors
        .iter()
        .map(|(name, tensor)| (name, tensor.shape.as_slice(), tensor.data.as_slice()));
    let about = BTreeMap::from([
        ("symbol".to_owned(), job.symbol.to_string()),
        ("fingerprint".to_owned(), metadata.fingerprint.clone()),
    ]);
    transaction.put_weights(tensors, about)?;
    transaction.put_json(METRICS_FILE, &fitted.metrics)?;
    transaction.put_json(METADATA_FILE, metadata)?;
    transaction.prepare()?;
    let timeout = job.lock_timeout_ms.map(Duration::from_millis);
    let lock = store.lock(timeout.map_or(Wait::Auto, Wait::Until))?;
    // Another run may have trained the same meanwhile: one generation of it will do.
    if let Some(generation) = up_to_date(job, store, &metadata.fingerprint)? {
        tracing::info!(generation, "another run was faster");
        return Ok(JobResult::UpToDate { generation });
    }
    let commit = transaction.commit(&lock)?;
    let Headline { best_validation_loss, test_loss, .. } = fitted.metrics.headline;
    tracing::info!(generation = commit.generation, best_validation_loss, test_loss, "committed");
    let (generation, headline) = (commit.generation, fitted.metrics.headline);
    Ok(JobResult::Committed { generation, headline })
}

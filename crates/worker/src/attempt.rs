//! One attempt at one symbol, from bars to a committed generation.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use mambafleet_artifacts::{Store, SymbolStore, Wait};
use mambafleet_backend::{Backend, Job, ModelConfig, NamedTensors, OptimizerConfig, Registry};
use mambafleet_dataset::{self as dataset, Dataset};
use mambafleet_protocol::{Headline, JobResult, JobSpec, SampleCounts, WorkerEvent, cause_chain};

use crate::evaluation::{Metrics, evaluate};
use crate::metadata::METADATA_SCHEMA;
use crate::training::{Part, Reporting};
use crate::{
    AttemptError, Emitter, METADATA_FILE, METRICS_FILE, Metadata, Provenance, StageSeconds,
    fingerprint,
};

/// Carries out one job and reports how it ended.
pub fn run_attempt(job: &JobSpec, registry: &Registry, program: &str, emitter: &Emitter) {
    let span =
        tracing::info_span!("attempt", run = %job.run, symbol = %job.symbol, n = job.attempt);
    let _entered = span.enter();
    let started = Instant::now();
    let (symbol, attempt) = (job.symbol.clone(), job.attempt);
    emitter.emit(&WorkerEvent::Started { symbol: symbol.clone(), attempt });
    let result = match train_and_commit(job, registry, program, emitter) {
        Ok(result) => result,
        Err(AttemptError::Deserted) => return,
        Err(error) => {
            tracing::error!(kind = %error.kind(), error = cause_chain(&error), "attempt failed");
            error.into()
        }
    };
    let seconds = started.elapsed().as_secs_f64();
    emitter.emit(&WorkerEvent::Finished { symbol, attempt, seconds, result });
}

fn train_and_commit(
    job: &JobSpec,
    registry: &Registry,
    program: &str,
    emitter: &Emitter,
) -> Result<JobResult, AttemptError> {
    let started_at = Timestamp::now();
    let clock = Instant::now();
    job.task.validate()?;
    job.model.validate()?;
    job.train.validate()?;
    let backend = &*registry.open(&job.train.backend, job.program.as_ref())?;
    let bars = dataset::load(&job.symbol, &job.data)?;
    let identity = backend.identity()?;
    let fingerprint = fingerprint(job, &bars, &identity)?;
    let store = Store::open(&job.store)?.symbol(&job.symbol);
    if !job.force
        && let Some(generation) = up_to_date(&store, &fingerprint)?
    {
        tracing::info!(generation, "up to date");
        return Ok(JobResult::UpToDate { generation });
    }
    let data = dataset::prepare(&bars, &job.task)?;
    let load = clock.elapsed().as_secs_f64();
    announce(job, &data, bars.bars.len(), emitter);
    let config = ModelConfig::for_task(&job.task, job.model);
    let optimizer = OptimizerConfig::from(&job.train);
    let fitted = train(job, backend, &config, &optimizer, &data, emitter)?;
    let metadata = Metadata {
        schema: METADATA_SCHEMA,
        symbol: job.symbol.clone(),
        fingerprint,
        task: job.task.clone(),
        model: config,
        scaler: data.scaler().clone(),
        train: job.train.clone(),
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
            seconds: StageSeconds { load, ..fitted.seconds },
        },
    };
    let generation = commit(job, &store, &fitted, &metadata)?;
    Ok(JobResult::Committed { generation, headline: fitted.metrics.headline })
}

/// The newest generation, if it has this fingerprint and is whole.
fn up_to_date(store: &SymbolStore, fingerprint: &str) -> Result<Option<u64>, AttemptError> {
    let latest = match store.latest() {
        Ok(Some(snapshot)) if snapshot.skipped().is_empty() => snapshot,
        Ok(_) => return Ok(None),
        // Nothing readable is left: a new generation is what is needed.
        Err(error) if error.is_corrupt() => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let same = latest
        .json::<Metadata>(METADATA_FILE)
        .is_ok_and(|metadata| metadata.fingerprint == fingerprint);
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
    seconds: StageSeconds,
}

fn train(
    job: &JobSpec,
    backend: &dyn Backend,
    config: &ModelConfig,
    optimizer: &OptimizerConfig,
    data: &Dataset,
    emitter: &Emitter,
) -> Result<Fitted, AttemptError> {
    let clock = Instant::now();
    let told = Job {
        symbol: &job.symbol,
        run: &job.run,
        attempt: job.attempt,
        task: &job.task,
        config,
        train: &job.train,
        optimizer,
        threads: job.threads,
    };
    let part = |anchors| Part { data, anchors };
    let mut observer = Reporting { job, emitter };
    let mut trained =
        backend.fit(&told, &part(data.train()), &part(data.validation()), &mut observer)?;
    let train = clock.elapsed().as_secs_f64();
    let metrics = evaluate(&mut trained, &job.task, config, data)?;
    let evaluate = clock.elapsed().as_secs_f64() - train;
    let seconds = StageSeconds { load: 0.0, train, evaluate };
    Ok(Fitted { tensors: trained.model.tensors()?, metrics, seconds })
}

/// Stages all files, takes the lock, commits.
fn commit(
    job: &JobSpec,
    store: &SymbolStore,
    fitted: &Fitted,
    metadata: &Metadata,
) -> Result<u64, AttemptError> {
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
    let commit = transaction.commit(&lock)?;
    let Headline { best_validation_loss, test_loss, .. } = fitted.metrics.headline;
    tracing::info!(generation = commit.generation, best_validation_loss, test_loss, "committed");
    Ok(commit.generation)
}

//! One attempt at one symbol, from bars to a committed generation.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use mambafleet_artifacts::{Store, StoreError, SymbolStore, Wait};
use mambafleet_backend::{Backend, NamedTensors, Registry};
use mambafleet_protocol::{
    CommitReport, Headline, JobResult, JobSpec, SampleCounts, TaskSpec, WorkerEvent, cause_chain,
};

use crate::clock::Clock;
use crate::metadata::METADATA_SCHEMA;
use crate::models::{Models, Trained};
use crate::promotion::{Verdict, decide};
use crate::returns::Returns;
use crate::series::Series;
use crate::start::Start;
use crate::study::{Fold, Study};
use crate::{
    AttemptError, Emitter, METADATA_FILE, METRICS_FILE, Metadata, Provenance, StageSeconds,
    fingerprint,
};

/// Carries out one job and reports how it ended.
pub fn run_attempt(job: &JobSpec, registry: &Registry, program: &str, emitter: &Emitter) {
    let (run, pid) = (&job.run, std::process::id());
    let _of_attempt =
        tracing::info_span!("attempt", %run, symbol = %job.symbol, attempt = job.attempt).entered();
    // The lines of a log do not repeat what all of them have in common.
    tracing::info!(%run, symbol = %job.symbol, attempt = job.attempt, pid, "attempt begins");
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
    job.evaluate.validate()?;
    job.promote.validate()?;
    let backend = &*registry.open(&job.train.backend, job.program.as_ref())?;
    let attempt = Attempt { job, backend, registry, program, emitter, started_at };
    match &job.task {
        TaskSpec::Returns(task) => attempt.carry_out(&Returns::load(job, task)?, clock),
        TaskSpec::Series(task) => attempt.carry_out(&Series::load(job, task)?, clock),
    }
}

/// How often a model is compared anew, because another run has committed in between.
const MAX_CONFLICTS: usize = 10;

/// What an attempt is made with.
struct Attempt<'a> {
    job: &'a JobSpec,
    backend: &'a dyn Backend,
    registry: &'a Registry,
    emitter: &'a Emitter,
    program: &'a str,
    started_at: Timestamp,
}

impl Attempt<'_> {
    fn carry_out<S: Study>(&self, study: &S, clock: &mut Clock) -> Result<JobResult, AttemptError> {
        let job = self.job;
        let identity = self.backend.identity()?;
        let fingerprint = fingerprint(job, study.content(), &identity)?;
        let store = Store::open(&job.store)?.symbol(&job.symbol);
        if let Some(generation) = up_to_date(job, &store, &fingerprint)? {
            tracing::info!(generation, "up to date");
            return Ok(JobResult::UpToDate { generation });
        }
        if job.check_only {
            tracing::info!("not up to date, and there is no time left to train");
            return Ok(JobResult::TooLate);
        }
        let last = study.fold(job.evaluate.folds - 1)?;
        clock.end(|times| &mut times.load);
        announce(last.counts(), self.emitter);
        let start = Start::of(job, &store)?;
        let trained = Models::new(job, self.backend, self.emitter, study, start.as_ref(), clock)
            .train(&last)?;
        let mut metadata = Metadata {
            schema: METADATA_SCHEMA,
            symbol: job.symbol.clone(),
            fingerprint,
            task: job.task.clone(),
            model: trained.settings.config.clone(),
            scaler: trained.conclusion.scaler.clone(),
            train: trained.settings.train.clone(),
            optimizer: trained.settings.optimizer,
            shrinkage: trained.conclusion.shrinkage.clone(),
            evaluate: job.evaluate,
            promotion: None,
            source: job.data.clone(),
            data: trained.conclusion.data.clone(),
            series: trained.conclusion.series.clone(),
            provenance: self.provenance(identity, &trained, clock),
        };
        let mut conflicts = 0;
        let result = loop {
            let verdict = decide(job, self.registry, study, &last, &trained, &store)?;
            clock.end(|times| &mut times.evaluate);
            let parent = match verdict {
                None => None,
                Some(Verdict::Keep(comparison)) => break JobResult::Kept { comparison },
                Some(Verdict::Commit { parent, promotion }) => {
                    metadata.promotion = Some(promotion);
                    parent
                }
            };
            match commit(job, &store, &trained, &metadata, parent, self.emitter) {
                // Another run has committed in between: that is what is to be beaten now.
                Err(AttemptError::Store(StoreError::Conflict { .. }))
                    if conflicts < MAX_CONFLICTS =>
                {
                    conflicts += 1;
                }
                result => break result?,
            }
        };
        clock.end(|times| &mut times.commit);
        Ok(result)
    }

    fn provenance(&self, backend_version: String, trained: &Trained, clock: &Clock) -> Provenance {
        Provenance {
            program: self.program.to_owned(),
            backend: self.backend.name().to_owned(),
            backend_version,
            command: self.job.program.as_ref().map(|program| program.argv.clone()),
            run: self.job.run.clone(),
            attempt: self.job.attempt,
            started_at: self.started_at,
            threads: self.job.threads,
            warm_start: trained.warm_start.clone(),
            seconds: StageSeconds::from(&clock.times),
            epoch_seconds: trained.epoch_seconds.clone(),
        }
    }
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

fn announce(counts: SampleCounts, emitter: &Emitter) {
    let SampleCounts { bars, train, validation, test, .. } = counts;
    tracing::info!(bars, train, validation, test, "data ready");
    emitter.emit(&WorkerEvent::Loaded(counts));
}

/// Stages all files, takes the lock, commits; on top of `parent` and no other, where one is given.
fn commit(
    job: &JobSpec,
    store: &SymbolStore,
    trained: &Trained,
    metadata: &Metadata,
    parent: Option<Option<u64>>,
    emitter: &Emitter,
) -> Result<JobResult, AttemptError> {
    let Trained { model, conclusion, .. } = trained;
    let mut transaction = store.begin()?;
    if let Some(parent) = parent {
        transaction = transaction.on_top_of(parent);
    }
    let about = BTreeMap::from([
        ("symbol".to_owned(), job.symbol.to_string()),
        ("fingerprint".to_owned(), metadata.fingerprint.clone()),
    ]);
    transaction.put_weights(parts(&model.tensors()?), about)?;
    for (name, tensors) in &conclusion.files {
        transaction.put_tensors(name, parts(tensors), BTreeMap::new())?;
    }
    transaction.put_json(METRICS_FILE, &conclusion.metrics)?;
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
    emitter.emit(&WorkerEvent::Stored(CommitReport {
        symbol: job.symbol.clone(),
        generation: commit.generation,
        bytes: commit.manifest.total_length(),
        seconds: (commit.staging + commit.lock_waited + commit.elapsed).as_secs_f64(),
        lock_wait_seconds: commit.lock_waited.as_secs_f64(),
    }));
    let headline = conclusion.headline();
    let Headline { best_validation_loss, test_loss, .. } = headline;
    tracing::info!(generation = commit.generation, best_validation_loss, test_loss, "committed");
    Ok(JobResult::Committed { generation: commit.generation, headline })
}

/// Tensors as the store takes them.
fn parts(tensors: &NamedTensors) -> impl Iterator<Item = (&str, &[usize], &[f32])> {
    tensors.iter().map(|(name, tensor)| (name, tensor.shape.as_slice(), tensor.data.as_slice()))
}

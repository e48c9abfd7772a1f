//! Symbols, job specifications and the messages between orchestrator and worker.
//!
//! This crate is the leaf of the workspace: it depends on no other crate of it, does no I/O and
//! knows neither models nor files. What crosses a process boundary is defined here and nowhere
//! else:
//!
//! - [`Symbol`]: a ticker, and the one safe way to turn it into a directory name;
//! - [`JobSpec`]: everything a worker needs to train one symbol, with no default left in it;
//! - [`WorkerRequest`] and [`WorkerEvent`]: the two directions of the wire, and [`codec`], which
//!   carries them as JSON lines;
//! - [`Outcome`] and [`FailureKind`]: how a symbol can end.

mod cause;
pub mod codec;
mod evaluate;
mod message;
mod outcome;
mod policy;
mod promote;
mod run_id;
mod series;
mod spec;
mod symbol;
mod task;
mod time;

pub use cause::{cause_chain, signal_name};
pub use evaluate::{AlarmSpec, EvaluateSpec, WindowSpec};
pub use message::{
    CommitReport, EpochReport, JobResult, PROTOCOL_VERSION, SampleCounts, WorkerEvent,
    WorkerRequest,
};
pub use outcome::{FailureKind, Headline, Outcome, SkipReason};
pub use policy::{
    AdjustSpec, BlankSpec, DuplicateSpec, InconsistentSpec, PolicySpec, SuspectedSplitSpec,
    UnsortedSpec,
};
pub use promote::{Comparison, PromoteSpec, PromoteWhen};
pub use run_id::{InvalidRunId, RunId};
pub use series::{
    ChannelsSpec, LossSpec, NormalizationSpec, SeriesKind, SeriesSpec, SeriesSplitSpec,
};
pub use spec::{
    DataSource, InitSpec, InvalidSpec, JobSpec, ModelSpec, ProgramSpec, ScheduleSpec, TrainSpec,
    TrialSpec, mix64, symbol_seed,
};
pub use symbol::{InvalidSymbol, Symbol, is_device_name};
pub use task::{ReturnsSpec, SplitSpec, TaskSpec};
pub use time::{Spent, StageTimes, Stopwatch, process_cpu_time};

//! Plan, scheduler, dispatcher and process control of a run.
//!
//! A run goes one way: a [`RunPlan`] says what is to be done; the [`Scheduler`], a pure state
//! machine, decides what happens next; [`run`] carries its decisions out on real worker
//! processes, writes every event to the run's record and hands it to a [`Reporter`]; a
//! [`RunSummary`] is what remains.
//!
//! This crate never prints, names no backend and knows no configuration file.

mod dispatcher;
mod event;
mod events;
mod hearing;
mod history;
mod http;
mod memory;
mod notify;
mod plan;
mod process;
mod record;
mod scheduler;
mod signals;
mod summary;
mod supervision;
mod trail;
mod watch;

pub use dispatcher::{RunError, WorkerCommand, run};
pub use event::{RunEvent, RunningNow, StampedEvent, Status};
pub use events::EventLog;
pub use history::last_complete_run;
pub use http::{Answer, HttpError, HttpUrl, InvalidHttpUrl};
pub use notify::{Channel, Message, Notification, Notify, Told, tell};
pub use plan::{Limits, RetryPolicy, RunPlan, RunPolicy, new_run_id, threads_per_worker};
pub use record::{RecordError, RunRecord};
pub use scheduler::{Action, Input, Rules, Scheduler, Settled};
pub use summary::{CompleteRun, LockWaits, RunSummary, RunTime, SymbolSummary};
pub use trail::TRAIL;

/// Version of the JSON that a run writes: its plan, its events and its summary.
pub const RUN_SCHEMA: u32 = 1;

/// Receives the events of a run as they happen; implemented by whatever shows them to a person
/// or a program. A reporter must not block.
pub trait Reporter {
    /// Called once per event, in order.
    fn on_event(&mut self, event: &StampedEvent);

    /// Whether it is to get a [`RunEvent::Pulse`] every second.
    fn wants_pulse(&self) -> bool {
        false
    }
}

//! Plan, scheduler, dispatcher and process control of a run.

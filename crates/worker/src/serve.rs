//! The main loop of a worker process.

use std::io::{BufRead, Read, Write};
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};

use mambafleet_backend::Registry;
use mambafleet_protocol::codec::{self, Line, MAX_LINE};
use mambafleet_protocol::{
    JobSpec, PROTOCOL_VERSION, WorkerEvent, WorkerRequest, process_cpu_time,
};

use crate::{Emitter, run_attempt, stderr};

/// A worker that cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// A line on standard input is no request of this protocol version.
    #[error("line {line} of standard input is no request: {text}")]
    BadRequest {
        /// Its number, from 1.
        line: usize,
        /// What it holds, cut off.
        text: String,
    },
    /// Standard input cannot be read, or no thread can be started to do so.
    #[error("standard input: {0}")]
    Input(#[from] std::io::Error),
}

/// Works through the jobs that arrive on `input` until it is told to stop.
///
/// A thread of its own reads `input`, so that its end is noticed in the middle of a job: running
/// work then stops at its next batch, and `on_parent_gone` is called on that thread, which may
/// end the process should that take too long.
///
/// # Errors
/// [`ServeError`] when a line is no request, or reading fails. Failing jobs are no such error:
/// they are reported as events.
pub fn serve(
    registry: &Registry,
    program: &str,
    input: impl BufRead + Send + 'static,
    output: impl Write + Send + 'static,
    on_parent_gone: impl FnOnce() + Send + 'static,
) -> Result<(), ServeError> {
    let emitter = Arc::new(Emitter::new(output));
    let (sender, requests) = channel();
    let listener = Arc::clone(&emitter);
    std::thread::Builder::new().name("requests".into()).spawn(move || {
        if read_requests(input, &sender) == Ending::ParentGone {
            listener.desert();
            drop(sender);
            on_parent_gone();
        }
    })?;
    emitter.emit(&WorkerEvent::Hello {
        protocol: PROTOCOL_VERSION,
        pid: std::process::id(),
        version: program.to_owned(),
        cpu_seconds: process_cpu_time().as_secs_f64(),
    });
    while let Ok(job) = requests.recv() {
        let job = job?;
        stderr::redirect(&job.log);
        run_attempt(&job, registry, program, &emitter);
        if emitter.is_deserted() {
            break;
        }
    }
    Ok(())
}

/// Why no more requests will come.
#[derive(Debug, PartialEq, Eq)]
enum Ending {
    /// The orchestrator said so, or a line could not be understood.
    Told,
    /// The stream ended.
    ParentGone,
}

fn read_requests(
    mut input: impl BufRead,
    jobs: &Sender<Result<Box<JobSpec>, ServeError>>,
) -> Ending {
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        match input.by_ref().take(MAX_LINE as u64).read_until(b'\n', &mut line) {
            Ok(0) => break,
            Ok(_) => {}
            Err(error) => {
                let _ = jobs.send(Err(error.into()));
                break;
            }
        }
        match codec::decode::<WorkerRequest>(&line) {
            Line::Message { message: WorkerRequest::Run { job }, .. } => {
                if jobs.send(Ok(job)).is_err() {
                    return Ending::Told;
                }
            }
            Line::Message { message: WorkerRequest::Stop, .. } => return Ending::Told,
            Line::Stray(text) => {
                let text = text.chars().take(200).collect();
                let _ = jobs.send(Err(ServeError::BadRequest { line: number, text }));
                return Ending::Told;
            }
            Line::Version(version) => {
                let text = format!("protocol version {version}, expected {PROTOCOL_VERSION}");
                let _ = jobs.send(Err(ServeError::BadRequest { line: number, text }));
                return Ending::Told;
            }
        }
    }
    Ending::ParentGone
}

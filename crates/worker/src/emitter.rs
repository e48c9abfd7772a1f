//! The worker's voice: protocol lines on one stream.

use std::io::Write;
use std::sync::Mutex;

use mambafleet_backend::Cancellation;
use mambafleet_protocol::{WorkerEvent, codec};

/// Writes events as protocol lines, each in one call, and remembers whether anybody listens.
pub struct Emitter {
    output: Mutex<Box<dyn Write + Send>>,
    deserted: Cancellation,
}

impl Emitter {
    /// An emitter that writes to `output`.
    #[must_use]
    pub fn new(output: impl Write + Send + 'static) -> Self {
        Self { output: Mutex::new(Box::new(output)), deserted: Cancellation::default() }
    }

    /// Writes one event. When the other end is gone, [`is_deserted`](Self::is_deserted) says so
    /// from then on.
    pub fn emit(&self, event: &WorkerEvent) {
        let written = codec::encode(event).map_err(std::io::Error::other).and_then(|line| {
            let mut output = match self.output.lock() {
                Ok(output) => output,
                Err(poisoned) => poisoned.into_inner(),
            };
            output.write_all(line.as_bytes())?;
            output.flush()
        });
        if let Err(error) = written {
            tracing::error!(%error, "cannot report to the orchestrator");
            self.desert();
        }
    }

    /// Marks the other end as gone: running work stops at the next occasion.
    pub fn desert(&self) {
        self.deserted.cancel();
    }

    /// Whether the other end is gone.
    #[must_use]
    pub fn is_deserted(&self) -> bool {
        self.deserted.is_cancelled()
    }

    /// The same for whoever outlives this.
    pub(crate) fn desertion(&self) -> Cancellation {
        self.deserted.clone()
    }
}

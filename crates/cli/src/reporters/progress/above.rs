//! Text that others write to standard error while the live display is on.

use std::io::{self, Write};
use std::sync::{Mutex, PoisonError, Weak};

use mambafleet_worker::log_writer;

use super::{Above, Shared};

/// The display that is on.
static DISPLAY: Mutex<Weak<Shared>> = Mutex::new(Weak::new());

/// Sends text to this display from now on; to none if that is gone.
pub(super) fn send_to(display: Weak<Shared>) {
    *DISPLAY.lock().unwrap_or_else(PoisonError::into_inner) = display;
}

/// Puts text above the live lines; false if there are none, and the text is still to be written.
pub(crate) fn put_above(text: &str) -> bool {
    let display = DISPLAY.lock().unwrap_or_else(PoisonError::into_inner).upgrade();
    let Some(shared) = display else { return false };
    shared.tell(|state| state.scroll.push(Above::Text(text.to_owned())));
    true
}

/// Where a line of tracing goes: above the live lines, or to where such lines go.
pub(crate) fn line_writer() -> LineWriter {
    LineWriter(Vec::new())
}

/// A line that is written when it is whole.
pub(crate) struct LineWriter(Vec<u8>);

impl Write for LineWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for LineWriter {
    fn drop(&mut self) {
        if !self.0.is_empty() && !put_above(&String::from_utf8_lossy(&self.0)) {
            // A log that cannot be written must not end the program.
            let _ = log_writer().write_all(&self.0);
        }
    }
}

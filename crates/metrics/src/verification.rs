//! What a check of a whole store came to.

use jiff::Timestamp;

use crate::samples::Samples;
use crate::table::{
    VERIFIED, VERIFY, VERIFY_BYTES, VERIFY_DAMAGED, VERIFY_FAULTS, VERIFY_GENERATIONS,
    VERIFY_LAST_SUCCESS, VERIFY_SECONDS, VERIFY_SYMBOLS, VERIFY_UNREAD,
};
use crate::{Earlier, text};

/// What a check of a whole store came to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Verification {
    /// When it ended.
    pub at: Timestamp,
    /// Wall time in seconds.
    pub seconds: f64,
    /// Symbols that were checked.
    pub symbols: usize,
    /// Generations that were checked.
    pub generations: usize,
    /// The length of their files, in bytes.
    pub bytes: u64,
    /// Generations with a fault, those that are missing included.
    pub damaged: usize,
    /// Faults that were found.
    pub faults: usize,
    /// Symbols that the system refused to read.
    pub unread: usize,
}

impl Verification {
    /// The metrics of the check in a file of this fleet, which held `earlier` before.
    #[must_use]
    pub fn render_onto(&self, fleet: &str, earlier: &Earlier) -> String {
        let mut samples = Samples::default();
        let now = seconds(self.at);
        samples.set(&VERIFIED, &[], now);
        if self.faults == 0 && self.unread == 0 {
            samples.set(&VERIFY_LAST_SUCCESS, &[], now);
        }
        samples.keep_from(&VERIFY_LAST_SUCCESS, &earlier.samples);
        samples.set(&VERIFY_SECONDS, &[], self.seconds);
        samples.set(&VERIFY_BYTES, &[], self.bytes as f64);
        let counts = [
            (VERIFY_SYMBOLS, self.symbols),
            (VERIFY_GENERATIONS, self.generations),
            (VERIFY_DAMAGED, self.damaged),
            (VERIFY_FAULTS, self.faults),
            (VERIFY_UNREAD, self.unread),
        ];
        for (family, count) in counts {
            samples.set(&family, &[], count as f64);
        }
        text::render(VERIFY, samples, fleet)
    }
}

/// Seconds since 1970, with milliseconds.
pub(crate) fn seconds(at: Timestamp) -> f64 {
    at.as_millisecond() as f64 / 1000.0
}

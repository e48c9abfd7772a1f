//! What every backend must do.

use mambafleet_backend::conformance::{Verdict, examine};
use mambafleet_backend_native::NativeBackend;

#[test]
fn the_backend_keeps_every_rule() {
    for finding in examine(&NativeBackend) {
        assert_eq!(finding.verdict, Verdict::Kept, "{}", finding.rule);
    }
}

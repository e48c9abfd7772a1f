//! The environment variables that are no configuration keys.

use crate::config::PROFILE_VARIABLE;
use crate::inherited::{DIR_VARIABLE, SYMBOL_VARIABLE, TOKEN_VARIABLE};
use crate::logging::LOG_VARIABLE;
use crate::notify;

/// Gives builds with debug assertions a backend that fails by the name of the symbol.
pub(crate) const TEST_BACKENDS: &str = "MAMBAFLEET_TEST_BACKENDS";

/// Gives builds with debug assertions a feature that peeks one day ahead.
const TEST_FEATURES: &str = "MAMBAFLEET_TEST_FEATURES";

/// Variables that the program reads, and what they do.
pub(crate) const READ: [(&str, &str); 8] = [
    (PROFILE_VARIABLE, "The profile, unless --profile names one."),
    (
        LOG_VARIABLE,
        "What is logged to standard error, unless -v says it, in the filter syntax of tracing: `warn`, \
         `debug`, `mambafleet_worker=trace`. The logs of attempts hold what it says besides what they \
         always hold.",
    ),
    (
        "MAMBAFLEET_ISA",
        "The instruction set of the native backend: `portable`, `avx2`, `avx512` or `neon`. Without \
         it, the fastest that the processor has.",
    ),
    ("NO_COLOR", "Set to anything: no colour."),
    ("TERM", "`dumb`: no bars, a plain line per event."),
    ("TZ", "The time zone in which run.deadline is a time of day, if not the system's."),
    ("XDG_CONFIG_HOME", "Where mambafleet/config.toml, the user's own file, is looked for."),
    ("HOME", "Without XDG_CONFIG_HOME it is looked for in .config below this."),
];

/// Variables that are set for the commands of `mambafleet lock` and of `[notify]`, and what they say.
pub(crate) const SET: [(&str, &str); 4] = [
    (SYMBOL_VARIABLE, "The symbol that is locked."),
    (TOKEN_VARIABLE, "The lock's fencing token: above that of every earlier holder."),
    (DIR_VARIABLE, "The symbol's directory in the store."),
    ("MAMBAFLEET_ENDED_*", "How a run ended: docs/notifications.md lists them."),
];

/// Whether a variable is one of these.
pub(crate) fn is_known(name: &str) -> bool {
    name.starts_with(notify::PREFIX)
        || [TEST_BACKENDS, TEST_FEATURES].contains(&name)
        || READ.iter().chain(&SET).any(|(known, _)| *known == name)
}

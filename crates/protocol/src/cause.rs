//! Errors as one line, and what processes end of.

use std::error::Error;

/// An error with everything that caused it, as one line: `cannot write /x/y: No space left on
/// device`. A cause that the message already ends with is not repeated.
#[must_use]
pub fn cause_chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}

/// The name of a signal that ends processes.
#[must_use]
pub const fn signal_name(signal: i32) -> Option<&'static str> {
    Some(match signal {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        6 => "SIGABRT",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        13 => "SIGPIPE",
        15 => "SIGTERM",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    enum Layered {
        #[error("disk full")]
        Inner,
        #[error("cannot write")]
        Silent(#[source] Box<Layered>),
        #[error("giving up: {0}")]
        Repeating(#[source] Box<Layered>),
    }

    #[test]
    fn each_cause_stands_once() {
        let silent = Layered::Silent(Box::new(Layered::Inner));
        assert_eq!(cause_chain(&silent), "cannot write: disk full");
        let repeating = Layered::Repeating(Box::new(silent));
        assert_eq!(cause_chain(&repeating), "giving up: cannot write: disk full");
    }
}

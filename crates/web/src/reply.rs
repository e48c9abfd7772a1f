//! Answers.

use bytes::Bytes;
use hyper::StatusCode;

use crate::Subscription;

/// An answer to a request.
pub enum Reply {
    /// All of it, now.
    Page(Page),
    /// All of it, after work that may block; so much of it at a time as the limits say.
    Later(Box<dyn FnOnce() -> Page + Send>),
    /// Messages, until the client goes.
    Stream(Subscription),
}

/// A whole answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// How it went.
    pub status: StatusCode,
    /// What the body is.
    pub content_type: &'static str,
    /// The body.
    pub body: Bytes,
}

impl Page {
    /// An answer with 200.
    #[must_use]
    pub fn new(content_type: &'static str, body: impl Into<Bytes>) -> Self {
        Self { status: StatusCode::OK, content_type, body: body.into() }
    }

    /// A JSON value.
    #[must_use]
    pub fn json(body: impl Into<Bytes>) -> Self {
        Self::new("application/json", body)
    }

    /// An answer that says in words that something is wrong, and tells nothing of this machine.
    #[must_use]
    pub fn refusal(status: StatusCode, words: &str) -> Self {
        let body = format!("{}: {words}\n", status.as_u16());
        Self { status, content_type: "text/plain; charset=utf-8", body: body.into() }
    }
}

impl From<Page> for Reply {
    fn from(page: Page) -> Self {
        Self::Page(page)
    }
}

impl std::fmt::Debug for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Page(page) => page.fmt(f),
            Self::Later(_) => f.write_str("Later(...)"),
            Self::Stream(_) => f.write_str("Stream(...)"),
        }
    }
}

//! What can go wrong before a server listens.

use std::net::SocketAddr;

/// A server cannot be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WebError {
    /// Other machines could ask, and nobody would have to show a token.
    #[error("{0} can be reached from other machines, and no token is set")]
    Open(SocketAddr),
    /// Another program listens there.
    #[error("{0} is in use by another program")]
    InUse(SocketAddr),
    /// The system does not let it listen there.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The server's thread cannot be started.
    #[error("cannot start the server's thread")]
    Thread(#[source] std::io::Error),
}

/// A text that cannot be a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidToken {
    /// It could be guessed.
    #[error("a token has at least {min} characters")]
    Short {
        /// The least number.
        min: usize,
    },
    /// It does not fit into a request.
    #[error("a token has at most {max} characters")]
    Long {
        /// The largest number.
        max: usize,
    },
    /// A space, a control character, or one beyond ASCII.
    #[error("a token holds visible ASCII characters only")]
    Character,
}

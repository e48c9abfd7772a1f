//! A small HTTP server that answers questions, never takes anything, and trusts no request.
//!
//! A [`Handler`] answers requests; a [`Policy`] says who may ask, and how much; a [`Server`] listens in
//! a thread of its own until it is dropped. What does not fit the policy never reaches the handler:
//!
//! - methods other than GET and HEAD, and bodies;
//! - hosts that are not this server's (a name that was bent to this address, DNS rebinding);
//! - paths with anything but letters, digits, `.`, `_`, `-` and single `/`: no escapes, no `..`;
//! - whoever lacks the [`Token`], where one is needed.
//!
//! Slow clients cost a connection for a while, never memory: heads must come, and answers must be taken,
//! in time. Messages of a [`Broadcast`] are made once for all clients, and a client that falls behind
//! is told to load anew.
//!
//! This crate never prints and reads no file.

mod body;
mod broadcast;
mod error;
mod gate;
mod patient;
mod policy;
mod reply;
mod request;
mod server;
mod token;

pub use broadcast::{Broadcast, Subscription};
pub use bytes::Bytes;
pub use error::{InvalidToken, WebError};
pub use hyper::StatusCode;
pub use policy::{Access, Hosts, Limits, Policy};
pub use reply::{Page, Reply};
pub use request::Request;
pub use server::Server;
pub use token::Token;

/// Answers requests. It is called on the server's only thread, so it must not block: what takes
/// long goes into [`Reply::Later`].
pub trait Handler: Send + Sync + 'static {
    /// The answer to a request that the policy let through.
    fn handle(&self, request: &Request<'_>) -> Reply;
}

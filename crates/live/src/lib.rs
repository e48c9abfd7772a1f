//! The live page: what it asks for, and how it follows runs.
//!
//! A [`Site`] answers the page's requests from the store and the records of its runs, and writes
//! nothing. A thread follows what clients listen to: it reads on in the events of runs and sends what
//! has changed, once for all clients. While nobody listens it sleeps, and a run costs nothing but what
//! is asked for.
//!
//! What a request says is a [`RunId`](mambafleet_protocol::RunId) or a
//! [`Symbol`](mambafleet_protocol::Symbol), or nothing; no other text of it is looked at.

mod channels;
mod details;
mod follower;
mod hub;
mod messages;
mod routes;
mod runs;
#[cfg(test)]
mod tests;
mod watch;

pub use routes::{Assets, Site};

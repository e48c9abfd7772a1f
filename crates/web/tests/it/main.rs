//! Tests over real sockets: what is refused, and what the others get meanwhile.

mod access;
mod clients;
mod shape;
mod streams;
mod support;

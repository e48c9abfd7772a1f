//! A meter fed with events, and what it says read by a strict parser.

mod earlier;
mod events;
mod page;
mod properties;
mod sequences;

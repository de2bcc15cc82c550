//! The router at its boundary: events in, effects out, as text.

mod support;

mod aggregate;
mod endings;
mod one_server;
mod random;
mod sharing;

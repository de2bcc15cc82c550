//! The router at its boundary: events go in, effects come out, and the tests read both as text.

#![expect(clippy::print_stderr, reason = "tests print their figures")]

mod support;

mod aggregate;
mod ambiguous;
mod cancelling;
mod capabilities;
mod discovery;
mod draining;
mod endings;
mod health;
mod lanes;
mod limits;
mod lists;
mod one_server;
mod races;
mod random;
mod repeat;
mod resources;
mod retire;
mod sharing;
mod traits;

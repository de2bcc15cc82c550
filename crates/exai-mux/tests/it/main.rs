//! The router at its boundary: events go in, effects come out, and the tests read both as text.

#![expect(clippy::print_stderr, reason = "tests print their figures")]

mod support;

mod accounts;
mod aggregate;
mod ambiguous;
mod bridged;
mod cancelling;
mod capabilities;
mod choices;
mod discovery;
mod draining;
mod endings;
mod era_walls;
mod eras;
mod health;
mod hostile_eras;
mod lanes;
mod limits;
mod listens;
mod listens_upstream;
mod listens_waiting;
mod lists;
mod named_questions;
mod one_server;
mod pages;
mod parked;
mod probing;
mod races;
mod random;
mod random_eras;
mod repeat;
mod resources;
mod retire;
mod sharing;
mod traits;
mod unsent;

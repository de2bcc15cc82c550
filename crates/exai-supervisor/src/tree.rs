//! The processes of a server's tree: who belongs to it, what each of them is, and how that is known.
//!
//! # Theory of operation
//!
//! 1. [`members()`] finds the descendants of a tree's guard or root in a process table.
//! 2. [`look()`] gathers what the kernel says about each of them: arguments, file, which of them hold the
//!    other ends of our pipes.
//! 3. An [`Exchange`] is the proof: an ordinary request, its answer, and what each member's own counters ([`count`])
//!    say before and after. The server has read the request and written the answer; a launcher has done neither; a
//!    relay has *read the answer*, too.
//! 4. [`judge()`] says what each is. It is pure: the same facts give the same judgement on every system.
//!
//! Names and arguments give a launcher its *kind*, and where nothing better is known they tell it from a
//! server; they never prove anything. What was not seen to happen is called presumed.

mod choose_server;
mod describe;
mod evidence_words;
mod hierarchy;
mod io_exchange;
mod judge;
mod judgement;
mod known_launchers;
mod member_facts;
mod members;

#[cfg(test)]
mod tests;

pub use io_exchange::{Count, Exchange, Part, count};
pub use judge::judge;
pub use judgement::{Judged, Judgement, Listening, Observation, Role};
pub use member_facts::{Facts, Pipes, listeners, look};
pub use members::members;

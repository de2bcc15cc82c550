//! Conversations ("threads") of the EXAI tools and the calls that are made in them, in `exai.db` of the state directory.
//!
//! Several tools servers and the command line use the file at the same time. A thread belongs to no client: who knows its
//! id, the `continuation_id` of the tools, goes on with it.
//!
//! A call is what may cost money: it asks one model, or several, for one answer. It has a key, made of the tool, the step and
//! the arguments. [`ThreadStore::begin_call`] says whether the same call was made before, so that nothing is paid twice:
//! not when an agent repeats a step, not when two clients send the same step at once, and not when the process that made
//! the call was killed.
//!
//! All functions of [`ThreadStore`] block, for at most five seconds where another process holds the file. The file is opened
//! at first use.

mod bounds;
mod call;
mod call_key;
mod call_rows;
mod calls;
mod database;
mod error;
mod failure;
pub mod history;
mod id;
mod owner;
mod reset;
mod rows;
mod schema;
mod store;
mod thread;
mod upkeep;

pub use bounds::{MAX_TEXT_BYTES, MAX_THREAD_BYTES, MAX_TURNS};
pub use call::{Call, CallStart, CallState, Finished, NewCall};
pub use call_key::CallKey;
pub use error::ThreadError;
pub use reset::SetAside;
pub use store::ThreadStore;
pub use thread::{NewThread, NewTurn, Thread, ThreadFacts, Turn};

#[cfg(test)]
mod tests;

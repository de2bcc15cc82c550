//! Child process trees: each is started, written to, read from and stopped. This crate knows bytes and lines; what
//! they mean is known above it.
//!
//! # Theory of operation
//!
//! [`start`] starts a program behind a guard ([`exai_os::tree`]) and returns a [`Job`], the handle. Four tasks belong
//! to it, all owned by the caller's tracker: one writes stdin from the job's [`outbox`], one reads stdout into lines,
//! one reads stderr into the log and the [`tail`], and one ends the job.
//!
//! - A job reports on one channel with [`JobEvent`]s; `Ended` is always the last one.
//! - A job ends when it cannot be used any more: its stdout ends, or writing to its stdin fails, or the process that
//!   was started exits, or its guard is lost. After a failed write and after an exit, stdout has a second to reach
//!   its end. What is left of the tree is then killed until it is proven empty, and what is left in the pipes is
//!   read.
//! - A launcher may exit while the server it started lives on with the same stdio. Its output tells it from a
//!   forgotten child of a crashed server: lines that arrive in that second, though not in its first quarter (which
//!   may be the last lines of the dead process), keep the job until stdout or stdin fails, or until the processes that
//!   wrote them are gone (Linux and Windows, by their counters). A server that is silent in that second counts as dead.
//! - A job whose server is not reached over stdio ([`StdioUse::Elsewhere`]) may close its stdio. When its root has
//!   exited with status 0, the job lives as long as any other process of its tree.
//! - [`Job::stop`], or dropping the job, begins the stop ladder: close stdin, wait; ask the tree to
//!   terminate, wait; kill it until nothing is left.
//! - The writer never waits inside the caller: a full outbox is an error that the caller handles.
//!
//! [`tree`] says who is in a tree and what each process of it is; [`record`] writes that down; [`leftovers`] finds
//! and ends what is left after a daemon and a guard died at the same moment.

pub mod job;
pub mod leftovers;
pub mod limits;
pub mod lines;
pub mod outbox;
pub mod record;
pub mod tail;
pub mod tree;
pub mod turns;

mod ending;
mod events;
mod log;
mod printed_lines;
mod speakers;
mod stdio;

pub use job::{Ended, Job, JobEvent, Spec, StdioUse, start};
pub use lines::Line;
pub use log::Log;

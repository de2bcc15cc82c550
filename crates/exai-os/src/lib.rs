//! The platform wall: the only unsafe code and the only platform conditionals.
//!
//! Each module here is the safe, documented surface; `unix/` and `windows/` hold its two
//! implementations under the same names and with the same functions. A fact about an operating system
//! that the rest of the program needs becomes a value here (an enum, a reason), never a `cfg` there.
//!
//! This code is run and tested on Linux, and its Windows half under Wine; the macOS parts have never been run and say so
//! where they differ.
#![allow(unsafe_code)] // this crate is the wall behind which it lives; every use states why it is sound

pub mod account;
pub mod allocator;
pub mod build;
pub mod clock;
pub mod descent_tag;
pub mod descriptors;
pub mod detach;
pub mod failpoint;
pub mod inherited_state;
pub mod inspect;
pub mod keyring;
pub mod launchers;
pub mod local;
pub mod lock;
pub mod ownership;
pub mod place;
pub mod platform_hints;
pub mod port;
pub mod private;
pub mod process;
pub mod process_facts;
pub mod search;
pub mod signal;
pub mod streams;
pub mod tree;
pub mod tree_guard;

mod daemon_command;
mod environment_cache;
mod hash;
mod kill_scope;

#[cfg(unix)]
#[path = "unix/mod.rs"]
mod sys;

#[cfg(windows)]
#[path = "windows/mod.rs"]
mod sys;

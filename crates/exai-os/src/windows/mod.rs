//! Windows.

pub(crate) mod account;
pub(crate) mod allocator;
pub(crate) mod apart;
pub(crate) mod child;
pub(crate) mod clock;
pub(crate) mod descent_tag;
pub(crate) mod descriptors;
pub(crate) mod detach;
pub(crate) mod environment;
pub(crate) mod inherited_state;
pub(crate) mod inspect;
pub(crate) mod launchers;
pub(crate) mod local;
pub(crate) mod lock;
pub(crate) mod ownership;
pub(crate) mod port;
pub(crate) mod private;
pub(crate) mod process;
pub(crate) mod process_facts;
pub(crate) mod search;
pub(crate) mod signal;
pub(crate) mod streams;
pub(crate) mod tree;
pub(crate) mod tree_guard;

mod command_line;
mod handle;
mod job;
mod memory;
mod outside;
mod readiness_pipe;
mod security;
mod spawn;
mod stdio;
mod suspended_daemon;
mod wait;
mod wmi;

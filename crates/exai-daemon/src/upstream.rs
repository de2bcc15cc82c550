//! The servers: what is started, and how each is spoken to.

pub(crate) mod builtin;
pub(crate) mod conversation_event;
pub(crate) mod environment;
pub(crate) mod event;
pub(crate) mod http;
pub(crate) mod launch;
pub(crate) mod listening;
pub(crate) mod policy;
pub(crate) mod remote;
pub(crate) mod running;
pub(crate) mod server_output;
pub(crate) mod sign_ins;
mod ssh;
pub(crate) mod startup_cleanup;
pub(crate) mod stdio;
pub(crate) mod websocket;

//! The EXAI tools: another model's view for a coding agent, as an ordinary MCP server over stdio (`exai tools-server`).
//!
//! # Rooms
//!
//! From the ground up; a room knows only the rooms above it in this list:
//!
//! - [`explain`], [`tokens`]: how an error is told to an agent; how long a text is for a model.
//! - [`models`]: OpenAI-compatible endpoints: dialects, streams, limits, lists of models.
//! - [`threads`]: conversations and calls in `exai.db`.
//! - [`files`]: which files a client may have read, and how they are put before a model.
//! - [`workflow`]: the tools as data, and what each step of each tool answers. Pure.
//! - `settings`, `client`, `clink`, `jobs`, `outcome`, `patience`: what a call uses: the configuration as it is now, the MCP
//!   client that has made it, the command lines of other agents, what goes on when nobody waits, its answer, and how long
//!   its client waits.
//! - `shared`: what all calls share.
//! - `call`: one call, from its arguments to its answer.
//! - `server`, `input`: MCP over stdio.

mod call;
mod client;
mod clink;
pub mod explain;
pub mod files;
mod input;
mod jobs;
pub mod models;
mod outcome;
mod patience;
mod sampling_error;
mod server;
mod settings;
mod shared;
pub mod threads;
pub mod tokens;
pub mod workflow;

pub use client::Hosting;
pub use server::{Options, ServeError, serve};

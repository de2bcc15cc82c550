//! The official conformance suite of MCP as a judge of servers and of clients, and the bridge that brings it to a stdio
//! server.
//!
//! Like the SDKs it is installed by `cargo xtask peers`.

mod bridge;
mod checks;
mod client;
mod server;
mod verdict;

pub use bridge::Bridge;
pub use client::{Scenarios, judge_client};
pub use server::judge;
pub use verdict::{Requirements, Verdict};

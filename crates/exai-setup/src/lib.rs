//! What people have: servers in the configuration files of MCP clients, in READMEs, registries and bundles.
//!
//! This crate is pure: texts in, [`ServerEntry`]s and texts out. It reads no file, asks no network and prints nothing; the
//! commands of `exai` do.

mod entry;
pub mod source;

pub use entry::{ServerEntry, ToolChoice, Transport};

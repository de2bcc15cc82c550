//! What people have: servers in the configuration files of MCP clients, in READMEs, registries and bundles.
//!
//! This crate is pure: texts in, [`ServerEntry`]s and texts out. It reads no file, asks no network and prints nothing; the
//! commands of `exai` do.

pub mod client;
mod command_line;
mod entry;
mod fault;
pub mod format;
pub mod import;
mod node;
mod read_entry;
pub mod source;
mod text_file;
mod value;
mod variables;

pub use entry::{ServerEntry, ToolChoice, Transport};
pub use text_file::{DecodeError, Encoding, MAX_FILE_BYTES, TextFile};
pub use value::Value;

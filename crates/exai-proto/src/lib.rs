//! What crosses a process border: the JSON-RPC envelope, the shim link, status documents, error codes and
//! exit codes. No I/O, no clock, no tokio: two programs that agree on this crate agree on the wire.
//!
//! - [`json`]: a validating scanner over raw JSON text; it finds members and never builds a tree.
//! - [`envelope`]: one JSON-RPC message, kept as the bytes it came in, with the places of its members.
//! - [`frame`]: WebSocket frames, as both ends of a connection write and read them.
//! - [`answer`]: the few messages exai writes itself.
//! - [`client_question`]: how a server says which client it means.
//! - [`link`]: the WebSocket subprotocol between shim and daemon.
//! - [`pages`]: a list that comes in pages, bounded.
//! - [`segments`]: a message on its way out.
//! - [`params`]: the members of a message's parameters that routing looks at.
//! - [`ready`]: what a new daemon tells its starter.
//! - [`documents`]: what `--json` prints.
//! - [`backoff`]: delays that grow from try to try.
//! - [`fnv1a`]: a hash that is the same in every build.
//! - [`loopback`]: URLs of this machine.
//! - [`version`]: the protocol revisions of MCP that exai speaks.

pub mod answer;
pub mod backoff;
mod batch;
pub mod client_question;
pub mod documents;
pub mod envelope;
mod envelope_key;
pub mod exit;
pub mod fnv1a;
pub mod frame;
mod id;
pub mod json;
pub mod last_connections;
pub mod limits;
pub mod link;
pub mod loopback;
pub mod modern;
pub mod pages;
pub mod params;
mod parse_error;
mod peek;
pub mod ready;
pub mod request_metadata;
pub mod segments;
pub mod version;

pub use envelope::{Kind, Message};
pub use id::Id;
pub use params::Params;
pub use parse_error::ParseError;
pub use segments::Segments;

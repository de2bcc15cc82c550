//! How a server that works for many clients says which of them it means. `docs/servers.md` tells authors of servers.
//!
//! A question (any request of a server, such as `roots/list`) names the request of a client that it belongs to, and
//! goes to the client of that request. One question is answered by exai itself: who that client is.

use serde::{Deserialize, Serialize};

/// The key in `params._meta` of a question: the id of a request, as the server has received it.
pub const NAMED_REQUEST: &str = "exai/request";

/// The method of the question that exai answers itself, with a [`ClientDescription`].
pub const DESCRIBE_CLIENT: &str = "exai/client";

/// Who has sent a request. Fields may be added, never changed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientDescription {
    /// The name of the program, by its own word.
    pub name: Option<String>,
    /// The version of the program, by its own word.
    pub version: Option<String>,
    /// The label that the client's shim was started with (`--client`).
    pub label: Option<String>,
    /// The absolute path of the directory in which the shim or the command was started; `None` where exai does not know
    /// it for certain.
    pub directory: Option<String>,
    /// The capabilities that it has declared and that servers are told of, by their names in `initialize`: `roots`,
    /// `sampling`. A server that several clients share hears in `initialize` what one of them has declared.
    #[serde(default)]
    pub capabilities: Vec<String>,
}

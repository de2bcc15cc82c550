//! What a server said of itself the last time it ran.

use bytes::Bytes;

/// What is kept of a server from one daemon to the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discovery {
    /// The result of `initialize`, as the server wrote it.
    pub initialize: Bytes,
    /// The lists of the server, by the method that asks for each. Lists that were never asked for are missing.
    pub lists: Vec<(String, Vec<Bytes>)>,
}

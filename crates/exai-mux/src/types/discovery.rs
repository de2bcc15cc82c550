//! What a server said of itself the last time it ran.

use bytes::Bytes;

/// The last known discovery of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discovery {
    /// The result of `initialize`, as the server wrote it.
    pub initialize: Bytes,
    /// Its lists, by the method that asks for them; those that were never asked for are missing.
    pub lists: Vec<(String, Vec<Bytes>)>,
}

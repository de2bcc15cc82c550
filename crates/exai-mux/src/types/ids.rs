//! The names of clients, instances and endpoints.

use std::fmt;
use std::sync::Arc;

use exai_proto::Id;

/// One conversation with a client. No id is used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId(pub u64);

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "c{}", self.0)
    }
}

/// One request of a client. No id is used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct CallId {
    /// The client that has sent the request.
    pub(crate) client: ClientId,
    /// Numbers grow: an older call has a smaller one.
    pub(crate) number: u64,
}

/// One run of a server. No id is used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InstanceId(pub u64);

/// A map whose keys the router has minted: nobody outside chooses them, so a quick hash will do.
pub(crate) type MintedMap<K, V> = rustc_hash::FxHashMap<K, V>;

/// What a client is connected to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// All servers, with `server__tool` names.
    All,
    /// One server, names untouched.
    One(Arc<str>),
}

/// A minted number, as it comes back: some servers turn numbers into strings, or into floats.
pub(crate) fn number(text: &[u8]) -> Option<u64> {
    Id::from_json(text).as_number()
}

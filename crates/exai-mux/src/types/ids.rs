//! The names of clients, instances and endpoints.

use std::collections::BTreeSet;
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
    /// These servers alone, with `server__tool` names. Some of them may not be configured.
    Several(Arc<BTreeSet<Arc<str>>>),
    /// One server, names untouched.
    One(Arc<str>),
}

impl Endpoint {
    /// Whether several servers are united here, with aggregated names.
    pub(crate) fn is_aggregated(&self) -> bool {
        match self {
            Endpoint::All | Endpoint::Several(_) => true,
            Endpoint::One(_) => false,
        }
    }

    /// Whether a server of this name can be reached here.
    pub(crate) fn has_server(&self, server: &str) -> bool {
        match self {
            Endpoint::All => true,
            Endpoint::Several(names) => names.contains(server),
            Endpoint::One(name) => **name == *server,
        }
    }
}

/// A minted number, as it comes back: some servers turn numbers into strings, or into floats.
pub(crate) fn number(text: &[u8]) -> Option<u64> {
    Id::from_json(text).as_number()
}

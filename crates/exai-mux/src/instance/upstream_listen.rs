//! The `subscriptions/listen` by which the router hears of changes at a server of the modern era.

use std::collections::BTreeSet;
use std::time::Instant;

/// The listen of one instance.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum UpstreamListen {
    /// The server was not asked for anything yet.
    #[default]
    Closed,
    /// The server tells what it was asked for.
    Open {
        current: OpenListen,
        /// The listen before, which is ended when this one is acknowledged: no change may be missed between the two.
        replaced: Option<OpenListen>,
    },
    /// The server does not listen, or has ended a listen at once. It is not asked again.
    Refused,
}

/// A listen that was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OpenListen {
    pub(crate) number: u64,
    pub(crate) since: Instant,
    /// The resources of which the server tells, beside its lists.
    pub(crate) resources: BTreeSet<String>,
}

impl UpstreamListen {
    /// Whether this is the number of an open listen.
    pub(crate) fn has_number(&self, wanted: u64) -> bool {
        match self {
            UpstreamListen::Open { current, replaced } => {
                current.number == wanted || replaced.as_ref().is_some_and(|older| older.number == wanted)
            }
            UpstreamListen::Closed | UpstreamListen::Refused => false,
        }
    }
}

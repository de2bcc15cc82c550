//! The `subscriptions/listen` by which the router hears of changes at a server of the modern era.

use std::collections::BTreeSet;
use std::time::Instant;

/// The listen of one instance.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum UpstreamListen {
    /// The server was not asked for anything yet.
    #[default]
    Closed,
    /// The server tells of its lists, and of these resources.
    Open {
        number: u64,
        since: Instant,
        resources: BTreeSet<String>,
        /// The listen before, which is ended when this one is acknowledged: no change may be missed between the two.
        replaced: Option<u64>,
    },
    /// The server does not listen, or has ended a listen at once. It is not asked again.
    Refused,
}

impl UpstreamListen {
    /// Whether this is the number of an open listen.
    pub(crate) fn has_number(&self, wanted: u64) -> bool {
        match self {
            UpstreamListen::Open { number, replaced, .. } => *number == wanted || *replaced == Some(wanted),
            UpstreamListen::Closed | UpstreamListen::Refused => false,
        }
    }
}

//! A request of a client, taken apart.

use std::ops::Range;
use std::sync::Arc;

use exai_proto::params::Params;
use exai_proto::{Id, Message};

use crate::types::ids::ClientId;

/// A request of a client, taken apart.
pub(crate) struct Request<'a> {
    pub(crate) client: ClientId,
    pub(crate) message: &'a Message,
    pub(crate) id: &'a Range<usize>,
    pub(crate) method: &'a str,
    pub(crate) params: &'a Params,
    /// Whether the names in the request are those of the server already.
    pub(crate) translated: bool,
    /// The servers that do not have the resource that is to be read.
    pub(crate) tried: &'a [Arc<str>],
}

impl Request<'_> {
    pub(crate) fn id(&self) -> Id {
        Id::from_json(self.message.at(self.id))
    }
}

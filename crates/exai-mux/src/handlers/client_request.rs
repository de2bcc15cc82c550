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
    /// Its names are the server's own.
    pub(crate) translated: bool,
    /// The servers that did not have what it is to read.
    pub(crate) tried: &'a [Arc<str>],
}

impl Request<'_> {
    pub(crate) fn id(&self) -> Id {
        Id::from_json(self.message.at(self.id))
    }
}

//! A request of a client, taken apart.

use std::ops::Range;

use exai_proto::params::Params;
use exai_proto::{Id, Message};

use crate::types::era::Era;
use crate::types::ids::{CallId, ClientId};
use crate::types::method::Method;

/// A request of a client, taken apart.
pub(crate) struct Request<'a> {
    pub(crate) call: CallId,
    /// The era in which the client speaks.
    pub(crate) era: Era,
    pub(crate) message: &'a Message,
    pub(crate) id: &'a Range<usize>,
    pub(crate) method: Method,
    pub(crate) method_name: &'a str,
    pub(crate) params: &'a Params,
    /// Whether the names in the request are those of the server already.
    pub(crate) translated: bool,
}

impl Request<'_> {
    pub(crate) fn client(&self) -> ClientId {
        self.call.client
    }

    pub(crate) fn id(&self) -> Id {
        Id::from_json(self.message.at(self.id))
    }
}

//! The context in which one event is worked on, and the words in which effects are asked for.

use std::sync::Arc;
use std::time::Instant;

use exai_proto::answer::{self, FailureData};
use exai_proto::{Id, Segments};

use crate::types::effect::{About, Effect};
use crate::types::era::Era;
use crate::types::ids::{ClientId, InstanceId};

/// The time of the event that is worked on, and the effects so far.
pub(crate) struct EventContext<'a> {
    pub(crate) time: Instant,
    pub(crate) effects: &'a mut Vec<Effect>,
}

impl EventContext<'_> {
    pub(crate) fn send_to_client(&mut self, client: ClientId, bytes: impl Into<Segments>, about: About) {
        let bytes = bytes.into();
        self.effects.push(Effect::ToClient { client, bytes, about });
    }

    pub(crate) fn answer(&mut self, client: ClientId, id: Id, bytes: impl Into<Segments>) {
        self.send_to_client(client, bytes, About::Answer(id));
    }

    pub(crate) fn send_to_server(&mut self, instance: InstanceId, bytes: impl Into<Segments>) {
        let bytes = bytes.into();
        self.effects.push(Effect::ToServer { instance, bytes, number: None });
    }

    pub(crate) fn drop_request(&mut self, client: ClientId, id: Id) {
        self.effects.push(Effect::Dropped { client, id });
    }

    /// Answers a client with an error that JSON-RPC or MCP defines.
    pub(crate) fn refuse(&mut self, client: ClientId, id: &Id, code: i32, message: &str) {
        self.answer(client, id.clone(), answer::error(id, code, message));
    }

    /// Answers a client with an error that exai defines.
    pub(crate) fn fail(&mut self, client: ClientId, id: &Id, message: &str, data: &FailureData<'_>) {
        self.answer(client, id.clone(), answer::failure(id, message, data));
    }

    /// The daemon keeps what is known of servers, so it must hear of changes.
    pub(crate) fn note_discovery_changed(&mut self, server: &Arc<str>, era: Era) {
        self.effects.push(Effect::DiscoveryChanged { server: server.clone(), era });
    }
}

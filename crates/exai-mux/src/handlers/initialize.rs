//! `initialize` of clients.

use std::sync::Arc;

use exai_proto::{Id, answer};

use crate::client::Session;
use crate::dialect::legacy;
use crate::handlers::sending::TOO_MUCH_WAITS;
use crate::instance::Phase;
use crate::instance::start_queue::Waiting;
use crate::router::Router;
use crate::router::event_context::EventContext;
use crate::server::Server;
use crate::types::account;
use crate::types::capability::ClientCapability;
use crate::types::client_context::ClientContext;
use crate::types::era::Era;
use crate::types::ids::{ClientId, Endpoint, InstanceId};
use crate::types::introduction::Introduction;

/// The answer to an `initialize` that cannot be read.
pub(crate) const NO_PROTOCOL_VERSION: &str = "initialize needs a protocolVersion";

impl Router {
    /// Answers `initialize` with what the server has said to the router, or on the aggregated endpoint with what exai
    /// says itself. A client may send `initialize` again on the same connection.
    pub(crate) fn handle_initialize(
        &mut self,
        client_id: ClientId,
        context: Option<ClientContext>,
        id: Id,
        cx: &mut EventContext<'_>,
    ) {
        let Some(context) = context.map(Arc::new) else {
            return cx.refuse(client_id, &id, -32602, NO_PROTOCOL_VERSION);
        };
        let Some(client) = self.clients.get(client_id) else { return };
        // A client that declares the same as before keeps its instances, though the server may have been seen to need
        // others since.
        let same = client.context().is_some_and(|before| before.capabilities == context.capabilities);
        self.open_session(client_id, &context, cx);
        if self.refuse_without_servers(client_id, &id, cx) {
            return;
        }
        self.announce_repeatable(client_id, cx);
        let Some(client) = self.clients.get(client_id) else { return };
        let endpoint = client.endpoint.clone();
        if !same {
            self.leave_unsuited_instances(client_id, cx);
        }
        match endpoint {
            Endpoint::All | Endpoint::Several(_) => self.initialize_aggregating(client_id, &context, &id, cx),
            Endpoint::One(server) => self.initialize_at_server(client_id, &server, id, cx),
        }
    }

    /// Notes what a client says of itself. It may be known by another name from now on.
    pub(crate) fn open_session(
        &mut self,
        client_id: ClientId,
        context: &Arc<ClientContext>,
        cx: &mut EventContext<'_>,
    ) {
        let Some(client) = self.clients.get_mut(client_id) else { return };
        client.session = Session::Open(context.clone());
        self.find_choice(client_id);
        self.leave_unseen_servers(client_id, cx);
    }

    /// Answers at once with what the server said the last time, and starts the server all the same. A server that
    /// cannot be started now fails the next call.
    pub(crate) fn initialize_at_server(
        &mut self,
        client_id: ClientId,
        server: &str,
        id: Id,
        cx: &mut EventContext<'_>,
    ) {
        let Some(context) = self.clients.context(client_id).cloned() else { return };
        if self.find_seen_server(client_id, server, &id, cx).is_none() {
            return;
        }
        let key = self.make_share_key(client_id, &context, server);
        let own = key.and_then(|key| self.instances.find_by_key(&server.into(), &key));
        let own = own.and_then(|instance| self.instances.get(instance)?.ready().cloned());
        let Some(said) =
            own.or_else(|| self.servers.get(server)?.offering_for(Era::Legacy).introduction.clone())
        else {
            if let Some(instance) = self.find_or_start_for_client(client_id, &context, server, &id, cx) {
                self.answer_initialize_or_wait(client_id, id, instance, cx);
            }
            return;
        };
        if self.servers.get(server).is_some_and(|server| server.health.held_back(cx.time).is_none())
            && self.find_or_start_for_client(client_id, &context, server, &id, cx).is_none()
        {
            return;
        }
        self.replay_initialize(client_id, &id, &said, cx);
    }

    fn answer_initialize_or_wait(
        &mut self,
        client: ClientId,
        id: Id,
        instance_id: InstanceId,
        cx: &mut EventContext<'_>,
    ) {
        let Some(instance) = self.instances.get_mut(instance_id) else { return };
        match &mut instance.phase {
            Phase::Starting { waiting, .. } if waiting.has_room(0) => {
                waiting.add(Waiting::Initialize { client, id });
            }
            Phase::Starting { .. } => {
                cx.overloaded(client, &id, Some(&instance.server), TOO_MUCH_WAITS);
            }
            Phase::Ready(ready) => {
                let ready = ready.clone();
                self.replay_initialize(client, &id, &ready, cx);
            }
        }
    }

    pub(crate) fn replay_initialize(
        &mut self,
        client: ClientId,
        id: &Id,
        said: &Introduction,
        cx: &mut EventContext<'_>,
    ) {
        if let Some(context) = self.clients.context(client) {
            cx.answer(client, id.clone(), legacy::write_initialize_result(id, context, said));
        }
    }

    /// Answers `initialize` on an endpoint that unites servers at once, and starts no server.
    pub(crate) fn initialize_aggregating(
        &mut self,
        client: ClientId,
        context: &ClientContext,
        id: &Id,
        cx: &mut EventContext<'_>,
    ) {
        let (capabilities, instructions) = self.introduce_all(client, Era::Legacy);
        let answer = legacy::write_own_initialize_result(id, context, capabilities, instructions);
        cx.answer(client, id.clone(), answer);
    }

    /// What the servers that a client may see can do together, and what they want the model of the client to know.
    pub(crate) fn introduce_all(&self, client: ClientId, era: Era) -> (serde_json::Value, Option<String>) {
        let mut capabilities = answer::capabilities_of_all();
        let Some(seeing) = self.clients.get(client) else { return (capabilities, None) };
        for capability in
            [ClientCapability::Extensions, ClientCapability::Experimental].map(ClientCapability::name)
        {
            let united = self.servers.unite_names(seeing, era, capability);
            if !united.is_empty() {
                capabilities[capability] = united.into();
            }
        }
        let of_server = |server: &Server| {
            let text = server.offering_for(era).catalogue.instructions.as_ref()?;
            Some(format!("# {}\n{text}", account::split(&server.policy.name).0))
        };
        let instructions: Vec<String> = self.servers.iter_seen(seeing).filter_map(of_server).collect();
        let instructions = (!instructions.is_empty()).then(|| instructions.join("\n\n"));
        (capabilities, instructions)
    }
}

//! `server/discover` of clients, and the other requests of the modern era that a server need not see.

use std::sync::Arc;

use exai_proto::params::Params;
use exai_proto::{Id, Message, version};

use crate::dialect::modern::{self, BadMeta};
use crate::handlers::era_refusals::refuse_discover;
use crate::handlers::sending::TOO_MUCH_WAITS;
use crate::instance::Phase;
use crate::instance::start_queue::Waiting;
use crate::limits::DISCOVER_TIMEOUT;
use crate::router::Router;
use crate::router::event_context::EventContext;
use crate::types::capability::ClientCapability;
use crate::types::client_context::ClientContext;
use crate::types::era::Era;
use crate::types::ids::{ClientId, Endpoint, InstanceId};

impl Router {
    /// What a request of the modern era says of its client. The client is answered if the request cannot be read.
    pub(crate) fn read_modern_context(
        &mut self,
        client_id: ClientId,
        message: &Message,
        (id, params): (&Id, &Params),
        cx: &mut EventContext<'_>,
    ) -> Option<Arc<ClientContext>> {
        let bytes = modern::context_bytes(message, &params.modern);
        let client = self.clients.get(client_id)?;
        if let Some(known) = client.known_modern_context(&bytes) {
            return Some(known);
        }
        let context = match modern::read_context(message, &params.modern) {
            Ok(context) => Arc::new(context),
            Err(BadMeta::Missing(key)) => {
                cx.refuse(client_id, id, -32602, &format!("Invalid params: `_meta` needs {key}"));
                return None;
            }
            Err(BadMeta::Version(requested)) => {
                let supported = self.find_supported_versions(client_id);
                let refusal = modern::write_unsupported_version(id, &requested, &supported);
                cx.answer(client_id, id.clone(), refusal);
                return None;
            }
        };
        let client = self.clients.get_mut(client_id)?;
        let is_renamed = client.context_in(Era::Modern).is_none_or(|before| before.name != context.name);
        client.set_modern_context(&bytes, context.clone());
        if is_renamed {
            self.find_choice(client_id);
            self.leave_unseen_servers(client_id, cx);
            self.announce_repeatable(client_id, cx);
        }
        Some(context)
    }

    /// The revisions that a client can speak here, as the answer to `server/discover` says.
    fn find_supported_versions(&self, client_id: ClientId) -> Vec<String> {
        let all = |modern: bool| version::supported(modern).map(ToOwned::to_owned).collect();
        let Some(client) = self.clients.get(client_id) else { return all(false) };
        let Endpoint::One(server) = &client.endpoint else { return all(self.offers_modern(client_id)) };
        let known = self.servers.get_seen(client, server);
        let said = known.map(|server| (server.policy.bridge, &server.offering_for(Era::Modern).introduction));
        match said {
            Some((_, Some(said))) if said.era == Era::Modern => modern::read_supported_versions(&said.result),
            Some((is_bridged, _)) => all(is_bridged),
            None => all(false),
        }
    }

    /// Whether a client of the modern era finds here what a client of the legacy era would find.
    pub(crate) fn offers_modern(&self, client_id: ClientId) -> bool {
        let Some(client) = self.clients.get(client_id) else { return false };
        let mut seen = self.servers.iter_seen(client);
        seen.all(|server| server.serving_era(Era::Modern) == Era::Modern || server.policy.bridge)
    }

    /// Answers `server/discover`.
    ///
    /// Where a server speaks the legacy era alone, it is said that there is no such method: then a client that can
    /// speak both eras begins a session, in which nothing has to be translated. On the endpoint of several servers
    /// that is said if one of them is such a server.
    pub(crate) fn handle_discover(
        &mut self,
        client_id: ClientId,
        context: &ClientContext,
        id: Id,
        cx: &mut EventContext<'_>,
    ) {
        if self.refuse_without_servers(client_id, &id, cx) {
            return;
        }
        self.announce_repeatable(client_id, cx);
        let Some(client) = self.clients.get(client_id) else { return };
        match client.endpoint.clone() {
            Endpoint::One(server) => self.discover_at_server(client_id, context, &server, id, cx),
            Endpoint::All | Endpoint::Several(_) if !self.offers_modern(client_id) => {
                refuse_discover(client_id, &id, cx);
            }
            Endpoint::All | Endpoint::Several(_) => self.answer_own_discover(client_id, &id, cx),
        }
    }

    /// Answers `server/discover` on an endpoint that unites servers at once, and starts no server.
    pub(crate) fn answer_own_discover(&mut self, client: ClientId, id: &Id, cx: &mut EventContext<'_>) {
        let (mut capabilities, instructions) = self.introduce_all(client, Era::Modern);
        if let Some(all) = capabilities.as_object_mut() {
            // There is nothing like it in this era.
            all.remove(ClientCapability::Experimental.name());
        }
        cx.answer(client, id.clone(), modern::write_own_discover_result(id, capabilities, instructions));
    }

    /// Goes on with a `server/discover` that has waited for a server.
    pub(crate) fn discover_server(
        &mut self,
        client_id: ClientId,
        server: &str,
        id: Id,
        cx: &mut EventContext<'_>,
    ) {
        let context = self.clients.get(client_id).and_then(|client| client.context_in(Era::Modern)).cloned();
        if let Some(context) = context {
            self.discover_at_server(client_id, &context, server, id, cx);
        }
    }

    fn discover_at_server(
        &mut self,
        client_id: ClientId,
        context: &ClientContext,
        server: &str,
        id: Id,
        cx: &mut EventContext<'_>,
    ) {
        let Some(known) = self.find_seen_server(client_id, server, &id, cx) else { return };
        if known.refuses_modern() {
            return refuse_discover(client_id, &id, cx);
        }
        let may_start = known.health.held_back(cx.time).is_none();
        if let Some(answer) = known.write_known_discover_result(&id) {
            if may_start && self.find_or_start_for_client(client_id, context, server, &id, cx).is_none() {
                return;
            }
            return cx.answer(client_id, id, answer);
        }
        let Some(instance) = self.find_or_start_for_client(client_id, context, server, &id, cx) else {
            return;
        };
        self.await_introduction(client_id, server, id, instance, cx);
    }

    fn await_introduction(
        &mut self,
        client: ClientId,
        server: &str,
        id: Id,
        instance: InstanceId,
        cx: &mut EventContext<'_>,
    ) {
        let Some(known) = self.servers.get(server) else { return };
        // A server that speaks the modern era is waited for: in the other era it would answer no sooner.
        let speaks_modern = known.eras.speaks(Era::Modern) == Some(true);
        let patience = if speaks_modern { known.policy.start_timeout } else { DISCOVER_TIMEOUT };
        let Some(instance) = self.instances.get_mut(instance) else { return };
        match &mut instance.phase {
            Phase::Starting { waiting, .. } if waiting.has_room(0) => {
                waiting.add(Waiting::Discover { client, id, until: cx.time + patience });
            }
            Phase::Starting { .. } => cx.overloaded(client, &id, Some(server), TOO_MUCH_WAITS),
            // It was not asked whether it speaks the modern era.
            Phase::Ready(_) => refuse_discover(client, &id, cx),
        }
    }

    /// Sends clients on to the legacy era that have asked a server of which nothing is known in time.
    pub(crate) fn expire_discovers(&mut self, instance: InstanceId, cx: &mut EventContext<'_>) {
        let Some(instance) = self.instances.get_mut(instance) else { return };
        let Phase::Starting { waiting, .. } = &mut instance.phase else { return };
        for (client, id) in waiting.take_expired_discovers(cx.time) {
            refuse_discover(client, &id, cx);
        }
    }
}

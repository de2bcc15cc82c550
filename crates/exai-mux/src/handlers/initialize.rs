//! `initialize` of clients.

use std::ops::Range;

use exai_proto::json::{self, Edit};
use exai_proto::{Id, Message, answer};

use crate::client::{InitializeParams, Session};
use crate::handlers::sending::TOO_MUCH_WAITS;
use crate::instance::Phase;
use crate::instance::start_queue::Waiting;
use crate::router::Router;
use crate::router::event_context::EventContext;
use crate::types::capability::Ask;
use crate::types::ids::{ClientId, Endpoint, InstanceId};
use crate::types::initialize_result::InitializeResult;

/// The answer to an `initialize` that cannot be read.
pub(crate) const NO_PROTOCOL_VERSION: &str = "initialize needs a protocolVersion";

impl Router {
    /// `initialize`: answered from what the server said to the router, or by exai itself on the aggregated
    /// endpoint. May come again on the same connection.
    pub(crate) fn handle_initialize(
        &mut self,
        client_id: ClientId,
        message: &Message,
        id: Id,
        params: Option<&Range<usize>>,
        cx: &mut EventContext<'_>,
    ) {
        let Some(initialize_params) = params.and_then(|params| InitializeParams::of(message, params.clone()))
        else {
            return cx.refuse(client_id, &id, -32602, NO_PROTOCOL_VERSION);
        };
        let Some(client) = self.clients.get_mut(client_id) else { return };
        let declared = initialize_params.capabilities.clone();
        // What was measured meanwhile is no reason to take it away from what works for it.
        let same = client.initialize_params().is_some_and(|before| before.capabilities == declared);
        client.session = Session::Open(initialize_params);
        self.announce_repeatable(client_id, cx);
        let Some(client) = self.clients.get(client_id) else { return };
        let endpoint = client.endpoint.clone();
        if !same {
            self.leave_unsuited_instances(client_id, cx);
        }
        match endpoint {
            Endpoint::All => self.initialize_aggregating(client_id, &id, cx),
            Endpoint::One(server) => self.initialize_at_server(client_id, &server, id, cx),
        }
    }

    /// What the server said the last time is the answer at once; it is started all the same. That it cannot be
    /// started just now is then told to whoever calls it.
    pub(crate) fn initialize_at_server(
        &mut self,
        client_id: ClientId,
        server: &str,
        id: Id,
        cx: &mut EventContext<'_>,
    ) {
        let key = self.make_share_key(client_id, server);
        let own = key.and_then(|key| self.instances.find_by_key(&server.into(), &key));
        let own = own.and_then(|instance| self.instances.get(instance)?.ready().cloned());
        let Some(said) = own.or_else(|| self.servers.get(server)?.initialize_result.clone()) else {
            if let Some(instance) = self.find_or_start_for_client(client_id, server, &id, cx) {
                self.answer_initialize_or_wait(client_id, id, instance, cx);
            }
            return;
        };
        if self.servers.get(server).is_some_and(|server| server.health.held_back(cx.time).is_none())
            && self.find_or_start_for_client(client_id, server, &id, cx).is_none()
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
        ready: &InitializeResult,
        cx: &mut EventContext<'_>,
    ) {
        let Some(said) = self.clients.get(client).and_then(|client| client.initialize_params()) else {
            return;
        };
        let version = exai_proto::version::answered(&said.version, &ready.version);
        let at = json::find(&ready.result, 0..ready.result.len(), "protocolVersion");
        let result = match at {
            Some(at) if version != ready.version => {
                json::splice(&ready.result, vec![Edit { at, with: json::quote(version).into_bytes() }]).into()
            }
            _ => ready.result.clone(),
        };
        cx.answer(client, id.clone(), answer::result(id, &result));
    }

    /// `initialize` on the aggregated endpoint: answered at once, nothing is started.
    pub(crate) fn initialize_aggregating(&mut self, client: ClientId, id: &Id, cx: &mut EventContext<'_>) {
        let Some(said) = self.clients.get(client).and_then(|client| client.initialize_params()) else {
            return;
        };
        let version = exai_proto::version::answered(&said.version, exai_proto::version::NEWEST_LEGACY);
        let instructions: Vec<String> = self
            .servers
            .iter()
            .filter_map(|server| {
                let text = server.catalogue.instructions.as_ref()?;
                Some(format!("# {}\n{text}", server.policy.name))
            })
            .collect();
        let mut result = serde_json::json!({
            "protocolVersion": version,
            "capabilities": answer::capabilities_of_all(),
            "serverInfo": {"name": "exai", "version": env!("CARGO_PKG_VERSION")},
        });
        for capability in [Ask::Extensions, Ask::Experimental].map(Ask::capability) {
            let united = self.servers.unite_names(capability);
            if !united.is_empty() {
                result["capabilities"][capability] = united.into();
            }
        }
        if !instructions.is_empty() {
            result["instructions"] = instructions.join("\n\n").into();
        }
        cx.answer(client, id.clone(), answer::result(id, result.to_string().as_bytes()));
    }
}

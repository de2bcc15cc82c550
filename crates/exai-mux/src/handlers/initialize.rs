//! `initialize` of clients.

use std::ops::Range;

use exai_proto::json::{self, Edit};
use exai_proto::{Id, Message, answer};

use crate::client::{Introduction, Session};
use crate::handlers::sending::TOO_MUCH_WAITS;
use crate::instance::Phase;
use crate::instance::start_queue::Waiting;
use crate::router::Router;
use crate::router::now::Now;
use crate::types::capability::Ask;
use crate::types::ids::{ClientId, Endpoint, InstanceId};
use crate::types::initialize_result::Ready;

impl Router {
    /// `initialize`: answered from what the server said to the router, or by exai itself on the aggregated
    /// endpoint. May come again on the same connection.
    pub(crate) fn introduce(
        &mut self,
        client_id: ClientId,
        message: &Message,
        id: Id,
        params: Option<&Range<usize>>,
        now: &mut Now<'_>,
    ) {
        let Some(introduction) = params.and_then(|params| Introduction::of(message, params.clone())) else {
            return now.refuse(client_id, &id, -32602, "initialize needs a protocolVersion");
        };
        let Some(client) = self.clients.get_mut(client_id) else { return };
        let declared = introduction.capabilities.clone();
        // What was measured meanwhile is no reason to take it away from what works for it.
        let same = client.introduction().is_some_and(|before| before.capabilities == declared);
        client.session = Session::Open(introduction);
        self.tell_repeatable(client_id, now);
        let Some(client) = self.clients.get(client_id) else { return };
        let endpoint = client.endpoint.clone();
        if !same {
            self.leave_unsuited(client_id, now);
        }
        match endpoint {
            Endpoint::All => self.introduce_all(client_id, &id, now),
            Endpoint::One(server) => self.introduce_to(client_id, &server, id, now),
        }
    }

    /// What the server said the last time is the answer at once; it is started all the same. That it cannot be
    /// started just now is then told to whoever calls it.
    pub(crate) fn introduce_to(&mut self, client_id: ClientId, server: &str, id: Id, now: &mut Now<'_>) {
        let key = self.share_key(client_id, server);
        let own = key.and_then(|key| self.instances.find_by_key(&server.into(), &key));
        let own = own.and_then(|instance| self.instances.get(instance)?.ready().cloned());
        let Some(said) = own.or_else(|| self.servers.get(server)?.said.clone()) else {
            if let Some(instance) = self.instance_for(client_id, server, &id, now) {
                self.introduce_or_wait(client_id, id, instance, now);
            }
            return;
        };
        if self.servers.get(server).is_some_and(|server| server.health.held_back(now.time).is_none())
            && self.instance_for(client_id, server, &id, now).is_none()
        {
            return;
        }
        self.replay_initialize(client_id, &id, &said, now);
    }

    fn introduce_or_wait(&mut self, client: ClientId, id: Id, instance_id: InstanceId, now: &mut Now<'_>) {
        let Some(instance) = self.instances.get_mut(instance_id) else { return };
        match &mut instance.phase {
            Phase::Starting { waiting, .. } if waiting.has_room(0) => {
                waiting.add(Waiting::Initialize { client, id });
            }
            Phase::Starting { .. } => {
                now.overloaded(client, &id, Some(&instance.server), TOO_MUCH_WAITS);
            }
            Phase::Ready(ready) => {
                let ready = ready.clone();
                self.replay_initialize(client, &id, &ready, now);
            }
        }
    }

    pub(crate) fn replay_initialize(&mut self, client: ClientId, id: &Id, ready: &Ready, now: &mut Now<'_>) {
        let Some(said) = self.clients.get(client).and_then(|client| client.introduction()) else { return };
        let version = exai_proto::version::answered(&said.version, &ready.version);
        let at = json::find(&ready.result, 0..ready.result.len(), "protocolVersion");
        let result = match at {
            Some(at) if version != ready.version => {
                json::splice(&ready.result, vec![Edit { at, with: json::quote(version).into_bytes() }]).into()
            }
            _ => ready.result.clone(),
        };
        now.answer(client, id.clone(), answer::result(id, &result));
    }

    /// `initialize` on the aggregated endpoint: answered at once, nothing is started.
    pub(crate) fn introduce_all(&mut self, client: ClientId, id: &Id, now: &mut Now<'_>) {
        let Some(said) = self.clients.get(client).and_then(|client| client.introduction()) else { return };
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
        now.answer(client, id.clone(), answer::result(id, result.to_string().as_bytes()));
    }
}

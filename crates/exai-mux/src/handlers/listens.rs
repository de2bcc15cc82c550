//! `subscriptions/listen` of clients, and what they are told because of it.
//!
//! A listen is answered by the router: with an acknowledgement at once, with notifications as long as it is open, and
//! with a result never, unless the daemon ends. The servers are asked in their own era: one of the modern era by a
//! listen of the router (`handlers::upstream_listens`), one of the legacy era by `resources/subscribe`.

use std::collections::BTreeSet;
use std::sync::Arc;

use exai_proto::params::Params;
use exai_proto::{Id, Message, answer, json, limits};

use crate::client::Attachment;
use crate::client::listen::{Listen, filter_key};
use crate::dialect::bridge::subscription_meta;
use crate::handlers::era_refusals::refuse_modern;
use crate::handlers::listen_relays::unknown_members;
use crate::limits::{MAX_LISTENS_PER_CLIENT, MAX_RELAYED_FILTER_BYTES, RELAY_TIMEOUT};
use crate::router::Router;
use crate::router::event_context::EventContext;
use crate::server::Server;
use crate::types::client_context::ClientContext;
use crate::types::effect::About;
use crate::types::era::Era;
use crate::types::ids::{ClientId, Endpoint, InstanceId};
use crate::types::introduction::Offer;
use crate::types::list_kind::{ANNOUNCED_LIST_KINDS, ListKind};

impl Router {
    /// Opens a listen of a client, and acknowledges what of it is honoured.
    pub(crate) fn handle_listen(
        &mut self,
        client_id: ClientId,
        context: &ClientContext,
        (message, params): (&Message, &Params),
        id: Id,
        cx: &mut EventContext<'_>,
    ) {
        if self.refuse_without_servers(client_id, &id, cx) {
            return;
        }
        let Some(client) = self.clients.get(client_id) else { return };
        if client.listens.len() >= MAX_LISTENS_PER_CLIENT {
            let what = format!("{MAX_LISTENS_PER_CLIENT} subscriptions of this client are open");
            return cx.overloaded(client_id, &id, None, &what);
        }
        if client.listens.iter().any(|listen| listen.id == id) {
            return cx.refuse(client_id, &id, -32600, "a request with this id is under way");
        }
        let text = message.bytes();
        let Some(filter) = params.notifications.clone().filter(|at| text[at.start] == b'{') else {
            return cx.refuse(
                client_id,
                &id,
                -32602,
                "Invalid params: subscriptions/listen needs notifications",
            );
        };
        let wants = |kind: &ListKind| {
            let at = json::find(text, filter.clone(), filter_key(*kind));
            at.is_some_and(|at| &text[at] == b"true")
        };
        let lists: Vec<ListKind> = ANNOUNCED_LIST_KINDS.into_iter().filter(wants).collect();
        let uris = json::find(text, filter.clone(), "resourceSubscriptions");
        let uris: Vec<String> = uris
            .into_iter()
            .flat_map(|at| json::elements(text, at))
            .filter_map(|at| json::string(text, at).map(std::borrow::Cow::into_owned))
            .collect();
        let open: usize = client.listens.iter().map(|listen| listen.resources.len()).sum();
        if open + uris.len() > limits::SUBSCRIPTIONS || uris.iter().any(|uri| uri.len() > limits::URI_BYTES) {
            let what = format!(
                "Invalid params: at most {} resources in all subscriptions, each address of at most {} bytes",
                limits::SUBSCRIPTIONS,
                limits::URI_BYTES
            );
            return cx.refuse(client_id, &id, -32602, &what);
        }
        let relayed = unknown_members(text, filter);
        if relayed.len() > MAX_RELAYED_FILTER_BYTES {
            let what = format!("Invalid params: a filter may have {MAX_RELAYED_FILTER_BYTES} bytes");
            return cx.refuse(client_id, &id, -32602, &what);
        }
        self.begin_listen(client_id, context, (lists, uris, relayed), id, cx);
    }

    /// Whether it is known what of a listen can be honoured: the server has introduced itself.
    pub(crate) fn can_answer_listen(&self, client: ClientId) -> bool {
        let Some(client) = self.clients.get(client) else { return false };
        let Endpoint::One(server) = &client.endpoint else { return true };
        self.servers.get_seen(client, server).is_some_and(|server| {
            let is_served = server.serving_era(Era::Modern) == Era::Modern || server.policy.bridge;
            is_served && server.offering_for(Era::Modern).introduction.is_some()
        })
    }

    fn begin_listen(
        &mut self,
        client_id: ClientId,
        context: &ClientContext,
        (mut lists, uris, relayed): (Vec<ListKind>, Vec<String>, String),
        id: Id,
        cx: &mut EventContext<'_>,
    ) {
        let Some(client) = self.clients.get(client_id) else { return };
        let own = match &client.endpoint {
            Endpoint::One(server) => Some(server.clone()),
            Endpoint::All | Endpoint::Several(_) => None,
        };
        if let Some(server) = &own {
            let said = self
                .servers
                .get(server)
                .and_then(|server| server.offering_for(Era::Modern).introduction.as_ref());
            lists.retain(|kind| said.is_some_and(|said| said.offer(*kind) == Offer::Announced));
        }
        let find = |uri: String| {
            let server = match &own {
                Some(server) => server.clone(),
                None => self
                    .find_resource_owner((client_id, Era::Modern), &uri)
                    .or_else(|| self.find_only_resource_server((client_id, Era::Modern)))?,
            };
            let said = self.servers.get(&server)?.offering_for(Era::Modern).introduction.as_ref()?;
            said.capabilities.subscriptions.then_some((server, uri))
        };
        let resources: Vec<(Arc<str>, String)> = uris.into_iter().filter_map(find).collect();
        // Only a server of the modern era can know more than exai, and only one server can be meant.
        let is_modern = |server: &Arc<str>| {
            self.servers.get(server).is_some_and(|known| known.serving_era(Era::Modern) == Era::Modern)
        };
        let relayed = Some(relayed).filter(|text| !text.is_empty() && own.as_ref().is_some_and(is_modern));
        let server_may_say_until = relayed.is_some().then(|| cx.time + RELAY_TIMEOUT);
        let listen = Listen { id: id.clone(), lists, resources, relayed, server_may_say_until };
        if listen.is_acknowledged() {
            cx.send_to_client(client_id, listen.write_acknowledgement(""), About::During(id.clone()));
        }
        let mut servers: Vec<Arc<str>> =
            listen.resources.iter().map(|(server, _)| server.clone()).chain(own).collect();
        servers.sort();
        servers.dedup();
        if let Some(client) = self.clients.get_mut(client_id) {
            client.listens.push(listen);
        }
        // The servers must run to tell anything.
        for server in servers {
            let Some(instance) = self.find_or_start_for_listen(client_id, context, &server, cx) else {
                self.acknowledge_relayed(client_id, &id, "", cx);
                // It is started for the client when it may be.
                if let Some(server) = self.servers.get_mut(&server) {
                    server.interrupted.insert(client_id);
                }
                continue;
            };
            // An instance that the client uses already knows nothing of the new listen.
            if !self.attach_client((client_id, Era::Modern), instance, cx) {
                self.restore_client(client_id, instance, cx);
            }
        }
    }

    /// Finds or starts the instance that tells the listens of a client. `None` if there can be none now.
    fn find_or_start_for_listen(
        &mut self,
        client_id: ClientId,
        context: &ClientContext,
        server: &str,
        cx: &mut EventContext<'_>,
    ) -> Option<InstanceId> {
        if self.servers.get(server)?.health.held_back(cx.time).is_some() {
            return None;
        }
        let key = self.make_share_key(client_id, context, server)?;
        self.find_or_start_instance(server, key, cx)
    }

    /// Ends a listen that its client has cancelled. Returns whether there was one.
    pub(crate) fn end_listen(&mut self, client_id: ClientId, id: &Id, cx: &mut EventContext<'_>) -> bool {
        let Some(listen) = self.clients.get_mut(client_id).and_then(|client| client.take_listen(id)) else {
            return false;
        };
        self.forget_resources(client_id, &listen, cx);
        self.cancel_relays(client_id, id, cx);
        cx.drop_request(client_id, id.clone());
        true
    }

    /// Refuses the listens of clients of one server that has turned out to speak the legacy era alone. They were opened
    /// while it spoke the modern one, and would stay silent for ever.
    pub(crate) fn refuse_unserved_listens(&mut self, server: &str, cx: &mut EventContext<'_>) {
        if !self.servers.get(server).is_some_and(Server::refuses_modern) {
            return;
        }
        for client_id in self.clients.ids() {
            let Some(client) = self.clients.get_mut(client_id) else { continue };
            if !matches!(&client.endpoint, Endpoint::One(own) if **own == *server) {
                continue;
            }
            for listen in std::mem::take(&mut client.listens) {
                self.forget_resources(client_id, &listen, cx);
                self.cancel_relays(client_id, &listen.id, cx);
                refuse_modern(client_id, &listen.id, cx);
            }
        }
    }

    /// Lets servers say nothing more of resources of a listen that the client does not want to hear of in another way.
    fn forget_resources(&mut self, client_id: ClientId, listen: &Listen, cx: &mut EventContext<'_>) {
        let Some(client) = self.clients.get(client_id) else { return };
        let mut unheard = Vec::new();
        for Attachment { server, instance: id, .. } in &client.attached {
            let Some(known) = self.servers.get(server) else { continue };
            let Some(instance) = self.instances.get_mut(*id) else { continue };
            let wanted: BTreeSet<&str> =
                known.wanted_uris(client, instance.era()).map(|(_, uri)| uri).collect();
            let mut left = Vec::new();
            for (of, uri) in &listen.resources {
                if of == server
                    && !wanted.contains(&**uri)
                    && instance.subscribers.remove_subscriber(uri, client_id)
                {
                    left.push(uri.clone());
                }
            }
            unheard.push((*id, left));
        }
        // The server is told once, of all of them.
        for (instance_id, uris) in unheard {
            self.stop_hearing_of(instance_id, &uris, cx);
        }
    }

    /// Tells the listens of a client that a list may have changed.
    pub(crate) fn notify_listens_of_list(
        &self,
        client_id: ClientId,
        kind: ListKind,
        cx: &mut EventContext<'_>,
    ) {
        let Some(client) = self.clients.get(client_id) else { return };
        for listen in client.listens.iter().filter(|listen| listen.has_list(kind)) {
            let params = format!("{{{}}}", subscription_meta(listen.id.as_json()));
            let told = answer::notify(kind.changed(), &params);
            cx.send_to_client(client_id, told, About::During(listen.id.clone()));
        }
    }

    /// Tells the listens of a client that a resource of a server has changed, if they are about it.
    pub(crate) fn notify_listens_of_resource(
        &self,
        client_id: ClientId,
        (server, uri): (&str, &str),
        cx: &mut EventContext<'_>,
    ) {
        let Some(client) = self.clients.get(client_id) else { return };
        for listen in client.listens.iter().filter(|listen| listen.is_acknowledged()) {
            let mut own = listen.resources.iter().filter(|(name, _)| **name == *server);
            if own.any(|(_, listened)| crate::instance::subscribers::is_part_of(uri, listened)) {
                let params =
                    format!("{{\"uri\":{},{}}}", json::quote(uri), subscription_meta(listen.id.as_json()));
                let told = answer::notify("notifications/resources/updated", &params);
                cx.send_to_client(client_id, told, About::During(listen.id.clone()));
            }
        }
    }
}

//! Finds the server that has a resource, and asks another server if the first does not have it.
//!
//! Addresses are looked up on the thread that routes. So everything that is compared was taken apart when it became
//! known, and has a bound.

use std::cmp::Reverse;
use std::ops::Range;
use std::sync::Arc;

use exai_proto::{Message, json};

use crate::handlers::client_request::Request;
use crate::instance::fair_queue::QueuedRequest;
use crate::limits::MAX_REREAD_BYTES;
use crate::router::Router;
use crate::router::calls::CallState;
use crate::router::event_context::EventContext;
use crate::router::on_success::{OnSuccess, ResourceRead};
use crate::server::Server;
use crate::server::handed_out::find_handed_out;
use crate::types::era::Era;
use crate::types::ids::{CallId, ClientId, InstanceId};
use crate::types::introduction::Offer;

/// What a server answers that does not have a resource: an error of its own until the revisions of MCP of 2025, a
/// wrong parameter since then and in some SDKs, and an unknown method where the server has no resources at all.
const NOT_HERE: [&str; 3] = ["-32002", "-32602", "-32601"];

impl Router {
    /// The servers that a client may see and that may have a resource, the likeliest first. If two have equal claims, the first in the order of
    /// the configuration comes first.
    fn find_resource_candidates(&self, (client, era): (ClientId, Era), uri: &str) -> Vec<Arc<str>> {
        let Some(client) = self.clients.get(client) else { return Vec::new() };
        let seen = self.servers.iter_seen(client);
        let claims = seen
            .filter_map(|server| Some((server.offering_for(era).catalogue.resources.claim(uri)?, server)));
        let mut claims: Vec<_> = claims.collect();
        claims.sort_by_key(|(claim, _)| Reverse(*claim));
        claims.into_iter().map(|(_, server)| server.policy.name.clone()).collect()
    }

    /// The server that has a resource, as far as that is known. A client that has subscribed to the resource means
    /// the server where it has subscribed.
    pub(crate) fn find_resource_owner(&self, (client, era): (ClientId, Era), uri: &str) -> Option<Arc<str>> {
        let subscriptions = self.clients.get(client).map(|client| &client.subscriptions);
        let subscribed = subscriptions.into_iter().flatten().find(|(_, known)| known == uri);
        let name = subscribed.map(|(server, _)| server).filter(|server| self.servers.get(server).is_some());
        name.cloned().or_else(|| self.find_resource_candidates((client, era), uri).into_iter().next())
    }

    /// The only server with resources that a client may see: it alone can have one that no server lists.
    pub(crate) fn find_only_resource_server(&self, (client, era): (ClientId, Era)) -> Option<Arc<str>> {
        let has = |server: &&Server| {
            server
                .offering_for(era)
                .introduction
                .as_ref()
                .is_some_and(|said| said.capabilities.resources != Offer::Nothing)
        };
        let mut all = self.servers.iter_seen(self.clients.get(client)?).filter(has);
        let only = all.next()?;
        all.next().is_none().then(|| only.policy.name.clone())
    }

    /// What a request to read needs to go on to another server: the request itself, if there is another candidate.
    pub(crate) fn on_success_of_read(&self, request: &Request<'_>, instance: InstanceId) -> OnSuccess {
        let small = request.message.bytes().len() <= MAX_REREAD_BYTES;
        if !small || !self.clients.is_aggregating(request.client()) {
            return OnSuccess::Nothing;
        }
        let Some(uri) = request.message.string_at(request.params.uri.as_ref()) else {
            return OnSuccess::Nothing;
        };
        let tried = self.calls.get(request.call).map(|call| &call.tried[..]).unwrap_or_default();
        if self.find_next_candidate((request.client(), request.era, &uri), instance, tried).is_none() {
            return OnSuccess::Nothing;
        }
        OnSuccess::ResourceRead(Box::new(ResourceRead { uri, message: request.message.clone() }))
    }

    fn find_next_candidate(
        &self,
        (client, era, uri): (ClientId, Era, &str),
        asked: InstanceId,
        tried: &[Arc<str>],
    ) -> Option<Arc<str>> {
        let asked = &self.instances.get(asked)?.server;
        self.find_resource_candidates((client, era), uri)
            .into_iter()
            .find(|name| name != asked && !tried.contains(name))
    }

    /// Sends a request to read to the next candidate, if the error says that this server does not have the resource: a
    /// further leg of the call. Returns whether it was sent.
    pub(crate) fn read_elsewhere(
        &mut self,
        call_id: CallId,
        instance: InstanceId,
        (answer, error): (&Message, &Range<usize>),
        cx: &mut EventContext<'_>,
    ) -> bool {
        let code = json::find(answer.bytes(), error.clone(), "code");
        if !code.is_some_and(|code| NOT_HERE.contains(&answer.str_at(&code))) {
            return false;
        }
        let Some(asked) = self.instances.server_of(instance) else { return false };
        let Some(call) = self.calls.get(call_id).filter(|call| !call.is_cancelled()) else { return false };
        let OnSuccess::ResourceRead(read) = &call.on_success else { return false };
        let Some(next) =
            self.find_next_candidate((call_id.client, call.context.era, &read.uri), instance, &call.tried)
        else {
            return false;
        };
        let usable = |server: &Server| server.health.held_back(cx.time).is_none();
        if !self.servers.get(&next).is_some_and(usable) {
            return false;
        }
        let queued = QueuedRequest::new(call_id, call.context.era, read.message.clone());
        if let Some(call) = self.calls.get_mut(call_id) {
            call.state = CallState::Routing;
            call.tried.push(asked);
        }
        self.send_to_server(&next, queued, cx);
        true
    }

    /// Remembers the addresses in a result that a server has sent to a client of the aggregated endpoint.
    pub(crate) fn note_handed_out(
        &mut self,
        client: ClientId,
        instance: InstanceId,
        on_success: &OnSuccess,
        (answer, result): (&Message, &Range<usize>),
        cx: &mut EventContext<'_>,
    ) {
        let tells =
            matches!(on_success, OnSuccess::Call { .. } | OnSuccess::ResourceRead(_) | OnSuccess::Nothing);
        if !tells || !self.clients.is_aggregating(client) {
            return;
        }
        let Some(offering) = self.offering_of_mut(instance) else { return };
        find_handed_out(answer.bytes(), result, |uri| offering.catalogue.resources.hand_out(uri, cx.time));
    }
}

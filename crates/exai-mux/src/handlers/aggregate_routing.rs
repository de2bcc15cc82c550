//! Where the requests of clients of the aggregated endpoint belong.

use std::ops::Range;
use std::sync::Arc;

use exai_proto::params::AMBIGUOUS;
use exai_proto::{Id, Kind, answer};

use crate::dialect::{bridge, legacy};
use crate::handlers::client_request::Request;
use crate::instance::fair_queue::QueuedRequest;
use crate::router::Router;
use crate::router::event_context::EventContext;
use crate::router::list_aggregations::AfterLists;
use crate::server::Server;
use crate::types::ids::ClientId;
use crate::types::list_kind::ListKind;
use crate::types::log_level::LogLevel;
use crate::types::method::Method;
use crate::types::names;

impl Router {
    pub(crate) fn route_aggregated_request(&mut self, queued: QueuedRequest, cx: &mut EventContext<'_>) {
        let QueuedRequest { call, era, message, .. } = &queued;
        let (call, era, Kind::Request { id, method, .. }) = (*call, *era, message.kind()) else { return };
        let Some(params) = message.params() else {
            self.calls.finish_call(call);
            return cx.refuse(call.client, &Id::from_json(message.at(id)), -32602, AMBIGUOUS);
        };
        let method_name = message.str_at(method);
        let method = legacy::read_method(method_name);
        let request = Request { call, era, message, id, method, method_name, params, translated: false };
        let server = match method {
            Method::List(kind) => {
                return self.aggregate_lists(call, AfterLists::Answer(kind), (&[kind], None), cx);
            }
            Method::CallTool | Method::GetPrompt => self.find_owner_of_name(&request, cx),
            Method::ReadResource | Method::Subscribe | Method::Unsubscribe => {
                let uri = message.string_at(request.params.uri.as_ref());
                self.find_owner_of_uri(&request, uri, cx)
            }
            Method::Complete => self.find_owner_of_reference(&request, cx),
            Method::SetLogLevel => {
                self.set_log_level_everywhere(&request, cx);
                None
            }
            Method::Ping | Method::Discover | Method::Initialize | Method::Listen | Method::Other => {
                self.find_owner_of_method(&request, cx)
            }
        };
        match server {
            Some(RouteTarget::At(server)) => self.send_to_server(&server, queued, cx),
            Some(RouteTarget::AfterListing(..)) if !self.list_aggregations.has_room(call.client, message) => {
                let what = "too much waits for the servers to list what they have";
                cx.overloaded(call.client, &request.id(), None, what);
                self.calls.finish_call(call);
            }
            Some(RouteTarget::AfterListing(kinds, of)) => {
                self.aggregate_lists(call, AfterLists::Route(queued.message), (&kinds, of), cx);
            }
            // The client was answered.
            None => _ = self.calls.finish_call(call),
        }
    }

    fn find_owner_of_name(
        &mut self,
        request: &Request<'_>,
        cx: &mut EventContext<'_>,
    ) -> Option<RouteTarget> {
        let name = request.message.string_at(request.params.name.as_ref()).unwrap_or_default();
        let Some(server) = self.find_server_of_name(request.client(), &name) else {
            if let (Some((server, _)), Some(client)) =
                (names::split(&name), self.clients.get(request.client()))
                && self.lacks_account(client, server)
            {
                let accounts = self.accounts.of_server(server);
                cx.no_account(request.client(), &request.id(), server, accounts);
                return None;
            }
            cx.unknown_name(request.client(), &request.id(), &name, true);
            return None;
        };
        let cut = names::may_be_cut(&name);
        let catalogue = &server.offering_for(request.era).catalogue;
        if cut && catalogue.find_uncut_name(&server.policy.name, &name).is_none() {
            let listed =
                [ListKind::Tools, ListKind::Prompts].iter().all(|kind| catalogue.list(*kind).is_some());
            if !listed {
                let of = Some(server.policy.name.clone());
                return Some(RouteTarget::AfterListing(vec![ListKind::Tools, ListKind::Prompts], of));
            }
        }
        Some(RouteTarget::At(server.policy.name.clone()))
    }

    /// The server whose name is the first part of an aggregated name, if the client may see it.
    fn find_server_of_name(&self, client: ClientId, aggregated: &str) -> Option<&Server> {
        let (server, _) = names::split(aggregated)?;
        self.servers.get_seen(self.clients.get(client)?, server)
    }

    /// Finds the owner of a resource. The client is told if there is none.
    fn find_owner_of_uri(
        &mut self,
        request: &Request<'_>,
        uri: Option<String>,
        cx: &mut EventContext<'_>,
    ) -> Option<RouteTarget> {
        let Some(uri) = uri else {
            cx.refuse(request.client(), &request.id(), -32602, "a uri is needed");
            return None;
        };
        if let Some(server) = self.find_resource_owner((request.client(), request.era), &uri) {
            return Some(RouteTarget::At(server));
        }
        let kinds = [ListKind::Resources, ListKind::Templates];
        let usable = |server: &&Server| server.health.held_back(cx.time).is_none();
        let seen = self.clients.get(request.client()).into_iter();
        let unknown = seen
            .flat_map(|client| self.servers.iter_seen(client))
            .filter(usable)
            .map(|server| &server.offering_for(request.era).catalogue)
            .any(|catalogue| kinds.iter().any(|kind| catalogue.list(*kind).is_none()));
        if unknown {
            return Some(RouteTarget::AfterListing(kinds.to_vec(), None));
        }
        if let Some(server) = self.find_only_resource_server((request.client(), request.era)) {
            return Some(RouteTarget::At(server));
        }
        let code = bridge::resource_not_found(request.era);
        cx.refuse(request.client(), &request.id(), code, &format!("Resource not found: {uri}"));
        None
    }

    fn find_owner_of_reference(
        &mut self,
        request: &Request<'_>,
        cx: &mut EventContext<'_>,
    ) -> Option<RouteTarget> {
        let member = |place: &Option<Range<usize>>| request.message.string_at(place.as_ref());
        if let Some(uri) = member(&request.params.reference_uri) {
            // A reference names the template itself, or a resource made of it.
            return self.find_owner_of_uri(request, Some(uri), cx);
        }
        let name = member(&request.params.reference_name).unwrap_or_default();
        let server = self.find_server_of_name(request.client(), &name);
        if server.is_none() {
            cx.refuse(request.client(), &request.id(), -32602, &format!("Unknown prompt: {name}"));
        }
        server.map(|server| RouteTarget::At(server.policy.name.clone()))
    }

    /// Finds the owner of a method that exai does not know. Clients may use what servers declare to them on this
    /// endpoint.
    fn find_owner_of_method(
        &mut self,
        request: &Request<'_>,
        cx: &mut EventContext<'_>,
    ) -> Option<RouteTarget> {
        let method = request.method_name;
        let client = self.clients.get(request.client())?;
        let text = match self.servers.find_declarer(client, request.era, method) {
            Ok(Some(server)) => return Some(RouteTarget::At(server.policy.name.clone())),
            Ok(None) => format!("Method not found: {method}"),
            Err(()) => {
                format!(
                    "Method not found: {method} (several servers could be meant; each has it at /mcp/NAME)"
                )
            }
        };
        cx.refuse(request.client(), &request.id(), -32601, &text);
        None
    }

    fn set_log_level_everywhere(&mut self, request: &Request<'_>, cx: &mut EventContext<'_>) {
        let level = request.message.string_at(request.params.level.as_ref());
        let Some(level) = level.and_then(|name| LogLevel::parse(&name)) else {
            return cx.refuse(request.client(), &request.id(), -32602, "unknown log level");
        };
        let Some(client) = self.clients.get_mut(request.client()) else { return };
        client.level = Some(level);
        let attached = client.attached.clone();
        for one in attached {
            self.raise_log_level(one.instance, level, cx);
        }
        cx.answer(request.client(), request.id(), answer::result(&request.id(), b"{}"));
    }

    /// Routes a message that had to wait for lists. The lists are not asked for a second time.
    pub(crate) fn route_after_lists(&mut self, queued: QueuedRequest, cx: &mut EventContext<'_>) {
        let QueuedRequest { call, era, message, .. } = &queued;
        let (call, era, Kind::Request { id, method, .. }) = (*call, *era, message.kind()) else { return };
        let Some(params) = message.params() else { return };
        let own = Id::from_json(message.at(id));
        let place = match legacy::read_method(message.str_at(method)) {
            Method::Complete => &params.reference_uri,
            _ => &params.uri,
        };
        let by_name = || {
            let name = message.string_at(params.name.as_ref()).unwrap_or_default();
            self.find_server_of_name(call.client, &name).map(|server| server.policy.name.clone())
        };
        let by_uri = |uri: String| {
            let viewer = (call.client, era);
            self.find_resource_owner(viewer, &uri).or_else(|| self.find_only_resource_server(viewer))
        };
        let owner = message.string_at(place.as_ref()).map_or_else(by_name, by_uri);
        if let Some(server) = owner {
            return self.send_to_server(&server, queued, cx);
        }
        let text = "Resource not found: no server lists it or has a template for it";
        cx.refuse(call.client, &own, bridge::resource_not_found(era), text);
        self.calls.finish_call(call);
    }
}

/// Where a request of the aggregated endpoint belongs.
pub(crate) enum RouteTarget {
    At(Arc<str>),
    /// The owner is known only after the servers, or one of them, have listed these.
    AfterListing(Vec<ListKind>, Option<Arc<str>>),
}

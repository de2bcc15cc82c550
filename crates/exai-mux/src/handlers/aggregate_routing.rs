//! Where the requests of a client of all servers belong.

use std::ops::Range;
use std::sync::Arc;

use exai_proto::params::AMBIGUOUS;
use exai_proto::{Id, Kind, Message, answer};

use crate::handlers::client_request::Request;
use crate::router::Router;
use crate::router::event_context::EventContext;
use crate::router::list_aggregations::AfterLists;
use crate::server::Server;
use crate::types::ids::ClientId;
use crate::types::list_kind::ListKind;
use crate::types::log_level::LogLevel;
use crate::types::names;

impl Router {
    pub(crate) fn route_aggregated_request(
        &mut self,
        client: ClientId,
        message: Message,
        cx: &mut EventContext<'_>,
    ) {
        let Kind::Request { id, method, .. } = message.kind() else { return };
        let Some(params) = message.params() else {
            return cx.refuse(client, &Id::from_json(message.at(id)), -32602, AMBIGUOUS);
        };
        let method = message.str_at(method);
        let request =
            Request { client, message: &message, id, method, params, translated: false, tried: &[] };
        if let Some(kind) = ListKind::of_method(request.method) {
            return self.answer_aggregated_list(client, request.id(), kind, cx);
        }
        let own = request.id();
        let server = match request.method {
            "tools/call" | "prompts/get" => self.find_owner_of_name(&request, cx),
            "resources/read" | "resources/subscribe" | "resources/unsubscribe" => {
                let uri = message.string_at(request.params.uri.as_ref());
                self.find_owner_of_uri(&request, uri, cx)
            }
            "completion/complete" => self.find_owner_of_reference(&request, cx),
            "logging/setLevel" => {
                self.set_log_level_everywhere(&request, cx);
                None
            }
            other => self.find_owner_of_method(&request, other, cx),
        };
        match server {
            Some(RouteTarget::At(server)) => self.route_to_server(client, &server, message, cx),
            Some(RouteTarget::AfterListing(..)) if !self.list_aggregations.has_room(client, &message) => {
                let what = "too much waits for the servers to list what they have";
                cx.overloaded(client, &own, None, what);
            }
            Some(RouteTarget::AfterListing(kinds, of)) => {
                self.aggregate_lists(client, own, AfterLists::Route(message), (&kinds, of), cx);
            }
            None => {}
        }
    }

    fn find_owner_of_name(
        &mut self,
        request: &Request<'_>,
        cx: &mut EventContext<'_>,
    ) -> Option<RouteTarget> {
        let name = request.message.string_at(request.params.name.as_ref()).unwrap_or_default();
        let Some(server) = self.find_server_of_name(&name) else {
            let text = format!("Unknown tool or prompt: {name} (names are SERVER__NAME)");
            cx.refuse(request.client, &request.id(), -32602, &text);
            return None;
        };
        let cut = names::may_be_cut(&name);
        if cut && server.catalogue.find_uncut_name(&server.policy.name, &name).is_none() {
            let listed = [ListKind::Tools, ListKind::Prompts]
                .iter()
                .all(|kind| server.catalogue.list(*kind).is_some());
            if !listed {
                let of = Some(server.policy.name.clone());
                return Some(RouteTarget::AfterListing(vec![ListKind::Tools, ListKind::Prompts], of));
            }
        }
        Some(RouteTarget::At(server.policy.name.clone()))
    }

    /// The server that an aggregated name names.
    fn find_server_of_name(&self, aggregated: &str) -> Option<&Server> {
        names::split(aggregated).and_then(|(server, _)| self.servers.get(server))
    }

    /// The owner of a resource, if it is known; the client is told if there is none.
    fn find_owner_of_uri(
        &mut self,
        request: &Request<'_>,
        uri: Option<String>,
        cx: &mut EventContext<'_>,
    ) -> Option<RouteTarget> {
        let Some(uri) = uri else {
            cx.refuse(request.client, &request.id(), -32602, "a uri is needed");
            return None;
        };
        if let Some(server) = self.find_resource_owner(request.client, &uri) {
            return Some(RouteTarget::At(server));
        }
        let kinds = [ListKind::Resources, ListKind::Templates];
        let usable = |server: &&Server| server.health.held_back(cx.time).is_none();
        let unknown = self
            .servers
            .iter()
            .filter(usable)
            .any(|server| kinds.iter().any(|kind| server.catalogue.list(*kind).is_none()));
        if unknown {
            return Some(RouteTarget::AfterListing(kinds.to_vec(), None));
        }
        if let Some(server) = self.find_only_resource_server() {
            return Some(RouteTarget::At(server));
        }
        cx.refuse(request.client, &request.id(), -32002, &format!("Resource not found: {uri}"));
        None
    }

    fn find_owner_of_reference(
        &mut self,
        request: &Request<'_>,
        cx: &mut EventContext<'_>,
    ) -> Option<RouteTarget> {
        let member = |place: &Option<Range<usize>>| request.message.string_at(place.as_ref());
        if let Some(uri) = member(&request.params.reference_uri) {
            // A reference names the template itself or a resource made of it.
            return self.find_owner_of_uri(request, Some(uri), cx);
        }
        let name = member(&request.params.reference_name).unwrap_or_default();
        let server = self.find_server_of_name(&name);
        if server.is_none() {
            cx.refuse(request.client, &request.id(), -32602, &format!("Unknown prompt: {name}"));
        }
        server.map(|server| RouteTarget::At(server.policy.name.clone()))
    }

    /// The owner of a method that exai does not know. What servers declare to clients on this endpoint, clients may use.
    fn find_owner_of_method(
        &mut self,
        request: &Request<'_>,
        method: &str,
        cx: &mut EventContext<'_>,
    ) -> Option<RouteTarget> {
        let text = match self.servers.find_declarer(method) {
            Ok(Some(server)) => return Some(RouteTarget::At(server.policy.name.clone())),
            Ok(None) => format!("Method not found: {method}"),
            Err(()) => {
                format!(
                    "Method not found: {method} (several servers could be meant; each has it at /mcp/NAME)"
                )
            }
        };
        cx.refuse(request.client, &request.id(), -32601, &text);
        None
    }

    fn set_log_level_everywhere(&mut self, request: &Request<'_>, cx: &mut EventContext<'_>) {
        let level = request.message.string_at(request.params.level.as_ref());
        let Some(level) = level.and_then(|name| LogLevel::parse(&name)) else {
            return cx.refuse(request.client, &request.id(), -32602, "unknown log level");
        };
        let Some(client) = self.clients.get_mut(request.client) else { return };
        client.level = Some(level);
        let attached = client.attached.clone();
        for (_, instance_id) in attached {
            self.raise_log_level(instance_id, level, cx);
        }
        cx.answer(request.client, request.id(), answer::result(&request.id(), b"{}"));
    }

    /// Routes a message whose owner was not known before the lists came. It is not listed for again.
    pub(crate) fn route_after_lists(
        &mut self,
        client: ClientId,
        message: Message,
        cx: &mut EventContext<'_>,
    ) {
        let Kind::Request { id, method, .. } = message.kind() else { return };
        let Some(params) = message.params() else { return };
        let own = Id::from_json(message.at(id));
        let place = match message.str_at(method) {
            "completion/complete" => &params.reference_uri,
            _ => &params.uri,
        };
        let by_name = || {
            let name = message.string_at(params.name.as_ref()).unwrap_or_default();
            self.find_server_of_name(&name).map(|server| server.policy.name.clone())
        };
        let by_uri =
            |uri: String| self.find_resource_owner(client, &uri).or_else(|| self.find_only_resource_server());
        let owner = message.string_at(place.as_ref()).map_or_else(by_name, by_uri);
        match owner {
            Some(server) => self.route_to_server(client, &server, message, cx),
            None => cx.refuse(
                client,
                &own,
                -32002,
                "Resource not found: no server lists it or has a template for it",
            ),
        }
    }
}

/// Where a request of the aggregated endpoint belongs.
pub(crate) enum RouteTarget {
    At(Arc<str>),
    /// It cannot be known before the servers, or one of them, have listed these.
    AfterListing(Vec<ListKind>, Option<Arc<str>>),
}

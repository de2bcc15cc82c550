//! Where the requests of a client of all servers belong.

use std::ops::Range;
use std::sync::Arc;

use exai_proto::params::AMBIGUOUS;
use exai_proto::{Id, Kind as Shape, Message, answer};

use crate::handlers::client_request::Request;
use crate::router::Router;
use crate::router::list_aggregations::Then;
use crate::router::now::Now;
use crate::server::Server;
use crate::types::ids::ClientId;
use crate::types::list_kind::Kind;
use crate::types::log_level::Level;
use crate::types::names;

impl Router {
    pub(crate) fn aggregate_request(&mut self, client: ClientId, message: Message, now: &mut Now<'_>) {
        let Shape::Request { id, method, .. } = message.kind() else { return };
        let Some(params) = message.params() else {
            return now.refuse(client, &Id::from_json(message.at(id)), -32602, AMBIGUOUS);
        };
        let method = message.str_at(method);
        let request =
            Request { client, message: &message, id, method, params, translated: false, tried: &[] };
        if let Some(kind) = Kind::of_method(request.method) {
            return self.aggregate_list(client, request.id(), kind, now);
        }
        let own = request.id();
        let server = match request.method {
            "tools/call" | "prompts/get" => self.owner_of_name(&request, now),
            "resources/read" | "resources/subscribe" | "resources/unsubscribe" => {
                let uri = message.string_at(request.params.uri.as_ref());
                self.owner_of_uri(&request, uri, now)
            }
            "completion/complete" => self.owner_of_reference(&request, now),
            "logging/setLevel" => {
                self.set_level_everywhere(&request, now);
                None
            }
            other => self.owner_of_method(&request, other, now),
        };
        match server {
            Some(Found::At(server)) => self.to_instance_of(client, &server, message, now),
            Some(Found::AfterListing(..)) if !self.gatherings.has_room(client, &message) => {
                let what = "too much waits for the servers to list what they have";
                now.overloaded(client, &own, None, what);
            }
            Some(Found::AfterListing(kinds, of)) => {
                self.gather(client, own, Then::Route(message), (&kinds, of), now);
            }
            None => {}
        }
    }

    fn owner_of_name(&mut self, request: &Request<'_>, now: &mut Now<'_>) -> Option<Found> {
        let name = request.message.string_at(request.params.name.as_ref()).unwrap_or_default();
        let Some(server) = self.with_name(&name) else {
            let text = format!("Unknown tool or prompt: {name} (names are SERVER__NAME)");
            now.refuse(request.client, &request.id(), -32602, &text);
            return None;
        };
        let cut = names::may_be_cut(&name);
        if cut && server.catalogue.uncut(&server.policy.name, &name).is_none() {
            let listed =
                [Kind::Tools, Kind::Prompts].iter().all(|kind| server.catalogue.list(*kind).is_some());
            if !listed {
                let of = Some(server.policy.name.clone());
                return Some(Found::AfterListing(vec![Kind::Tools, Kind::Prompts], of));
            }
        }
        Some(Found::At(server.policy.name.clone()))
    }

    /// The server that an aggregated name names.
    fn with_name(&self, aggregated: &str) -> Option<&Server> {
        names::split(aggregated).and_then(|(server, _)| self.servers.get(server))
    }

    /// The owner of a resource, if it is known; the client is told if there is none.
    fn owner_of_uri(
        &mut self,
        request: &Request<'_>,
        uri: Option<String>,
        now: &mut Now<'_>,
    ) -> Option<Found> {
        let Some(uri) = uri else {
            now.refuse(request.client, &request.id(), -32602, "a uri is needed");
            return None;
        };
        if let Some(server) = self.owner_of_resource(request.client, &uri) {
            return Some(Found::At(server));
        }
        let kinds = [Kind::Resources, Kind::Templates];
        let usable = |server: &&Server| server.health.held_back(now.time).is_none();
        let unknown = self
            .servers
            .iter()
            .filter(usable)
            .any(|server| kinds.iter().any(|kind| server.catalogue.list(*kind).is_none()));
        if unknown {
            return Some(Found::AfterListing(kinds.to_vec(), None));
        }
        if let Some(server) = self.only_server_with_resources() {
            return Some(Found::At(server));
        }
        now.refuse(request.client, &request.id(), -32002, &format!("Resource not found: {uri}"));
        None
    }

    fn owner_of_reference(&mut self, request: &Request<'_>, now: &mut Now<'_>) -> Option<Found> {
        let member = |place: &Option<Range<usize>>| request.message.string_at(place.as_ref());
        if let Some(uri) = member(&request.params.reference_uri) {
            // A reference names the template itself or a resource made of it.
            return self.owner_of_uri(request, Some(uri), now);
        }
        let name = member(&request.params.reference_name).unwrap_or_default();
        let server = self.with_name(&name);
        if server.is_none() {
            now.refuse(request.client, &request.id(), -32602, &format!("Unknown prompt: {name}"));
        }
        server.map(|server| Found::At(server.policy.name.clone()))
    }

    /// The owner of a method that exai does not know. What servers declare to clients on this endpoint, clients may use.
    fn owner_of_method(&mut self, request: &Request<'_>, method: &str, now: &mut Now<'_>) -> Option<Found> {
        let text = match self.servers.find_declarer(method) {
            Ok(Some(server)) => return Some(Found::At(server.policy.name.clone())),
            Ok(None) => format!("Method not found: {method}"),
            Err(()) => {
                format!(
                    "Method not found: {method} (several servers could be meant; each has it at /mcp/NAME)"
                )
            }
        };
        now.refuse(request.client, &request.id(), -32601, &text);
        None
    }

    fn set_level_everywhere(&mut self, request: &Request<'_>, now: &mut Now<'_>) {
        let level = request.message.string_at(request.params.level.as_ref());
        let Some(level) = level.and_then(|name| Level::parse(&name)) else {
            return now.refuse(request.client, &request.id(), -32602, "unknown log level");
        };
        let Some(client) = self.clients.get_mut(request.client) else { return };
        client.level = Some(level);
        let attached = client.attached.clone();
        for (_, instance_id) in attached {
            self.raise_level(instance_id, level, now);
        }
        now.answer(request.client, request.id(), answer::result(&request.id(), b"{}"));
    }

    /// Routes a message whose owner was not known before the lists came. It is not listed for again.
    pub(crate) fn route_listed(&mut self, client: ClientId, message: Message, now: &mut Now<'_>) {
        let Shape::Request { id, method, .. } = message.kind() else { return };
        let Some(params) = message.params() else { return };
        let own = Id::from_json(message.at(id));
        let place = match message.str_at(method) {
            "completion/complete" => &params.reference_uri,
            _ => &params.uri,
        };
        let by_name = || {
            let name = message.string_at(params.name.as_ref()).unwrap_or_default();
            self.with_name(&name).map(|server| server.policy.name.clone())
        };
        let by_uri =
            |uri: String| self.owner_of_resource(client, &uri).or_else(|| self.only_server_with_resources());
        let owner = message.string_at(place.as_ref()).map_or_else(by_name, by_uri);
        match owner {
            Some(server) => self.to_instance_of(client, &server, message, now),
            None => now.refuse(
                client,
                &own,
                -32002,
                "Resource not found: no server lists it or has a template for it",
            ),
        }
    }
}

/// Where a request of the aggregated endpoint belongs.
pub(crate) enum Found {
    At(Arc<str>),
    /// It cannot be known before the servers, or one of them, have listed these.
    AfterListing(Vec<Kind>, Option<Arc<str>>),
}

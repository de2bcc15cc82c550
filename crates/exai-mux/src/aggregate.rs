//! One client, all servers: the aggregated endpoint. Who introduces itself there, and where its requests belong. The
//! lists are in [`crate::lists`].

use std::ops::Range;
use std::sync::Arc;

use exai_proto::json::{self, Edit};
use exai_proto::params::AMBIGUOUS;
use exai_proto::{Id, Kind as Shape, Message, answer};

use crate::capabilities;
use crate::catalogue::{Kind, Then};
use crate::downstream::Request;
use crate::event::{ClientId, Endpoint, InstanceId};
use crate::level::Level;
use crate::limits::{MAX_UNROUTED_BYTES, MAX_UNROUTED_MESSAGES};
use crate::names;
use crate::router::{Now, Router, Server};
use crate::traits::Ask;

impl Router {
    /// `initialize` on the aggregated endpoint: answered at once, nothing is started.
    pub(crate) fn introduce_all(&mut self, client: ClientId, id: &Id, now: &mut Now<'_>) {
        let Some(said) = self.clients.get(&client).and_then(|client| client.introduction()) else { return };
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
            let united = capabilities::united(&self.servers, capability);
            if !united.is_empty() {
                result["capabilities"][capability] = united.into();
            }
        }
        if !instructions.is_empty() {
            result["instructions"] = instructions.join("\n\n").into();
        }
        now.answer(client, id.clone(), answer::result(id, result.to_string().as_bytes()));
    }

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
            Some(Found::AfterListing(..)) if !self.has_room_unrouted(client, &message) => {
                let what = "too much waits for the servers to list what they have";
                Self::overloaded(client, &own, None, what, now);
            }
            Some(Found::AfterListing(kinds, of)) => {
                self.gather(client, own, Then::Route(message), (&kinds, of), now);
            }
            None => {}
        }
    }

    /// Whether one more message may wait for the lists that say where it belongs.
    fn has_room_unrouted(&self, client: ClientId, message: &Message) -> bool {
        let (mut own, mut bytes) = (0, message.bytes().len());
        for waiting in &self.gatherings {
            if let Then::Route(message) = &waiting.then {
                own += usize::from(waiting.client == client);
                bytes += message.bytes().len();
            }
        }
        own < MAX_UNROUTED_MESSAGES && bytes <= MAX_UNROUTED_BYTES
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
        names::split(aggregated).and_then(|(server, _)| self.server(server))
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
        let text = match capabilities::only_declarer(&self.servers, method) {
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
        let Some(client) = self.clients.get_mut(&request.client) else { return };
        client.level = Some(level);
        let attached = client.attached.clone();
        for (_, instance_id) in attached {
            self.raise_level(instance_id, level, now);
        }
        now.answer(request.client, request.id(), answer::result(&request.id(), b"{}"));
    }

    /// The edit that gives a server its own name of a tool or prompt back. None on a server's own endpoint.
    pub(crate) fn own_name(&self, request: &Request<'_>, instance: InstanceId) -> Option<Edit> {
        if request.translated || !self.aggregates(request.client) {
            return None;
        }
        let name = request.message.string_at(request.params.name.as_ref())?;
        let own = self.own_name_of(&name, instance)?;
        Some(Edit { at: request.params.name.clone()?, with: json::quote(&own).into_bytes() })
    }

    pub(crate) fn own_reference(&self, request: &Request<'_>, instance: InstanceId) -> Vec<Edit> {
        if request.translated || !self.aggregates(request.client) {
            return Vec::new();
        }
        let find = || {
            let at = request.params.reference_name.clone()?;
            let name = request.message.string_at(Some(&at))?;
            let own = self.own_name_of(&name, instance)?;
            Some(Edit { at, with: json::quote(&own).into_bytes() })
        };
        find().into_iter().collect()
    }

    pub(crate) fn aggregates(&self, client: ClientId) -> bool {
        self.clients.get(&client).is_some_and(|client| client.endpoint == Endpoint::All)
    }

    fn own_name_of(&self, name: &str, instance: InstanceId) -> Option<String> {
        let server = self.server(&self.instances.get(&instance)?.server)?;
        let (_, own) = names::split(name)?;
        if names::may_be_cut(name)
            && let Some(whole) = server.catalogue.uncut(&server.policy.name, name)
        {
            return Some(whole);
        }
        Some(own.to_owned())
    }

    fn aggregate_list(&mut self, client: ClientId, id: Id, kind: Kind, now: &mut Now<'_>) {
        self.gather(client, id, Then::Answer(kind), (&[kind], None), now);
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
enum Found {
    At(Arc<str>),
    /// It cannot be known before the servers, or one of them, have listed these.
    AfterListing(Vec<Kind>, Option<Arc<str>>),
}

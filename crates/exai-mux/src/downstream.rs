//! What clients say.

use std::ops::Range;
use std::sync::Arc;

use exai_proto::answer::{self, Failure, FailureData, Source};
use exai_proto::json::{self, Edit};
use exai_proto::params::{AMBIGUOUS, Params};
use exai_proto::{Id, Kind as Shape, Message, limits};

use crate::catalogue::{Gathering, Kind};
use crate::client::{Introduction, Session};
use crate::event::{ClientId, Endpoint, InstanceId};
use crate::instance::{self, Owner, Phase, Ready, Waiting, Wish};
use crate::lanes::Held;
use crate::level::Level;
use crate::limits::MAX_REQUESTS_PER_CLIENT;
use crate::router::{Now, Router, with_number};

const TOO_MUCH_WAITS: &str = "too much waits for the server to start";

/// A request of a client, taken apart.
pub(crate) struct Request<'a> {
    pub(crate) client: ClientId,
    pub(crate) message: &'a Message,
    pub(crate) id: &'a Range<usize>,
    pub(crate) method: &'a str,
    pub(crate) params: &'a Params,
    /// Its names are the server's own.
    pub(crate) translated: bool,
    /// The servers that did not have what it is to read.
    pub(crate) tried: &'a [Arc<str>],
}

impl Request<'_> {
    pub(crate) fn id(&self) -> Id {
        Id::from_json(self.message.at(self.id))
    }
}

impl Router {
    pub(crate) fn from_client(&mut self, client: ClientId, message: Message, now: &mut Now<'_>) {
        if !self.clients.contains_key(&client) {
            return;
        }
        match message.kind().clone() {
            Shape::Request { id, method, params } => {
                self.client_request(client, message, &id, &method, params.as_ref(), now);
            }
            Shape::Notification { method, .. } => {
                self.client_notification(client, &message, &method, now);
            }
            Shape::Response { id, .. } => self.client_response(client, &message, &id, now),
        }
    }

    fn client_request(
        &mut self,
        client_id: ClientId,
        message: Message,
        id: &Range<usize>,
        method: &Range<usize>,
        params: Option<&Range<usize>>,
        now: &mut Now<'_>,
    ) {
        let Some(client) = self.clients.get_mut(&client_id) else { return };
        client.calls += 1;
        let own_id = Id::from_json(message.at(id));
        let method = message.str_at(method);
        if Router::answer_itself(client_id, &own_id, method, now) {
            return;
        }
        if method == "initialize" {
            return self.introduce(client_id, &message, own_id, params, now);
        }
        if client.introduction().is_none() {
            return now.refuse(client_id, &own_id, -32600, "the first request must be initialize");
        }
        if client.in_flight >= MAX_REQUESTS_PER_CLIENT {
            return Self::overloaded(
                client_id,
                &own_id,
                None,
                "1024 requests of this client are under way",
                now,
            );
        }
        match client.endpoint.clone() {
            Endpoint::One(server) => self.to_instance_of(client_id, &server, message, now),
            Endpoint::All => self.aggregate_request(client_id, message, now),
        }
    }

    /// Answers what needs neither a server nor a session. Returns whether it was that.
    pub(crate) fn answer_itself(client: ClientId, id: &Id, method: &str, now: &mut Now<'_>) -> bool {
        match method {
            "ping" => now.answer(client, id.clone(), answer::result(id, b"{}")),
            // Modern clients ask this first; an unknown method sends them on to `initialize`.
            "server/discover" => {
                now.refuse(client, id, -32601, "Method not found: server/discover");
            }
            _ => return false,
        }
        true
    }

    /// `initialize`: answered from what the server said to the router, or by exai itself on the aggregated
    /// endpoint. May come again on the same connection.
    fn introduce(
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
        let Some(client) = self.clients.get_mut(&client_id) else { return };
        let declared = introduction.capabilities.clone();
        // What was measured meanwhile is no reason to take it away from what works for it.
        let same = client.introduction().is_some_and(|before| before.capabilities == declared);
        client.session = Session::Open(introduction);
        self.tell_repeatable(client_id, now);
        let Some(client) = self.clients.get(&client_id) else { return };
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
        let own = key.and_then(|key| self.instance_of_key(&server.into(), &key));
        let own = own.and_then(|instance| self.instances.get(&instance)?.ready().cloned());
        let Some(said) = own.or_else(|| self.server(server)?.said.clone()) else {
            if let Some(instance) = self.instance_for(client_id, server, &id, now) {
                self.introduce_or_wait(client_id, id, instance, now);
            }
            return;
        };
        if self.server(server).is_some_and(|server| server.health.held_back(now.time).is_none())
            && self.instance_for(client_id, server, &id, now).is_none()
        {
            return;
        }
        self.replay_initialize(client_id, &id, &said, now);
    }

    fn introduce_or_wait(&mut self, client: ClientId, id: Id, instance_id: InstanceId, now: &mut Now<'_>) {
        let Some(instance) = self.instances.get_mut(&instance_id) else { return };
        match &mut instance.phase {
            Phase::Starting { waiting, .. } if instance::has_room(waiting, 0) => {
                waiting.push_back(Waiting::Initialize { client, id });
            }
            Phase::Starting { .. } => {
                Self::overloaded(client, &id, Some(&instance.server), TOO_MUCH_WAITS, now);
            }
            Phase::Ready(ready) => {
                let ready = ready.clone();
                self.replay_initialize(client, &id, &ready, now);
            }
        }
    }

    pub(crate) fn replay_initialize(&mut self, client: ClientId, id: &Id, ready: &Ready, now: &mut Now<'_>) {
        let Some(said) = self.clients.get(&client).and_then(|client| client.introduction()) else { return };
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

    /// Sends a client's message to its instance of a server; starts one if there is none.
    pub(crate) fn to_instance_of(
        &mut self,
        client: ClientId,
        server: &str,
        message: Message,
        now: &mut Now<'_>,
    ) {
        self.send_held(server, Held::new(client, message), now);
    }

    pub(crate) fn send_held(&mut self, server: &str, held: Held, now: &mut Now<'_>) {
        let client = held.client;
        let Some(id) = held.id() else { return };
        let attached = self.clients.get(&client).and_then(|client| client.instance_of(server));
        let instance_id = match attached {
            Some(instance) => instance,
            None => match self.instance_for(client, server, &id, now) {
                Some(instance) => instance,
                None => return,
            },
        };
        let starting = self.instances.get(&instance_id).is_some_and(|instance| instance.ready().is_none());
        if starting && self.list_from_memory(client, server, &held.message, now) {
            return;
        }
        let Some(instance) = self.instances.get_mut(&instance_id) else { return };
        match &mut instance.phase {
            Phase::Ready(_) => self.forward(held, instance_id, now),
            Phase::Starting { waiting, .. } if instance::has_room(waiting, held.message.bytes().len()) => {
                waiting.push_back(Waiting::Message(held));
                self.count_in_flight(client, 1);
            }
            Phase::Starting { .. } => {
                Self::overloaded(client, &id, Some(server), TOO_MUCH_WAITS, now);
            }
        }
    }

    pub(crate) fn count_in_flight(&mut self, client: ClientId, change: i32) {
        if let Some(client) = self.clients.get_mut(&client) {
            client.in_flight = client.in_flight.saturating_add_signed(change);
        }
    }

    /// A server's part in a client's request is over. A cancelled one was uncounted when it was cancelled.
    pub(crate) fn request_ended(&mut self, client: ClientId, cancelled: bool) {
        if !cancelled {
            self.count_in_flight(client, -1);
        }
    }

    /// Forwards a request to a ready instance, or lets it wait for its turn.
    pub(crate) fn forward(&mut self, held: Held, instance_id: InstanceId, now: &mut Now<'_>) {
        let Some(instance) = self.instances.get_mut(&instance_id) else { return };
        let client = held.client;
        if instance.lanes.is_free(client) {
            return self.send_on(&held, instance_id, now);
        }
        if !instance.lanes.has_room(&held) {
            let (server, Some(id)) = (instance.server.clone(), held.id()) else { return };
            return Self::overloaded(client, &id, Some(&server), "64 MiB wait for this server", now);
        }
        instance.lanes.wait(held, now.time);
        self.count_in_flight(client, 1);
    }

    /// Sends on what waits and may go on now.
    pub(crate) fn send_next(&mut self, instance_id: InstanceId, now: &mut Now<'_>) {
        while let Some(held) = self.instances.get_mut(&instance_id).and_then(|instance| instance.lanes.next())
        {
            self.count_in_flight(held.client, -1);
            self.send_on(&held, instance_id, now);
        }
    }

    /// Sends a request to a ready instance, under a minted number.
    fn send_on(&mut self, held: &Held, instance_id: InstanceId, now: &mut Now<'_>) {
        let Held { client, message, translated, tried } = held;
        let (client, translated) = (*client, *translated);
        let Shape::Request { id, method, .. } = message.kind() else { return };
        let Some(params) = message.params() else {
            return now.refuse(client, &Id::from_json(message.at(id)), -32602, AMBIGUOUS);
        };
        let method = message.str_at(method);
        let request = Request { client, message, id, method, params, translated, tried };
        let (wish, edits) = match self.prepare(&request, instance_id, now) {
            Prepared::Send(wish, edits) => (wish, edits),
            Prepared::Answered => return,
        };
        let token = request.params.token.clone();
        let owner = Owner::Client {
            client,
            id: request.id(),
            token: token.as_ref().map(|token| Id::from_json(message.at(token))),
            wish,
            cancelled: false,
        };
        self.count_in_flight(client, 1);
        let id = id.clone();
        self.send_request(
            instance_id,
            owner,
            |number| with_number(message, &id, token.as_ref(), number, edits),
            now,
        );
    }

    /// What must be looked at, changed or answered before a request goes to a server.
    fn prepare(&mut self, request: &Request<'_>, instance: InstanceId, now: &mut Now<'_>) -> Prepared {
        let Request { client, message, params, .. } = request;
        match request.method {
            "tools/call" => self.prepare_call(request, instance, now),
            "prompts/get" => match self.own_name(request, instance) {
                Some(edit) => Prepared::Send(Wish::Nothing, vec![edit]),
                None => Prepared::plain(),
            },
            "resources/read" => Prepared::Send(self.reading(request, instance), Vec::new()),
            "completion/complete" => Prepared::Send(Wish::Nothing, self.own_reference(request, instance)),
            "logging/setLevel" => {
                let level = message.string_at(params.level.as_ref()).and_then(|name| Level::parse(&name));
                let Some(level) = level else { return Prepared::plain() };
                let most = self.most_verbose(instance, *client, level);
                let with = json::quote(most.name()).into_bytes();
                let edits = params.level.clone().map(|at| Edit { at, with }).into_iter().collect();
                Prepared::Send(Wish::SetLevel(level), edits)
            }
            "resources/subscribe" | "resources/unsubscribe" => {
                let Some(uri) = message.string_at(params.uri.as_ref()) else { return Prepared::plain() };
                let subscribe = request.method == "resources/subscribe";
                if subscribe && !self.may_subscribe(request, instance, &uri, now) {
                    return Prepared::Answered;
                }
                let others = self.instances.get(&instance).is_some_and(|instance| {
                    instance.subscribers.get(&uri).is_some_and(|all| all.iter().any(|other| other != client))
                });
                let wish = if subscribe { Wish::Subscribe(uri) } else { Wish::Unsubscribe(uri) };
                if others {
                    // The server need not hear of it: it is, or must stay, subscribed for the others.
                    self.fulfil(*client, instance, wish);
                    now.answer(*client, request.id(), answer::result(&request.id(), b"{}"));
                    return Prepared::Answered;
                }
                Prepared::Send(wish, Vec::new())
            }
            method => match Kind::of_method(method) {
                Some(kind) => {
                    let as_of = self.changes_of(instance, kind);
                    Prepared::Send(Wish::List { kind, first: params.cursor.is_none(), as_of }, Vec::new())
                }
                None => Prepared::plain(),
            },
        }
    }

    /// Whether there is room for what a client wants to hear of. It is answered if not.
    fn may_subscribe(
        &self,
        request: &Request<'_>,
        instance: InstanceId,
        uri: &str,
        now: &mut Now<'_>,
    ) -> bool {
        if uri.len() > limits::URI_BYTES {
            let words = format!("the address of a subscription may have {} bytes", limits::URI_BYTES);
            now.refuse(request.client, &request.id(), -32602, &words);
            return false;
        }
        let server = self.instances.get(&instance).map(|instance| &*instance.server);
        let room = self.clients.get(&request.client).is_some_and(|client| {
            let known = |(of, known): &(Arc<str>, String)| server == Some(of) && known == uri;
            client.subscriptions.len() < limits::SUBSCRIPTIONS || client.subscriptions.iter().any(known)
        });
        if !room {
            let words = format!("this client is subscribed to {} resources", limits::SUBSCRIPTIONS);
            Self::overloaded(request.client, &request.id(), server, &words, now);
        }
        room
    }

    fn prepare_call(
        &mut self,
        request: &Request<'_>,
        instance_id: InstanceId,
        now: &mut Now<'_>,
    ) -> Prepared {
        let message = request.message;
        let edit = self.own_name(request, instance_id);
        let tool = match &edit {
            Some(edit) => json::string(&edit.with, 0..edit.with.len()).map(|name| Box::from(&*name)),
            None => message.string_at(request.params.name.as_ref()).map(String::into_boxed_str),
        };
        let Some(tool) = tool else {
            // What cannot be read cannot be checked.
            if self.filters_tools(instance_id) {
                now.refuse(request.client, &request.id(), -32602, "tools/call needs the name of a tool");
                return Prepared::Answered;
            }
            return Prepared::plain();
        };
        let Some(instance) = self.instances.get(&instance_id) else { return Prepared::plain() };
        let server: Arc<str> = instance.server.clone();
        if self.server(&server).is_some_and(|server| !server.policy.tools.allows(&tool)) {
            let data = FailureData {
                server: Some(&server),
                tool: Some(&tool),
                hint: Some("see `tools` of this server in config.toml"),
                ..FailureData::new(Source::Daemon, Failure::Blocked)
            };
            let text = format!("tool \"{tool}\" of server \"{server}\" is blocked by the configuration");
            now.fail(request.client, &request.id(), &text, &data);
            return Prepared::Answered;
        }
        Prepared::Send(Wish::Call { tool }, edit.into_iter().collect())
    }

    pub(crate) fn filters_tools(&self, instance: InstanceId) -> bool {
        self.instances
            .get(&instance)
            .and_then(|instance| self.server(&instance.server))
            .is_some_and(|server| !server.policy.tools.is_open())
    }

    /// The most verbose level that any client of an instance wants, if `client` wants `level`. One that
    /// never asked counts for nothing: with what it gets it was content.
    fn most_verbose(&self, instance: InstanceId, client: ClientId, level: Level) -> Level {
        let others = self.instances.get(&instance).into_iter().flat_map(|instance| &instance.clients);
        others
            .filter(|other| **other != client)
            .filter_map(|other| self.clients.get(other)?.level)
            .fold(level, Level::min)
    }

    /// Carries out what a successful answer means for the router's own books.
    pub(crate) fn fulfil(&mut self, client_id: ClientId, instance_id: InstanceId, wish: Wish) {
        let Some(client) = self.clients.get_mut(&client_id) else { return };
        let Some(instance) = self.instances.get_mut(&instance_id) else { return };
        match wish {
            Wish::Nothing | Wish::Call { .. } | Wish::List { .. } | Wish::Read(_) => {}
            Wish::SetLevel(level) => {
                client.level = Some(level);
                let all = instance.clients.iter().filter_map(|client| self.clients.get(client)?.level);
                instance.level = all.min();
            }
            Wish::Subscribe(uri) => {
                client.subscriptions.insert((instance.server.clone(), uri.clone()));
                let subscribers = instance.subscribers.entry(uri).or_default();
                if !subscribers.contains(&client_id) {
                    subscribers.push(client_id);
                }
            }
            Wish::Unsubscribe(uri) => {
                client.subscriptions.remove(&(instance.server.clone(), uri.clone()));
                if let Some(subscribers) = instance.subscribers.get_mut(&uri) {
                    subscribers.retain(|other| *other != client_id);
                    if subscribers.is_empty() {
                        instance.subscribers.remove(&uri);
                    }
                }
            }
        }
    }

    fn client_notification(
        &mut self,
        client_id: ClientId,
        message: &Message,
        method: &Range<usize>,
        now: &mut Now<'_>,
    ) {
        let method = message.str_at(method);
        let Some(params) = message.params() else {
            return tracing::debug!(%client_id, method, "dropped: {AMBIGUOUS}");
        };
        match method {
            // The router said it to the server when it initialised it.
            "notifications/initialized" => {}
            "notifications/cancelled" => self.client_cancels(client_id, message, params, now),
            "notifications/progress" => {
                // Progress on something a server asked of this client.
                let Some(place) = params.progress_token.clone() else { return };
                let Some(number) = number(message.at(&place)) else { return };
                let asked = self.clients.get(&client_id).and_then(|client| client.asked.get(&number));
                if let Some((instance, token)) =
                    asked.and_then(|asked| Some((asked.instance, asked.token.as_ref()?)))
                {
                    let with = token.as_json().to_vec();
                    now.to_server(instance, message.edited(vec![Edit { at: place, with }]));
                }
            }
            _ => {
                let Some(client) = self.clients.get(&client_id) else { return };
                for (_, instance) in &client.attached {
                    if self.instances.get(instance).is_some_and(|instance| instance.ready().is_some()) {
                        now.to_server(*instance, message.bytes().clone());
                    }
                }
            }
        }
    }

    /// `notifications/cancelled`: only a client's own requests can be meant.
    fn client_cancels(&mut self, client_id: ClientId, message: &Message, params: &Params, now: &mut Now<'_>) {
        let Some(place) = params.request_id.clone() else { return };
        let unwanted = Id::from_json(message.at(&place));
        let gathers = |waiting: &Gathering| waiting.client == client_id && waiting.id == unwanted;
        if let Some(at) = self.gatherings.iter().position(gathers) {
            self.gatherings.remove(at);
            self.count_in_flight(client_id, -1);
            return now.dropped(client_id, unwanted);
        }
        for instance_id in self.instances_with_requests(client_id) {
            let Some(instance) = self.instances.get_mut(&instance_id) else { continue };
            let found = instance.in_flight.iter_mut().find(|(_, request)| {
                matches!(&request.owner, Owner::Client { client, id, cancelled: false, .. }
                    if *client == client_id && *id == unwanted)
            });
            if let Some((number, request)) = found {
                // The entry stays for a while: what the server still answers is passed on, as without exai.
                request.cancel(now.time);
                let with = number.to_string().into_bytes();
                now.to_server(instance_id, message.edited(vec![Edit { at: place, with }]));
                return self.count_in_flight(client_id, -1);
            }
            if instance.lanes.cancelled(client_id, &unwanted).is_some() {
                self.count_in_flight(client_id, -1);
                return now.dropped(client_id, unwanted);
            }
            if let Phase::Starting { waiting, .. } = &mut instance.phase
                && let Some(at) = waiting.iter().position(|waiting| waits_with(waiting, client_id, &unwanted))
            {
                waiting.remove(at);
                self.count_in_flight(client_id, -1);
                return now.dropped(client_id, unwanted);
            }
        }
    }

    /// The answer to something a server asked.
    fn client_response(&mut self, client: ClientId, message: &Message, id: &Range<usize>, now: &mut Now<'_>) {
        let Some(number) = number(message.at(id)) else { return };
        let asked = self.clients.get_mut(&client).and_then(|client| client.asked.remove(&number));
        let Some(asked) = asked else {
            return tracing::debug!(%client, number, "an answer to nothing that was asked was dropped");
        };
        let with = asked.id.as_json().to_vec();
        now.to_server(asked.instance, message.edited(vec![Edit { at: id.clone(), with }]));
    }
}

fn waits_with(waiting: &Waiting, client_id: ClientId, unwanted: &Id) -> bool {
    // `initialize` must not be cancelled (basic/utilities/cancellation of the specification).
    matches!(waiting, Waiting::Message(held) if held.client == client_id)
        && waiting.id().as_ref() == Some(unwanted)
}

/// What [`Router::prepare`] made of a request.
enum Prepared {
    Send(Wish, Vec<Edit>),
    Answered,
}

impl Prepared {
    fn plain() -> Self {
        Prepared::Send(Wish::Nothing, Vec::new())
    }
}

/// A minted number, as it comes back. Some servers turn numbers into strings, or into floats.
pub(crate) fn number(text: &[u8]) -> Option<u64> {
    Id::from_json(text).as_number()
}

//! What servers say.

use std::ops::Range;

use exai_proto::answer;
use exai_proto::envelope::Outcome;
use exai_proto::json::{self, Edit};
use exai_proto::params::{AMBIGUOUS, Params};
use exai_proto::{Id, Kind as Shape, Message};

use crate::catalogue::{KINDS, Kind};
use crate::client::{Asked, Client};
use crate::downstream::number;
use crate::event::{About, ClientId, Effect, InstanceId};
use crate::instance::{Errand, InFlight, Owner, Wish};
use crate::level::Level;
use crate::limits::{MAX_QUESTIONS_PER_CLIENT, SILENCE_INTERVAL};
use crate::router::{Now, Router};
use crate::traits::Ask;

/// What a server is told whose question nobody answers any more.
const GONE: &str = "the client that was asked is gone";

impl Router {
    pub(crate) fn from_server(&mut self, instance: InstanceId, message: &Message, now: &mut Now<'_>) {
        if !self.instances.contains_key(&instance) {
            return;
        }
        match message.kind() {
            Shape::Response { id, outcome } => self.server_answers(instance, message, id, outcome, now),
            Shape::Notification { method, .. } => {
                self.server_tells(instance, message, method, now);
            }
            Shape::Request { id, method, .. } => {
                self.server_asks(instance, message, id, method, now);
            }
        }
    }

    fn server_answers(
        &mut self,
        instance_id: InstanceId,
        message: &Message,
        id: &Range<usize>,
        outcome: &Outcome,
        now: &mut Now<'_>,
    ) {
        let Some(instance) = self.instances.get_mut(&instance_id) else { return };
        // An error of a server that could not read the request says `null`.
        let nameless = matches!(outcome, Outcome::Error(_)) && message.at(id) == b"null";
        let number = if nameless { instance.sole_request() } else { number(message.at(id)) };
        let found = number.and_then(|number| instance.take(number));
        let Some(InFlight { owner, .. }) = found else {
            let (server, id) = (instance.label(), message.str_at(id));
            if std::mem::replace(&mut instance.said_stray, true) {
                return tracing::debug!(server, id, "an answer to no request was dropped");
            }
            return tracing::warn!(server, id, "an answer to no request was dropped; more are not logged");
        };
        match owner {
            Owner::Client { client, id: own, wish, cancelled, .. } => {
                instance.served = true;
                self.note_silence(instance_id, now);
                self.request_ended(client, cancelled);
                if let (Outcome::Error(error), Wish::Read(read), false) = (outcome, &wish, cancelled)
                    && self.read_elsewhere(client, instance_id, read, (message, error), now)
                {
                    self.end_retired(instance_id, now);
                    return self.send_next(instance_id, now);
                }
                let mut edits = vec![Edit { at: id.clone(), with: own.as_json().to_vec() }];
                if let Outcome::Result(result) = outcome {
                    self.note_handed_out(client, instance_id, &wish, (message, result), now);
                    if let Wish::List { kind, first, as_of } = wish {
                        if kind == Kind::Tools && self.filters_tools(instance_id) {
                            edits.extend(self.without_blocked_tools(instance_id, message, result));
                        }
                        if first {
                            self.overhear(instance_id, kind, as_of, (message, result), now);
                        }
                    }
                    self.fulfil(client, instance_id, wish.clone());
                    self.mend_subscriptions(client, instance_id, &wish, now);
                }
                now.answer(client, own, message.edited(edits));
                self.end_retired(instance_id, now);
            }
            Owner::Router(Errand::Initialize) => self.initialised(instance_id, message, outcome, now),
            Owner::Router(Errand::List { kind, pages, asked, as_of }) => {
                self.listed(instance_id, message, outcome, (kind, pages, asked, as_of), now);
            }
            Owner::Router(Errand::Ping { sent }) => {
                let answered = message.bytes().len();
                now.effects.push(Effect::Pinged { instance: instance_id, sent, answered });
            }
            Owner::Router(Errand::Forgotten | Errand::Cancelled) => {}
        }
        // Now there is room for one more.
        self.send_next(instance_id, now);
    }

    /// What happened while the server worked on a subscription or its end may have made it void.
    fn mend_subscriptions(
        &mut self,
        client_id: ClientId,
        instance_id: InstanceId,
        wish: &Wish,
        now: &mut Now<'_>,
    ) {
        let Some(instance) = self.instances.get(&instance_id) else { return };
        let Some(client) = self.clients.get(&client_id) else { return };
        match wish {
            // Somebody else has subscribed meanwhile, and was answered here, because one still was.
            Wish::Unsubscribe(uri) if instance.subscribers.contains_key(uri) => {
                let params = format!("{{\"uri\":{}}}", json::quote(uri));
                let write = |number| answer::request(number, "resources/subscribe", &params);
                self.send_request(instance_id, Owner::Router(Errand::Forgotten), write, now);
            }
            // The client has another run of it by now.
            Wish::Subscribe(_) if instance.retiring => {
                if let Some(current) = client.instance_of(&instance.server) {
                    self.restore(client_id, current, now);
                }
            }
            _ => {}
        }
    }

    /// Takes tools the configuration blocks out of a list.
    fn without_blocked_tools(
        &self,
        instance: InstanceId,
        message: &Message,
        result: &Range<usize>,
    ) -> Option<Edit> {
        let filter = &self.server(&self.instances.get(&instance)?.server)?.policy.tools;
        let text = message.bytes();
        let at = json::find(text, result.clone(), "tools")?;
        let mut with = vec![b'['];
        for item in json::elements(text, at.clone()) {
            let name = json::find(text, item.clone(), "name").and_then(|name| json::string(text, name));
            if name.is_none_or(|name| filter.allows(&name)) {
                if with.len() > 1 {
                    with.push(b',');
                }
                with.extend_from_slice(&text[item]);
            }
        }
        with.push(b']');
        Some(Edit { at, with })
    }

    fn server_tells(
        &mut self,
        instance_id: InstanceId,
        message: &Message,
        method: &Range<usize>,
        now: &mut Now<'_>,
    ) {
        let method = message.str_at(method);
        let Some(params) = message.params() else {
            return tracing::debug!(?instance_id, method, "dropped: {AMBIGUOUS}");
        };
        match method {
            "notifications/progress" => self.server_progresses(instance_id, message, params, now),
            "notifications/cancelled" => {
                // The server no longer wants what it asked.
                let Some(place) = params.request_id.clone() else { return };
                let unwanted = Id::from_json(message.at(&place));
                for (&client_id, client) in &mut self.clients {
                    let asked = client
                        .asked
                        .iter()
                        .find(|(_, asked)| asked.instance == instance_id && asked.id == unwanted);
                    if let Some((&number, _)) = asked {
                        client.asked.remove(&number);
                        let with = number.to_string().into_bytes();
                        let bytes = message.edited(vec![Edit { at: place, with }]);
                        return now.to_client(client_id, bytes, About::Session);
                    }
                }
            }
            "notifications/message" => {
                let level = message.string_at(params.level.as_ref());
                let level = level.and_then(|name| Level::parse(&name));
                let Some(instance) = self.instances.get(&instance_id) else { return };
                // What is said while one client's request is under way belongs on that request's stream.
                let sole = if instance.clients.len() == 1 { instance.sole_client() } else { None };
                let about = sole.and_then(|(_, id)| id).map_or(About::Session, About::During);
                for client in &instance.clients {
                    if self.clients.get(client).is_some_and(|client| client.wants(level)) {
                        now.to_client(*client, message.bytes().clone(), about.clone());
                    }
                }
            }
            "notifications/resources/updated" => {
                let Some(uri) = message.string_at(params.uri.as_ref()) else { return };
                let Some(instance) = self.instances.get(&instance_id) else { return };
                let (server, listeners) = (instance.server.clone(), instance.listeners(&uri));
                if listeners.is_empty() {
                    return;
                }
                for client in listeners {
                    now.to_client(client, message.bytes().clone(), About::Session);
                }
                // A part of what was subscribed to need be in no list.
                if let Some(server) = self.server_mut(&server) {
                    server.catalogue.resources.hand_out(&uri, now.time);
                }
            }
            _ => match KINDS.into_iter().find(|kind| kind.changed() == method) {
                Some(kind) => self.list_changed(instance_id, kind, message.bytes(), now),
                None => self.tell_attached(instance_id, message.bytes(), now),
            },
        }
    }

    fn server_progresses(
        &mut self,
        instance_id: InstanceId,
        message: &Message,
        params: &Params,
        now: &mut Now<'_>,
    ) {
        let Some(place) = params.progress_token.clone() else { return };
        let Some(instance) = self.instances.get_mut(&instance_id) else { return };
        // After the answer there is no entry, and the progress is dropped: clients tear the connection down
        // over a token they no longer know.
        let Some(request) = number(message.at(&place)).and_then(|number| instance.in_flight.get_mut(&number))
        else {
            return;
        };
        let Owner::Client { client, id, token: Some(token), cancelled, .. } = &request.owner else { return };
        if !cancelled {
            request.deadline = request.limit.min(now.time + instance.call_timeout);
        }
        let edit = Edit { at: place, with: token.as_json().to_vec() };
        now.to_client(*client, message.edited(vec![edit]), About::During(id.clone()));
    }

    /// A request of the server: sampling, elicitation, roots. It goes to the only client it can be meant
    /// for; if that cannot be known, the server is told so. Nobody is ever asked in another's place.
    fn server_asks(
        &mut self,
        instance_id: InstanceId,
        message: &Message,
        id: &Range<usize>,
        method: &Range<usize>,
        now: &mut Now<'_>,
    ) {
        let own = Id::from_json(message.at(id));
        if message.str_at(method) == "ping" {
            return now.to_server(instance_id, answer::result(&own, b"{}"));
        }
        let Some(params) = message.params() else {
            tracing::debug!(?instance_id, method = message.str_at(method), "refused: {AMBIGUOUS}");
            return now.to_server(instance_id, answer::error(&own, -32602, AMBIGUOUS));
        };
        let asks = Ask::of_method(message.str_at(method));
        self.note_asks(instance_id, asks, now);
        let Some(instance) = self.instances.get_mut(&instance_id) else { return };
        let Some((client_id, request)) = instance.sole_client() else {
            // Never a guess. If several wait for it, it will be known from now on whom it means.
            if instance.lanes.serves_several() {
                instance.lanes.make_exclusive();
            }
            let text = "exai cannot tell which client this request is meant for; share = \"client\" gives each its own";
            return now.to_server(instance_id, answer::error(&own, -32603, text));
        };
        let client = self.clients.get(&client_id);
        let can = client.and_then(Client::introduction).map(|said| &said.can);
        // What exai does not know the client can answer for itself.
        if let [ask] = asks
            && can.is_some_and(|can| !can.contains_key(ask))
        {
            let text = format!("Method not found: the client cannot do {}", message.str_at(method));
            return now.to_server(instance_id, answer::error(&own, -32601, &text));
        }
        let Some(client) = client else {
            return now.to_server(instance_id, answer::error(&own, -32603, GONE));
        };
        if client.asked.len() >= MAX_QUESTIONS_PER_CLIENT {
            let text = "the client has not answered a thousand earlier requests";
            return now.to_server(instance_id, answer::error(&own, -32603, text));
        }
        let number = self.mint_ask();
        let token = params.token.clone();
        let digits = number.to_string().into_bytes();
        let mut edits = vec![Edit { at: id.clone(), with: digits.clone() }];
        edits.extend(token.clone().map(|at| Edit { at, with: digits }));
        let token = token.map(|token| Id::from_json(message.at(&token)));
        if let Some(client) = self.clients.get_mut(&client_id) {
            client.asked.insert(number, Asked { instance: instance_id, id: own, token });
        }
        let about = request.map_or(About::Session, About::During);
        now.to_client(client_id, message.edited(edits), about);
    }

    /// A run works: what was declared to it a while ago has made it ask for nothing.
    fn note_silence(&mut self, instance_id: InstanceId, now: &mut Now<'_>) {
        let Some(instance) = self.instances.get_mut(&instance_id) else { return };
        if instance.ready_since.take_if(|since| *since + SILENCE_INTERVAL <= now.time).is_none() {
            return;
        }
        let (server, declared) = (instance.server.clone(), instance.key.capabilities.clone());
        if self.server_mut(&server).is_some_and(|known| known.measured.kept_silent(&declared)) {
            now.effects.push(Effect::Measured { server });
        }
    }

    /// Remembers that a server asks: who can be asked gets a run to himself from now on.
    fn note_asks(&mut self, instance_id: InstanceId, asks: &[Ask], now: &mut Now<'_>) {
        let Some(server) = self.instances.get(&instance_id).map(|instance| instance.server.clone()) else {
            return;
        };
        let Some(known) = self.server_mut(&server) else { return };
        let new = asks.iter().filter(|ask| known.measured.asked(**ask)).count();
        if new > 0 {
            now.effects.push(Effect::Measured { server });
        }
    }

    /// Tells a server that a client will not answer any more.
    pub(crate) fn unanswerable(&mut self, client: ClientId, instance: InstanceId, now: &mut Now<'_>) {
        let Some(client) = self.clients.get_mut(&client) else { return };
        for (_, asked) in client.asked.extract_if(|_, asked| asked.instance == instance) {
            now.to_server(instance, answer::error(&asked.id, -32603, GONE));
        }
    }
}

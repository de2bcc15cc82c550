//! The way of a client's request to an instance.

use exai_proto::json::Edit;
use exai_proto::params::AMBIGUOUS;
use exai_proto::{Id, Kind, Message, Segments, answer};

use crate::handlers::client_request::Request;
use crate::handlers::methods::Prepared;
use crate::instance::Phase;
use crate::instance::fair_queue::QueuedRequest;
use crate::instance::request::{InternalRequest, Owner};
use crate::instance::start_queue::Waiting;
use crate::limits::CALL_TOTAL_TIMEOUT;
use crate::router::Router;
use crate::router::event_context::EventContext;
use crate::types::effect::Effect;
use crate::types::ids::{ClientId, InstanceId};

pub(crate) const TOO_MUCH_WAITS: &str = "too much waits for the server to start";

impl Router {
    /// Sends a client's message to its instance of a server; starts one if there is none.
    pub(crate) fn route_to_server(
        &mut self,
        client: ClientId,
        server: &str,
        message: Message,
        cx: &mut EventContext<'_>,
    ) {
        self.send_to_server(server, QueuedRequest::new(client, message), cx);
    }

    pub(crate) fn send_to_server(&mut self, server: &str, queued: QueuedRequest, cx: &mut EventContext<'_>) {
        let client = queued.client;
        let Some(id) = queued.id() else { return };
        let attached = self.clients.get(client).and_then(|client| client.instance_of(server));
        let instance_id = match attached {
            Some(instance) => instance,
            None => match self.find_or_start_for_client(client, server, &id, cx) {
                Some(instance) => instance,
                None => return,
            },
        };
        let starting = self.instances.get(instance_id).is_some_and(|instance| instance.ready().is_none());
        if starting && self.list_from_memory(client, server, &queued.message, cx) {
            return;
        }
        let Some(instance) = self.instances.get_mut(instance_id) else { return };
        match &mut instance.phase {
            Phase::Ready(_) => self.send_or_queue(queued, instance_id, cx),
            Phase::Starting { waiting, .. } if waiting.has_room(queued.message.bytes().len()) => {
                waiting.add(Waiting::Message(queued));
                self.clients.count_request(client);
            }
            Phase::Starting { .. } => {
                cx.overloaded(client, &id, Some(server), TOO_MUCH_WAITS);
            }
        }
    }

    /// Forwards a request to a ready instance, or lets it wait for its turn.
    pub(crate) fn send_or_queue(
        &mut self,
        queued: QueuedRequest,
        instance_id: InstanceId,
        cx: &mut EventContext<'_>,
    ) {
        let Some(instance) = self.instances.get_mut(instance_id) else { return };
        let client = queued.client;
        if instance.fair_queue.may_send_now(client) {
            return self.send_to_instance(&queued, instance_id, cx);
        }
        if !instance.fair_queue.has_room(&queued) {
            let (server, Some(id)) = (instance.server.clone(), queued.id()) else { return };
            return cx.overloaded(client, &id, Some(&server), "64 MiB wait for this server");
        }
        instance.fair_queue.push(queued, cx.time);
        self.clients.count_request(client);
    }

    /// Sends on what waits and may go on now.
    pub(crate) fn send_queued(&mut self, instance_id: InstanceId, cx: &mut EventContext<'_>) {
        while let Some(queued) =
            self.instances.get_mut(instance_id).and_then(|instance| instance.fair_queue.pop_next())
        {
            self.clients.uncount_request(queued.client);
            self.send_to_instance(&queued, instance_id, cx);
        }
    }

    /// Sends a request to a ready instance, under a minted number.
    fn send_to_instance(
        &mut self,
        queued: &QueuedRequest,
        instance_id: InstanceId,
        cx: &mut EventContext<'_>,
    ) {
        let QueuedRequest { client, message, translated, tried } = queued;
        let (client, translated) = (*client, *translated);
        let Kind::Request { id, method, .. } = message.kind() else { return };
        let Some(params) = message.params() else {
            return cx.refuse(client, &Id::from_json(message.at(id)), -32602, AMBIGUOUS);
        };
        let method = message.str_at(method);
        let request = Request { client, message, id, method, params, translated, tried };
        let (on_success, edits) = match self.prepare_request(&request, instance_id, cx) {
            Prepared::Send(on_success, edits) => (on_success, edits),
            Prepared::Answered => return,
        };
        let token = request.params.token.clone();
        let owner = Owner::Client {
            client,
            id: request.id(),
            token: token.as_ref().map(|token| Id::from_json(message.at(token))),
            on_success,
            cancelled: false,
        };
        self.clients.count_request(client);
        let id = id.clone();
        self.send_request(
            instance_id,
            owner,
            |number| with_number(message, &id, token.as_ref(), number, edits),
            cx,
        );
    }

    /// Writes a request to an instance under a number of its own.
    pub(crate) fn send_request<S: Into<Segments>>(
        &mut self,
        instance_id: InstanceId,
        owner: Owner,
        write: impl FnOnce(u64) -> S,
        cx: &mut EventContext<'_>,
    ) {
        let Some(instance) = self.instances.get_mut(instance_id) else { return };
        let number = instance.in_flight.mint_number();
        let limit = cx.time + CALL_TOTAL_TIMEOUT;
        let deadline = limit.min(cx.time + instance.call_timeout);
        // Registered before it is written: a fast answer must find it.
        instance.register_request(number, owner, deadline, limit);
        cx.effects.push(Effect::ToServer {
            instance: instance_id,
            bytes: write(number).into(),
            number: Some(number),
        });
    }

    /// Sends a request of the router's own whose answer makes no difference.
    pub(crate) fn send_forgotten(
        &mut self,
        instance: InstanceId,
        method: &str,
        params: &str,
        cx: &mut EventContext<'_>,
    ) {
        let write = |number| answer::request(number, method, params);
        self.send_request(instance, Owner::Router(InternalRequest::Forgotten), write, cx);
    }
}

/// The edits that put a minted number in the place of a client's id and progress token.
fn with_number(
    message: &Message,
    id: &std::ops::Range<usize>,
    token: Option<&std::ops::Range<usize>>,
    number: u64,
    more: Vec<exai_proto::json::Edit>,
) -> Segments {
    let digits = number.to_string().into_bytes();
    let mut edits = more;
    if let Some(token) = token {
        edits.push(exai_proto::json::Edit { at: token.clone(), with: digits.clone() });
    }
    edits.push(exai_proto::json::Edit { at: id.clone(), with: digits });
    message.edited(edits)
}

/// A request as its client sent it, but for names that are the server's own now.
pub(crate) fn as_it_came(bytes: Segments, id: &Id, token: Option<&Id>) -> Option<Message> {
    let message = Message::parse(bytes.into_whole()).ok()?;
    let exai_proto::Kind::Request { id: at, .. } = message.kind() else { return None };
    let mut edits = vec![Edit { at: at.clone(), with: id.as_json().to_vec() }];
    if let (Some(token), Some(at)) = (token, message.params()?.token.clone()) {
        edits.push(Edit { at, with: token.as_json().to_vec() });
    }
    Message::parse(message.edited(edits).into_whole()).ok()
}

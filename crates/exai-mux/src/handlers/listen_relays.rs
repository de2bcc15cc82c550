//! The part of a client's `subscriptions/listen` that exai does not know, such as the tasks of the tasks extension: the
//! server is asked for it in the name of that client alone, and what it tells goes to that client alone.
//!
//! The client is acknowledged once: when the server has said what of it is honoured, or when the server has said nothing in
//! time, with what exai itself tells. What the server tells later is passed on all the same.

use exai_proto::json::{self, Edit};
use exai_proto::params::Params;
use exai_proto::{Id, Kind, Message, answer};

use crate::client::Client;
use crate::client::listen::{KNOWN_FILTER_KEYS, Listen};
use crate::dialect::bridge::describe_client;
use crate::dialect::legacy::write_cancel;
use crate::router::Router;
use crate::router::event_context::EventContext;
use crate::types::effect::{About, Effect};
use crate::types::era::Era;
use crate::types::ids::{ClientId, InstanceId};

impl Router {
    /// Asks a server of the modern era for those parts of a client's listens that exai does not know.
    pub(crate) fn open_relays(
        &mut self,
        client_id: ClientId,
        instance_id: InstanceId,
        cx: &mut EventContext<'_>,
    ) {
        let Some(client) = self.clients.get(client_id) else { return };
        let Some(context) = client.context_in(Era::Modern).cloned() else { return };
        let Some(instance) = self.instances.get_mut(instance_id) else { return };
        if instance.ready().is_none_or(|said| said.era != Era::Modern) {
            return;
        }
        for listen in &client.listens {
            let Some(filter) = &listen.relayed else { continue };
            let relay = (client_id, listen.id.clone());
            if instance.relays.values().any(|open| *open == relay) {
                continue;
            }
            let number = instance.in_flight.mint_number();
            instance.relays.insert(number, relay);
            let meta = describe_client(&context, None);
            let params = format!("{{\"_meta\":{{{meta}}},\"notifications\":{{{filter}}}}}");
            let bytes = answer::request(number, "subscriptions/listen", &params).into();
            cx.effects.push(Effect::ToServer { instance: instance_id, bytes, number: Some(number) });
        }
    }

    /// Passes what a server tells because of a relayed listen on to its client. Returns whether it was such.
    pub(crate) fn forward_relayed(
        &mut self,
        instance_id: InstanceId,
        (message, params): (&Message, &Params),
        number: u64,
        cx: &mut EventContext<'_>,
    ) -> bool {
        let Some(at) = params.modern.subscription_id.clone() else { return false };
        let relay = self.instances.get(instance_id).and_then(|instance| instance.relays.get(&number));
        let Some((client, id)) = relay.cloned() else { return false };
        let Kind::Notification { method, .. } = message.kind() else { return false };
        if message.str_at(method) == "notifications/subscriptions/acknowledged" {
            let honoured =
                params.notifications.clone().map(|filter| unknown_members(message.bytes(), filter));
            self.acknowledge_relayed(client, &id, honoured.as_deref().unwrap_or_default(), cx);
            return true;
        }
        let is_open =
            |client: &Client| client.listens.iter().any(|listen| listen.id == id && listen.is_acknowledged());
        if self.clients.get(client).is_some_and(is_open) {
            let edit = Edit { at, with: id.as_json().to_vec() };
            cx.send_to_client(client, message.edited(vec![edit]), About::During(id));
        }
        true
    }

    /// A server has ended a relayed listen, refuses it, or could not be sent it. Returns whether it was such.
    pub(crate) fn end_relay(
        &mut self,
        instance_id: InstanceId,
        number: u64,
        cx: &mut EventContext<'_>,
    ) -> bool {
        let relay = self.instances.get_mut(instance_id).and_then(|instance| instance.relays.remove(&number));
        let Some((client, id)) = relay else { return false };
        // What exai itself tells goes on.
        self.acknowledge_relayed(client, &id, "", cx);
        true
    }

    /// Tells a client what of a relayed listen is honoured, once. `honoured` is what the server has said, as JSON text.
    pub(crate) fn acknowledge_relayed(
        &mut self,
        client_id: ClientId,
        id: &Id,
        honoured: &str,
        cx: &mut EventContext<'_>,
    ) {
        let Some(client) = self.clients.get_mut(client_id) else { return };
        let Some(listen) = client.listens.iter_mut().find(|listen| listen.id == *id) else { return };
        if listen.server_may_say_until.take().is_some() {
            let told = listen.write_acknowledgement(honoured);
            cx.send_to_client(client_id, told, About::During(id.clone()));
        }
    }

    /// Acknowledges the listens of which a server has said nothing in time.
    pub(crate) fn acknowledge_late_relays(&mut self, cx: &mut EventContext<'_>) {
        for client_id in self.clients.ids() {
            let listens = self.clients.get(client_id).into_iter().flat_map(|client| &client.listens);
            let is_late = |listen: &&Listen| listen.server_may_say_until.is_some_and(|end| end <= cx.time);
            let late: Vec<Id> = listens.filter(is_late).map(|listen| listen.id.clone()).collect();
            for id in late {
                self.acknowledge_relayed(client_id, &id, "", cx);
            }
        }
    }

    /// Ends the relays of a listen that its client has cancelled.
    pub(crate) fn cancel_relays(&mut self, client: ClientId, id: &Id, cx: &mut EventContext<'_>) {
        for (instance_id, instance) in self.instances.iter_with_ids_mut() {
            let is_it = |relay: &(ClientId, Id)| relay.0 == client && relay.1 == *id;
            for (number, _) in instance.relays.extract_if(.., |_, relay| is_it(relay)) {
                cx.send_to_server(instance_id, write_cancel(number, "the client has ended it"));
            }
        }
    }

    /// Ends the relays of a client that leaves an instance.
    pub(crate) fn cancel_relays_between(
        &mut self,
        client: ClientId,
        instance_id: InstanceId,
        cx: &mut EventContext<'_>,
    ) {
        let Some(instance) = self.instances.get_mut(instance_id) else { return };
        for (number, _) in instance.relays.extract_if(.., |_, relay| relay.0 == client) {
            cx.send_to_server(instance_id, write_cancel(number, "the client has left"));
        }
    }
}

/// The members of a filter that exai does not know, as JSON text.
pub(crate) fn unknown_members(text: &[u8], filter: std::ops::Range<usize>) -> String {
    let Ok(mut members) = json::Members::new(&text[..filter.end], filter.start) else { return String::new() };
    let mut unknown = Vec::new();
    while let Ok(Some(member)) = members.next_member() {
        let key = &text[member.key.clone()];
        if !KNOWN_FILTER_KEYS.iter().any(|known| json::is_key(key, known)) {
            unknown.push(format!(
                "\"{}\":{}",
                String::from_utf8_lossy(key),
                String::from_utf8_lossy(&text[member.value])
            ));
        }
    }
    unknown.join(",")
}

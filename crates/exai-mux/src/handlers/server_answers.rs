//! The answers of servers.

use std::ops::Range;

use exai_proto::Message;
use exai_proto::envelope::Outcome;
use exai_proto::json::{self, Edit};

use crate::instance::request::{Errand, InFlight, Owner, Wish};
use crate::router::Router;
use crate::router::now::Now;
use crate::types::effect::Effect;
use crate::types::ids::{ClientId, InstanceId, number};
use crate::types::list_kind::Kind;

impl Router {
    pub(crate) fn server_answers(
        &mut self,
        instance_id: InstanceId,
        message: &Message,
        id: &Range<usize>,
        outcome: &Outcome,
        now: &mut Now<'_>,
    ) {
        let Some(instance) = self.instances.get_mut(instance_id) else { return };
        // An error of a server that could not read the request says `null`.
        let nameless = matches!(outcome, Outcome::Error(_)) && message.at(id) == b"null";
        let number = if nameless { instance.in_flight.sole_request() } else { number(message.at(id)) };
        let found = number.and_then(|number| instance.take_request(number));
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
                if !cancelled {
                    self.clients.uncount_request(client);
                }
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
        let Some(instance) = self.instances.get(instance_id) else { return };
        let Some(client) = self.clients.get(client_id) else { return };
        match wish {
            // Somebody else has subscribed meanwhile, and was answered here, because one still was.
            Wish::Unsubscribe(uri) if instance.subscribers.has_any(uri) => {
                let params = format!("{{\"uri\":{}}}", json::quote(uri));
                self.send_forgotten(instance_id, "resources/subscribe", &params, now);
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
        let filter = &self.servers.get(&self.instances.get(instance)?.server)?.policy.tools;
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
}

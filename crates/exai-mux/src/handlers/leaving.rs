//! How a client leaves an instance, and the router.

use exai_proto::answer::{Failure, FailureData, Source};
use exai_proto::{Id, json};

use crate::instance::Phase;
use crate::instance::start_queue::Waiting;
use crate::router::Router;
use crate::router::event_context::{EventContext, cancel};
use crate::types::ids::{ClientId, InstanceId};

impl Router {
    /// A client is gone: what it asked for is cancelled, and what it was asked is declined.
    pub(crate) fn close_client(&mut self, client_id: ClientId, cx: &mut EventContext<'_>) {
        if !self.clients.contains(client_id) {
            return;
        }
        for instance in self.instances_with_requests(client_id) {
            self.leave_instance(client_id, instance, "the client has disconnected", cx);
        }
        self.clients.remove_client(client_id);
        self.questions.forget_client(client_id);
        self.list_aggregations.forget_client(client_id);
        self.list_changed_notices.forget(client_id);
        self.servers.forget_client(client_id);
    }

    /// A client no longer uses an instance: what it asked for there is cancelled, and what it was asked is
    /// declined. Returns the requests that get no answer.
    fn leave_instance(
        &mut self,
        client_id: ClientId,
        instance_id: InstanceId,
        reason: &str,
        cx: &mut EventContext<'_>,
    ) -> Vec<(Id, Abandoned)> {
        self.decline_questions(client_id, instance_id, cx);
        let Some(client) = self.clients.get_mut(client_id) else { return Vec::new() };
        client.detach(instance_id);
        let Some(instance) = self.instances.get_mut(instance_id) else { return Vec::new() };
        instance.remove_client(client_id, cx.time);
        let mut dropped = Vec::new();
        if let Phase::Starting { waiting, .. } = &mut instance.phase {
            for waiting in waiting.take_client(client_id) {
                // `initialize` is never counted.
                let counted = matches!(waiting, Waiting::Message(_));
                client.in_flight = client.in_flight.saturating_sub(u32::from(counted));
                dropped.extend(waiting.id().map(|id| (id, Abandoned::Unsent)));
            }
        }
        for queued in instance.fair_queue.take_client(client_id) {
            client.in_flight = client.in_flight.saturating_sub(1);
            dropped.extend(queued.id().map(|id| (id, Abandoned::Unsent)));
        }
        for (number, id, cancelled) in instance.in_flight.abandon_client(client_id, cx.time) {
            if !cancelled {
                client.in_flight = client.in_flight.saturating_sub(1);
                cx.send_to_server(instance_id, cancel(number, reason));
            }
            dropped.push((id, if cancelled { Abandoned::Cancelled } else { Abandoned::Sent }));
        }
        for uri in instance.subscribers.remove_client(client_id) {
            let params = format!("{{\"uri\":{}}}", json::quote(&uri));
            self.send_forgotten(instance_id, "resources/unsubscribe", &params, cx);
        }
        dropped
    }

    /// A client that introduces itself anew may need other instances than those it uses: it leaves them.
    pub(crate) fn leave_unsuited_instances(&mut self, client_id: ClientId, cx: &mut EventContext<'_>) {
        const ANEW: &str = "the client has introduced itself anew";
        let Some(client) = self.clients.get(client_id) else { return };
        for (server, instance_id) in client.attached.clone() {
            let key = self.make_share_key(client_id, &server);
            if key.and_then(|key| self.instances.find_by_key(&server, &key)) == Some(instance_id) {
                continue;
            }
            for (id, left) in self.leave_instance(client_id, instance_id, ANEW, cx) {
                let failure = match left {
                    Abandoned::Unsent => Failure::ServerUnavailable,
                    Abandoned::Sent => Failure::OutcomeUnknown,
                    Abandoned::Cancelled => {
                        cx.drop_request(client_id, id);
                        continue;
                    }
                };
                let data = FailureData { server: Some(&server), ..FailureData::new(Source::Daemon, failure) };
                cx.fail(client_id, &id, ANEW, &data);
            }
        }
    }
}

/// What had become of a request when its client left the instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Abandoned {
    /// The server never heard of it.
    Unsent,
    /// The server may have carried it out.
    Sent,
    /// Its client did not want it any more.
    Cancelled,
}

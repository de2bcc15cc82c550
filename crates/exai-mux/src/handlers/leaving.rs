//! How a client leaves an instance, and the router.

use exai_proto::Id;
use exai_proto::answer::{Failure, FailureData, Source};

use crate::client::Attachment;
use crate::dialect::legacy::write_cancel;
use crate::instance::Phase;
use crate::instance::fair_queue::QueuedRequest;
use crate::instance::start_queue::Waiting;
use crate::router::Router;
use crate::router::event_context::EventContext;
use crate::types::era::Era;
use crate::types::ids::{ClientId, InstanceId};

impl Router {
    /// Forgets a client that is gone: its requests are cancelled, and the questions it was asked are declined.
    pub(crate) fn close_client(&mut self, client_id: ClientId, cx: &mut EventContext<'_>) {
        if !self.clients.contains(client_id) {
            return;
        }
        for instance in self.instances_with_requests(client_id) {
            self.leave_instance(client_id, instance, "the client has disconnected", cx);
        }
        self.give_up_parked_calls_of(client_id, cx);
        self.clients.remove_client(client_id);
        self.calls.forget_client(client_id);
        self.questions.forget_client(client_id);
        self.awaited_inputs.forget_client(client_id);
        self.awaited_sign_ins.forget_client(client_id);
        self.list_aggregations.forget_client(client_id);
        self.list_changed_notices.forget(client_id);
        self.servers.forget_client(client_id);
    }

    /// Detaches a client from an instance: its requests there are cancelled, and the questions of the instance are
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
        let mut unsent = instance.fair_queue.take_client(client_id);
        if let Phase::Starting { waiting, .. } = &mut instance.phase {
            for waiting in waiting.take_client(client_id) {
                match waiting {
                    Waiting::Call(queued) => unsent.push(queued),
                    Waiting::Initialize { id, .. } | Waiting::Discover { id, .. } => {
                        dropped.push((id, Abandoned::Unsent));
                    }
                    Waiting::List(..) => {}
                }
            }
        }
        for QueuedRequest { call, .. } in unsent {
            dropped.extend(self.calls.finish_call(call).map(|call| (call.id, Abandoned::Unsent)));
        }
        for (call, number) in self.calls.legs_between(client_id, instance_id) {
            instance.in_flight.disown_request(number, cx.time);
            let Some(call) = self.calls.finish_call(call) else { continue };
            if call.is_cancelled() {
                dropped.push((call.id, Abandoned::Cancelled));
            } else {
                cx.send_to_server(instance_id, write_cancel(number, reason));
                dropped.push((call.id, Abandoned::Sent));
            }
        }
        let unheard = instance.subscribers.remove_client(client_id);
        self.stop_hearing_of(instance_id, &unheard, cx);
        self.cancel_relays_between(client_id, instance_id, cx);
        dropped
    }

    /// Detaches a client that has sent `initialize` anew from the instances that do not suit what it declares now.
    pub(crate) fn leave_unsuited_instances(&mut self, client_id: ClientId, cx: &mut EventContext<'_>) {
        const ANEW: &str = "the client has introduced itself anew";
        let Some(client) = self.clients.get(client_id) else { return };
        let Some(context) = client.context().cloned() else { return };
        for Attachment { server, of, instance: instance_id } in client.attached.clone() {
            // What a modern request declares is for that request alone.
            if of == Era::Modern {
                continue;
            }
            let key = self.make_share_key(client_id, &context, &server);
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

/// How far a request had come when its client left the instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Abandoned {
    /// The server has not got it.
    Unsent,
    /// The server has got it, and may have carried it out.
    Sent,
    /// Its client had cancelled it.
    Cancelled,
}

//! The start of an instance, from `initialize` on.

use bytes::Bytes;
use exai_proto::envelope::Outcome;
use exai_proto::{Message, limits};

use crate::dialect::legacy;
use crate::instance::Phase;
use crate::instance::request::{InternalRequest, Owner};
use crate::instance::start_queue::Waiting;
use crate::limits::{MAX_QUOTED_CHARS, PING_TIMEOUT};
use crate::router::Router;
use crate::router::event_context::EventContext;
use crate::types::effect::Effect;
use crate::types::ids::InstanceId;

impl Router {
    /// Sends `initialize` to an instance whose process runs.
    pub(crate) fn initialize_instance(&mut self, instance_id: InstanceId, cx: &mut EventContext<'_>) {
        let Some(instance) = self.instances.get(instance_id) else { return };
        let capabilities = instance.key.capabilities.clone();
        let write = |number| legacy::write_initialize(number, &capabilities);
        self.send_request(instance_id, Owner::Router(InternalRequest::Initialize), write, cx);
    }

    /// Handles the answer to `initialize`: the instance serves from now on.
    pub(crate) fn finish_initialize(
        &mut self,
        instance_id: InstanceId,
        message: &Message,
        outcome: &Outcome,
        cx: &mut EventContext<'_>,
    ) {
        let ready = match outcome {
            Outcome::Result(result) => legacy::read_initialize_result(message.bytes().slice(result.clone())),
            Outcome::Error(_) => None,
        };
        let Some(ready) = ready else {
            let said = String::from_utf8_lossy(message.bytes());
            let said = limits::cut(&said, MAX_QUOTED_CHARS);
            let reason = format!("did not accept `initialize`: {said}");
            return cx.effects.push(Effect::GiveUp { instance: instance_id, reason });
        };
        let Some(instance) = self.instances.get_mut(instance_id) else { return };
        let server = instance.server.clone();
        let said = ready.clone();
        let Phase::Starting { mut waiting, .. } = std::mem::replace(&mut instance.phase, Phase::Ready(ready))
        else {
            return;
        };
        instance.ready_since = Some(cx.time);
        let clients = instance.clients.clone();
        if let Some(known) = self.servers.get_mut(&server) {
            known.health.became_ready();
            known.list_health.became_ready();
            let is_news = known.initialize_result.as_ref().is_none_or(|before| before.result != said.result);
            known.set_initialize_result(said.clone());
            if is_news {
                cx.note_discovery_changed(&server);
            }
        }
        cx.send_to_server(instance_id, legacy::write_initialized());
        cx.effects.push(Effect::Ready { instance: instance_id });
        for client in clients {
            self.restore_client(client, instance_id, cx);
        }
        for waiting in waiting.take_all() {
            match waiting {
                Waiting::Initialize { client, id } => self.replay_initialize(client, &id, &said, cx),
                Waiting::Call(queued) => self.send_or_queue(queued, instance_id, cx),
                Waiting::List(kind, _) => self.request_list(instance_id, kind, cx),
            }
        }
        self.request_pending_lists(instance_id, cx);
    }

    /// Pings an instance. The daemon finds the ping in the I/O counters of the process that has read it.
    pub(crate) fn ping_instance(&mut self, instance_id: InstanceId, cx: &mut EventContext<'_>) {
        let Some(instance) = self.instances.get_mut(instance_id) else { return };
        if instance.ready().is_none() {
            return;
        }
        let number = instance.in_flight.mint_number();
        // Written as clients write it.
        let bytes = Bytes::from(format!("{{\"jsonrpc\":\"2.0\",\"id\":{number},\"method\":\"ping\"}}"));
        let owner = Owner::Router(InternalRequest::Ping { sent: bytes.len() });
        let deadline = cx.time + PING_TIMEOUT;
        instance.register_request(number, owner, deadline, deadline);
        cx.effects.push(Effect::ToServer {
            instance: instance_id,
            bytes: bytes.into(),
            number: Some(number),
        });
    }
}

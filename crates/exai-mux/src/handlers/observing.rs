//! What servers are seen to do with the capabilities of their clients.

use bytes::Bytes;

use crate::limits::SILENCE_INTERVAL;
use crate::router::Router;
use crate::router::event_context::EventContext;
use crate::types::capability::Ask;
use crate::types::effect::Effect;
use crate::types::ids::InstanceId;
use crate::types::list_kind::ListKind;

impl Router {
    /// A run works: what was declared to it a while ago has made it ask for nothing.
    pub(crate) fn note_silence(&mut self, instance_id: InstanceId, cx: &mut EventContext<'_>) {
        let Some(instance) = self.instances.get_mut(instance_id) else { return };
        if instance.ready_since.take_if(|since| *since + SILENCE_INTERVAL <= cx.time).is_none() {
            return;
        }
        let (server, declared) = (instance.server.clone(), instance.key.capabilities.clone());
        if self.servers.get_mut(&server).is_some_and(|known| known.behaviour.note_silence(&declared)) {
            cx.effects.push(Effect::Measured { server });
        }
    }

    /// Remembers that a server asks: who can be asked gets a run to himself from now on.
    pub(crate) fn note_server_requests(
        &mut self,
        instance_id: InstanceId,
        asks: &[Ask],
        cx: &mut EventContext<'_>,
    ) {
        let Some(server) = self.instances.server_of(instance_id) else {
            return;
        };
        let Some(known) = self.servers.get_mut(&server) else { return };
        let new = asks.iter().filter(|ask| known.behaviour.note_server_request(**ask)).count();
        if new > 0 {
            cx.effects.push(Effect::Measured { server });
        }
    }

    /// Notes what a run has listed to whom.
    pub(crate) fn note_list(
        &mut self,
        instance_id: InstanceId,
        kind: ListKind,
        items: &[Bytes],
        cx: &mut EventContext<'_>,
    ) {
        let Some(instance) = self.instances.get(instance_id) else { return };
        let (server, declared) = (instance.server.clone(), instance.key.capabilities.clone());
        if self
            .servers
            .get_mut(&server)
            .is_some_and(|known| known.behaviour.note_list(&declared, kind, items))
        {
            cx.effects.push(Effect::Measured { server });
        }
    }
}

//! Servers that do not answer the question which era they speak.
//!
//! A server that is silent is sent `initialize` as well, on the same pipe. A server that ends over the question, answers
//! something that is no message, or says nothing at all is started anew and is not asked again. Programs of all these kinds
//! exist.

use crate::instance::{Opening, Phase};
use crate::router::Router;
use crate::router::event_context::EventContext;
use crate::types::effect::Effect;
use crate::types::event::{Down, See};
use crate::types::ids::InstanceId;

impl Router {
    /// Starts a server anew that did not survive the question which era it speaks. Returns whether it was started: a
    /// program that does not start at all has not failed over the question.
    pub(crate) fn start_without_probe(
        &mut self,
        instance_id: InstanceId,
        why: &Down,
        cx: &mut EventContext<'_>,
    ) -> bool {
        let Some(instance) = self.instances.get_current(instance_id) else { return false };
        let is_probed = matches!(&instance.phase, Phase::Starting { opening: Opening::Probe(probe), .. } if probe.asked.is_some());
        if !is_probed || why.see != See::Log {
            return false;
        }
        let Some(server) = self.servers.get_mut(&instance.server) else { return false };
        let limit = server.policy.crash_limit;
        if !server.health.excuse_end(limit, cx.time) {
            return false;
        }
        server.eras.failed_probe = Some(format!("{} when it was asked server/discover", why.reason));
        self.replace_instance(instance_id, &why.reason, cx);
        true
    }

    /// Handles something that is no message in the place of the answer to `server/discover`.
    pub(crate) fn fail_probe(&mut self, instance_id: InstanceId, what: &str, cx: &mut EventContext<'_>) {
        if !self.start_without_probe(instance_id, &Down::because(what), cx) {
            let reason = format!("did not answer `server/discover`: it {what}");
            cx.effects.push(Effect::GiveUp { instance: instance_id, reason });
        }
    }

    /// Does what is due about a server that is silent though it was asked which era it speaks.
    pub(crate) fn tick_probe(&mut self, instance_id: InstanceId, cx: &mut EventContext<'_>) {
        let Some(instance) = self.instances.get_mut(instance_id) else { return };
        let policy = self.servers.get(&instance.server).map(|server| server.policy.start_timeout);
        let Phase::Starting { opening: Opening::Probe(probe), .. } = &mut instance.phase else { return };
        if policy.and_then(|timeout| probe.due(timeout)).is_none_or(|due| due > cx.time) {
            return;
        }
        if std::mem::replace(&mut probe.sent_initialize, true) {
            self.fail_probe(instance_id, "said nothing", cx);
        } else {
            self.send_initialize(instance_id, cx);
        }
    }
}

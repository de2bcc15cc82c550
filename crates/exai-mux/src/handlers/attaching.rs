//! How a client is attached to an instance, and what it brings along.

use exai_proto::{answer, json};

use crate::client::Attachment;
use crate::instance::Instance;
use crate::router::Router;
use crate::router::event_context::EventContext;
use crate::types::effect::About;
use crate::types::era::Era;
use crate::types::ids::{ClientId, InstanceId};
use crate::types::introduction::Introduction;
use crate::types::log_level::LogLevel;

impl Router {
    /// Makes a client, which speaks in this era, a user of an instance, and restores what the client had of an earlier
    /// instance. Returns whether it was none before.
    pub(crate) fn attach_client(
        &mut self,
        (client_id, of): (ClientId, Era),
        instance_id: InstanceId,
        cx: &mut EventContext<'_>,
    ) -> bool {
        let Some(client) = self.clients.get_mut(client_id) else { return false };
        let Some(instance) = self.instances.get_mut(instance_id) else { return false };
        let is_attached = |one: &Attachment| one.instance == instance_id && one.of == of;
        if client.attached.iter().any(is_attached) {
            return false;
        }
        let is_bridged = instance.key.bridged;
        instance.add_client(client_id);
        client.attached.push(Attachment { server: instance.server.clone(), of, instance: instance_id });
        if is_bridged {
            self.leave_other_bridged(client_id, instance_id, cx);
        }
        let Some(instance) = self.instances.get(instance_id) else { return true };
        if instance.ready().is_some() {
            self.restore_client(client_id, instance_id, cx);
        }
        true
    }

    /// Lets a client whose bridged requests declare something else now leave the instances of the server that were told what
    /// earlier ones declared, as far as they work on nothing for it. A client that varies what it declares would keep
    /// them all.
    fn leave_other_bridged(
        &mut self,
        client_id: ClientId,
        instance_id: InstanceId,
        cx: &mut EventContext<'_>,
    ) {
        let Some(server) = self.instances.server_of(instance_id) else { return };
        let Some(client) = self.clients.get(client_id) else { return };
        let others = client.attached.iter().filter(|one| one.server == server && one.instance != instance_id);
        let others = others.map(|one| one.instance).filter(|other| {
            let is_bridged = self.instances.get(*other).is_some_and(|other| other.key.bridged);
            is_bridged
                && self.calls.legs_between(client_id, *other).is_empty()
                && !self.parked_calls.has_of_client(*other, client_id)
        });
        for other in others.collect::<Vec<_>>() {
            for waiting in self.part_from_instance(client_id, other, cx) {
                self.resend_displaced(&server, vec![waiting], cx);
            }
        }
    }

    /// Restores the log level and the subscriptions of a client that the instance does not know yet.
    pub(crate) fn restore_client(
        &mut self,
        client_id: ClientId,
        instance_id: InstanceId,
        cx: &mut EventContext<'_>,
    ) {
        if let Some(level) = self.clients.get(client_id).and_then(|client| client.level) {
            self.raise_log_level(instance_id, level, cx);
        }
        let Some(client) = self.clients.get(client_id) else { return };
        let Some(instance) = self.instances.get_mut(instance_id) else { return };
        if instance.ready().is_none() {
            return;
        }
        let (server, era) = (instance.server.clone(), instance.era());
        let Some(known) = self.servers.get(&server) else { return };
        let wanted = known.wanted_uris(client, era);
        let uris: Vec<(Era, String)> = wanted.map(|(of, uri)| (of, uri.to_owned())).collect();
        let is_first = |(_, uri): &&(Era, String)| instance.subscribers.add_subscriber(uri, client_id);
        let unheard: Vec<String> = uris.iter().filter(is_first).map(|(_, uri)| uri.clone()).collect();
        match era {
            Era::Legacy => {
                for uri in unheard {
                    let params = format!("{{\"uri\":{}}}", json::quote(&uri));
                    self.send_forgotten(instance_id, "resources/subscribe", &params, cx);
                }
            }
            Era::Modern => {
                self.renew_listen(instance_id, cx);
                self.open_relays(client_id, instance_id, cx);
            }
        }
        if self.servers.get_mut(&server).is_some_and(|server| server.interrupted.remove(&client_id)) {
            // Resources may have changed while no instance was subscribed.
            for (of, uri) in uris {
                match of {
                    Era::Legacy => {
                        let params = format!("{{\"uri\":{}}}", json::quote(&uri));
                        let told = answer::notify("notifications/resources/updated", &params);
                        cx.send_to_client(client_id, told, About::Session);
                    }
                    Era::Modern => self.notify_listens_of_resource(client_id, (&server, &uri), cx),
                }
            }
        }
    }

    /// Tells a server that no client wants to hear of these resources any more.
    pub(crate) fn stop_hearing_of(
        &mut self,
        instance_id: InstanceId,
        uris: &[String],
        cx: &mut EventContext<'_>,
    ) {
        match self.instances.get(instance_id).map(Instance::era) {
            Some(Era::Legacy) => {
                for uri in uris {
                    let params = format!("{{\"uri\":{}}}", json::quote(uri));
                    self.send_forgotten(instance_id, "resources/unsubscribe", &params, cx);
                }
            }
            Some(Era::Modern) => self.renew_listen(instance_id, cx),
            None => {}
        }
    }

    /// Asks a server of the legacy era that can log to log at least at this level. In the modern era each request says it.
    pub(crate) fn raise_log_level(
        &mut self,
        instance_id: InstanceId,
        level: LogLevel,
        cx: &mut EventContext<'_>,
    ) {
        let Some(instance) = self.instances.get_mut(instance_id) else { return };
        let can_be_told = |said: &Introduction| said.era == Era::Legacy && said.capabilities.logging;
        if instance.ready().is_some_and(can_be_told) && instance.level.is_none_or(|set| level < set) {
            instance.level = Some(level);
            let params = format!("{{\"level\":\"{}\"}}", level.name());
            self.send_forgotten(instance_id, "logging/setLevel", &params, cx);
        }
    }
}

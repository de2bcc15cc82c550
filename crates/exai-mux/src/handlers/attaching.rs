//! How a client comes to an instance, and what it brings along.

use exai_proto::{answer, json};

use crate::router::Router;
use crate::router::event_context::EventContext;
use crate::types::effect::About;
use crate::types::ids::{ClientId, InstanceId};
use crate::types::log_level::LogLevel;

impl Router {
    /// Makes a client a user of an instance and gives the instance what the client had of an earlier one.
    pub(crate) fn attach_client(
        &mut self,
        client_id: ClientId,
        instance_id: InstanceId,
        cx: &mut EventContext<'_>,
    ) {
        let Some(client) = self.clients.get_mut(client_id) else { return };
        let Some(instance) = self.instances.get_mut(instance_id) else { return };
        if !instance.add_client(client_id) {
            return;
        }
        // It uses no other of this server: it has left that one, or that one is gone.
        client.attached.push((instance.server.clone(), instance_id));
        if instance.ready().is_some() {
            self.restore_client(client_id, instance_id, cx);
        }
    }

    /// Log level and subscriptions of a client that an instance does not know yet.
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
        let mut unheard = Vec::new();
        for (server, uri) in &client.subscriptions {
            if *server == instance.server && instance.subscribers.add_subscriber(uri, client_id) {
                unheard.push(format!("{{\"uri\":{}}}", json::quote(uri)));
            }
        }
        let server = instance.server.clone();
        let subscribed = client.subscriptions.iter().filter(|(name, _)| *name == server);
        let uris: Vec<String> = subscribed.map(|(_, uri)| json::quote(uri)).collect();
        for params in unheard {
            self.send_forgotten(instance_id, "resources/subscribe", &params, cx);
        }
        if self.servers.get_mut(&server).is_some_and(|server| server.interrupted.remove(&client_id)) {
            // Something may have happened while nobody listened.
            for uri in uris {
                let params = format!("{{\"uri\":{uri}}}");
                let told = answer::notify("notifications/resources/updated", &params);
                cx.send_to_client(client_id, told, About::Session);
            }
        }
    }

    /// Has a server that logs log at least this much.
    pub(crate) fn raise_log_level(
        &mut self,
        instance_id: InstanceId,
        level: LogLevel,
        cx: &mut EventContext<'_>,
    ) {
        let Some(instance) = self.instances.get_mut(instance_id) else { return };
        if instance.ready().is_some_and(|ready| ready.capabilities.logging)
            && instance.level.is_none_or(|set| level < set)
        {
            instance.level = Some(level);
            let params = format!("{{\"level\":\"{}\"}}", level.name());
            self.send_forgotten(instance_id, "logging/setLevel", &params, cx);
        }
    }
}

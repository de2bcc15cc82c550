//! Servers that are started without a request.

use std::sync::Arc;

use crate::router::Router;
use crate::router::event_context::EventContext;
use crate::server::{Server, is_eager};
use crate::types::event::Down;
use crate::types::ids::ClientId;
use crate::types::list_kind::LIST_KINDS;
use crate::types::policy::{Share, ShareKey};

impl Router {
    /// Whether a server should run without a request: it is eager, or clients have subscribed to resources of an
    /// instance that ended.
    pub(crate) fn is_wanted(&self, server: &Server) -> bool {
        self.interrupted_of(server).next().is_some()
            || (is_eager(&server.policy) && !self.is_running(&server.policy.name))
    }

    /// The clients that an instance has left behind, and that no other instance serves yet.
    fn interrupted_of(&self, server: &Server) -> impl Iterator<Item = ClientId> {
        let waits = move |id: &ClientId| {
            self.clients.get(*id).is_some_and(|client| client.instance_of(&server.policy.name).is_none())
        };
        server.interrupted.iter().copied().filter(waits)
    }

    fn is_running(&self, server: &str) -> bool {
        self.instances.has_current(server)
    }

    /// Starts the servers that should run and may be started. An eager server has one instance, as for a client
    /// without capabilities.
    pub(crate) fn start_wanted_servers(&mut self, cx: &mut EventContext<'_>) {
        let may_start = |server: &&Server| server.health.held_back(cx.time).is_none();
        let wanted = self.servers.iter().filter(may_start).filter(|server| self.is_wanted(server));
        let wanted: Vec<(Arc<str>, Vec<ClientId>, bool)> = wanted
            .map(|server| {
                (server.policy.name.clone(), self.interrupted_of(server).collect(), is_eager(&server.policy))
            })
            .collect();
        for (server, interrupted, eager) in wanted {
            for client in interrupted {
                let context = self.clients.context(client);
                let key = context.and_then(|context| self.make_share_key(client, context, &server));
                match key.and_then(|key| self.find_or_start_instance(&server, key, cx)) {
                    Some(instance) => self.attach_client(client, instance, cx),
                    None => {
                        // There are too many instances. The client finds out with its next request.
                        if let Some(server) = self.servers.get_mut(&server) {
                            server.interrupted.remove(&client);
                        }
                    }
                }
            }
            if eager && !self.is_running(&server) {
                let key = ShareKey::common("{}");
                self.find_or_start_instance(&server, key, cx);
            }
        }
    }

    /// Starts a server without a client and asks for its lists, so that they are known when a client comes. The
    /// instance is stopped like any other that no client uses.
    pub(crate) fn warm_up_server(&mut self, server: &str, cx: &mut EventContext<'_>) {
        let Some(known) = self.servers.get(server) else { return };
        // Where each client has an instance of its own, no client would use this one.
        if known.policy.share == Share::Client || known.health.held_back(cx.time).is_some() {
            return;
        }
        let running = self.instances.current_of_server(server).first().map(|(id, _)| *id);
        let instance = running.or_else(|| self.find_or_start_instance(server, ShareKey::common("{}"), cx));
        for kind in LIST_KINDS {
            if let Some(instance) = instance {
                self.request_list(instance, kind, cx);
            }
        }
    }

    pub(crate) fn restart_server(&mut self, server: &str, cx: &mut EventContext<'_>) {
        // This comes first: what waits for its turn is sent to the next instance.
        if let Some(server) = self.servers.get_mut(server) {
            server.health.reset();
            server.list_health.became_ready();
        }
        self.stop_instances(server, &Down::because("was restarted"), cx);
    }
}

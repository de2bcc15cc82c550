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
    /// Whether a server should run though nobody asks anything of it: it is eager, or somebody has subscribed to
    /// what it had to tell before it ended.
    pub(crate) fn is_wanted(&self, server: &Server) -> bool {
        self.interrupted_of(server).next().is_some()
            || (is_eager(&server.policy) && !self.is_running(&server.policy.name))
    }

    /// The subscribers that the last run has left behind and that no other serves yet.
    fn interrupted_of(&self, server: &Server) -> impl Iterator<Item = ClientId> {
        let waits = move |id: &ClientId| {
            self.clients.get(*id).is_some_and(|client| client.instance_of(&server.policy.name).is_none())
        };
        server.interrupted.iter().copied().filter(waits)
    }

    fn is_running(&self, server: &str) -> bool {
        !self.instances.current_of_server(server).is_empty()
    }

    /// Starts what is wanted and may be started. An eager server has one instance, as for a client without
    /// capabilities.
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
                let key = self.make_share_key(client, &server);
                match key.and_then(|key| self.find_or_start_instance(&server, key, cx)) {
                    Some(instance) => self.attach_client(client, instance, cx),
                    None => {
                        // There are too many instances: it finds out with its next request.
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

    /// Starts a server for nobody in particular and asks for its lists, so that they are known when somebody comes. It is
    /// stopped like any other that nobody uses.
    pub(crate) fn warm_up_server(&mut self, server: &str, cx: &mut EventContext<'_>) {
        let Some(known) = self.servers.get(server) else { return };
        // Where each client has its own, this one would be nobody's.
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
        // First: what waits for its turn is sent to the next run.
        if let Some(server) = self.servers.get_mut(server) {
            server.health.reset();
            server.list_health.became_ready();
        }
        self.stop_instances(server, &Down::because("was restarted"), cx);
    }
}

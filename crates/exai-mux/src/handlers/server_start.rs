//! Servers that are started without a request.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::router::Router;
use crate::router::event_context::EventContext;
use crate::server::{Server, is_eager};
use crate::types::era::{ERAS, Era};
use crate::types::event::Down;
use crate::types::ids::{ClientId, InstanceId};
use crate::types::list_kind::{LIST_KINDS, ListKind};
use crate::types::policy::ShareKey;

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
            let Some(client) = self.clients.get(*id) else { return false };
            let lacks = |era: Era| client.instance_of(&server.policy.name, era).is_none();
            ERAS.into_iter().any(|era| client.awaits_news(&server.policy.name, era) && lacks(era))
        };
        server.interrupted.iter().copied().filter(waits)
    }

    fn is_running(&self, server: &str) -> bool {
        self.instances.has_current(server)
    }

    /// Starts the servers that should run and may be started. An eager server has one instance, as for a client
    /// without capabilities.
    pub(crate) fn start_wanted_servers(&mut self, cx: &mut EventContext<'_>) {
        let may_start = |server: &&Server| server.health.may_start_unasked(cx.time);
        let wanted = self.servers.iter().filter(may_start).filter(|server| self.is_wanted(server));
        let wanted: Vec<(Arc<str>, Vec<ClientId>, bool)> = wanted
            .map(|server| {
                (server.policy.name.clone(), self.interrupted_of(server).collect(), is_eager(&server.policy))
            })
            .collect();
        for (server, interrupted, eager) in wanted {
            for client in interrupted {
                let Some(known) = self.clients.get(client) else { continue };
                let awaits_news = |era: &Era| known.awaits_news(&server, *era);
                let contexts: Vec<_> = ERAS
                    .into_iter()
                    .filter(awaits_news)
                    .filter_map(|era| known.context_in(era).cloned())
                    .collect();
                // A client that has said nothing of itself finds out with its next request.
                if let Some(server) = self.servers.get_mut(&server).filter(|_| contexts.is_empty()) {
                    server.interrupted.remove(&client);
                }
                for context in contexts {
                    let key = self.make_share_key(client, &context, &server);
                    // If there are too many instances, the next tick tries again.
                    if let Some(instance) = key.and_then(|key| self.find_or_start_instance(&server, key, cx))
                    {
                        self.attach_client((client, context.era), instance, cx);
                    }
                }
            }
            if eager && !self.is_running(&server) {
                self.find_or_start_common(&server, cx);
            }
        }
    }

    /// Starts a server without a client and asks for its lists, so that they are known when a client comes. The
    /// instance is stopped like any other that no client uses.
    pub(crate) fn warm_up_server(&mut self, server: &str, cx: &mut EventContext<'_>) {
        let Some(known) = self.servers.get(server) else { return };
        // Where each client has an instance of its own, no client would use this one.
        if known.policy.share.is_separate_in_sessions() || known.health.held_back(cx.time).is_some() {
            return;
        }
        let running = self.instances.current_of_server(server).first().map(|(id, _)| *id);
        let instance = running.or_else(|| self.find_or_start_common(server, cx));
        for kind in LIST_KINDS {
            if let Some(instance) = instance {
                self.request_list(instance, kind, cx);
            }
        }
    }

    /// Finds or starts the instance that serves clients which declare nothing.
    fn find_or_start_common(&mut self, server: &str, cx: &mut EventContext<'_>) -> Option<InstanceId> {
        let era = self.servers.get(server)?.serving_era(Era::Legacy);
        self.find_or_start_instance(server, ShareKey::common("{}").in_era(era), cx)
    }

    /// Asks for a list that an instance of another era was to be asked for. The requests that wait for the list wait
    /// for this one now.
    pub(crate) fn request_list_anew(
        &mut self,
        server: &Arc<str>,
        expected: Era,
        kind: ListKind,
        cx: &mut EventContext<'_>,
    ) {
        let Some(known) = self.servers.get(server) else { return };
        let era = known.serving_era(expected);
        let may_start = known.health.held_back(cx.time).is_none();
        if era != expected {
            self.list_aggregations.move_list((server, expected, kind), era);
        }
        let key = ShareKey::common("{}").in_era(era);
        let instance = if may_start { self.find_or_start_instance(server, key, cx) } else { None };
        match instance {
            Some(instance) => self.request_list(instance, kind, cx),
            None => self.give_up_list((server, era, kind), cx),
        }
    }

    /// Lets a server be started that was held back, and starts it. Instances that run stay.
    pub(crate) fn recover_server(&mut self, server: &str, cx: &mut EventContext<'_>) {
        let Some(known) = self.servers.get_mut(server) else { return };
        known.signed_in_at = Some(cx.time);
        known.health.reset();
        known.list_health.became_ready();
        self.resume_after_sign_in(server, cx);
        let Some(known) = self.servers.get_mut(server) else { return };
        if !known.policy.share.is_separate_in_sessions() {
            return self.warm_up_server(server, cx);
        }
        // Each client has an instance of its own: those who were answered without the lists ask again, and start it.
        let offerings = known.offerings_mut();
        let owed: BTreeSet<_> =
            offerings.flat_map(|(_, of)| of.catalogue.take_all_pending_list_changed()).collect();
        for (client, kind) in owed {
            if self.clients.get(client).is_some_and(|client| client.sees_server(server)) {
                self.notify_list_changed(client, kind, cx);
            }
        }
    }

    pub(crate) fn note_sign_in_ended(&mut self, server: &str, why: Down, cx: &mut EventContext<'_>) {
        if let Some(server) = self.servers.get_mut(server) {
            server.health.note_sign_in_ended(why, cx.time);
        }
    }

    pub(crate) fn restart_server(&mut self, server: &str, cx: &mut EventContext<'_>) {
        // This comes first: what waits for its turn is sent to the next instance.
        if let Some(server) = self.servers.get_mut(server) {
            server.health.reset();
            server.list_health.became_ready();
            server.eras.failed_probe = None;
        }
        self.stop_instances(server, &Down::because("was restarted"), cx);
    }
}

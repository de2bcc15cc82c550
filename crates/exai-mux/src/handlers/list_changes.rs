//! Announcements of servers that a list has changed.
//!
//! Clients of the endpoint of one server get an announcement as it comes. Clients of the aggregated endpoint are told
//! at once, and not too often: see `router::list_changed_notices`.

use bytes::Bytes;
use exai_proto::answer;

use crate::router::Router;
use crate::router::event_context::EventContext;
use crate::types::effect::About;
use crate::types::era::Era;
use crate::types::ids::{ClientId, Endpoint, InstanceId};
use crate::types::list_kind::ListKind;

impl Router {
    /// Handles the announcement that a list has changed. It concerns the clients of the instance and all clients of
    /// the aggregated endpoint.
    pub(crate) fn handle_list_changed(
        &mut self,
        instance_id: InstanceId,
        kind: ListKind,
        bytes: &Bytes,
        cx: &mut EventContext<'_>,
    ) {
        let Some(instance) = self.instances.get(instance_id) else { return };
        let (name, era) = (instance.server.clone(), instance.era());
        for &client in &instance.clients {
            if self.clients.is_aggregating(client) {
                continue;
            }
            self.notify_listens_of_list(client, kind, cx);
            if self.clients.context(client).is_some() {
                // The announcement of a modern server is for a listen of the router.
                let told = match era {
                    Era::Legacy => bytes.clone(),
                    Era::Modern => answer::notification(kind.changed()),
                };
                cx.send_to_client(client, told, About::Session);
            }
        }
        self.count_announced_change(instance_id, kind);
        let Some(server) = self.servers.get_mut(&name) else { return };
        if server.offering_mut(era).announced_changes.said(kind, instance_id, cx.time) {
            self.pass_on_change(instance_id, kind, cx);
        }
    }

    fn pass_on_change(&mut self, instance: InstanceId, kind: ListKind, cx: &mut EventContext<'_>) {
        if let Some(server) = self.instances.server_of(instance) {
            for client in self.clients.aggregating_ids(&server) {
                self.notify_list_changed(client, kind, cx);
            }
        }
        self.request_known_lists(instance, kind, cx);
    }

    /// Tells a client that a list may have changed since the client has seen it.
    pub(crate) fn notify_list_changed(
        &mut self,
        client: ClientId,
        kind: ListKind,
        cx: &mut EventContext<'_>,
    ) {
        let kind = kind.announced_as();
        let is_time = match self.clients.get(client).map(|client| &client.endpoint) {
            Some(Endpoint::All | Endpoint::Several(_)) => {
                self.list_changed_notices.happened(client, kind, cx.time)
            }
            Some(Endpoint::One(_)) => true,
            None => false,
        };
        if is_time {
            self.tell_list_changed(client, kind, cx);
        }
    }

    /// Sends the notifications whose time has come.
    pub(crate) fn send_due_notices(&mut self, cx: &mut EventContext<'_>) {
        let mut passed = Vec::new();
        for server in self.servers.iter_mut() {
            for (_, offering) in server.offerings_mut() {
                passed.extend(offering.announced_changes.take_due(cx.time));
            }
        }
        for (instance, kind) in passed {
            self.pass_on_change(instance, kind, cx);
        }
        for (client, kind) in self.list_changed_notices.take_due(cx.time) {
            self.tell_list_changed(client, kind, cx);
        }
    }

    /// Tells a client, in its session and in its listens.
    pub(crate) fn tell_list_changed(&self, client: ClientId, kind: ListKind, cx: &mut EventContext<'_>) {
        if self.clients.context(client).is_some() {
            cx.send_to_client(client, answer::notification(kind.changed()), About::Session);
        }
        self.notify_listens_of_list(client, kind, cx);
    }

    /// Notes that the known list is not current any more, nor the list that the server may be asked for at this
    /// moment.
    fn count_announced_change(&mut self, instance: InstanceId, kind: ListKind) {
        let current = self.instances.get_current(instance);
        let of = current.map(|instance| (instance.server.clone(), instance.era()));
        let Some(offering) = of.and_then(|(name, era)| Some(self.servers.get_mut(&name)?.offering_mut(era)))
        else {
            return;
        };
        for kind in kind.announced() {
            offering.catalogue.changed(*kind);
        }
    }

    /// Notes that a client is to be told when this list comes.
    pub(crate) fn note_pending_list_changed(
        &mut self,
        (client, era): (ClientId, Era),
        server: &str,
        kind: ListKind,
    ) {
        if let Some(server) = self.servers.get_mut(server) {
            let era = server.serving_era(era);
            server.offering_mut(era).catalogue.note_pending_list_changed(client, kind);
        }
    }
}

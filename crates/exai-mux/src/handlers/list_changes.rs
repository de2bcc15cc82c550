//! When clients of all servers together are told that a list has changed: at once, and not too often.
//!
//! Each such word makes a client list everything anew, and servers repeat it: some send it for each of the tools that
//! they register, some whenever they are asked. So what a server says passes at once, and what it says soon after that
//! waits: 0.25 s, doubled as long as it goes on saying it, up to ten seconds. What a client hears, of all servers
//! together, is a quarter of a second apart. Nothing is lost: what waits is said when its time has come. Clients of one
//! server hear its own words as they come.

use bytes::Bytes;
use exai_proto::answer;

use crate::router::Router;
use crate::router::event_context::EventContext;
use crate::types::effect::About;
use crate::types::ids::{ClientId, Endpoint, InstanceId};
use crate::types::list_kind::ListKind;

impl Router {
    /// A server says that a list has changed. It concerns everybody who could have the list: clients of the instance,
    /// and all clients of the aggregated endpoint.
    pub(crate) fn handle_list_changed(
        &mut self,
        instance_id: InstanceId,
        kind: ListKind,
        bytes: &Bytes,
        cx: &mut EventContext<'_>,
    ) {
        let Some(instance) = self.instances.get(instance_id) else { return };
        let name = instance.server.clone();
        for &client in &instance.clients {
            if !self.clients.is_aggregating(client) {
                cx.send_to_client(client, bytes.clone(), About::Session);
            }
        }
        self.count_announced_change(instance_id, kind);
        let Some(server) = self.servers.get_mut(&name) else { return };
        if server.announced_changes.said(kind, instance_id, cx.time) {
            self.pass_on_change(instance_id, kind, cx);
        }
    }

    fn pass_on_change(&mut self, instance: InstanceId, kind: ListKind, cx: &mut EventContext<'_>) {
        for client in self.clients.aggregating_ids() {
            self.notify_list_changed(client, kind, cx);
        }
        self.request_known_lists(instance, kind, cx);
    }

    /// Tells a client that a list is another than it may know.
    pub(crate) fn notify_list_changed(
        &mut self,
        client: ClientId,
        kind: ListKind,
        cx: &mut EventContext<'_>,
    ) {
        let kind = kind.announced_as();
        let is_time = match self.clients.get(client).map(|client| &client.endpoint) {
            Some(Endpoint::All) => self.list_changed_notices.happened(client, kind, cx.time),
            Some(Endpoint::One(_)) => true,
            None => false,
        };
        if is_time {
            cx.send_to_client(client, answer::notification(kind.changed()), About::Session);
        }
    }

    /// Says what has waited for its time.
    pub(crate) fn send_due_notices(&mut self, cx: &mut EventContext<'_>) {
        let mut passed = Vec::new();
        for server in self.servers.iter_mut() {
            passed.extend(server.announced_changes.take_due(cx.time));
        }
        for (instance, kind) in passed {
            self.pass_on_change(instance, kind, cx);
        }
        for (client, kind) in self.list_changed_notices.take_due(cx.time) {
            cx.send_to_client(client, answer::notification(kind.changed()), About::Session);
        }
    }

    /// A server has announced that a list is another: what is known of it is not current any more, and what it is
    /// being asked for now may not be, either.
    fn count_announced_change(&mut self, instance: InstanceId, kind: ListKind) {
        let current = self.instances.get_current(instance);
        let server = current.map(|instance| instance.server.clone());
        let Some(server) = server.and_then(|name| self.servers.get_mut(&name)) else { return };
        for kind in kind.announced() {
            server.catalogue.changed(*kind);
        }
    }

    /// A client is to be told when this list comes.
    pub(crate) fn note_pending_list_changed(&mut self, client: ClientId, server: &str, kind: ListKind) {
        if let Some(server) = self.servers.get_mut(server) {
            server.catalogue.note_pending_list_changed(client, kind);
        }
    }
}

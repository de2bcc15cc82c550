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
use crate::router::now::Now;
use crate::types::effect::About;
use crate::types::ids::{ClientId, Endpoint, InstanceId};
use crate::types::list_kind::Kind;

impl Router {
    /// A server says that a list has changed. It concerns everybody who could have the list: clients of the instance,
    /// and all clients of the aggregated endpoint.
    pub(crate) fn list_changed(
        &mut self,
        instance_id: InstanceId,
        kind: Kind,
        bytes: &Bytes,
        now: &mut Now<'_>,
    ) {
        let Some(instance) = self.instances.get(instance_id) else { return };
        let name = instance.server.clone();
        for &client in &instance.clients {
            if !self.clients.is_aggregating(client) {
                now.to_client(client, bytes.clone(), About::Session);
            }
        }
        self.note_change(instance_id, kind);
        let Some(server) = self.servers.get_mut(&name) else { return };
        if server.changes.said(kind, instance_id, now.time) {
            self.pass_change(instance_id, kind, now);
        }
    }

    fn pass_change(&mut self, instance: InstanceId, kind: Kind, now: &mut Now<'_>) {
        for client in self.clients.aggregating_ids() {
            self.tell_changed_list(client, kind, now);
        }
        self.relist(instance, kind, now);
    }

    /// Tells a client that a list is another than it may know.
    pub(crate) fn tell_changed_list(&mut self, client: ClientId, kind: Kind, now: &mut Now<'_>) {
        let kind = kind.announced_as();
        let is_time = match self.clients.get(client).map(|client| &client.endpoint) {
            Some(Endpoint::All) => self.news.happened(client, kind, now.time),
            Some(Endpoint::One(_)) => true,
            None => false,
        };
        if is_time {
            now.to_client(client, answer::notification(kind.changed()), About::Session);
        }
    }

    /// Says what has waited for its time.
    pub(crate) fn tell_news(&mut self, now: &mut Now<'_>) {
        let mut passed = Vec::new();
        for server in self.servers.iter_mut() {
            passed.extend(server.changes.take_due(now.time));
        }
        for (instance, kind) in passed {
            self.pass_change(instance, kind, now);
        }
        for (client, kind) in self.news.take_due(now.time) {
            now.to_client(client, answer::notification(kind.changed()), About::Session);
        }
    }

    /// A server has announced that a list is another: what is known of it is not current any more, and what it is
    /// being asked for now may not be, either.
    fn note_change(&mut self, instance: InstanceId, kind: Kind) {
        let current = self.instances.get_current(instance);
        let server = current.map(|instance| instance.server.clone());
        let Some(server) = server.and_then(|name| self.servers.get_mut(&name)) else { return };
        for kind in kind.announced() {
            server.catalogue.changed(*kind);
        }
    }

    /// A client is to be told when this list comes.
    pub(crate) fn owe(&mut self, client: ClientId, server: &str, kind: Kind) {
        if let Some(server) = self.servers.get_mut(server) {
            server.catalogue.owe(client, kind);
        }
    }
}

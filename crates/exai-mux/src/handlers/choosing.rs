//! What clients may see of the servers, and what changes for them when the configuration chooses something else.

use std::collections::BTreeSet;
use std::sync::Arc;

use exai_proto::Id;

use crate::client::Attachment;
use crate::instance::Phase;
use crate::instance::start_queue::Waiting;
use crate::router::Router;
use crate::router::event_context::EventContext;
use crate::types::account::{self, Account};
use crate::types::choice::Choice;
use crate::types::era::Era;
use crate::types::ids::{ClientId, Endpoint, InstanceId};
use crate::types::introduction::Offer;
use crate::types::list_kind::{ANNOUNCED_LIST_KINDS, ListKind, string_member};

/// The items of a list, each with its server and the era in which it is offered. An item without a name stands for a list that is not known.
type SeenItems = BTreeSet<(Arc<str>, Era, Option<String>)>;

impl Router {
    /// Finds what the configuration lets a client see, and the accounts that it uses.
    pub(crate) fn find_choice(&mut self, client: ClientId) {
        let Some(client) = self.clients.get_mut(client) else { return };
        client.choice = client.known_name().and_then(|name| self.choices.find(name));
        let accounts = self.accounts.choose(client.known_name(), client.directory.as_deref());
        client.set_accounts(accounts);
    }

    /// Puts other choices into force. Clients for which nothing changes notice nothing.
    pub(crate) fn apply_choices(&mut self, choices: Vec<(Arc<str>, Choice)>, cx: &mut EventContext<'_>) {
        self.choices.replace(choices);
        self.choose_anew(cx);
    }

    /// Puts other accounts into force. Clients for which nothing changes notice nothing.
    pub(crate) fn apply_accounts(&mut self, accounts: Vec<Account>, cx: &mut EventContext<'_>) {
        self.accounts.replace(accounts);
        self.choose_anew(cx);
    }

    fn choose_anew(&mut self, cx: &mut EventContext<'_>) {
        for client_id in self.clients.ids() {
            let Some(client) = self.clients.get(client_id) else { continue };
            let accounts = self.accounts.choose(client.known_name(), client.directory.as_deref());
            let choice = client.known_name().and_then(|name| self.choices.find(name));
            if choice == client.choice && accounts == client.accounts {
                continue;
            }
            let seen_before = ANNOUNCED_LIST_KINDS.map(|kind| self.find_seen_items(client_id, kind));
            self.find_choice(client_id);
            self.leave_unseen_servers(client_id, cx);
            self.announce_repeatable(client_id, cx);
            for (kind, before) in ANNOUNCED_LIST_KINDS.into_iter().zip(seen_before) {
                if self.find_seen_items(client_id, kind) != before && self.hears_of_changes(client_id, kind) {
                    self.notify_list_changed(client_id, kind, cx);
                }
            }
        }
    }

    /// What a client sees of the lists that one announcement stands for.
    fn find_seen_items(&self, client: ClientId, kind: ListKind) -> SeenItems {
        let mut seen = SeenItems::new();
        let Some(client) = self.clients.get(client) else { return seen };
        for server in self.servers.iter_seen(client) {
            for (era, offering) in server.offerings() {
                let said = offering.introduction.as_ref();
                if said.is_some_and(|said| said.offer(kind) == Offer::Nothing) {
                    continue;
                }
                let name = &server.policy.name;
                for &kind in kind.announced() {
                    let Some(items) = offering.catalogue.list(kind) else {
                        seen.insert((name.clone(), era, None));
                        continue;
                    };
                    let items = items.iter().filter_map(|item| string_member(item, kind.item_key()));
                    let items =
                        items.filter(|item| kind != ListKind::Tools || server.offers_tool(client, item));
                    seen.extend(items.map(|item| (name.clone(), era, Some(item))));
                }
            }
        }
        seen
    }

    /// Whether a client that has introduced itself was told that it would hear of changes of a list.
    fn hears_of_changes(&self, client: ClientId, kind: ListKind) -> bool {
        let Some(client) = self.clients.get(client) else { return false };
        if client.context().is_none() {
            return client.listens.iter().any(|listen| listen.has_list(kind));
        }
        match &client.endpoint {
            Endpoint::All | Endpoint::Several(_) => true,
            Endpoint::One(name) => {
                let server = self.servers.get(name);
                let said = server.and_then(|server| server.offering_for(Era::Legacy).introduction.as_ref());
                said.is_some_and(|said| said.offer(kind) == Offer::Announced)
            }
        }
    }

    /// Answers a client that wants several servers of which it may see none. Returns whether it was answered.
    pub(crate) fn refuse_without_servers(
        &self,
        client_id: ClientId,
        id: &Id,
        cx: &mut EventContext<'_>,
    ) -> bool {
        let Some(client) = self.clients.get(client_id) else { return false };
        let Endpoint::Several(names) = &client.endpoint else { return false };
        if names.iter().any(|name| self.servers.get_seen(client, name).is_some()) {
            return false;
        }
        if let Some(server) = names.iter().find(|name| self.lacks_account(client, name)) {
            cx.no_account(client_id, id, server, self.accounts.of_server(server));
            return true;
        }
        let names: Vec<&str> = names.iter().map(|name| &**name).collect();
        cx.unknown_server(client_id, id, &names, self.chosen_names(client));
        true
    }

    /// Lets a client use no server any more that it may not see. What the servers work on for the client is answered;
    /// what was not sent yet goes where it may go now.
    pub(crate) fn leave_unseen_servers(&mut self, client_id: ClientId, cx: &mut EventContext<'_>) {
        let Some(client) = self.clients.get_mut(client_id) else { return };
        if client.choice.is_none() && client.accounts.is_empty() && client.endpoint == client.wanted {
            return;
        }
        let subscriptions = std::mem::take(&mut client.subscriptions);
        client.subscriptions =
            subscriptions.into_iter().filter(|(server, _)| client.sees_server(server)).collect();
        let mut listens = std::mem::take(&mut client.listens);
        for listen in &mut listens {
            listen.resources.retain(|(server, _)| client.sees_server(server));
        }
        client.listens = listens;
        let unseen: Vec<Attachment> =
            client.attached.iter().filter(|one| !client.sees_server(&one.server)).cloned().collect();
        for server in self.servers.iter_mut() {
            if !client.sees_server(&server.policy.name) {
                server.interrupted.remove(&client_id);
            }
        }
        for Attachment { server, instance, .. } in unseen {
            for waiting in self.part_from_instance(client_id, instance, cx) {
                match waiting {
                    Waiting::Call(queued) if !queued.translated && self.clients.is_aggregating(client_id) => {
                        self.route_aggregated_request(queued, cx);
                    }
                    waiting => {
                        let server = self.resolve_anew(client_id, &server);
                        self.resend_displaced(&server, vec![waiting], cx);
                    }
                }
            }
        }
    }

    /// The account that a client uses now, where it has used this one.
    fn resolve_anew(&self, client: ClientId, server: &str) -> Arc<str> {
        let Some(client) = self.clients.get(client) else { return server.into() };
        client.accounts.resolve(account::split(server).0).into()
    }

    /// Detaches a client from an instance that goes on with what it has begun for the client. Returns what the instance
    /// was not given yet.
    pub(crate) fn part_from_instance(
        &mut self,
        client_id: ClientId,
        instance_id: InstanceId,
        cx: &mut EventContext<'_>,
    ) -> Vec<Waiting> {
        if let Some(client) = self.clients.get_mut(client_id) {
            client.detach(instance_id);
        }
        let Some(instance) = self.instances.get_mut(instance_id) else { return Vec::new() };
        instance.remove_client(client_id, cx.time);
        let mut displaced: Vec<Waiting> =
            instance.fair_queue.take_client(client_id).into_iter().map(Waiting::Call).collect();
        if let Phase::Starting { waiting, .. } = &mut instance.phase {
            displaced.extend(waiting.take_client(client_id));
        }
        let unheard = instance.subscribers.remove_client(client_id);
        self.stop_hearing_of(instance_id, &unheard, cx);
        self.cancel_relays_between(client_id, instance_id, cx);
        displaced
    }
}

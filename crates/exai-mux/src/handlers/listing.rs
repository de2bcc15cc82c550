//! How a server is asked for its lists.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use exai_proto::envelope::Outcome;
use exai_proto::pages::{Cut, Next, NoList, Pages};
use exai_proto::{Message, answer, json};

use crate::instance::Phase;
use crate::instance::request::{Errand, Owner};
use crate::instance::start_queue::Waiting;
use crate::limits::MAX_QUOTED_CHARS;
use crate::router::Router;
use crate::router::now::Now;
use crate::server::list_health::Fault;
use crate::types::ids::InstanceId;
use crate::types::initialize_result::Offer;
use crate::types::list_kind::Kind;

impl Router {
    /// Asks an instance for a list, unless it is being asked already.
    pub(crate) fn list(&mut self, instance_id: InstanceId, kind: Kind, now: &mut Now<'_>) {
        let Some(instance) = self.instances.get_mut(instance_id) else { return };
        if instance.asked_for(kind).is_some() {
            return;
        }
        if let Phase::Starting { waiting, .. } = &mut instance.phase {
            return waiting.add(Waiting::List(kind, now.time));
        }
        let offer = instance.offer(kind);
        let as_of = self.changes_of(instance_id, kind);
        if offer == Offer::Nothing {
            return self.list_came(instance_id, kind, Vec::new(), as_of, (Duration::ZERO, None), now);
        }
        let owner =
            Owner::Router(Errand::List { kind, pages: Pages::new(kind.key()), asked: now.time, as_of });
        let write = |number| answer::request(number, kind.method(), "{}");
        self.send_request(instance_id, owner, write, now);
    }

    /// One page of a list has come.
    pub(crate) fn listed(
        &mut self,
        instance_id: InstanceId,
        message: &Message,
        outcome: &Outcome,
        (kind, mut pages, asked, as_of): (Kind, Pages, Instant, u64),
        now: &mut Now<'_>,
    ) {
        let Some(instance) = self.instances.get(instance_id) else { return };
        let server = instance.server.clone();
        if instance.retiring {
            return self.missed(&server, kind, now);
        }
        let took = now.time.saturating_duration_since(asked);
        let result = match outcome {
            Outcome::Result(result) => result.clone(),
            Outcome::Error(error) => {
                let code = json::find(message.bytes(), error.clone(), "code");
                if code.is_none_or(|code| message.at(&code) != b"-32601") {
                    let fault = Fault::Refused(beginning(message.str_at(error)));
                    return self.list_failed(instance_id, kind, as_of, (took, fault), now);
                }
                // Servers that do not know the method have an empty list.
                return self.list_came(instance_id, kind, Vec::new(), as_of, (took, None), now);
            }
        };
        match pages.take(message.bytes(), result.clone()) {
            Ok(Next::Page(params)) => {
                let owner = Owner::Router(Errand::List { kind, pages, asked, as_of });
                let write = |number| answer::request(number, kind.method(), &params);
                self.send_request(instance_id, owner, write, now);
            }
            Ok(Next::End) => self.list_came(instance_id, kind, pages.into_items(), as_of, (took, None), now),
            Ok(Next::Cut(cut)) => {
                self.list_came(instance_id, kind, pages.into_items(), as_of, (took, Some(cut)), now);
            }
            Err(NoList) => {
                let fault = Fault::NoList(beginning(message.str_at(&result)));
                self.list_failed(instance_id, kind, as_of, (took, fault), now);
            }
        }
    }

    /// A list that the router has asked for has come. If the server has changed it meanwhile, it is asked for again,
    /// and whoever waits for it waits for that one.
    fn list_came(
        &mut self,
        instance_id: InstanceId,
        kind: Kind,
        items: Vec<Bytes>,
        as_of: u64,
        (took, cut): (Duration, Option<Cut>),
        now: &mut Now<'_>,
    ) {
        let Some(server) = self.instances.server_of(instance_id) else {
            return;
        };
        if let Some(known) = self.servers.get_mut(&server) {
            known.listing.came(&server, kind, took, cut);
        }
        self.measure(instance_id, kind, &items, now);
        self.learn(&server, kind, items, as_of, now);
        self.list_again(instance_id, kind, as_of, now);
        if !self.instances.get(instance_id).is_some_and(|instance| instance.is_listing(kind)) {
            self.end_waiting(&server, kind, now);
        }
    }

    /// A server has answered, but not with a list: what was known of it stays.
    fn list_failed(
        &mut self,
        instance_id: InstanceId,
        kind: Kind,
        as_of: u64,
        (took, fault): (Duration, Fault),
        now: &mut Now<'_>,
    ) {
        let Some(server) = self.instances.server_of(instance_id) else {
            return;
        };
        if let Some(known) = self.servers.get_mut(&server) {
            known.listing.failed(&server, kind, took, fault);
        }
        self.missed(&server, kind, now);
        self.list_again(instance_id, kind, as_of, now);
    }

    /// Asks for a list again that the server has changed since it was asked for it as of so many changes.
    fn list_again(&mut self, instance_id: InstanceId, kind: Kind, as_of: u64, now: &mut Now<'_>) {
        let server = self.instances.server_of(instance_id);
        let server = server.and_then(|name| self.servers.get_mut(&name));
        if server.is_some_and(|server| server.catalogue.count_outdated(kind, as_of)) {
            self.list(instance_id, kind, now);
        }
    }

    /// As of how many changes of a list an instance is asked for it now.
    pub(crate) fn changes_of(&self, instance: InstanceId, kind: Kind) -> u64 {
        let server = self.instances.get(instance).and_then(|instance| self.servers.get(&instance.server));
        server.map_or(0, |server| server.catalogue.changes(kind))
    }

    /// A page of a list passes by on its way to a client that has asked for it. A list of one page is as good as one
    /// that the router has asked for itself.
    pub(crate) fn overhear(
        &mut self,
        instance_id: InstanceId,
        kind: Kind,
        as_of: u64,
        (message, result): (&Message, &Range<usize>),
        now: &mut Now<'_>,
    ) {
        // What a retiring instance lists is of the past.
        let current = self.instances.get_current(instance_id);
        let Some(server) = current.map(|instance| instance.server.clone()) else { return };
        let mut pages = Pages::new(kind.key());
        if matches!(pages.take(message.bytes(), result.clone()), Ok(Next::End)) {
            let items = pages.into_items();
            self.measure(instance_id, kind, &items, now);
            self.learn(&server, kind, items, as_of, now);
            self.end_waiting(&server, kind, now);
        }
    }

    pub(crate) fn learn(
        &mut self,
        server: &Arc<str>,
        kind: Kind,
        items: Vec<Bytes>,
        as_of: u64,
        now: &mut Now<'_>,
    ) {
        if kind == Kind::Tools
            && self.servers.get_mut(server).is_some_and(|known| known.learn_repeatable(&items))
        {
            self.tell_all_repeatable(server, now);
        }
        if let Some(known) = self.servers.get_mut(server) {
            let is_news = known.catalogue.learn(kind, items, Some(as_of));
            let owed = known.catalogue.take_owed(kind);
            if is_news {
                now.learned(server);
                for client in owed {
                    self.tell_changed_list(client, kind, now);
                }
            }
        }
    }

    /// Asks a server that has just become ready for the lists that somebody was answered without.
    pub(crate) fn list_owed(&mut self, instance: InstanceId, now: &mut Now<'_>) {
        let server = self.instances.get(instance).and_then(|instance| self.servers.get(&instance.server));
        let kinds = server.map(|server| server.catalogue.owed_kinds()).unwrap_or_default();
        for kind in kinds {
            self.list(instance, kind, now);
        }
    }

    /// A server's list has changed: what is known of it is asked for again, where anybody cares.
    pub(crate) fn relist(&mut self, instance: InstanceId, kind: Kind, now: &mut Now<'_>) {
        let current = self.instances.get_current(instance);
        let Some(server) = current.and_then(|instance| self.servers.get(&instance.server)) else { return };
        let is_known = |kind: &Kind| server.catalogue.list(*kind).is_some();
        let known: Vec<Kind> = kind.announced().iter().copied().filter(is_known).collect();
        for kind in known {
            self.list(instance, kind, now);
        }
    }
}

/// The beginning of what a server has said, for a sentence.
fn beginning(text: &str) -> String {
    text.chars().take(MAX_QUOTED_CHARS).collect()
}

//! How a server is asked for its lists.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use exai_proto::envelope::Outcome;
use exai_proto::pages::{Cut, Next, NoList, Pages};
use exai_proto::{Message, answer, json, limits};

use crate::instance::Phase;
use crate::instance::request::{InternalRequest, Owner};
use crate::instance::start_queue::Waiting;
use crate::limits::MAX_QUOTED_CHARS;
use crate::router::Router;
use crate::router::event_context::EventContext;
use crate::server::list_health::ListFault;
use crate::types::ids::InstanceId;
use crate::types::initialize_result::Offer;
use crate::types::list_kind::ListKind;

impl Router {
    /// Asks an instance for a list, unless it is being asked already.
    pub(crate) fn request_list(
        &mut self,
        instance_id: InstanceId,
        kind: ListKind,
        cx: &mut EventContext<'_>,
    ) {
        let Some(instance) = self.instances.get_mut(instance_id) else { return };
        if instance.asked_for(kind).is_some() {
            return;
        }
        if let Phase::Starting { waiting, .. } = &mut instance.phase {
            return waiting.add(Waiting::List(kind, cx.time));
        }
        let offer = instance.offer(kind);
        let as_of = self.count_announced_changes(instance_id, kind);
        if offer == Offer::Nothing {
            return self.finish_list(instance_id, kind, Vec::new(), as_of, (Duration::ZERO, None), cx);
        }
        let owner = Owner::Router(InternalRequest::List {
            kind,
            pages: Pages::new(kind.key()),
            asked: cx.time,
            as_of,
        });
        let write = |number| answer::request(number, kind.method(), "{}");
        self.send_request(instance_id, owner, write, cx);
    }

    /// One page of a list has come.
    pub(crate) fn take_list_page(
        &mut self,
        instance_id: InstanceId,
        message: &Message,
        outcome: &Outcome,
        (kind, mut pages, asked, as_of): (ListKind, Pages, Instant, u64),
        cx: &mut EventContext<'_>,
    ) {
        let Some(instance) = self.instances.get(instance_id) else { return };
        let server = instance.server.clone();
        if instance.retiring {
            return self.give_up_list(&server, kind, cx);
        }
        let took = cx.time.saturating_duration_since(asked);
        let result = match outcome {
            Outcome::Result(result) => result.clone(),
            Outcome::Error(error) => {
                let code = json::find(message.bytes(), error.clone(), "code");
                if code.is_none_or(|code| message.at(&code) != b"-32601") {
                    let fault = ListFault::Refused(limits::cut(message.str_at(error), MAX_QUOTED_CHARS));
                    return self.fail_list(instance_id, kind, as_of, (took, fault), cx);
                }
                // Servers that do not know the method have an empty list.
                return self.finish_list(instance_id, kind, Vec::new(), as_of, (took, None), cx);
            }
        };
        match pages.take(message.bytes(), result.clone()) {
            Ok(Next::Page(params)) => {
                let owner = Owner::Router(InternalRequest::List { kind, pages, asked, as_of });
                let write = |number| answer::request(number, kind.method(), &params);
                self.send_request(instance_id, owner, write, cx);
            }
            Ok(Next::End) => self.finish_list(instance_id, kind, pages.into_items(), as_of, (took, None), cx),
            Ok(Next::Cut(cut)) => {
                self.finish_list(instance_id, kind, pages.into_items(), as_of, (took, Some(cut)), cx);
            }
            Err(NoList) => {
                let fault = ListFault::NoList(limits::cut(message.str_at(&result), MAX_QUOTED_CHARS));
                self.fail_list(instance_id, kind, as_of, (took, fault), cx);
            }
        }
    }

    /// A list that the router has asked for has come. If the server has changed it meanwhile, it is asked for again,
    /// and whoever waits for it waits for that one.
    fn finish_list(
        &mut self,
        instance_id: InstanceId,
        kind: ListKind,
        items: Vec<Bytes>,
        as_of: u64,
        (took, cut): (Duration, Option<Cut>),
        cx: &mut EventContext<'_>,
    ) {
        let Some(server) = self.instances.server_of(instance_id) else {
            return;
        };
        if let Some(known) = self.servers.get_mut(&server) {
            known.list_health.note_list(&server, kind, took, cut);
        }
        self.note_list(instance_id, kind, &items, cx);
        self.learn_list(&server, kind, items, as_of, cx);
        self.request_outdated_list(instance_id, kind, as_of, cx);
        if !self.instances.get(instance_id).is_some_and(|instance| instance.is_listing(kind)) {
            self.stop_waiting_for_list(&server, kind, cx);
        }
    }

    /// A server has answered, but not with a list: what was known of it stays.
    fn fail_list(
        &mut self,
        instance_id: InstanceId,
        kind: ListKind,
        as_of: u64,
        (took, fault): (Duration, ListFault),
        cx: &mut EventContext<'_>,
    ) {
        let Some(server) = self.instances.server_of(instance_id) else {
            return;
        };
        if let Some(known) = self.servers.get_mut(&server) {
            known.list_health.note_failure(&server, kind, took, fault);
        }
        self.give_up_list(&server, kind, cx);
        self.request_outdated_list(instance_id, kind, as_of, cx);
    }

    /// Asks for a list again that the server has changed since it was asked for it as of so many changes.
    fn request_outdated_list(
        &mut self,
        instance_id: InstanceId,
        kind: ListKind,
        as_of: u64,
        cx: &mut EventContext<'_>,
    ) {
        let server = self.instances.server_of(instance_id);
        let server = server.and_then(|name| self.servers.get_mut(&name));
        if server.is_some_and(|server| server.catalogue.count_outdated(kind, as_of)) {
            self.request_list(instance_id, kind, cx);
        }
    }

    /// As of how many changes of a list an instance is asked for it now.
    pub(crate) fn count_announced_changes(&self, instance: InstanceId, kind: ListKind) -> u64 {
        let server = self.instances.get(instance).and_then(|instance| self.servers.get(&instance.server));
        server.map_or(0, |server| server.catalogue.changes(kind))
    }

    /// A page of a list passes by on its way to a client that has asked for it. A list of one page is as good as one
    /// that the router has asked for itself.
    pub(crate) fn learn_from_reply(
        &mut self,
        instance_id: InstanceId,
        kind: ListKind,
        as_of: u64,
        (message, result): (&Message, &Range<usize>),
        cx: &mut EventContext<'_>,
    ) {
        // What a retiring instance lists is of the past.
        let current = self.instances.get_current(instance_id);
        let Some(server) = current.map(|instance| instance.server.clone()) else { return };
        let mut pages = Pages::new(kind.key());
        if matches!(pages.take(message.bytes(), result.clone()), Ok(Next::End)) {
            let items = pages.into_items();
            self.note_list(instance_id, kind, &items, cx);
            self.learn_list(&server, kind, items, as_of, cx);
            self.stop_waiting_for_list(&server, kind, cx);
        }
    }

    pub(crate) fn learn_list(
        &mut self,
        server: &Arc<str>,
        kind: ListKind,
        items: Vec<Bytes>,
        as_of: u64,
        cx: &mut EventContext<'_>,
    ) {
        if kind == ListKind::Tools
            && self.servers.get_mut(server).is_some_and(|known| known.learn_repeatable(&items))
        {
            self.announce_repeatable_to_all(server, cx);
        }
        if let Some(known) = self.servers.get_mut(server) {
            let is_news = known.catalogue.learn(kind, items, Some(as_of));
            let owed = known.catalogue.take_pending_list_changed(kind);
            if is_news {
                cx.note_discovery_changed(server);
                for client in owed {
                    self.notify_list_changed(client, kind, cx);
                }
            }
        }
    }

    /// Asks a server that has just become ready for the lists that somebody was answered without.
    pub(crate) fn request_pending_lists(&mut self, instance: InstanceId, cx: &mut EventContext<'_>) {
        let server = self.instances.get(instance).and_then(|instance| self.servers.get(&instance.server));
        let kinds = server.map(|server| server.catalogue.pending_kinds()).unwrap_or_default();
        for kind in kinds {
            self.request_list(instance, kind, cx);
        }
    }

    /// A server's list has changed: what is known of it is asked for again, where anybody cares.
    pub(crate) fn request_known_lists(
        &mut self,
        instance: InstanceId,
        kind: ListKind,
        cx: &mut EventContext<'_>,
    ) {
        let current = self.instances.get_current(instance);
        let Some(server) = current.and_then(|instance| self.servers.get(&instance.server)) else { return };
        let is_known = |kind: &ListKind| server.catalogue.list(*kind).is_some();
        let known: Vec<ListKind> = kind.announced().iter().copied().filter(is_known).collect();
        for kind in known {
            self.request_list(instance, kind, cx);
        }
    }
}

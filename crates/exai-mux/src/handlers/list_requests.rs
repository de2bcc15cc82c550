//! Requests of the router for the lists of a server, and their answers.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use exai_proto::envelope::Outcome;
use exai_proto::pages::{Cut, Next, NoList, Pages};
use exai_proto::{Message, answer, json, limits};

use crate::dialect::modern;
use crate::instance::Phase;
use crate::instance::request::{InternalRequest, Owner};
use crate::instance::start_queue::Waiting;
use crate::limits::MAX_QUOTED_CHARS;
use crate::router::Router;
use crate::router::event_context::EventContext;
use crate::server::list_health::ListFault;
use crate::types::era::Era;
use crate::types::ids::InstanceId;
use crate::types::introduction::Offer;
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
        let (offer, era) = (instance.offer(kind), instance.era());
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
        let params = write_own_params(era, "{}");
        let write = |number| answer::request(number, kind.method(), &params);
        self.send_request(instance_id, owner, write, cx);
    }

    /// Takes one page of a list that the router has asked for.
    pub(crate) fn take_list_page(
        &mut self,
        instance_id: InstanceId,
        message: &Message,
        outcome: &Outcome,
        (kind, mut pages, asked, as_of): (ListKind, Pages, Instant, u64),
        cx: &mut EventContext<'_>,
    ) {
        let Some(instance) = self.instances.get(instance_id) else { return };
        let (server, era) = (instance.server.clone(), instance.era());
        if instance.retiring {
            return self.give_up_list((&server, era, kind), cx);
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
                // A server that does not know the method has an empty list.
                return self.finish_list(instance_id, kind, Vec::new(), as_of, (took, None), cx);
            }
        };
        match pages.take(message.bytes(), result.clone()) {
            Ok(Next::Page(params)) => {
                let owner = Owner::Router(InternalRequest::List { kind, pages, asked, as_of });
                let params = write_own_params(era, &params);
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

    /// Handles a list that has come whole. If the server has announced a change meanwhile, the list is asked for
    /// again, and the requests that wait for it go on waiting.
    fn finish_list(
        &mut self,
        instance_id: InstanceId,
        kind: ListKind,
        items: Vec<Bytes>,
        as_of: u64,
        (took, cut): (Duration, Option<Cut>),
        cx: &mut EventContext<'_>,
    ) {
        let Some((server, era)) = self.instances.server_and_era_of(instance_id) else { return };
        if let Some(known) = self.servers.get_mut(&server) {
            known.list_health.note_list(&server, kind, took, cut);
        }
        self.note_list(instance_id, kind, &items, cx);
        self.learn_list((&server, era, kind), items, as_of, cx);
        self.request_outdated_list(instance_id, kind, as_of, cx);
        if !self.instances.get(instance_id).is_some_and(|instance| instance.is_listing(kind)) {
            self.stop_waiting_for_list((&server, era, kind), cx);
        }
    }

    /// Handles an answer that is no list. The known list stays.
    fn fail_list(
        &mut self,
        instance_id: InstanceId,
        kind: ListKind,
        as_of: u64,
        (took, fault): (Duration, ListFault),
        cx: &mut EventContext<'_>,
    ) {
        let Some((server, era)) = self.instances.server_and_era_of(instance_id) else { return };
        if let Some(known) = self.servers.get_mut(&server) {
            known.list_health.note_failure(&server, kind, took, fault);
        }
        self.give_up_list((&server, era, kind), cx);
        self.request_outdated_list(instance_id, kind, as_of, cx);
    }

    /// Asks for a list again if the server has announced a change since it was asked. `as_of` is the number of
    /// changes it had announced then.
    fn request_outdated_list(
        &mut self,
        instance_id: InstanceId,
        kind: ListKind,
        as_of: u64,
        cx: &mut EventContext<'_>,
    ) {
        let offering = self.offering_of_mut(instance_id);
        if offering.is_some_and(|offering| offering.catalogue.count_outdated(kind, as_of)) {
            self.request_list(instance_id, kind, cx);
        }
    }

    /// How many changes of a list the server of an instance has announced.
    pub(crate) fn count_announced_changes(&self, instance: InstanceId, kind: ListKind) -> u64 {
        self.offering_of(instance).map_or(0, |offering| offering.catalogue.changes(kind))
    }

    /// Learns from a list that passes by on its way to the client that has asked for it. A list of one page is as
    /// good as one that the router has asked for.
    pub(crate) fn learn_from_reply(
        &mut self,
        instance_id: InstanceId,
        kind: ListKind,
        as_of: u64,
        (message, result): (&Message, &Range<usize>),
        cx: &mut EventContext<'_>,
    ) {
        // The lists of a retiring instance are out of date.
        let current = self.instances.get_current(instance_id);
        let Some((server, era)) = current.map(|instance| (instance.server.clone(), instance.era())) else {
            return;
        };
        let mut pages = Pages::new(kind.key());
        if matches!(pages.take(message.bytes(), result.clone()), Ok(Next::End)) {
            let items = pages.into_items();
            self.note_list(instance_id, kind, &items, cx);
            self.learn_list((&server, era, kind), items, as_of, cx);
            self.stop_waiting_for_list((&server, era, kind), cx);
        }
    }

    fn learn_list(
        &mut self,
        (server, era, kind): (&Arc<str>, Era, ListKind),
        items: Vec<Bytes>,
        as_of: u64,
        cx: &mut EventContext<'_>,
    ) {
        if kind == ListKind::Tools
            && self
                .servers
                .get_mut(server)
                .is_some_and(|known| known.offering_mut(era).learn_repeatable(&items))
        {
            self.announce_repeatable_to_all(server, cx);
        }
        if let Some(known) = self.servers.get_mut(server) {
            let catalogue = &mut known.offering_mut(era).catalogue;
            let is_news = catalogue.learn(kind, items, Some(as_of));
            let owed = catalogue.take_pending_list_changed(kind);
            if is_news {
                cx.note_discovery_changed(server, era);
                for client in owed {
                    if self.clients.get(client).is_some_and(|client| client.sees_server(server)) {
                        self.notify_list_changed(client, kind, cx);
                    }
                }
            }
        }
    }

    /// Asks an instance that has become ready for the lists that clients were answered without.
    pub(crate) fn request_pending_lists(&mut self, instance: InstanceId, cx: &mut EventContext<'_>) {
        let offering = self.offering_of(instance);
        let kinds = offering.map(|offering| offering.catalogue.pending_kinds()).unwrap_or_default();
        for kind in kinds {
            self.request_list(instance, kind, cx);
        }
    }

    /// Asks for a changed list again, if it is known: a list that is not known is of no interest to any client.
    pub(crate) fn request_known_lists(
        &mut self,
        instance: InstanceId,
        kind: ListKind,
        cx: &mut EventContext<'_>,
    ) {
        if self.instances.get_current(instance).is_none() {
            return;
        }
        let Some(offering) = self.offering_of(instance) else { return };
        let is_known = |kind: &ListKind| offering.catalogue.list(*kind).is_some();
        let known: Vec<ListKind> = kind.announced().iter().copied().filter(is_known).collect();
        for kind in known {
            self.request_list(instance, kind, cx);
        }
    }
}

/// Writes the parameters of a request of the router's own.
fn write_own_params(era: Era, params: &str) -> String {
    match era {
        Era::Legacy => params.to_owned(),
        Era::Modern => modern::write_own_params(params),
    }
}

//! Requests for the lists of all servers: where each list comes from, and how long the request waits for it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use exai_proto::answer;

use crate::dialect::bridge;
use crate::instance::Instance;
use crate::instance::fair_queue::QueuedRequest;
use crate::limits::ROUTING_LIST_TIMEOUT;
use crate::router::Router;
use crate::router::calls::{Call, CallState};
use crate::router::event_context::EventContext;
use crate::router::list_aggregations::{AfterLists, ListAggregation};
use crate::server::list_health::ListFault;
use crate::types::capability::ClientCapability;
use crate::types::client_context::ClientContext;
use crate::types::era::Era;
use crate::types::ids::{CallId, ClientId, InstanceId};
use crate::types::introduction::Offer;
use crate::types::list_kind::ListKind;

impl Router {
    /// Gets the lists of all servers that the client may see, or of one: asks the instances that run, starts servers whose list is not known,
    /// and takes the last known list of the others. Then goes on with `then`.
    pub(crate) fn aggregate_lists(
        &mut self,
        call: CallId,
        then: AfterLists,
        (kinds, of): (&[ListKind], Option<Arc<str>>),
        cx: &mut EventContext<'_>,
    ) {
        let client = call.client;
        let Some(context) = self.calls.get(call).map(|call| call.context.clone()) else { return };
        let routes = matches!(then, AfterLists::Route(_));
        let seen = self.clients.get(client).into_iter().flat_map(|client| self.servers.iter_seen(client));
        let seen = seen.map(|server| server.policy.name.clone());
        let names: Vec<Arc<str>> = seen.filter(|name| of.as_ref().is_none_or(|of| of == name)).collect();
        let mut missing = BTreeMap::new();
        let mut asked = Vec::new();
        for name in names {
            for &kind in kinds {
                match self.choose_list_source((client, &context), &name, kind, cx) {
                    ListSource::Request(instance, good) => {
                        let since = self.instances.get(instance).and_then(|one| one.asked_for(kind));
                        let patience = self.list_timeout(&name, good, routes, of.is_some());
                        let era = self.instances.get(instance).map_or(Era::Legacy, Instance::era);
                        missing.insert((name.clone(), era, kind), since.unwrap_or(cx.time) + patience);
                        asked.push((instance, kind));
                    }
                    ListSource::Memory if !routes => {
                        self.note_pending_list_changed((client, context.era), &name, kind);
                    }
                    ListSource::Memory | ListSource::Current => {}
                }
            }
        }
        self.calls.move_call(call, CallState::AwaitingLists);
        self.list_aggregations.add(ListAggregation { call, then, missing });
        for (instance, kind) in asked {
            self.request_list(instance, kind, cx);
        }
        self.finish_aggregations(cx);
    }

    /// How long a list of a server is waited for. A request that can be meant for this server alone delays no other
    /// server, so it may wait longer.
    fn list_timeout(&self, server: &str, good: bool, routes: bool, alone: bool) -> Duration {
        let Some(server) = self.servers.get(server) else { return Duration::ZERO };
        let patience = server.list_health.patience(good);
        let is_worth_it = routes && !good && (alone || !patience.is_zero());
        if is_worth_it { ROUTING_LIST_TIMEOUT } else { patience }
    }

    /// Chooses where a list comes from now.
    fn choose_list_source(
        &mut self,
        (client, context): (ClientId, &ClientContext),
        name: &Arc<str>,
        kind: ListKind,
        cx: &mut EventContext<'_>,
    ) -> ListSource {
        let Some(key) = self.make_share_key(client, context, name) else { return ListSource::Memory };
        let own = self.instances.find_by_key(name, &key);
        let era = key.era;
        let mut current = self.instances.current_of_server(name);
        current.retain(|(_, instance)| instance.era() == era);
        let any = current.iter().find(|(_, instance)| instance.ready().is_some()).map(|(id, _)| *id);
        let Some(server) = self.servers.get(name) else { return ListSource::Memory };
        let held_back = server.health.held_back(cx.time).is_some();
        let catalogue = &server.offering_for(context.era).catalogue;
        let known = catalogue.list(kind).is_some();
        let current = catalogue.is_current(kind);
        // A client that declares something else need not be offered what other clients are offered. Tools are made
        // for extensions: a client that declares extensions is not told what other clients know before the two were
        // compared.
        let declared = own.and_then(|own| self.instances.get(own)).map_or(&key, |own| &own.key);
        let declares_extensions = context.can.contains_key(&ClientCapability::Extensions);
        let is_new = || server.behaviour.is_new_kind(&declared.capabilities, kind);
        let foreign = server.behaviour.depends_on_declaration(kind) || declares_extensions && is_new();
        let running = own.or_else(|| any.filter(|_| !foreign));
        // The known list would do as an answer.
        let good = known && !foreign;
        match running {
            // A server that announces changes need not be asked again, unless it is being asked now, or is about to
            // be.
            Some(id)
                if current
                    && !foreign
                    && self.instances.get(id).is_some_and(|instance| {
                        instance.offer(kind) == Offer::Announced && !instance.is_listing(kind)
                    }) =>
            {
                ListSource::Current
            }
            // If the server has another list when it is ready, the client is told.
            Some(id) if good && self.instances.get(id).is_some_and(|instance| instance.ready().is_none()) => {
                ListSource::Memory
            }
            Some(instance) => ListSource::Request(instance, good),
            None if held_back || good => ListSource::Memory,
            None => match self.find_or_start_instance(name, key, cx) {
                Some(instance) => ListSource::Request(instance, good),
                None => ListSource::Memory,
            },
        }
    }

    /// Lets the requests that wait for a list go on with what is known of it.
    pub(crate) fn stop_waiting_for_list(
        &mut self,
        (server, era, kind): (&Arc<str>, Era, ListKind),
        cx: &mut EventContext<'_>,
    ) {
        self.list_aggregations.stop_waiting(&(server.clone(), era, kind));
        self.finish_aggregations(cx);
    }

    /// Gives up a list that will not come now. No request waits for it any longer; the clients that did are told when
    /// it comes after all.
    pub(crate) fn give_up_list(
        &mut self,
        (server, era, kind): (&Arc<str>, Era, ListKind),
        cx: &mut EventContext<'_>,
    ) {
        let clients = self.list_aggregations.stop_waiting(&(server.clone(), era, kind));
        if let Some(server) = self.servers.get_mut(server) {
            for client in clients {
                server.offering_mut(era).catalogue.note_pending_list_changed(client, kind);
            }
        }
        self.finish_aggregations(cx);
    }

    /// Goes on with all requests that have their lists, or have waited for long enough.
    pub(crate) fn finish_aggregations(&mut self, cx: &mut EventContext<'_>) {
        for waiting in self.list_aggregations.take_finished(cx.time) {
            let ListAggregation { call, then, missing } = waiting;
            for (server, _, kind) in missing.keys() {
                self.note_missed_list(server, *kind, cx.time);
            }
            match then {
                AfterLists::Answer(kind) => {
                    for (server, era, kind) in missing.into_keys() {
                        if let Some(server) = self.servers.get_mut(&server) {
                            let catalogue = &mut server.offering_mut(era).catalogue;
                            catalogue.note_pending_list_changed(call.client, kind);
                        }
                    }
                    if let Some(Call { id, context, .. }) = self.calls.finish_call(call) {
                        let mut result = self.merge_lists(call.client, context.era, kind);
                        if context.era == Era::Modern {
                            result = bridge::complete_list(&result);
                        }
                        cx.answer(call.client, id.clone(), answer::result(&id, &result));
                    }
                }
                AfterLists::Route(message) => {
                    self.calls.move_call(call, CallState::Routing);
                    if let Some(era) = self.calls.get(call).map(|call| call.context.era) {
                        self.route_after_lists(QueuedRequest::new(call, era, message), cx);
                    }
                }
            }
        }
    }

    /// A request has waited for a list in vain: the next requests do not wait for it.
    fn note_missed_list(&mut self, name: &Arc<str>, kind: ListKind, time: Instant) {
        let current = self.instances.current_of_server(name);
        let asked =
            current.iter().filter_map(|(_, one)| Some((one.asked_for(kind)?, one.ready().is_some()))).min();
        let Some(server) = self.servers.get_mut(name) else { return };
        server.list_health.note_missed(kind);
        if let Some((since, is_ready)) = asked {
            let fault = if is_ready { ListFault::Unanswered(since) } else { ListFault::Unready(since) };
            server.list_health.note(name, kind, fault, time.saturating_duration_since(since));
        }
    }
}

/// Where a list comes from.
enum ListSource {
    /// An instance is asked for the list. The flag says whether the known list would do as an answer.
    Request(InstanceId, bool),
    /// The list is known, and the server would have announced a change.
    Current,
    /// The known list must do, if there is one: the server does not run, or is not ready.
    Memory,
}

//! The lists of all servers together: where they come from, and who waits for them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use exai_proto::{Id, answer};

use crate::limits::ROUTING_LIST_TIMEOUT;
use crate::router::Router;
use crate::router::event_context::EventContext;
use crate::router::list_aggregations::{AfterLists, ListAggregation};
use crate::server::list_health::ListFault;
use crate::types::capability::Ask;
use crate::types::ids::{ClientId, InstanceId};
use crate::types::initialize_result::Offer;
use crate::types::list_kind::ListKind;

impl Router {
    pub(crate) fn answer_aggregated_list(
        &mut self,
        client: ClientId,
        id: Id,
        kind: ListKind,
        cx: &mut EventContext<'_>,
    ) {
        self.aggregate_lists(client, id, AfterLists::Answer(kind), (&[kind], None), cx);
    }

    /// Gets the lists of all servers, or of one: asks those that run, starts those that are not known yet, and takes
    /// the last known list of the others. Then goes on with `then`.
    pub(crate) fn aggregate_lists(
        &mut self,
        client: ClientId,
        id: Id,
        then: AfterLists,
        (kinds, of): (&[ListKind], Option<Arc<str>>),
        cx: &mut EventContext<'_>,
    ) {
        let routes = matches!(then, AfterLists::Route(_));
        let all = self.servers.names().cloned();
        let names: Vec<Arc<str>> = all.filter(|name| of.as_ref().is_none_or(|of| of == name)).collect();
        let mut missing = BTreeMap::new();
        let mut asked = Vec::new();
        for name in names {
            for &kind in kinds {
                match self.choose_list_source(client, &name, kind, cx) {
                    ListSource::Ask(instance, good) => {
                        let since = self.instances.get(instance).and_then(|one| one.asked_for(kind));
                        let patience = self.list_timeout(&name, good, routes, of.is_some());
                        missing.insert((name.clone(), kind), since.unwrap_or(cx.time) + patience);
                        asked.push((instance, kind));
                    }
                    ListSource::Memory if !routes => self.note_pending_list_changed(client, &name, kind),
                    ListSource::Memory | ListSource::Current => {}
                }
            }
        }
        self.clients.count_request(client);
        self.list_aggregations.add(ListAggregation { client, id, then, missing });
        for (instance, kind) in asked {
            self.request_list(instance, kind, cx);
        }
        self.finish_aggregations(cx);
    }

    /// How long a list of a server is waited for. What can be for this server alone costs nobody else.
    fn list_timeout(&self, server: &str, good: bool, routes: bool, alone: bool) -> Duration {
        let Some(server) = self.servers.get(server) else { return Duration::ZERO };
        let patience = server.list_health.patience(good);
        let is_worth_it = routes && !good && (alone || !patience.is_zero());
        if is_worth_it { ROUTING_LIST_TIMEOUT } else { patience }
    }

    /// Where a list is to come from now.
    fn choose_list_source(
        &mut self,
        client: ClientId,
        name: &Arc<str>,
        kind: ListKind,
        cx: &mut EventContext<'_>,
    ) -> ListSource {
        let Some(key) = self.make_share_key(client, name) else { return ListSource::Memory };
        let own = self.instances.find_by_key(name, &key);
        let current = self.instances.current_of_server(name);
        let any = current.iter().find(|(_, instance)| instance.ready().is_some()).map(|(id, _)| *id);
        let Some(server) = self.servers.get(name) else { return ListSource::Memory };
        let held_back = server.health.held_back(cx.time).is_some();
        let known = server.catalogue.list(kind).is_some();
        let current = server.catalogue.is_current(kind);
        // What others are offered who declare something else need not be what this client is offered. Extensions are
        // what tools are made for: who declares such is not told what others know before that was compared.
        let declared = own.and_then(|own| self.instances.get(own)).map_or(&key, |own| &own.key);
        let is_new = || server.behaviour.is_new_kind(&declared.capabilities, kind);
        let foreign =
            server.behaviour.depends_on_declaration(kind) || self.declares_extensions(client) && is_new();
        let running = own.or_else(|| any.filter(|_| !foreign));
        // What is known would do as an answer.
        let good = known && !foreign;
        match running {
            // Who announces changes need not be asked again, but for one that is being looked at now, or will be.
            Some(id)
                if current
                    && !foreign
                    && self.instances.get(id).is_some_and(|instance| {
                        instance.offer(kind) == Offer::Announced && !instance.is_listing(kind)
                    }) =>
            {
                ListSource::Current
            }
            // It says so if it has another list when it is ready.
            Some(id) if good && self.instances.get(id).is_some_and(|instance| instance.ready().is_none()) => {
                ListSource::Memory
            }
            Some(instance) => ListSource::Ask(instance, good),
            None if held_back || good => ListSource::Memory,
            None => match self.find_or_start_instance(name, key, cx) {
                Some(instance) => ListSource::Ask(instance, good),
                None => ListSource::Memory,
            },
        }
    }

    fn declares_extensions(&self, client: ClientId) -> bool {
        let initialize_params = self.clients.get(client).and_then(|client| client.initialize_params());
        initialize_params.is_some_and(|said| said.can.contains_key(&Ask::Extensions))
    }

    /// What is known of a list is what those get who wait for it.
    pub(crate) fn stop_waiting_for_list(
        &mut self,
        server: &Arc<str>,
        kind: ListKind,
        cx: &mut EventContext<'_>,
    ) {
        self.list_aggregations.stop_waiting(server, kind);
        self.finish_aggregations(cx);
    }

    /// A list will not come now. Nobody waits for it any longer, but those who did will be told when it
    /// comes after all.
    pub(crate) fn give_up_list(&mut self, server: &Arc<str>, kind: ListKind, cx: &mut EventContext<'_>) {
        for client in self.list_aggregations.stop_waiting(server, kind) {
            self.note_pending_list_changed(client, server, kind);
        }
        self.finish_aggregations(cx);
    }

    /// Goes on with everything that has its lists, or has waited long enough.
    pub(crate) fn finish_aggregations(&mut self, cx: &mut EventContext<'_>) {
        for waiting in self.list_aggregations.take_finished(cx.time) {
            let ListAggregation { client, id, then, missing, .. } = waiting;
            self.clients.uncount_request(client);
            for (server, kind) in missing.keys() {
                self.note_missed_list(server, *kind, cx.time);
            }
            match then {
                AfterLists::Answer(kind) => {
                    for (server, kind) in missing.into_keys() {
                        self.note_pending_list_changed(client, &server, kind);
                    }
                    let result = self.merge_lists(kind);
                    cx.answer(client, id.clone(), answer::result(&id, &result));
                }
                AfterLists::Route(message) => self.route_after_lists(client, message, cx),
            }
        }
    }

    /// A list was waited for in vain: it is not waited for again.
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
    /// It is asked for; whether what is known of it would do.
    Ask(InstanceId, bool),
    /// It is known, and its server would say if it were another by now.
    Current,
    /// What is known must do, if anything is: the server does not run, or not yet.
    Memory,
}

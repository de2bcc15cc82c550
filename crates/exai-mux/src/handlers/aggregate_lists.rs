//! The lists of all servers together: where they come from, and who waits for them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use exai_proto::{Id, answer};

use crate::limits::ROUTING_LIST_TIMEOUT;
use crate::router::Router;
use crate::router::list_aggregations::{Gathering, Then};
use crate::router::now::Now;
use crate::server::list_health::Fault;
use crate::types::capability::Ask;
use crate::types::ids::{ClientId, InstanceId};
use crate::types::initialize_result::Offer;
use crate::types::list_kind::Kind;

impl Router {
    pub(crate) fn aggregate_list(&mut self, client: ClientId, id: Id, kind: Kind, now: &mut Now<'_>) {
        self.gather(client, id, Then::Answer(kind), (&[kind], None), now);
    }

    /// Gets the lists of all servers, or of one: asks those that run, starts those that are not known yet, and takes
    /// the last known list of the others. Then goes on with `then`.
    pub(crate) fn gather(
        &mut self,
        client: ClientId,
        id: Id,
        then: Then,
        (kinds, of): (&[Kind], Option<Arc<str>>),
        now: &mut Now<'_>,
    ) {
        let routes = matches!(then, Then::Route(_));
        let all = self.servers.names().cloned();
        let names: Vec<Arc<str>> = all.filter(|name| of.as_ref().is_none_or(|of| of == name)).collect();
        let mut missing = BTreeMap::new();
        let mut asked = Vec::new();
        for name in names {
            for &kind in kinds {
                match self.source_of_list(client, &name, kind, now) {
                    Source::Ask(instance, good) => {
                        let since = self.instances.get(instance).and_then(|one| one.asked_for(kind));
                        let patience = self.patience(&name, good, routes, of.is_some());
                        missing.insert((name.clone(), kind), since.unwrap_or(now.time) + patience);
                        asked.push((instance, kind));
                    }
                    Source::Memory if !routes => self.owe(client, &name, kind),
                    Source::Memory | Source::Current => {}
                }
            }
        }
        self.clients.count_request(client);
        self.gatherings.add(Gathering { client, id, then, missing });
        for (instance, kind) in asked {
            self.list(instance, kind, now);
        }
        self.end_gatherings(now);
    }

    /// How long a list of a server is waited for. What can be for this server alone costs nobody else.
    fn patience(&self, server: &str, good: bool, routes: bool, alone: bool) -> Duration {
        let Some(server) = self.servers.get(server) else { return Duration::ZERO };
        let patience = server.listing.patience(good);
        let is_worth_it = routes && !good && (alone || !patience.is_zero());
        if is_worth_it { ROUTING_LIST_TIMEOUT } else { patience }
    }

    /// Where a list is to come from now.
    fn source_of_list(&mut self, client: ClientId, name: &Arc<str>, kind: Kind, now: &mut Now<'_>) -> Source {
        let Some(key) = self.share_key(client, name) else { return Source::Memory };
        let own = self.instances.find_by_key(name, &key);
        let current = self.instances.current_of_server(name);
        let any = current.iter().find(|(_, instance)| instance.ready().is_some()).map(|(id, _)| *id);
        let Some(server) = self.servers.get(name) else { return Source::Memory };
        let held_back = server.health.held_back(now.time).is_some();
        let known = server.catalogue.list(kind).is_some();
        let current = server.catalogue.is_current(kind);
        // What others are offered who declare something else need not be what this client is offered. Extensions are
        // what tools are made for: who declares such is not told what others know before that was compared.
        let declared = own.and_then(|own| self.instances.get(own)).map_or(&key, |own| &own.key);
        let is_new = || server.measured.is_new_kind(&declared.capabilities, kind);
        let foreign = server.measured.depends(kind) || self.declares_extensions(client) && is_new();
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
                Source::Current
            }
            // It says so if it has another list when it is ready.
            Some(id) if good && self.instances.get(id).is_some_and(|instance| instance.ready().is_none()) => {
                Source::Memory
            }
            Some(instance) => Source::Ask(instance, good),
            None if held_back || good => Source::Memory,
            None => match self.instance_with(name, key, now) {
                Some(instance) => Source::Ask(instance, good),
                None => Source::Memory,
            },
        }
    }

    fn declares_extensions(&self, client: ClientId) -> bool {
        let introduction = self.clients.get(client).and_then(|client| client.introduction());
        introduction.is_some_and(|said| said.can.contains_key(&Ask::Extensions))
    }

    /// What is known of a list is what those get who wait for it.
    pub(crate) fn end_waiting(&mut self, server: &Arc<str>, kind: Kind, now: &mut Now<'_>) {
        self.gatherings.stop_waiting(server, kind);
        self.end_gatherings(now);
    }

    /// A list will not come now. Nobody waits for it any longer, but those who did will be told when it
    /// comes after all.
    pub(crate) fn missed(&mut self, server: &Arc<str>, kind: Kind, now: &mut Now<'_>) {
        for client in self.gatherings.stop_waiting(server, kind) {
            self.owe(client, server, kind);
        }
        self.end_gatherings(now);
    }

    /// Goes on with everything that has its lists, or has waited long enough.
    pub(crate) fn end_gatherings(&mut self, now: &mut Now<'_>) {
        for waiting in self.gatherings.take_finished(now.time) {
            let Gathering { client, id, then, missing, .. } = waiting;
            self.clients.uncount_request(client);
            for (server, kind) in missing.keys() {
                self.note_missed(server, *kind, now.time);
            }
            match then {
                Then::Answer(kind) => {
                    for (server, kind) in missing.into_keys() {
                        self.owe(client, &server, kind);
                    }
                    let result = self.merged(kind);
                    now.answer(client, id.clone(), answer::result(&id, &result));
                }
                Then::Route(message) => self.route_listed(client, message, now),
            }
        }
    }

    /// A list was waited for in vain: it is not waited for again.
    fn note_missed(&mut self, name: &Arc<str>, kind: Kind, time: Instant) {
        let current = self.instances.current_of_server(name);
        let asked =
            current.iter().filter_map(|(_, one)| Some((one.asked_for(kind)?, one.ready().is_some()))).min();
        let Some(server) = self.servers.get_mut(name) else { return };
        server.listing.missed(kind);
        if let Some((since, is_ready)) = asked {
            let fault = if is_ready { Fault::Unanswered(since) } else { Fault::Unready(since) };
            server.listing.note(name, kind, fault, time.saturating_duration_since(since));
        }
    }
}

/// Where a list comes from.
enum Source {
    /// It is asked for; whether what is known of it would do.
    Ask(InstanceId, bool),
    /// It is known, and its server would say if it were another by now.
    Current,
    /// What is known must do, if anything is: the server does not run, or not yet.
    Memory,
}

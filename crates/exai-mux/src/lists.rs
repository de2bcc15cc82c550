//! The lists of servers behind the aggregated endpoint: where they come from, who waits for them, and what they are
//! together.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use exai_proto::envelope::Outcome;
use exai_proto::json::{self, Edit};
use exai_proto::pages::{Cut, Next, NoList, Pages};
use exai_proto::{Id, Message, answer};

use crate::catalogue::{Gathering, Kind, Then};
use crate::discovery;
use crate::event::{ClientId, Effect, InstanceId};
use crate::instance::{Errand, Offer, Owner, Phase, Waiting};
use crate::limits::{MAX_QUOTED_CHARS, ROUTING_LIST_TIMEOUT};
use crate::listing::Fault;
use crate::names;
use crate::router::{Now, Router};
use crate::traits::Ask;

impl Router {
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
        let all = self.servers.iter().map(|server| server.policy.name.clone());
        let names: Vec<Arc<str>> = all.filter(|name| of.as_ref().is_none_or(|of| of == name)).collect();
        let mut missing = BTreeMap::new();
        let mut asked = Vec::new();
        for name in names {
            for &kind in kinds {
                match self.source_of_list(client, &name, kind, now) {
                    Source::Ask(instance, good) => {
                        let since = self.instances.get(&instance).and_then(|one| one.asked_for(kind));
                        let patience = self.patience(&name, good, routes, of.is_some());
                        missing.insert((name.clone(), kind), since.unwrap_or(now.time) + patience);
                        asked.push((instance, kind));
                    }
                    Source::Memory if !routes => self.owe(client, &name, kind),
                    Source::Memory | Source::Current => {}
                }
            }
        }
        self.count_in_flight(client, 1);
        self.gatherings.push(Gathering { client, id, then, missing });
        for (instance, kind) in asked {
            self.list(instance, kind, now);
        }
        self.end_gatherings(now);
    }

    /// How long a list of a server is waited for. What can be for this server alone costs nobody else.
    fn patience(&self, server: &str, good: bool, routes: bool, alone: bool) -> Duration {
        let Some(server) = self.server(server) else { return Duration::ZERO };
        let patience = server.listing.patience(good);
        let is_worth_it = routes && !good && (alone || !patience.is_zero());
        if is_worth_it { ROUTING_LIST_TIMEOUT } else { patience }
    }

    /// Where a list is to come from now.
    fn source_of_list(&mut self, client: ClientId, name: &Arc<str>, kind: Kind, now: &mut Now<'_>) -> Source {
        let Some(key) = self.share_key(client, name) else { return Source::Memory };
        let own = self.instance_of_key(name, &key);
        let of_server = self.instances.iter().filter(|(_, one)| one.server == *name && !one.retiring);
        let any = of_server.filter(|(_, instance)| instance.ready().is_some()).map(|(&id, _)| id).min();
        let Some(server) = self.server(name) else { return Source::Memory };
        let held_back = server.health.held_back(now.time).is_some();
        let known = server.catalogue.list(kind).is_some();
        let current = server.catalogue.is_current(kind);
        // What others are offered who declare something else need not be what this client is offered. Extensions are
        // what tools are made for: who declares such is not told what others know before that was compared.
        let declared = own.and_then(|own| self.instances.get(&own)).map_or(&key, |own| &own.key);
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
                    && self.instances.get(&id).is_some_and(|instance| {
                        instance.offer(kind) == Offer::Announced && !instance.is_listing(kind)
                    }) =>
            {
                Source::Current
            }
            // It says so if it has another list when it is ready.
            Some(id)
                if good && self.instances.get(&id).is_some_and(|instance| instance.ready().is_none()) =>
            {
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
        let introduction = self.clients.get(&client).and_then(|client| client.introduction());
        introduction.is_some_and(|said| said.can.contains_key(&Ask::Extensions))
    }

    /// Asks an instance for a list, unless it is being asked already.
    pub(crate) fn list(&mut self, instance_id: InstanceId, kind: Kind, now: &mut Now<'_>) {
        let Some(instance) = self.instances.get_mut(&instance_id) else { return };
        match &mut instance.phase {
            Phase::Starting { waiting, .. } => {
                if !waiting.iter().any(|waiting| matches!(waiting, Waiting::List(other, _) if *other == kind))
                {
                    waiting.push_back(Waiting::List(kind, now.time));
                }
            }
            Phase::Ready(_) => {
                let (offer, asking) = (instance.offer(kind), instance.is_listing(kind));
                let as_of = self.changes_of(instance_id, kind);
                if offer == Offer::Nothing {
                    return self.list_came(instance_id, kind, Vec::new(), as_of, (Duration::ZERO, None), now);
                }
                if !asking {
                    let pages = Pages::new(kind.key());
                    let owner = Owner::Router(Errand::List { kind, pages, asked: now.time, as_of });
                    let write = |number| answer::request(number, kind.method(), "{}");
                    self.send_request(instance_id, owner, write, now);
                }
            }
        }
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
        let Some(instance) = self.instances.get(&instance_id) else { return };
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
        let Some(server) = self.instances.get(&instance_id).map(|instance| instance.server.clone()) else {
            return;
        };
        if let Some(known) = self.server_mut(&server) {
            known.listing.came(&server, kind, took, cut);
        }
        self.measure(instance_id, kind, &items, now);
        self.learn(&server, kind, items, as_of, now);
        self.list_again(instance_id, kind, as_of, now);
        if !self.instances.get(&instance_id).is_some_and(|instance| instance.is_listing(kind)) {
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
        let Some(server) = self.instances.get(&instance_id).map(|instance| instance.server.clone()) else {
            return;
        };
        if let Some(known) = self.server_mut(&server) {
            known.listing.failed(&server, kind, took, fault);
        }
        self.missed(&server, kind, now);
        self.list_again(instance_id, kind, as_of, now);
    }

    /// Asks for a list again that the server has changed since it was asked for it as of so many changes.
    fn list_again(&mut self, instance_id: InstanceId, kind: Kind, as_of: u64, now: &mut Now<'_>) {
        let server = self.instances.get(&instance_id).map(|instance| instance.server.clone());
        let server = server.and_then(|name| self.server_mut(&name));
        if server.is_some_and(|server| server.catalogue.is_outdated(kind, as_of)) {
            self.list(instance_id, kind, now);
        }
    }

    /// As of how many changes of a list an instance is asked for it now.
    pub(crate) fn changes_of(&self, instance: InstanceId, kind: Kind) -> u64 {
        let server = self.instances.get(&instance).and_then(|instance| self.server(&instance.server));
        server.map_or(0, |server| server.catalogue.changes(kind))
    }

    /// A server has announced that a list is another: what is known of it is not current any more, and what it is
    /// being asked for now may not be, either.
    pub(crate) fn note_change(&mut self, instance: InstanceId, kind: Kind) {
        let current = self.instances.get(&instance).filter(|instance| !instance.retiring);
        let server = current.map(|instance| instance.server.clone());
        let Some(server) = server.and_then(|name| self.server_mut(&name)) else { return };
        for kind in kind.announced() {
            server.catalogue.changed(*kind);
        }
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
        let current = self.instances.get(&instance_id).filter(|instance| !instance.retiring);
        let Some(server) = current.map(|instance| instance.server.clone()) else { return };
        let mut pages = Pages::new(kind.key());
        if matches!(pages.take(message.bytes(), result.clone()), Ok(Next::End)) {
            let items = pages.into_items();
            self.measure(instance_id, kind, &items, now);
            self.learn(&server, kind, items, as_of, now);
            self.end_waiting(&server, kind, now);
        }
    }

    /// Notes what a run has listed to whom.
    fn measure(&mut self, instance_id: InstanceId, kind: Kind, items: &[Bytes], now: &mut Now<'_>) {
        let Some(instance) = self.instances.get(&instance_id) else { return };
        let (server, declared) = (instance.server.clone(), instance.key.capabilities.clone());
        if self.server_mut(&server).is_some_and(|known| known.measured.listed(&declared, kind, items)) {
            now.effects.push(Effect::Measured { server });
        }
    }

    fn learn(&mut self, server: &Arc<str>, kind: Kind, items: Vec<Bytes>, as_of: u64, now: &mut Now<'_>) {
        if kind == Kind::Tools && self.server_mut(server).is_some_and(|known| known.learn_repeatable(&items))
        {
            self.tell_all_repeatable(server, now);
        }
        if let Some(known) = self.server_mut(server) {
            let is_news = known.catalogue.learn(kind, items, Some(as_of));
            let owed = std::mem::take(&mut known.catalogue.owed);
            let (told, still): (BTreeSet<_>, BTreeSet<_>) =
                owed.into_iter().partition(|(_, owed)| *owed == kind);
            known.catalogue.owed = still;
            if is_news {
                discovery::learned(server, now);
                for (client, kind) in told {
                    self.tell_changed_list(client, kind, now);
                }
            }
        }
    }

    /// What is known of a list is what those get who wait for it.
    fn end_waiting(&mut self, server: &Arc<str>, kind: Kind, now: &mut Now<'_>) {
        for waiting in &mut self.gatherings {
            waiting.missing.remove(&(server.clone(), kind));
        }
        self.end_gatherings(now);
    }

    /// A list will not come now. Nobody waits for it any longer, but those who did will be told when it
    /// comes after all.
    pub(crate) fn missed(&mut self, server: &Arc<str>, kind: Kind, now: &mut Now<'_>) {
        let mut owed = Vec::new();
        for waiting in &mut self.gatherings {
            let waited = waiting.missing.remove(&(server.clone(), kind)).is_some();
            if waited && matches!(waiting.then, Then::Answer(_)) {
                owed.push(waiting.client);
            }
        }
        for client in owed {
            self.owe(client, server, kind);
        }
        self.end_gatherings(now);
    }

    /// A client is to be told when this list comes.
    pub(crate) fn owe(&mut self, client: ClientId, server: &str, kind: Kind) {
        if let Some(server) = self.server_mut(server) {
            server.catalogue.owed.insert((client, kind));
        }
    }

    /// Asks a server that has just become ready for the lists that somebody was answered without.
    pub(crate) fn list_owed(&mut self, instance: InstanceId, now: &mut Now<'_>) {
        let server = self.instances.get(&instance).and_then(|instance| self.server(&instance.server));
        let owed = server.into_iter().flat_map(|server| &server.catalogue.owed);
        let kinds: BTreeSet<Kind> = owed.map(|(_, kind)| *kind).collect();
        for kind in kinds {
            self.list(instance, kind, now);
        }
    }

    /// A server's list has changed: what is known of it is asked for again, where anybody cares.
    pub(crate) fn relist(&mut self, instance: InstanceId, kind: Kind, now: &mut Now<'_>) {
        let current = self.instances.get(&instance).filter(|instance| !instance.retiring);
        let Some(server) = current.and_then(|instance| self.server(&instance.server)) else { return };
        let is_known = |kind: &Kind| server.catalogue.list(*kind).is_some();
        let known: Vec<Kind> = kind.announced().iter().copied().filter(is_known).collect();
        for kind in known {
            self.list(instance, kind, now);
        }
    }

    /// Goes on with everything that has its lists, or has waited long enough.
    pub(crate) fn end_gatherings(&mut self, now: &mut Now<'_>) {
        if self.gatherings.is_empty() {
            return;
        }
        let waiting = std::mem::take(&mut self.gatherings);
        let (done, still): (Vec<_>, Vec<_>) = waiting
            .into_iter()
            .partition(|waiting| waiting.missing.values().all(|deadline| *deadline <= now.time));
        self.gatherings = still;
        for waiting in done {
            let Gathering { client, id, then, missing, .. } = waiting;
            self.count_in_flight(client, -1);
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
        let current = self.instances.values().filter(|one| one.server == *name && !one.retiring);
        let asked = current.filter_map(|one| Some((one.asked_for(kind)?, one.ready().is_some()))).min();
        let Some(server) = self.server_mut(name) else { return };
        server.listing.missed(kind);
        if let Some((since, is_ready)) = asked {
            let fault = if is_ready { Fault::Unanswered(since) } else { Fault::Unready(since) };
            server.listing.note(name, kind, fault, time.saturating_duration_since(since));
        }
    }

    /// The list of all servers together, under their aggregated names. Where two would have the same name or
    /// URI, the first server of the configuration has it.
    pub(crate) fn merged(&self, kind: Kind) -> Vec<u8> {
        let mut taken = BTreeSet::new();
        let mut merged = format!("{{\"{}\":[", kind.key()).into_bytes();
        for server in &self.servers {
            for item in server.catalogue.list(kind).unwrap_or_default() {
                let named = match kind {
                    Kind::Tools | Kind::Prompts => {
                        let Some(name) = member_place(item, "name") else { continue };
                        let Some(text) = json::string(item, name.clone()) else { continue };
                        if kind == Kind::Tools && !server.policy.tools.allows(&text) {
                            continue;
                        }
                        let aggregated = names::aggregated(&server.policy.name, &text);
                        let with = json::quote(&aggregated).into_bytes();
                        (aggregated, json::splice(item, vec![Edit { at: name, with }]))
                    }
                    Kind::Resources | Kind::Templates => {
                        let key = if kind == Kind::Resources { "uri" } else { "uriTemplate" };
                        let Some(uri) = crate::catalogue::member(item, key) else { continue };
                        (uri, item.to_vec())
                    }
                };
                let (name, text) = named;
                if !taken.insert(name) {
                    continue;
                }
                if taken.len() > 1 {
                    merged.push(b',');
                }
                merged.extend_from_slice(&text);
            }
        }
        merged.extend_from_slice(b"]}");
        merged
    }
}

/// The beginning of what a server has said, for a sentence.
fn beginning(text: &str) -> String {
    text.chars().take(MAX_QUOTED_CHARS).collect()
}

fn member_place(item: &Bytes, key: &str) -> Option<Range<usize>> {
    json::find(item, 0..item.len(), key)
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

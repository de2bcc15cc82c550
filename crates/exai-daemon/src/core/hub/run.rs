//! The loop: it hears one event after the other, and looks at the time when a deadline is reached.

use std::time::{Duration, Instant};

use exai_mux::{ClientId, Event, InstanceId};
use exai_os::clock;
use exai_proto::Message;
use tokio::time::sleep;

use super::Hub;
use crate::client::sink::CloseReason;
use crate::core::event::{HubEvent, Inboxes};
use crate::observe::process_monitor::MonitorEvent;
use crate::state::discovery;
use crate::upstream::event::ServerEvent;

/// How many events of one kind are worked on before the loop looks at another kind.
const BATCH: usize = 64;
/// How often the loop looks at the time while the daemon drains.
const DRAIN_CHECK_INTERVAL: Duration = Duration::from_millis(250);

impl Hub {
    /// Runs until the daemon has stopped: no request under way, no program left.
    pub(crate) async fn run(mut self, mut inboxes: Inboxes) {
        let policies = self.configure();
        // The first clients must not wait for what is known, nor others for a file that somebody has open.
        let home = self.host.home.clone();
        let known = tokio::task::spawn_blocking(move || discovery::load_discoveries(&home, &policies)).await;
        self.know(known.unwrap_or_default());
        let mut heard = Vec::with_capacity(BATCH);
        let mut done = Vec::with_capacity(BATCH);
        loop {
            let now = clock::now();
            if self.due.needs_settling(now) {
                self.due.settle(self.next_due(now), now);
            }
            let due = self.due.next();
            let until_due = async {
                match due {
                    Some(at) => sleep(clock::until(at)).await,
                    None => std::future::pending().await,
                }
            };
            // In no fixed order: a server that talks without end must not keep clients from being heard.
            tokio::select! {
                _ = inboxes.jobs.recv_many(&mut done, BATCH) => {
                    self.due.unsettle();
                    for (instance, event) in done.drain(..) {
                        self.job(instance, event);
                    }
                }
                Some((instance, event)) = inboxes.servers.recv() => {
                    self.due.unsettle();
                    self.hear_server(instance, event);
                }
                Some(event) = inboxes.monitor.recv() => {
                    self.due.unsettle();
                    self.hear_monitor(event);
                }
                _ = inboxes.events.recv_many(&mut heard, BATCH) => {
                    self.due.unsettle();
                    for event in heard.drain(..) {
                        self.hear(event);
                    }
                }
                () = until_due => {}
            }
            if self.due.is_reached(clock::now()) {
                self.due.unsettle();
                self.tick();
            }
            // The last answer may have been given: whoever waits for the next daemon need not wait for a tick.
            self.stop_if_drained();
            if self.is_done() {
                break;
            }
        }
        let clients: Vec<ClientId> = self.clients.keys().copied().collect();
        for client in clients {
            self.let_go(client, CloseReason::Stopping);
        }
    }

    pub(super) fn hear(&mut self, event: HubEvent) {
        match event {
            HubEvent::Said { client, messages, claim, turn } => {
                // Who was let go meanwhile has said it to nobody.
                if self.clients.contains_key(&client) {
                    self.said(client, messages);
                    turn.end();
                }
                drop(claim);
            }
            HubEvent::Open { client, endpoint, sink, facts } => self.open(client, endpoint, sink, facts),
            HubEvent::Held { client } => {
                self.stopping.iter_mut().for_each(|stopping| stopping.heard(client));
                self.stop_if_drained();
            }
            HubEvent::Close { client, why } => {
                self.let_go(client, why);
                self.run_pending();
            }
            HubEvent::Checked { instance, checked } => self.checked(instance, checked),
            HubEvent::Builtin { instance, message } => {
                if let Ok(message) = Message::parse(message) {
                    self.route(Event::FromServer { instance, message });
                }
            }
            HubEvent::Ask(question) => self.reply(question),
            HubEvent::Loaded { outcome, reply } => self.load(outcome, reply),
            HubEvent::Known(servers) => self.know(servers),
            HubEvent::Warm { server } => self.route(Event::Warm { server: server.into() }),
            HubEvent::Stop { grace, reason } => self.begin_stop(grace, reason),
        }
    }

    fn hear_server(&mut self, instance: InstanceId, event: ServerEvent) {
        match event {
            ServerEvent::Started(outcome) => self.spawned(instance, outcome),
            ServerEvent::Http(event) => self.upstream(instance, event),
        }
    }

    fn hear_monitor(&mut self, event: MonitorEvent) {
        match event {
            MonitorEvent::Ping { instance } => self.route(Event::Ping { instance }),
            MonitorEvent::Unserved { instance } => self.unserved(instance),
            MonitorEvent::Orphaned { client } => {
                self.let_go(client, CloseReason::Gone);
                self.run_pending();
            }
        }
    }

    /// When time must be looked at next, as things are now.
    pub(super) fn next_due(&self, now: Instant) -> Option<Instant> {
        let clients = self.clients.values().filter_map(|client| client.sink.next_check(now));
        let stopping = self.stopping.is_some().then(|| now + DRAIN_CHECK_INTERVAL);
        clients.chain(self.router.next_tick(now)).chain(stopping).min()
    }

    pub(super) fn tick(&mut self) {
        let now = clock::now();
        let going: Vec<(ClientId, CloseReason)> = self
            .clients
            .iter_mut()
            .filter_map(|(&id, client)| client.sink.check(now).map(|why| (id, why)))
            .collect();
        for (client, why) in going {
            self.let_go(client, why);
        }
        self.route(Event::Tick);
    }
}

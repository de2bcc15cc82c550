//! The loop of the hub: it handles one event after the other, and looks at the time when a deadline is reached.

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

/// How many events of one channel are handled before the loop looks at another channel.
const BATCH: usize = 64;
/// How often the loop looks at the time while the daemon drains.
const DRAIN_CHECK_INTERVAL: Duration = Duration::from_millis(250);

impl Hub {
    /// Runs until the daemon has stopped: no request is under way, and no server is left.
    pub(crate) async fn run(mut self, mut inboxes: Inboxes) {
        let policies = self.configure_router();
        // Before the first event, so that the first clients get their lists from memory. On another thread, since a file
        // system may hang.
        let home = self.host.home.clone();
        let known = tokio::task::spawn_blocking(move || discovery::load_discoveries(&home, &policies)).await;
        self.learn_discoveries(known.unwrap_or_default());
        let mut heard = Vec::with_capacity(BATCH);
        let mut done = Vec::with_capacity(BATCH);
        loop {
            let now = clock::now();
            if self.due.needs_settling(now) {
                self.due.settle(self.find_deadline(now), now);
            }
            let due = self.due.next();
            let until_due = async {
                match due {
                    Some(at) => sleep(clock::until(at)).await,
                    None => std::future::pending().await,
                }
            };
            // `select!` tries the channels in random order: a server that talks without end must not silence clients.
            tokio::select! {
                _ = inboxes.jobs.recv_many(&mut done, BATCH) => {
                    self.due.unsettle();
                    for (instance, event) in done.drain(..) {
                        self.hear_job(instance, event);
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
                        self.hear_event(event);
                    }
                }
                () = until_due => {}
            }
            if self.due.is_reached(clock::now()) {
                self.due.unsettle();
                self.handle_deadline();
            }
            // The last answer may have just been given, and the next daemon is waited for.
            self.stop_if_drained();
            if self.has_stopped() {
                break;
            }
        }
        let clients: Vec<ClientId> = self.clients.keys().copied().collect();
        for client in clients {
            self.disconnect(client, CloseReason::Stopping);
        }
    }

    pub(super) fn hear_event(&mut self, event: HubEvent) {
        match event {
            HubEvent::Said { client, messages, claim, turn } => {
                // The messages of a client that was disconnected meanwhile are dropped.
                if self.clients.contains_key(&client) {
                    self.hear_messages(client, messages);
                    turn.end();
                }
                drop(claim);
            }
            HubEvent::Open { client, endpoint, sink, facts } => {
                self.open_client(client, endpoint, sink, facts);
            }
            HubEvent::Held { client } => {
                self.stopping.iter_mut().for_each(|stopping| stopping.heard(client));
                self.stop_if_drained();
            }
            HubEvent::Close { client, why } => {
                self.disconnect(client, why);
                self.run_pending();
            }
            HubEvent::Checked { instance, checked } => self.hear_checked(instance, checked),
            HubEvent::Ask(question) => self.answer_question(question),
            HubEvent::Loaded { outcome, reply } => self.load_configuration(outcome, reply),
            HubEvent::Known(servers) => self.learn_discoveries(servers),
            HubEvent::SignedIn { servers } => {
                for server in servers {
                    self.route(Event::Recovered { server });
                }
            }
            HubEvent::Warm { server } => {
                for server in self.places_of(&server) {
                    self.route(Event::WarmUp { server });
                }
            }
            HubEvent::Stop { grace, reason } => self.begin_stop(grace, reason),
        }
    }

    fn hear_server(&mut self, instance: InstanceId, event: ServerEvent) {
        match event {
            ServerEvent::Started(outcome) => self.hear_started(instance, outcome),
            ServerEvent::Conversation(event) => self.hear_conversation(instance, event),
            ServerEvent::BuiltinAsked(message) => self.ask_builtin(instance, message),
            ServerEvent::BuiltinAnswered(message) => {
                if let Ok(message) = Message::parse(message) {
                    self.route(Event::FromServer { instance, message });
                }
            }
        }
    }

    fn hear_monitor(&mut self, event: MonitorEvent) {
        match event {
            MonitorEvent::Ping { instance } => self.route(Event::Ping { instance }),
            MonitorEvent::Unserved { instance } => self.end_unserved(instance),
            MonitorEvent::Orphaned { client } => {
                self.disconnect(client, CloseReason::Gone);
                self.run_pending();
            }
        }
    }

    /// The first deadline of clients, router and drain.
    pub(super) fn find_deadline(&self, now: Instant) -> Option<Instant> {
        let clients = self.clients.values().filter_map(|client| client.sink.next_check_time(now));
        let stopping = self.stopping.is_some().then(|| now + DRAIN_CHECK_INTERVAL);
        clients.chain(self.router.next_tick(now)).chain(stopping).min()
    }

    pub(super) fn handle_deadline(&mut self) {
        let now = clock::now();
        let going: Vec<(ClientId, CloseReason)> = self
            .clients
            .iter_mut()
            .filter_map(|(&id, client)| client.sink.find_close_reason(now).map(|why| (id, why)))
            .collect();
        for (client, why) in going {
            self.disconnect(client, why);
        }
        self.route(Event::Tick);
    }
}

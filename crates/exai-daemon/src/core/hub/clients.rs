//! Clients: they connect, send messages, are sent messages, and disconnect.

use exai_mux::{About, ClientId, Endpoint, Event};
use exai_proto::answer::{self, Failure, FailureData, Source};
use exai_proto::link::ByeReason;
use exai_proto::{Id, Kind, Message, Segments};

use super::{ConnectedClient, Hub};
use crate::client::sink::{CloseReason, Sink};
use crate::core::stopping::Stopping;
use crate::limits::MAX_LOGGED_CHARS;
use crate::observe::facts::{BUILTIN_NAME, ClientFacts};
use crate::state::last_connections;

impl Hub {
    pub(super) fn open_client(
        &mut self,
        client: ClientId,
        endpoint: Endpoint,
        mut sink: Sink,
        facts: ClientFacts,
    ) {
        // Removed between the check of the request and now.
        if facts.holder.is_revoked() {
            return sink.refuse_revoked();
        }
        // A shim waits for the next daemon, so its link is closed at once. Other clients get answers from memory, and the
        // command line may ask for the status.
        if let Some(stopping) = self.stopping.as_ref().filter(|_| facts.shown && facts.is_shim()) {
            return sink.close(CloseReason::Stopping, stopping.reason());
        }
        let ClientFacts { transport, shim_pid: pid, ref label, shown, .. } = facts;
        let (label, token) = (label.as_deref().map(beginning), facts.holder.token_name());
        if facts.lasts() {
            tracing::info!(%client, transport, pid, label, token, "client connected");
        } else {
            tracing::debug!(%client, transport, pid, "a command or a request connected");
        }
        if let Some(pid) = pid.filter(|_| shown) {
            self.host.monitor.add_shim(client, pid);
        }
        self.warn_of_unknown_servers(client, &endpoint);
        let (name, directory, stateless) = (facts.name(), facts.directory.clone(), facts.stateless);
        sink.send_greeting();
        self.clients.insert(client, ConnectedClient { sink, facts });
        self.route(Event::Opened { client, endpoint, name, directory, stateless });
    }

    /// A client that wants several servers sees those that are configured.
    fn warn_of_unknown_servers(&self, client: ClientId, endpoint: &Endpoint) {
        let Endpoint::Several(names) = endpoint else { return };
        let is_known = |name: &str| self.config.servers.get(name).is_some() || name == BUILTIN_NAME;
        let unknown: Vec<&str> = names.iter().map(|name| &**name).filter(|name| !is_known(name)).collect();
        if !unknown.is_empty() {
            let unknown = unknown.join(", ");
            tracing::warn!(%client, unknown, "a client wants servers that are not configured");
        }
    }

    pub(super) fn hear_messages(&mut self, client: ClientId, messages: Vec<Message>) {
        let late = self.stopping.as_ref().is_some_and(|stopping| !stopping.serves(client));
        for message in messages {
            let mut introduces = false;
            if let Kind::Request { method, .. } = message.kind() {
                self.counters.calls += 1;
                introduces = message.str_at(method) == "initialize";
            }
            self.route(if late {
                Event::FromClientWhileDraining { client, message }
            } else {
                Event::FromClient { client, message }
            });
            if introduces {
                self.log_introduction(client);
                self.record_connection(client);
            }
        }
    }

    fn log_introduction(&self, client: ClientId) {
        let shown = self.clients.get(&client).is_some_and(|client| client.facts.shown);
        let Some(view) = self.router.client(client).filter(|_| shown) else { return };
        let (name, version) = (view.name.as_deref().map(beginning), view.build.as_deref().map(beginning));
        let pid = self.clients.get(&client).and_then(|client| client.facts.shim_pid);
        tracing::info!(%client, name, version, pid, "client introduced itself");
    }

    /// Records that a client with a label is connected, once it is known which program it is: with `initialize`, and when it
    /// leaves.
    fn record_connection(&mut self, client: ClientId) {
        let Some(connected) = self.clients.get(&client).filter(|client| client.facts.shown) else { return };
        let Some(label) = connected.facts.label.clone() else { return };
        let Some(view) = self.router.client(client).filter(|view| view.version.is_some()) else { return };
        let program = (view.name, view.build);
        if last_connections::record(&mut self.last_connections, &label, program, jiff::Timestamp::now()) {
            let known = self.last_connections.clone();
            let path = self.host.home.last_connections();
            self.store.queue_write(path, move || last_connections::encode_file(&known));
        }
    }

    pub(super) fn send_to_client(&mut self, client: ClientId, bytes: Segments, about: About) {
        let Some(connected) = self.clients.get(&client) else { return };
        // A message of several segments is long, and no error of the daemon's own.
        if let (About::Answer(id), Some(answer)) = (&about, bytes.as_whole()) {
            self.counters.answered(id, answer);
        }
        if let Err(slow) = connected.sink.send_message(bytes, about) {
            tracing::warn!(%client, queued = slow.queued, "too much waits for this client");
            self.disconnect(client, CloseReason::Slow);
        }
    }

    /// Answers a request that came too late for this daemon.
    pub(super) fn answer_unserved(&mut self, client: ClientId, id: &Id) {
        let Some(connected) = self.clients.get(&client) else { return };
        let data = FailureData::new(Source::Daemon, Failure::DaemonUnavailable);
        let bytes = answer::failure(id, "the daemon is stopping", &data);
        if connected.sink.refuse_request(id, bytes).is_err() {
            self.disconnect(client, CloseReason::Slow);
        }
    }

    /// Disconnects the clients whose token was removed. Returns how many there were.
    pub(super) fn end_revoked(&mut self) -> usize {
        let is_revoked = |connected: &ConnectedClient| connected.facts.holder.is_revoked();
        let gone: Vec<ClientId> =
            self.clients.iter().filter(|(_, client)| is_revoked(client)).map(|(id, _)| *id).collect();
        for client in &gone {
            self.disconnect(*client, CloseReason::Revoked);
        }
        self.run_pending();
        gone.len()
    }

    /// Removes a client. The router hears of it with the next [`Hub::run_pending`].
    pub(super) fn disconnect(&mut self, client: ClientId, why: CloseReason) {
        self.record_connection(client);
        if let Some(connected) = self.clients.remove(&client) {
            self.host.monitor.remove_client(client);
            self.counters.clients_cut += u64::from(why == CloseReason::Slow);
            let bye = self.stopping.as_ref().map_or(ByeReason::Stop, Stopping::reason);
            self.stopping.iter_mut().for_each(|stopping| stopping.heard(client));
            connected.sink.close(why, bye);
            if connected.facts.lasts() {
                tracing::info!(%client, why = why.as_str(), "client gone");
            } else {
                tracing::debug!(%client, why = why.as_str(), "a command or a request is gone");
            }
            self.pending.push_back(Event::Closed { client });
        }
    }
}

/// The beginning of a name that a client gives itself, for the log.
fn beginning(text: &str) -> &str {
    text.char_indices().nth(MAX_LOGGED_CHARS).map_or(text, |(end, _)| &text[..end])
}

//! Instances: they are started, sent messages, and stopped.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use exai_config::ServerKind;
use exai_mux::{Down, Event, InstanceId};
use exai_proto::Segments;
use exai_supervisor::JobEvent;
use exai_supervisor::outbox::Unsent;

use super::long_messages::long;
use super::{DeferredEvent, HostedInstance, Hub, InstanceState};
use crate::core::event::Arrival;
use crate::limits::{SERVER_QUEUE, SERVER_STOP_TIMEOUT};
use crate::upstream::builtin::{self, BuiltinUpstream};
use crate::upstream::conversation_event::ConversationEvent;
use crate::upstream::event::{RemoteWay, ServerEvent, Started, StartedProcess};
use crate::upstream::http::HttpUpstream;
use crate::upstream::listening::{Conversation, ListeningUpstream};
use crate::upstream::policy;
use crate::upstream::remote::RemoteUpstream;
use crate::upstream::running::{Stop, Upstream};
use crate::upstream::server_output::OutputReader;
use crate::upstream::stdio::StdioUpstream;
use crate::upstream::websocket::WebSocketUpstream;

impl Hub {
    /// Stops an instance that cannot be used any more. The router hears at once that it is down.
    pub(super) fn give_up_instance(&mut self, instance: InstanceId, reason: String, grace: Duration) {
        let why = match self.hosted.get(&instance).map(|hosted| &hosted.body) {
            Some(InstanceState::Running(running) | InstanceState::Stopping(running)) => Down {
                reason: running.explain(reason),
                stderr_tail: running.stderr_tail(),
                see: running.where_to_look(),
            },
            Some(InstanceState::Waiting | InstanceState::Spawning | InstanceState::Unwanted) | None => {
                Down::because(reason)
            }
        };
        self.stop_instance(instance, &why.reason, grace);
        self.pending.push_back(Event::Down { instance, why });
    }

    pub(super) fn end_unserved(&mut self, instance: InstanceId) {
        let Some(hosted) = self.hosted.get(&instance) else { return };
        if !matches!(hosted.body, InstanceState::Running(_)) {
            return;
        }
        tracing::warn!(server = %hosted.server, "the server is gone, its launcher lives on: ended");
        *self.restarts.entry(hosted.server.clone()).or_default() += 1;
        // The process that would use the grace has ended already.
        self.give_up_instance(
            instance,
            "ended, though what had started it lives on".to_owned(),
            Duration::ZERO,
        );
        self.run_pending();
    }

    pub(super) fn send_to_server(&mut self, instance: InstanceId, bytes: Segments, number: Option<u64>) {
        let sent = match self.hosted.get(&instance).map(|hosted| &hosted.body) {
            Some(InstanceState::Running(running)) => running.send(bytes.clone(), number),
            Some(
                InstanceState::Waiting
                | InstanceState::Spawning
                | InstanceState::Unwanted
                | InstanceState::Stopping(_),
            )
            | None => Err(Unsent::Closed),
        };
        if let Err(unsent) = sent {
            tracing::debug!(?instance, %unsent, "not sent");
            let why = match unsent {
                Unsent::Full { .. } => exai_mux::Unsent::Full,
                Unsent::Closed => exai_mux::Unsent::Ending(bytes),
            };
            self.pending.extend(number.map(|number| Event::Unsent { instance, number, why }));
        }
    }

    pub(super) fn ask_builtin(&mut self, instance: InstanceId, bytes: Bytes) {
        let facts = self.copy_facts();
        let servers = self.servers.clone();
        self.host.tasks.spawn(async move {
            let answered = tokio::task::spawn_blocking(move || builtin::answer(&bytes, &facts));
            if let Ok(Some(message)) = answered.await {
                // The hub ends only with the daemon.
                let _ = servers.send((instance, ServerEvent::BuiltinAnswered(message))).await;
            }
        });
    }

    pub(super) fn start_instance(&mut self, instance: InstanceId, server: &Arc<str>, number: u32) {
        if self.stopping.as_ref().is_some_and(|stopping| !stopping.starts()) {
            let reason = "could not be started: the daemon is stopping".to_owned();
            let why = Down::not_started(reason);
            return self.pending.push_back(Event::Down { instance, why });
        }
        let has_port = self.has_port(server);
        let another = self.hosted.values().any(|hosted| hosted.server == *server);
        let body = if has_port && another {
            InstanceState::Waiting
        } else if let Some(config) = policy::server_at(&self.config, server) {
            tracing::info!(%server, number, "starting");
            self.host.start(instance, (server, number), config.clone(), &self.servers, &self.jobs);
            InstanceState::Spawning
        } else {
            self.pending.push_back(Event::Up { instance });
            let builtin = BuiltinUpstream::new(instance, self.servers.clone());
            InstanceState::Running(Box::new(builtin))
        };
        self.forget_garble(server);
        let started_at = jiff::Timestamp::now();
        let reader = OutputReader::default();
        self.hosted.insert(
            instance,
            HostedInstance {
                server: server.clone(),
                number,
                started_at,
                body,
                reader,
                early: Vec::new(),
                behind: None,
            },
        );
    }

    /// Whether a server opens a port of its own, which only one instance at a time can hold.
    fn has_port(&self, server: &str) -> bool {
        policy::server_at(&self.config, server).is_some_and(|config| config.kind() == ServerKind::Listening)
    }

    /// Starts the instance that waited for the end of another one of the same server.
    fn start_waiting(&mut self, server: &Arc<str>) {
        let waits = |hosted: &HostedInstance| {
            hosted.server == *server && matches!(hosted.body, InstanceState::Waiting)
        };
        let Some(instance) = self.hosted.iter().filter(|(_, it)| waits(it)).map(|(&id, _)| id).min() else {
            return;
        };
        if let Some(waiting) = self.hosted.remove(&instance) {
            self.start_instance(instance, server, waiting.number);
            self.run_pending();
        }
    }

    pub(super) fn handle_conversation_event(&mut self, instance: InstanceId, event: ConversationEvent) {
        let grace = self.stop_grace();
        let Some(HostedInstance { body, server, .. }) = self.hosted.get_mut(&instance) else { return };
        match (event, body) {
            (ConversationEvent::Up, InstanceState::Running(_)) => self.route(Event::Up { instance }),
            (ConversationEvent::Said(line, turn), InstanceState::Running(_)) if long(&line) => {
                // The turn ends when the message was heard.
                self.check_long_message(instance, line, Arrival::Document, DeferredEvent::Heard(turn));
            }
            (ConversationEvent::Said(line, _turn), InstanceState::Running(_)) => {
                self.hear_document(instance, line);
            }
            (ConversationEvent::Garbled(garbled, _turn), InstanceState::Running(_)) => {
                self.handle_garbled(instance, garbled);
            }
            (ConversationEvent::Failed(reason), InstanceState::Running(running)) => {
                tracing::warn!(%server, reason, "failed");
                *self.restarts.entry(server.clone()).or_default() += 1;
                running.forget_session();
                self.give_up_instance(instance, reason, grace);
                self.run_pending();
            }
            (ConversationEvent::SignInEnded(wanted), InstanceState::Running(_)) => {
                tracing::info!(%server, reason = wanted.reason, "the sign-in has ended");
                let (server, why) = (server.clone(), wanted.into_down());
                self.route(Event::SignInEnded { server, why });
            }
            (ConversationEvent::SignInTaken, InstanceState::Running(_)) => {
                let server = server.clone();
                self.route(Event::Recovered { server });
            }
            (ConversationEvent::SignedOut(wanted), InstanceState::Running(running)) => {
                tracing::info!(%server, reason = wanted.reason, "signed out");
                running.forget_session();
                let why = wanted.into_down();
                self.stop_instance(instance, &why.reason, grace);
                self.pending.push_back(Event::Down { instance, why });
                self.run_pending();
            }
            // The session ended, or failed, while the server was being stopped: the processes are next, if there are any.
            (
                ConversationEvent::Closed | ConversationEvent::Failed(_) | ConversationEvent::SignedOut(_),
                InstanceState::Running(running) | InstanceState::Stopping(running),
            ) => {
                running.forget_session();
                if running.stop(grace) == Stop::Done {
                    self.hosted.remove(&instance);
                }
            }
            (_, _) => {}
        }
    }

    pub(super) fn hear_started(&mut self, instance: InstanceId, outcome: Result<Started, Down>) {
        let grace = self.stop_grace();
        let Some(hosted) = self.hosted.get_mut(&instance) else {
            // The instance has ended meanwhile.
            if let Ok(Started::Process(started)) = outcome {
                self.host.monitor.discard_record(started.record);
            }
            return;
        };
        let running: Box<dyn Upstream> = match outcome {
            Ok(Started::Remote(way, target, client)) => {
                let whose = (hosted.server.clone(), instance);
                let (events, tasks) = (self.servers.clone(), &self.host.tasks);
                match way {
                    RemoteWay::Http => {
                        let http = HttpUpstream::start(&target, client, whose, events, SERVER_QUEUE, tasks);
                        Box::new(RemoteUpstream::new(http))
                    }
                    RemoteWay::WebSocket => {
                        let to = (*target, client);
                        Box::new(WebSocketUpstream::start(to, whose, events, SERVER_QUEUE, tasks))
                    }
                }
            }
            Ok(Started::Process(started)) => {
                let StartedProcess { job, record, written, max_processes, target, via } = *started;
                self.host.monitor.add_tree(instance, (record, written), &job, max_processes);
                let mut running: Box<dyn Upstream> = match target {
                    None => Box::new(StdioUpstream::new(job, via)),
                    Some(target) => {
                        let whose = (hosted.server.clone(), instance);
                        let (monitor, events) = (self.host.monitor.clone(), self.servers.clone());
                        let tasks = &self.host.tasks;
                        let conversation = if target.is_web_socket() {
                            let (limit, start) = (SERVER_QUEUE, WebSocketUpstream::start_own);
                            Conversation::WebSocket(start(target, whose, monitor, events, limit, tasks))
                        } else {
                            let (limit, start) = (SERVER_QUEUE, HttpUpstream::start_own);
                            Conversation::Http(start(&target, whose, monitor, events, limit, tasks))
                        };
                        Box::new(ListeningUpstream::new(job, conversation))
                    }
                };
                hosted.early.drain(..).for_each(|line| running.print(&line));
                running
            }
            Err(why) => {
                tracing::warn!(server = %hosted.server, reason = why.reason, "could not be started");
                let server = hosted.server.clone();
                self.hosted.remove(&instance);
                self.route(Event::Down { instance, why });
                return self.start_waiting(&server);
            }
        };
        if matches!(hosted.body, InstanceState::Unwanted) {
            running.stop(grace);
            hosted.body = InstanceState::Stopping(running);
        } else {
            let is_up = running.is_up();
            hosted.body = InstanceState::Running(running);
            if is_up {
                self.route(Event::Up { instance });
            }
        }
    }

    /// How long a server may take for each step of its end: less when the daemon stops, since a person waits for that.
    pub(super) fn stop_grace(&self) -> Duration {
        if self.stopping.is_some() { SERVER_STOP_TIMEOUT } else { exai_supervisor::limits::STOP_GRACE }
    }

    /// Stops an instance. `reason` goes to the log and reads after "the server".
    pub(super) fn stop_instance(&mut self, instance: InstanceId, reason: &str, grace: Duration) {
        let Some(mut hosted) = self.hosted.remove(&instance) else { return };
        hosted.body = match hosted.body {
            InstanceState::Running(running) => {
                if running.stop(grace) == Stop::Done {
                    return;
                }
                tracing::info!(server = %hosted.server, pid = running.root_pid(), reason, "stopping");
                InstanceState::Stopping(running)
            }
            InstanceState::Spawning => InstanceState::Unwanted,
            InstanceState::Waiting => return,
            body @ (InstanceState::Unwanted | InstanceState::Stopping(_)) => body,
        };
        self.hosted.insert(instance, hosted);
    }

    pub(super) fn handle_job_event(&mut self, instance: InstanceId, event: JobEvent) {
        match event {
            JobEvent::Lines(lines, turn) => {
                let mut lines = lines.into_iter();
                while let Some(line) = lines.next() {
                    if long(&line) {
                        let rest = DeferredEvent::Job(JobEvent::Lines(lines.collect(), turn));
                        return self.check_long_message(instance, line, Arrival::Line, rest);
                    }
                    self.hear_line(instance, line);
                }
            }
            JobEvent::Ended(ended) => {
                self.finish_output(instance);
                if !ended.left.is_empty() {
                    tracing::error!(left = ?ended.left, "processes of a server could not be ended");
                }
                self.host.monitor.remove_tree(instance, &ended.left);
                let mut why =
                    Down { stderr_tail: ended.stderr_tail.clone(), ..Down::because(ended.reason.clone()) };
                let hosted = self.hosted.remove(&instance);
                if let Some(hosted) = &hosted {
                    tracing::info!(server = %hosted.server, reason = why.reason, "ended");
                    if let InstanceState::Running(running) | InstanceState::Stopping(running) = &hosted.body {
                        // Text on stdout until the end belongs to it.
                        why.stderr_tail = running.stderr_tail();
                    }
                    // The end of a server that was stopped on purpose is no crash.
                    if let InstanceState::Running(running) = &hosted.body {
                        why.reason = running.explain_end(&ended);
                        *self.restarts.entry(hosted.server.clone()).or_default() += 1;
                    }
                }
                self.route(Event::Down { instance, why });
                if let Some(hosted) = hosted {
                    self.start_waiting(&hosted.server);
                }
            }
        }
    }
}

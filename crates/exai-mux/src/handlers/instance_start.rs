//! How a server becomes ready: what it is asked first, and what follows from its answer.
//!
//! A server whose eras are not known is asked `server/discover` first, as the specification wants (basic/versioning).
//! Whatever it answers but a modern introduction makes it a legacy server: then it is sent `initialize` on the same pipe.
//! What follows if it does not answer at all is in `probing.rs`.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use exai_proto::envelope::Outcome;
use exai_proto::modern::offers_modern;
use exai_proto::{Message, limits, version};

use crate::dialect::{legacy, modern};
use crate::instance::request::{InternalRequest, Owner};
use crate::instance::start_queue::Waiting;
use crate::instance::{Opening, Phase, Probe};
use crate::limits::{MAX_QUOTED_CHARS, PING_TIMEOUT};
use crate::router::Router;
use crate::router::event_context::EventContext;
use crate::types::effect::Effect;
use crate::types::era::Era;
use crate::types::era_verdict::EraVerdict;
use crate::types::event::Down;
use crate::types::ids::InstanceId;
use crate::types::introduction::Introduction;
use crate::types::list_kind::{LIST_KINDS, ListKind};

impl Router {
    /// Sends the first request to an instance whose process runs.
    pub(crate) fn open_conversation(&mut self, instance_id: InstanceId, cx: &mut EventContext<'_>) {
        let Some(instance) = self.instances.get_mut(instance_id) else { return };
        let Phase::Starting { opening, .. } = &mut instance.phase else { return };
        match opening {
            Opening::Initialize { .. } => self.send_initialize(instance_id, cx),
            Opening::Discover { .. } => self.send_discover(instance_id, cx),
            Opening::Probe(probe) => {
                probe.asked = Some(cx.time);
                self.send_discover(instance_id, cx);
            }
        }
    }

    pub(crate) fn send_initialize(&mut self, instance_id: InstanceId, cx: &mut EventContext<'_>) {
        let Some(instance) = self.instances.get(instance_id) else { return };
        let capabilities = instance.key.capabilities.clone();
        let write = |number| legacy::write_initialize(number, &capabilities);
        self.send_request(instance_id, Owner::Router(InternalRequest::Initialize), write, cx);
    }

    fn send_discover(&mut self, instance_id: InstanceId, cx: &mut EventContext<'_>) {
        self.send_request(instance_id, Owner::Router(InternalRequest::Discover), modern::write_discover, cx);
    }

    /// Handles the answer to `server/discover`.
    pub(crate) fn finish_discover(
        &mut self,
        instance_id: InstanceId,
        message: &Message,
        outcome: &Outcome,
        cx: &mut EventContext<'_>,
    ) {
        let said = match outcome {
            Outcome::Result(result) => modern::read_discover_result(message.bytes().slice(result.clone())),
            Outcome::Error(_) => None,
        };
        let Some(instance) = self.instances.get_mut(instance_id) else { return };
        let Phase::Starting { opening, .. } = &mut instance.phase else {
            // The next process that is started for a client of the modern era speaks it.
            let server = instance.server.clone();
            if let (Some(said), Some(known)) = (said, self.servers.get_mut(&server)) {
                known.offering_mut(Era::Modern).set_introduction(said);
                cx.note_discovery_changed(&server, Era::Modern);
                self.note_era(&server, Era::Modern, EraVerdict::yes("answered server/discover late"), cx);
            }
            return;
        };
        if let Some(said) = said {
            let (server, key) = (instance.server.clone(), instance.key.in_era(Era::Modern));
            let known = self.instances.find_by_key(&server, &key);
            // Clients that declare different things have started the server twice, and can share it after all.
            if known.is_some_and(|known| known != instance_id) {
                return self.replace_instance(instance_id, "is there already", cx);
            }
            return self.become_ready(instance_id, said, cx);
        }
        let why = format!("answered server/discover with {}", quote(message));
        let server = instance.server.clone();
        let is_pinned = self.servers.get(&server).is_some_and(|server| server.eras.pinned.is_some());
        let sent_initialize = match opening {
            _ if is_pinned => {
                let reason = format!("does not speak {}: it {why}", version::MODERN);
                return cx.effects.push(Effect::GiveUp { instance: instance_id, reason });
            }
            Opening::Discover { after_initialize: Some(said) } => {
                let reason = write_refusal(said);
                return cx.effects.push(Effect::GiveUp { instance: instance_id, reason });
            }
            Opening::Probe(Probe { sent_initialize, .. }) => *sent_initialize,
            Opening::Initialize { .. } | Opening::Discover { after_initialize: None } => false,
        };
        *opening = Opening::Initialize { after_discover: true };
        self.note_era(&server, Era::Modern, EraVerdict::no(why), cx);
        if !sent_initialize {
            self.send_initialize(instance_id, cx);
        }
    }

    /// Handles the answer to `initialize`.
    pub(crate) fn finish_initialize(
        &mut self,
        instance_id: InstanceId,
        message: &Message,
        outcome: &Outcome,
        cx: &mut EventContext<'_>,
    ) {
        let Some(instance) = self.instances.get_mut(instance_id) else { return };
        let Phase::Starting { opening, .. } = &mut instance.phase else { return };
        let said = match outcome {
            Outcome::Result(result) => legacy::read_initialize_result(message.bytes().slice(result.clone())),
            Outcome::Error(_) => None,
        };
        let server = instance.server.clone();
        if let Some(said) = said {
            if let Opening::Probe(_) = opening {
                let why = "has answered initialize, but not server/discover";
                self.note_era(&server, Era::Modern, EraVerdict::no(why), cx);
            }
            return self.become_ready(instance_id, said, cx);
        }
        if let Some(known) = self.servers.get_mut(&server) {
            known.eras.failed_probe = None;
        }
        let (said, is_modern) = (quote(message), names_modern(message, outcome));
        let is_refused_whole = match opening {
            Opening::Probe(_) if !is_modern => {
                // Its answer to `server/discover` is still to come.
                *opening = Opening::Discover { after_initialize: Some(said) };
                return;
            }
            Opening::Initialize { after_discover } => *after_discover,
            Opening::Probe(_) | Opening::Discover { .. } => false,
        };
        let known = self.servers.get(&server);
        let is_pinned = known.is_some_and(|server| server.eras.pinned.is_some());
        let speaks_modern = known.is_some_and(|server| server.eras.speaks(Era::Modern) == Some(true));
        if is_refused_whole || is_pinned || !(speaks_modern || is_modern) {
            let reason = write_refusal(&said);
            return cx.effects.push(Effect::GiveUp { instance: instance_id, reason });
        }
        let why = format!("answered initialize with {said}");
        self.note_era(&server, Era::Legacy, EraVerdict::no(why), cx);
        self.turn_to_modern(instance_id, said, cx);
    }

    /// Handles a server that has refused `initialize` because it speaks the modern era alone. It is asked to introduce
    /// itself in that era, unless another instance has done so. `said` is its refusal.
    fn turn_to_modern(&mut self, instance_id: InstanceId, said: String, cx: &mut EventContext<'_>) {
        let Some(instance) = self.instances.get(instance_id) else { return };
        let key = instance.key.in_era(Era::Modern);
        if self.instances.find_by_key(&instance.server, &key).is_some() {
            return self.replace_instance(instance_id, "does not speak the legacy era", cx);
        }
        let Some(instance) = self.instances.get_mut(instance_id) else { return };
        if let Phase::Starting { opening, .. } = &mut instance.phase {
            *opening = Opening::Discover { after_initialize: Some(said) };
        }
        self.send_discover(instance_id, cx);
    }

    /// Stops an instance that is of no use, and lets others serve whoever waits for it.
    pub(crate) fn replace_instance(&mut self, instance_id: InstanceId, why: &str, cx: &mut EventContext<'_>) {
        let Some(instance) = self.instances.get_mut(instance_id) else { return };
        let server = instance.server.clone();
        let waiting = match &mut instance.phase {
            Phase::Starting { waiting, .. } => waiting.take_all(),
            Phase::Ready(_) => VecDeque::new(),
        };
        let era = instance.era();
        let detached = self.clients.detach_all(instance_id);
        self.instances.remove_instance(instance_id);
        self.withdraw_questions(instance_id, cx);
        cx.effects.push(Effect::Stop { instance: instance_id, reason: why.to_owned() });
        self.attach_anew(&server, detached, cx);
        self.send_waiting_anew(&server, era, waiting, cx);
    }

    /// An instance serves from now on.
    fn become_ready(&mut self, instance_id: InstanceId, said: Introduction, cx: &mut EventContext<'_>) {
        let Some(instance) = self.instances.get_mut(instance_id) else { return };
        let (server, era, expected) = (instance.server.clone(), said.era, instance.era());
        let phase = std::mem::replace(&mut instance.phase, Phase::Ready(said.clone()));
        let Phase::Starting { mut waiting, opening, .. } = phase else { return };
        instance.ready_since = Some(cx.time);
        let waiting = waiting.take_all();
        if let Some(known) = self.servers.get_mut(&server) {
            known.health.became_ready();
            known.list_health.became_ready();
            let offering = known.offering_mut(era);
            let is_news = offering.introduction.as_ref().is_none_or(|before| before.result != said.result);
            offering.set_introduction(said.clone());
            if is_news {
                cx.note_discovery_changed(&server, era);
            }
        }
        self.note_spoken_era(&server, era, cx);
        // What a server is asked first does not say for whom it was started.
        let is_for_all = era == expected && !opening.has_asked();
        let mut detached = Vec::new();
        if !is_for_all {
            detached = self.clients.detach_all(instance_id);
            if let Some(instance) = self.instances.get_mut(instance_id) {
                instance.forget_clients(cx.time);
                let key = instance.key.in_era(era);
                self.instances.change_key(instance_id, key);
            }
        }
        if era == Era::Legacy {
            cx.send_to_server(instance_id, legacy::write_initialized());
        }
        cx.effects.push(Effect::Ready { instance: instance_id });
        let clients = self.instances.get(instance_id).map(|instance| instance.clients.clone());
        for client in clients.unwrap_or_default() {
            self.restore_client(client, instance_id, cx);
        }
        self.attach_anew(&server, detached, cx);
        if is_for_all {
            for waiting in waiting {
                match waiting {
                    Waiting::Initialize { client, id } => self.replay_initialize(client, &id, &said, cx),
                    Waiting::Discover { client, id, .. } => self.discover_server(client, &server, id, cx),
                    Waiting::Call(queued) => self.send_to_server(&server, queued, cx),
                    Waiting::List(kind, _) => self.request_list(instance_id, kind, cx),
                }
            }
        } else {
            if era != expected {
                // Clients of this era may have wanted the lists as well.
                for waiting in &waiting {
                    if let Waiting::List(kind, _) = waiting {
                        self.request_list(instance_id, *kind, cx);
                    }
                }
            }
            self.send_waiting_anew(&server, expected, waiting, cx);
        }
        self.request_pending_lists(instance_id, cx);
        self.renew_listen(instance_id, cx);
        if era == Era::Legacy {
            self.stop_unused_modern(&server, cx);
        }
    }

    /// Notes that a server speaks an era. A server that was started without being asked, because it had not survived
    /// the question, does not speak the modern one.
    fn note_spoken_era(&mut self, server: &Arc<str>, era: Era, cx: &mut EventContext<'_>) {
        let method = match era {
            Era::Legacy => "initialize",
            Era::Modern => "server/discover",
        };
        self.note_era(server, era, EraVerdict::yes(&format!("answered {method}")), cx);
        let failed = self.servers.get_mut(server).and_then(|known| known.eras.failed_probe.take());
        if let (Era::Legacy, Some(why)) = (era, failed) {
            self.note_era(server, Era::Modern, EraVerdict::no(why), cx);
        }
    }

    fn note_era(&mut self, server: &Arc<str>, era: Era, verdict: EraVerdict, cx: &mut EventContext<'_>) {
        let Some(known) = self.servers.get_mut(server).filter(|known| known.eras.pinned.is_none()) else {
            return;
        };
        if known.eras.note(era, verdict, cx.time) {
            cx.effects.push(Effect::BehaviourChanged { server: server.clone() });
            self.refuse_unserved_listens(server, cx);
        }
    }

    /// Sends what waited for an instance to the instances that suit it now. `expected` is the era in which the instance
    /// was to be spoken to.
    fn send_waiting_anew(
        &mut self,
        server: &Arc<str>,
        expected: Era,
        waiting: VecDeque<Waiting>,
        cx: &mut EventContext<'_>,
    ) {
        for waiting in waiting {
            match waiting {
                Waiting::List(kind, _) => self.request_list_anew(server, expected, kind, cx),
                waiting => self.resend_displaced(server, vec![waiting], cx),
            }
        }
    }

    /// Stops the instances that have shown that a server speaks the modern era, and that no client uses. One that is
    /// asked for a list stays, as any other that is idle.
    fn stop_unused_modern(&mut self, server: &Arc<str>, cx: &mut EventContext<'_>) {
        let is_awaited =
            |kind: ListKind| self.list_aggregations.wait_for(&(server.clone(), Era::Modern, kind));
        if LIST_KINDS.into_iter().any(is_awaited) {
            return;
        }
        let of_server = self.instances.current_of_server(server);
        let unused = of_server.into_iter().filter(|(_, instance)| {
            instance.era() == Era::Modern
                && instance.clients.is_empty()
                && instance.in_flight.is_empty()
                && !instance.served
                && instance.ready().is_some()
        });
        for id in unused.map(|(id, _)| id).collect::<Vec<_>>() {
            self.stop_instance(id, &Down::because("speaks the modern era, which no client uses"), cx);
        }
    }

    /// Pings an instance. The daemon finds the ping in the I/O counters of the process that has read it.
    pub(crate) fn ping_instance(&mut self, instance_id: InstanceId, cx: &mut EventContext<'_>) {
        let Some(instance) = self.instances.get_mut(instance_id) else { return };
        if instance.ready().is_none() {
            return;
        }
        let number = instance.in_flight.mint_number();
        let bytes = match instance.era() {
            // Written as clients write it.
            Era::Legacy => {
                Bytes::from(format!("{{\"jsonrpc\":\"2.0\",\"id\":{number},\"method\":\"ping\"}}"))
            }
            // There is no ping in the modern era.
            Era::Modern => modern::write_discover(number),
        };
        let owner = Owner::Router(InternalRequest::Ping { sent: bytes.len() });
        let deadline = cx.time + PING_TIMEOUT;
        instance.register_request(number, owner, deadline, deadline);
        cx.effects.push(Effect::ToServer {
            instance: instance_id,
            bytes: bytes.into(),
            number: Some(number),
        });
    }
}

/// Why a server is given up that has refused `initialize`, and `server/discover` if it was asked that.
fn write_refusal(said: &str) -> String {
    format!("did not accept `initialize`: {said}")
}

fn quote(message: &Message) -> String {
    limits::cut(&String::from_utf8_lossy(message.bytes()), MAX_QUOTED_CHARS)
}

/// Whether an answer says that the modern revision is supported.
fn names_modern(message: &Message, outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Error(error) if offers_modern(message.bytes(), error.clone()))
}

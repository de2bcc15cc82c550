//! How a server is introduced to, and what it says of itself.

use bytes::Bytes;
use exai_proto::answer;
use exai_proto::envelope::Outcome;
use exai_proto::{Message, json, limits};

use crate::catalogue::Kind;
use crate::discovery;
use crate::event::{Effect, InstanceId};
use crate::instance::{Capabilities, Errand, InFlight, Offer, Owner, Phase, Ready, Waiting};
use crate::limits::PING_TIMEOUT;
use crate::router::{Now, Router};

impl Router {
    /// The process runs: introduce exai to it.
    pub(crate) fn up(&mut self, instance_id: InstanceId, now: &mut Now<'_>) {
        let Some(instance) = self.instances.get(&instance_id) else { return };
        let params = format!(
            "{{\"protocolVersion\":\"{}\",\"capabilities\":{},\"clientInfo\":{{\"name\":\"exai\",\"version\":\"{}\"}}}}",
            exai_proto::version::NEWEST_LEGACY,
            instance.key.capabilities,
            env!("CARGO_PKG_VERSION"),
        );
        let write = |number| answer::request(number, "initialize", &params);
        self.send_request(instance_id, Owner::Router(Errand::Initialize), write, now);
    }

    /// The server has answered `initialize`.
    pub(crate) fn initialised(
        &mut self,
        instance_id: InstanceId,
        message: &Message,
        outcome: &Outcome,
        now: &mut Now<'_>,
    ) {
        let ready = match outcome {
            Outcome::Result(result) => Ready::of(message.bytes().slice(result.clone())),
            Outcome::Error(_) => None,
        };
        let Some(ready) = ready else {
            let said = String::from_utf8_lossy(message.bytes());
            let said: String = said.chars().take(300).collect();
            let reason = format!("did not accept `initialize`: {said}");
            return now.effects.push(Effect::GiveUp { instance: instance_id, reason });
        };
        let Some(instance) = self.instances.get_mut(&instance_id) else { return };
        let server = instance.server.clone();
        let said = ready.clone();
        let Phase::Starting { waiting, .. } = std::mem::replace(&mut instance.phase, Phase::Ready(ready))
        else {
            return;
        };
        instance.ready_since = Some(now.time);
        let clients = instance.clients.clone();
        if let Some(known) = self.server_mut(&server) {
            known.health.became_ready();
            known.listing.became_ready();
            let is_news = known.said.as_ref().is_none_or(|before| before.result != said.result);
            known.introduced(said.clone());
            if is_news {
                discovery::learned(&server, now);
            }
        }
        now.to_server(instance_id, answer::notification("notifications/initialized"));
        now.effects.push(Effect::Ready { instance: instance_id });
        for client in clients {
            self.restore(client, instance_id, now);
        }
        for waiting in waiting {
            match waiting {
                Waiting::Initialize { client, id } => self.replay_initialize(client, &id, &said, now),
                Waiting::Message(held) => {
                    self.count_in_flight(held.client, -1);
                    self.forward(held, instance_id, now);
                }
                Waiting::List(kind, _) => self.list(instance_id, kind, now),
            }
        }
        self.list_owed(instance_id, now);
    }

    /// Sends a ping, to be found again in the counters of whoever reads it.
    pub(crate) fn ping(&mut self, instance_id: InstanceId, now: &mut Now<'_>) {
        let Some(instance) = self.instances.get_mut(&instance_id) else { return };
        if instance.ready().is_none() {
            return;
        }
        let number = instance.mint();
        // As clients write it.
        let bytes = Bytes::from(format!("{{\"jsonrpc\":\"2.0\",\"id\":{number},\"method\":\"ping\"}}"));
        let owner = Owner::Router(Errand::Ping { sent: bytes.len() });
        let deadline = now.time + PING_TIMEOUT;
        instance.in_flight.insert(number, InFlight { owner, lane: None, deadline, limit: deadline });
        now.effects.push(Effect::ToServer {
            instance: instance_id,
            bytes: bytes.into(),
            number: Some(number),
        });
    }
}

impl Ready {
    /// What it offers of this kind.
    pub(crate) fn offer(&self, kind: Kind) -> Offer {
        match kind {
            Kind::Tools => self.capabilities.tools,
            Kind::Prompts => self.capabilities.prompts,
            Kind::Resources | Kind::Templates => self.capabilities.resources,
        }
    }

    pub(crate) fn of(result: Bytes) -> Option<Self> {
        let whole = 0..result.len();
        let version = json::string(&result, json::find(&result, whole.clone(), "protocolVersion")?)?;
        let version = limits::cut(&version, limits::NAME_CHARS);
        let find = |path: &[&str]| json::find_path(&result, whole.clone(), path);
        let offer = |name| match find(&["capabilities", name]) {
            None => Offer::Nothing,
            Some(_) => match find(&["capabilities", name, "listChanged"]) {
                Some(announced) if &result[announced.clone()] == b"true" => Offer::Announced,
                _ => Offer::Lists,
            },
        };
        let capabilities = Capabilities {
            tools: offer("tools"),
            prompts: offer("prompts"),
            resources: offer("resources"),
            logging: find(&["capabilities", "logging"]).is_some(),
        };
        Some(Ready { result, version, capabilities })
    }
}

//! The people at the clients: what they ask for, and how they continue what needs their input.

use std::collections::BTreeMap;

use exai_mux::{ClientId, ClientName, Endpoint, Event};
use serde_json::{Value, json};

use super::{SERVERS, World};
use crate::support::message;

/// Which eras a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Legacy,
    Modern,
    /// It asks for the modern era first, opens a session all the same, and uses both.
    Both,
}

pub(super) struct Person {
    pub(super) style: Style,
    /// The only server, if the client does not use all.
    pub(super) server: Option<usize>,
    pub(super) link: ClientId,
    next_id: u64,
    /// The open listens by id, and whether each was acknowledged.
    pub(super) listens: BTreeMap<u64, bool>,
    /// What the client was asked and has not answered: the number, and the parameters.
    pub(super) questions: Vec<(Value, Value)>,
    /// How much was told to the listens.
    pub(super) heard: usize,
}

/// A request that is not answered.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) is_modern: bool,
    pub(super) method: &'static str,
    /// What identifies the call.
    pub(super) nonce: Option<String>,
    /// The server that can answer, if that is known.
    pub(super) server: Option<usize>,
    pub(super) params: Value,
    pub(super) is_cancelled: bool,
    /// Whether it wants log messages.
    pub(super) wants_log: bool,
    /// Whether it must be refused: it continues what it may not.
    pub(super) is_forbidden: bool,
}

/// What a client needs to continue a call that needs input.
#[derive(Debug, Clone)]
pub(super) struct GivenState {
    pub(super) client: ClientId,
    pub(super) asked: Asked,
    pub(super) state: Option<String>,
    /// The keys of what is needed.
    pub(super) keys: Vec<String>,
    pub(super) is_used: bool,
}

impl GivenState {
    /// Whether the router has given it, for a server of the legacy era.
    fn is_of_router(&self) -> bool {
        self.state.as_ref().is_some_and(|state| state.starts_with("exai-"))
    }
}

/// How a client continues a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Retry {
    /// As it should, or, if it did that before, once more.
    Right,
    /// Without what is needed.
    WithoutAnswer,
    /// As another client.
    Foreign,
    /// With a state that nobody has given.
    Invented,
    /// With other arguments.
    Changed,
}

/// Whether the session of a person says that the person can be asked.
pub(super) fn can_be_asked(person: usize) -> bool {
    person.is_multiple_of(2)
}

impl Person {
    pub(super) fn new(number: usize) -> Self {
        let style = [Style::Legacy, Style::Modern, Style::Both][number / (SERVERS.len() + 1) % 3];
        let server = Some(number % (SERVERS.len() + 1)).filter(|server| *server < SERVERS.len());
        Person {
            style,
            server,
            link: ClientId(0),
            next_id: 0,
            listens: BTreeMap::new(),
            questions: Vec::new(),
            heard: 0,
        }
    }

    pub(super) fn has_session(&self) -> bool {
        self.style != Style::Modern
    }
}

impl World {
    /// A client opens a link. What it had before is over.
    pub(super) fn link(&mut self, person: usize) {
        let client = ClientId(self.links.len() as u64 + 1);
        let known = &mut self.people[person];
        let before = std::mem::replace(&mut known.link, client);
        (known.next_id, known.listens, known.questions) = Default::default();
        let style = known.style;
        let endpoint = known.server.map_or(Endpoint::All, |server| Endpoint::One(SERVERS[server].0.into()));
        self.links.insert(client, person);
        self.asked.retain(|(of, _), _| *of != before);
        if before != ClientId(0) {
            self.step(Event::Closed { client: before });
        }
        let name = ClientName::Program;
        self.step(Event::Opened { client, endpoint, name, directory: None, stateless: false });
        if style != Style::Legacy {
            self.request(person, true, "server/discover", json!({}));
        }
        if style != Style::Modern {
            let capabilities = if can_be_asked(person) { json!({"elicitation": {}}) } else { json!({}) };
            let params = json!({"protocolVersion": "2025-11-25", "capabilities": capabilities, "clientInfo": {"name": "c", "version": "1"}});
            self.request(person, false, "initialize", params);
        }
        self.run();
    }

    /// A client makes a request. Returns its id.
    fn request(&mut self, person: usize, is_modern: bool, method: &'static str, mut params: Value) -> u64 {
        let known = &mut self.people[person];
        let (id, client) = (known.next_id, known.link);
        known.next_id += 1;
        let wants_log = is_modern && id.is_multiple_of(2);
        if is_modern {
            let meta = json!({
                "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                "io.modelcontextprotocol/clientInfo": {"name": "c", "version": "1"},
                "io.modelcontextprotocol/clientCapabilities": {"elicitation": {"form": {}, "url": {}}},
            });
            params["_meta"] = meta;
            if wants_log {
                params["_meta"]["io.modelcontextprotocol/logLevel"] = "info".into();
            }
        }
        if method == "tools/call" {
            params["_meta"]["progressToken"] = id.into();
        }
        let nonce = super::programs::nonce_of(&json!({"params": params})).map(ToOwned::to_owned);
        let server = known.server;
        let asked = Asked {
            is_modern,
            method,
            nonce,
            server,
            params: params.clone(),
            is_cancelled: false,
            wants_log,
            is_forbidden: false,
        };
        self.asked.insert((client, id), asked);
        let text = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).to_string();
        self.next.push_back(Event::FromClient { client, message: message(&text) });
        id
    }

    pub(super) fn call(&mut self, person: usize, is_modern: bool, server: usize, kind: u8) {
        let known = &self.people[person];
        let is_modern = match known.style {
            Style::Legacy => false,
            Style::Modern => true,
            Style::Both => is_modern,
        };
        let nonce = format!("{}-{}", known.link.0, known.next_id);
        let (name, server) = match known.server {
            Some(own) => ("t".to_owned(), own),
            None => (format!("{}__t", SERVERS[server].0), server),
        };
        let (method, params) = match kind {
            0 => ("tools/list", json!({})),
            1 => ("resources/read", json!({"uri": format!("r://{}/{nonce}", SERVERS[server].0)})),
            2 if !is_modern => {
                ("resources/subscribe", json!({"uri": format!("r://{}/s", SERVERS[server].0)}))
            }
            3 if !is_modern => ("logging/setLevel", json!({"level": "info"})),
            _ => ("tools/call", json!({"name": name, "arguments": {"nonce": nonce}})),
        };
        let id = self.request(person, is_modern, method, params);
        let client = self.people[person].link;
        if let Some(asked) = self.asked.get_mut(&(client, id)).filter(|asked| asked.nonce.is_some()) {
            asked.server = Some(server);
        }
        self.run();
    }

    pub(super) fn listen(&mut self, person: usize, has_uri: bool) {
        let known = &self.people[person];
        if known.style == Style::Legacy {
            return;
        }
        let server = known.server.unwrap_or(1);
        let mut filter = json!({"toolsListChanged": true});
        if has_uri {
            filter["resourceSubscriptions"] = json!([format!("r://{}/s", SERVERS[server].0)]);
        }
        let id = self.people[person].next_id;
        self.people[person].listens.insert(id, false);
        self.request(person, true, "subscriptions/listen", json!({"notifications": filter}));
        self.run();
    }

    /// A client cancels a request, or a listen.
    pub(super) fn cancel(&mut self, at: usize) {
        let all: Vec<(ClientId, u64)> = self
            .asked
            .iter()
            .filter(|(_, asked)| {
                !matches!(asked.method, "initialize" | "server/discover") && !asked.is_cancelled
            })
            .map(|(key, _)| *key)
            .collect();
        if all.is_empty() {
            return;
        }
        let (client, id) = all[at % all.len()];
        self.asked.get_mut(&(client, id)).expect("it is there").is_cancelled = true;
        let person = self.links[&client];
        self.people[person].listens.remove(&id);
        let text =
            json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}});
        self.step(Event::FromClient { client, message: message(&text.to_string()) });
    }

    /// A client answers a question. Returns whether there was one.
    pub(super) fn reply(&mut self, at: usize) -> bool {
        let all = self.people.iter().enumerate();
        let all: Vec<(usize, usize)> = all
            .flat_map(|(person, known)| (0..known.questions.len()).map(move |place| (person, place)))
            .collect();
        if all.is_empty() {
            return false;
        }
        let (person, place) = all[at % all.len()];
        let (number, params) = self.people[person].questions.swap_remove(place);
        let client = self.people[person].link;
        let answer = json!({"action": "accept", "content": {"nonce": params["nonce"]}});
        let text = json!({"jsonrpc": "2.0", "id": number, "result": answer}).to_string();
        self.step(Event::FromClient { client, message: message(&text) });
        true
    }

    /// A client continues a call that needs input.
    pub(super) fn retry(&mut self, at: usize, retry: Retry) {
        if self.states.is_empty() {
            return;
        }
        // The latest are the likeliest to be good still.
        let at = self.states.len() - 1 - at % self.states.len().min(4);
        let given = self.states[at].clone();
        let owner = self.links[&given.client];
        let alive = self.people[owner].link == given.client;
        let is_of_router = given.is_of_router();
        // Who stands at the same endpoint and speaks the modern era.
        let other = (0..self.people.len()).find(|other| {
            let known = &self.people[*other];
            *other != owner && known.server == self.people[owner].server && known.style != Style::Legacy
        });
        let person = match retry {
            // What a server of the modern era gives is good for whom the server says.
            Retry::Foreign if is_of_router => other,
            Retry::Foreign => None,
            _ => Some(owner).filter(|_| alive),
        };
        let Some(person) = person else { return };
        let (mut params, nonce) =
            (given.asked.params.clone(), given.asked.nonce.clone().expect("a call has one"));
        let is_right = matches!(retry, Retry::Right | Retry::WithoutAnswer);
        let is_forbidden = is_of_router && (given.is_used || !is_right);
        if let Some(state) = &given.state {
            params["requestState"] = state.clone().into();
        }
        if retry == Retry::Invented {
            params["requestState"] = "exai-0123456789abcdef0123456789abcdef".into();
        }
        if retry == Retry::Changed {
            params["arguments"]["more"] = 1.into();
        }
        let answer = json!({"action": "accept", "content": {"nonce": nonce}});
        let keys = given.keys.iter().filter(|_| retry != Retry::WithoutAnswer);
        params["inputResponses"] =
            keys.map(|key| (key.clone(), answer.clone())).collect::<serde_json::Map<_, _>>().into();
        let of = given.asked.server;
        let (parked, given) = (self.bench.router.counts().parked, self.states.len());
        let id = self.request(person, true, "tools/call", params);
        let client = self.people[person].link;
        let asked = self.asked.get_mut(&(client, id)).expect("it was asked");
        asked.server = of;
        asked.is_forbidden = is_forbidden;
        if is_forbidden {
            self.out_of_reach = Some(nonce);
        }
        self.run();
        // A server that cannot be reached has not used it up.
        let is_taken = self.bench.router.counts().parked < parked || self.states.len() > given;
        self.states[at].is_used |= is_right && is_taken;
        if is_forbidden {
            self.out_of_reach = None;
            assert_eq!(self.bench.router.counts().parked, parked, "a foreign state has moved a parked call");
        }
    }
}

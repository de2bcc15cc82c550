//! What each message must be, and what must be left in the end.

use std::time::Duration;

use exai_mux::counts::Counts;
use exai_mux::{ClientId, Era, Event};
use exai_proto::Id;
use serde_json::Value;

use super::people::{Asked, GivenState, Style};
use super::programs::{Manner, Program, Run, Speaks, client_of};
use super::{SERVERS, World};

const MODERN: &str = "io.modelcontextprotocol/";

/// Whether an object has a key that only the modern era has in `_meta`.
fn has_modern_meta(object: &Value) -> bool {
    object["_meta"].as_object().is_some_and(|meta| meta.keys().any(|key| key.starts_with(MODERN)))
}

impl Program {
    /// What a program may be sent.
    pub(super) fn check_message(&self, value: &Value) {
        let (method, params) = (value["method"].as_str(), &value["params"]);
        let is_request = method.is_some() && !value["id"].is_null();
        match (self.era, method) {
            (Some(Era::Modern), None) => panic!("a modern server is sent no response: {value}"),
            (Some(Era::Modern), Some(method)) => {
                let key = |name: &str| &params["_meta"][format!("{MODERN}{name}")];
                let says_all = key("protocolVersion") == "2026-07-28"
                    && key("clientInfo").is_object()
                    && key("clientCapabilities").is_object();
                assert!(
                    if is_request { says_all } else { method == "notifications/cancelled" },
                    "a modern server: {value}"
                );
            }
            (None, Some(method)) => {
                assert!(matches!(method, "server/discover" | "initialize"), "the first request: {value}");
            }
            (None, None) => panic!("nothing was asked: {value}"),
            // A question for the era that came late.
            (Some(Era::Legacy), Some("server/discover")) => {}
            (Some(Era::Legacy), _) => {
                assert!(!has_modern_meta(params), "a legacy server: {value}");
                assert!(params["inputResponses"].is_null() && params["requestState"].is_null(), "{value}");
            }
        }
    }
}

impl World {
    /// What a server is called with comes from a client that waits for it.
    pub(super) fn check_call(&self, server: usize, request: &Value, nonce: &str) {
        let client = client_of(nonce);
        let waits = |asked: &Asked| {
            asked.nonce.as_deref() == Some(nonce)
                && asked.server == Some(server)
                && !asked.is_forbidden
                && !asked.is_cancelled
        };
        let mut own = self.asked.iter().filter(|((of, _), _)| *of == client);
        assert!(own.any(|(_, asked)| waits(asked)), "nobody waits for this of server {server}: {request}");
    }

    pub(super) fn dropped(&mut self, client: ClientId, id: &Id) {
        let id = id.as_number().expect("ids are numbers here");
        let asked = self.asked.remove(&(client, id)).unwrap_or_else(|| panic!("{id} was answered"));
        assert!(asked.is_cancelled, "nobody has cancelled it: {asked:?}");
    }

    pub(super) fn client_hears(&mut self, client: ClientId, value: &Value) {
        let person = self.links[&client];
        assert_eq!(self.people[person].link, client, "this link is closed: {value}");
        match (value["method"].as_str(), value["id"].is_null()) {
            (None, _) => self.client_is_answered(client, value),
            (Some(_), false) => self.client_is_asked(client, value),
            (Some(method), true) => self.client_is_told(client, method, value),
        }
    }

    fn client_is_answered(&mut self, client: ClientId, value: &Value) {
        let id = value["id"].as_u64().expect("ids are numbers here");
        let asked = self.asked.remove(&(client, id));
        let asked = asked.unwrap_or_else(|| panic!("{client:?} has not asked, or was answered: {value}"));
        let person = self.links[&client];
        let code = value["error"]["code"].as_i64();
        if asked.is_forbidden {
            assert!(code.is_some(), "it may not be continued: {value}");
        }
        if asked.method == "subscriptions/listen" {
            let was_acknowledged = self.people[person].listens.remove(&id).unwrap_or_default();
            // The one server of a client may turn to the legacy era.
            let may_end = self.people[person].server.is_some_and(|server| SERVERS[server].1.is_none());
            let has_failed = code.is_some() && !(may_end && code == Some(-32022));
            assert!(!(was_acknowledged && has_failed), "an open listen has failed: {value}");
        }
        if asked.is_modern {
            assert!(!matches!(code, Some(-32002 | -32042)), "a modern client: {value}");
            assert!(code.is_some() || value["result"]["resultType"].is_string(), "a modern client: {value}");
        } else {
            let result = &value["result"];
            let modern = ["resultType", "ttlMs", "cacheScope", "inputRequests", "requestState"];
            assert!(modern.iter().all(|key| result[*key].is_null()), "a legacy client: {value}");
            assert!(!has_modern_meta(result), "a legacy client: {value}");
        }
        if value["result"]["resultType"] == "input_required" {
            return self.client_needs_input(client, asked, &value["result"]);
        }
        if let (Some(nonce), None) = (&asked.nonce, code)
            && asked.method != "resources/subscribe"
        {
            assert_eq!(value["result"]["nonce"], **nonce, "misrouted: {value}");
            self.succeeded += 1;
        }
    }

    fn client_needs_input(&mut self, client: ClientId, asked: Asked, result: &Value) {
        let requests = result["inputRequests"].as_object().expect("what is needed");
        for request in requests.values() {
            // Of several calls of one client it need not be known which one is meant.
            let nonce = request["params"]["nonce"].as_str().expect("a question about a call");
            assert_eq!(client_of(nonce), client, "misrouted: {request}");
        }
        let keys = requests.keys().cloned().collect();
        let state = result["requestState"].as_str().map(ToOwned::to_owned);
        self.states.push(GivenState { client, asked, state, keys, is_used: false });
    }

    fn client_is_asked(&mut self, client: ClientId, value: &Value) {
        let person = self.links[&client];
        let params = &value["params"];
        assert!(self.people[person].has_session(), "a modern client is never asked: {value}");
        assert!(super::people::can_be_asked(person), "it cannot answer that: {value}");
        assert!(!has_modern_meta(params), "a legacy client: {value}");
        let nonce = params["nonce"].as_str().expect("a question about a call");
        assert_eq!(client_of(nonce), client, "somebody else is meant: {value}");
        let waits = |asked: &Asked| asked.nonce.as_deref() == Some(nonce) && !asked.is_cancelled;
        let calls = self.asked.iter().filter(|((of, _), _)| *of == client);
        assert!(calls.map(|(_, asked)| asked).any(waits), "the call is over: {value}");
        self.people[person].questions.push((value["id"].clone(), params.clone()));
    }

    fn client_is_told(&mut self, client: ClientId, method: &str, value: &Value) {
        let person = self.links[&client];
        let params = &value["params"];
        let has_session = self.people[person].has_session();
        if let Some(listen) = params["_meta"].get("io.modelcontextprotocol/subscriptionId") {
            let id = listen.as_u64().expect("ids are numbers here");
            let open = self.people[person].listens.get_mut(&id);
            let is_acknowledged = open.unwrap_or_else(|| panic!("this listen is not open: {value}"));
            let is_first = method == "notifications/subscriptions/acknowledged";
            assert_ne!(*is_acknowledged, is_first, "the acknowledgement comes first, and once: {value}");
            *is_acknowledged = true;
            self.people[person].heard += usize::from(!is_first);
            return;
        }
        match method {
            "notifications/progress" => {
                let token = params["progressToken"].as_u64().expect("tokens are numbers here");
                let asked = self.asked.get(&(client, token));
                let nonce = asked.and_then(|asked| asked.nonce.as_deref());
                assert_eq!(nonce, params["message"].as_str(), "of another's request, or after its end");
                assert!(asked.is_some_and(|asked| asked.is_modern) || !has_modern_meta(params), "{value}");
            }
            "notifications/message" => {
                let mut own = self.asked.iter().filter(|((of, _), _)| *of == client);
                assert!(has_session || own.any(|(_, asked)| asked.wants_log), "nobody wants it: {value}");
            }
            "notifications/cancelled" => {
                assert!(has_session, "a modern client is never asked: {value}");
                self.people[person].questions.retain(|(number, _)| *number != params["requestId"]);
            }
            _ => {
                assert!(has_session, "a modern client does not listen to this: {value}");
                assert!(!has_modern_meta(params), "a legacy client: {value}");
            }
        }
    }

    /// Nothing is left of what was asked.
    pub(super) fn check_rest(&self) {
        let lost = self.asked.iter().filter(|(_, asked)| asked.method != "subscriptions/listen");
        assert_eq!(lost.collect::<Vec<_>>().len(), 0, "lost: {:?}", self.asked);
        let counts = self.bench.router.counts();
        assert_eq!((counts.parked, counts.asked, counts.calls), (0, 0, 0), "{counts:?}");
    }

    /// Whatever has happened: everybody who can be served is served, and who listens hears.
    pub(super) fn check_service(&mut self) {
        for (server, (name, ..)) in SERVERS.iter().enumerate() {
            self.runs[server].manner = Manner::Refuses;
            self.step(Event::Restart { server: (*name).into() });
        }
        let runs: Vec<Run> = self.runs.to_vec();
        // Who listens in an era that the server does not speak any more.
        let mut unserved = Vec::new();
        for person in 0..self.people.len() {
            let (style, server) = (self.people[person].style, self.people[person].server.unwrap_or(2));
            let before = self.succeeded;
            self.call(person, style != Style::Legacy, server, 9);
            self.answer_all();
            let (_, era, is_bridged) = SERVERS[server];
            let speaks_modern = match era {
                Some(era) => era == Era::Modern,
                None => runs[server].speaks != Speaks::Legacy,
            };
            let is_served = style == Style::Legacy || speaks_modern || is_bridged;
            // A server of both eras that is known not to survive the question is not asked in the modern one.
            if is_served && !(era.is_none() && runs[server].speaks == Speaks::Both) {
                assert_eq!(self.succeeded, before + 1, "person {person} is not served");
            }
            if self.succeeded == before {
                unserved.push(person);
            }
        }
        for person in &mut self.people {
            person.heard = 0;
        }
        let running = self.programs.iter().filter(|(_, one)| !one.is_gone && one.era.is_some());
        let all: Vec<_> = running.map(|(id, _)| *id).collect();
        for instance in all {
            self.announce(instance);
        }
        self.run();
        self.answer_all();
        // Clients of all servers are not told too often.
        self.passes(Duration::from_secs(11));
        for (number, person) in self.people.iter().enumerate() {
            if unserved.contains(&number) {
                continue;
            }
            let listens = person.listens.values().any(|is_acknowledged| *is_acknowledged);
            assert!(!listens || person.heard > 0, "person {number} hears nothing");
        }
    }

    /// When all clients are gone and time has passed, nothing is left.
    pub(super) fn check_end(&mut self) {
        for client in self.people.iter().map(|person| person.link).collect::<Vec<_>>() {
            self.step(Event::Closed { client });
        }
        for _ in 0..4 {
            self.passes(Duration::from_mins(2));
        }
        assert_eq!(self.bench.router.counts(), Counts::default());
        assert_eq!(self.bench.router.next_tick(self.bench.now), None);
    }
}

//! Two hundred clients that all count from zero, three servers, random order: nothing is misrouted, lost
//! or answered twice.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use exai_mux::{ClientId, Effect, Endpoint, Event, InstanceId};
use exai_proto::Message;
use proptest::prelude::*;
use serde_json::Value;

use crate::support::{Bench, initialize, message, policy, server_result};

const SERVERS: [&str; 3] = ["a", "b", "c"];

/// Servers answer what they got with the nonce they got; clients check that it is theirs.
struct World {
    bench: Bench,
    /// Requests that wait for an answer, by server.
    open: Vec<(InstanceId, Value)>,
    /// Nonces sent and not answered, by client and id.
    sent: HashMap<(ClientId, u64), String>,
    progressed: HashSet<(ClientId, u64)>,
}

impl World {
    fn new(clients: u64) -> Self {
        let mut bench = Bench::new(SERVERS.iter().map(|name| policy(name)).collect());
        for client in 1..=clients {
            let endpoint = match client % 4 {
                3 => Endpoint::All,
                own => Endpoint::One(SERVERS[own as usize].into()),
            };
            bench.open(client, endpoint);
            bench.says(client, &initialize("{}"));
        }
        // Clients 1 to 3 have started all three servers, in the order b, c, (all), a.
        let mut world = World { bench, open: Vec::new(), sent: HashMap::new(), progressed: HashSet::new() };
        for instance in 0..3 {
            let instance = InstanceId(instance);
            world.step(Event::Up { instance });
            let text = format!(r#"{{"jsonrpc":"2.0","id":1,"result":{}}}"#, server_result());
            world.step(Event::FromServer { instance, message: message(&text) });
        }
        world.open.clear();
        world
    }

    fn call(&mut self, client: u64, id: u64, server: usize) {
        let nonce = format!("{client}/{id}");
        if self.sent.contains_key(&(ClientId(client), id)) {
            return;
        }
        let name = if client % 4 == 3 { format!("{}__t", SERVERS[server]) } else { "t".to_owned() };
        let text = format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"{name}","arguments":{{"nonce":"{nonce}"}},"_meta":{{"progressToken":{id}}}}}}}"#
        );
        self.sent.insert((ClientId(client), id), nonce);
        self.step(Event::FromClient { client: ClientId(client), message: message(&text) });
    }

    fn answer(&mut self, at: usize, progress: bool) {
        if self.open.is_empty() {
            return;
        }
        let at = at % self.open.len();
        let (instance, request) = if progress { self.open[at].clone() } else { self.open.swap_remove(at) };
        let nonce = &request["params"]["arguments"]["nonce"];
        let text = if progress {
            let token = &request["params"]["_meta"]["progressToken"];
            format!(
                r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":{token},"progress":1,"message":{nonce}}}}}"#
            )
        } else {
            format!(r#"{{"jsonrpc":"2.0","id":{},"result":{{"nonce":{nonce}}}}}"#, request["id"])
        };
        self.step(Event::FromServer { instance, message: message(&text) });
    }

    fn step(&mut self, event: Event) {
        for effect in self.bench.event(event) {
            match effect {
                Effect::ToServer { instance, bytes, .. } => {
                    let value = parse(&bytes);
                    if value["method"] == "tools/call" {
                        assert_eq!(value["params"]["name"], "t");
                        self.open.push((instance, value));
                    }
                }
                Effect::ToClient { client, bytes, .. } => self.received(client, &parse(&bytes)),
                Effect::Dropped { .. } => panic!("nothing is cancelled here"),
                Effect::Start { .. }
                | Effect::Stop { .. }
                | Effect::Ready { .. }
                | Effect::Pinged { .. }
                | Effect::Learned { .. }
                | Effect::Measured { .. }
                | Effect::Repeatable { .. }
                | Effect::GiveUp { .. } => {}
            }
        }
    }

    fn received(&mut self, client: ClientId, value: &Value) {
        if let Some(nonce) = value["result"]["nonce"].as_str() {
            let id = value["id"].as_u64().expect("ids are numbers here");
            assert_eq!(
                self.sent.remove(&(client, id)).as_deref(),
                Some(nonce),
                "misrouted or answered twice"
            );
            self.progressed.remove(&(client, id));
        } else if value["method"] == "notifications/progress" {
            let token = value["params"]["progressToken"].as_u64().expect("tokens are numbers here");
            let own = self.sent.get(&(client, token)).map(String::as_str);
            assert_eq!(
                own,
                value["params"]["message"].as_str(),
                "progress of another's request, or after its end"
            );
            self.progressed.insert((client, token));
        } else {
            assert!(value["result"]["protocolVersion"].is_string(), "unexpected: {value}");
        }
    }
}

fn parse(bytes: &Bytes) -> Value {
    Message::parse(bytes.clone()).expect("everything sent is a message");
    serde_json::from_slice(bytes).expect("messages are JSON")
}

#[derive(Debug, Clone)]
enum Step {
    Call { client: u64, id: u64, server: usize },
    Answer { at: usize, progress: bool },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (1..=200_u64, 0..8_u64, 0..3_usize).prop_map(|(client, id, server)| Step::Call {
            client,
            id,
            server
        }),
        (any::<usize>(), any::<bool>()).prop_map(|(at, progress)| Step::Answer { at, progress }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn nothing_is_misrouted_lost_or_answered_twice(steps in proptest::collection::vec(step(), 0..2000)) {
        let mut world = World::new(200);
        for step in steps {
            match step {
                Step::Call { client, id, server } => world.call(client, id, server),
                Step::Answer { at, progress } => world.answer(at, progress),
            }
        }
        while !world.open.is_empty() {
            world.answer(0, false);
        }
        prop_assert!(world.sent.is_empty(), "lost: {:?}", world.sent);
    }
}

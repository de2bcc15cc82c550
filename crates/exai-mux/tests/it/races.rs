//! P09: progress, cancellation and answer of a request cross each other in every order.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use exai_mux::{ClientId, Effect, Event, InstanceId};
use exai_test::{Random, scaled};
use serde_json::{Value, json};

use crate::support::{Bench, message, policy};

const CLIENTS: u64 = 8;
const SERVER: InstanceId = InstanceId(0);
/// How long after a cancellation the router still passes on the answer.
const AFTERLIFE: Duration = Duration::from_secs(10);

/// What a client may still be told about a request.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fate {
    Open,
    /// Only messages from the server itself, and only until this time.
    Cancelled(Instant),
    /// Nothing more.
    Over,
}

#[derive(Default)]
struct Tally {
    answers: usize,
    progress: usize,
    /// Messages from the server about requests that were already cancelled.
    after_cancel: usize,
    timed_out: usize,
    wrong: Vec<String>,
}

/// A server that answers at any time, also cancelled requests, and some requests twice.
struct World {
    bench: Bench,
    /// The fate of each request, by client and id.
    fates: HashMap<(ClientId, u64), Fate>,
    /// The client and id of each request that the server has got, by the router's number; and the numbers by client and
    /// id.
    got: HashMap<u64, (ClientId, u64)>,
    numbers: HashMap<(ClientId, u64), u64>,
    tally: Tally,
}

impl World {
    fn new() -> Self {
        let mut bench = Bench::new(vec![policy("a")]);
        for client in 1..=CLIENTS {
            bench.introduced(client, "a", "{}");
        }
        bench.ready(0);
        World {
            bench,
            fates: HashMap::new(),
            got: HashMap::new(),
            numbers: HashMap::new(),
            tally: Tally::default(),
        }
    }

    fn from_client(&mut self, client: ClientId, text: &Value) {
        self.step(Event::FromClient { client, message: message(&text.to_string()) }, None);
    }

    fn from_server(&mut self, number: u64, text: &Value) {
        let whose = self.got.get(&number).copied();
        self.step(Event::FromServer { instance: SERVER, message: message(&text.to_string()) }, whose);
    }

    /// Applies the event. `about` is the request that the server's message is about, if the event is such a message.
    fn step(&mut self, event: Event, about: Option<(ClientId, u64)>) {
        for effect in self.bench.event(event) {
            match effect {
                Effect::ToServer { bytes, number: Some(number), .. } => {
                    let request: Value = serde_json::from_slice(&bytes.into_whole()).expect("JSON");
                    let own = &request["params"]["arguments"];
                    let client = ClientId(own["client"].as_u64().expect("a client"));
                    let whose = (client, own["id"].as_u64().expect("an id"));
                    self.got.insert(number, whose);
                    self.numbers.insert(whose, number);
                }
                Effect::ToClient { client, bytes, .. } => {
                    let value: Value = serde_json::from_slice(&bytes.into_whole()).expect("JSON");
                    self.heard(client, &value, about);
                }
                Effect::Dropped { client, id } => {
                    let id = String::from_utf8_lossy(id.as_json()).parse().expect("ids are numbers here");
                    self.fates.insert((client, id), Fate::Over);
                }
                _ => {}
            }
        }
    }

    fn heard(&mut self, client: ClientId, value: &Value, about: Option<(ClientId, u64)>) {
        let is_progress = value["method"] == "notifications/progress";
        let id = if is_progress { &value["params"]["progressToken"] } else { &value["id"] };
        let whose = (client, id.as_u64().expect("ids and tokens are numbers here"));
        let fate = self.fates[&whose];
        let by_server = about == Some(whose);
        let (tally, now) = (&mut self.tally, self.bench.now);
        let allowed = match fate {
            // The router itself may answer an open request only when the call or its wait for a turn has timed out.
            Fate::Open => by_server || [-31004, -31003].map(Value::from).contains(&value["error"]["code"]),
            Fate::Cancelled(until) => by_server && now <= until,
            Fate::Over => false,
        };
        if !allowed {
            tally.wrong.push(format!("{whose:?}, {fate:?}, has heard {value} (server spoke of {about:?})"));
        }
        tally.after_cancel += usize::from(fate != Fate::Open);
        if is_progress {
            tally.progress += 1;
        } else {
            tally.timed_out += usize::from(value["error"].is_object());
            tally.answers += 1;
            self.fates.insert(whose, Fate::Over);
        }
    }
}

#[test]
fn races_end_with_one_answer_or_none_and_nothing_after_it() {
    let races = scaled(10_000) as u64;
    let mut world = World::new();
    let mut random = Random::new(9);
    // The requests for which the steps below race.
    let mut open: Vec<(ClientId, u64)> = Vec::new();
    let mut next_id = 1;
    while next_id <= races || !open.is_empty() {
        if next_id <= races && open.len() < 24 && random.below(4) == 0 {
            let whose = (ClientId(1 + random.number() % CLIENTS), next_id);
            next_id += 1;
            world.fates.insert(whose, Fate::Open);
            open.push(whose);
            world.from_client(
                whose.0,
                &json!({"jsonrpc": "2.0", "id": whose.1, "method": "tools/call", "params": {
                    "name": "t", "arguments": {"client": whose.0.0, "id": whose.1}, "_meta": {"progressToken": whose.1}}}),
            );
            continue;
        }
        if open.is_empty() {
            continue;
        }
        let at = random.below(open.len());
        let whose = open[at];
        match random.below(64) {
            0..16 => report(&mut world, whose),
            16..28 => cancel(&mut world, whose),
            28..40 => answer(&mut world, whose),
            // Most requests that are over get a few more messages from the server; a few of them stay until their time
            // is up.
            40..60 => {
                if world.fates[&whose] != Fate::Open || random.below(20) == 0 {
                    open.swap_remove(at);
                }
            }
            60..63 => {
                world.bench.now += Duration::from_millis(random.number() % 500);
                world.step(Event::Tick, None);
            }
            _ => {
                world.bench.now += Duration::from_secs(random.number() % 15);
                world.step(Event::Tick, None);
            }
        }
    }
    world.bench.now += Duration::from_mins(2);
    world.step(Event::Tick, None);
    // No client waits any more, so no further message of the server may reach a client.
    let before = (world.tally.answers, world.tally.progress);
    let numbers: Vec<u64> = world.got.keys().copied().take(10_000).collect();
    for number in numbers {
        world.from_server(number, &progress(number));
        world.from_server(number, &result(number));
    }
    assert_eq!((world.tally.answers, world.tally.progress), before);
    let open = world.fates.values().filter(|fate| **fate == Fate::Open).count();
    let Tally { answers, progress, after_cancel, timed_out, wrong } = world.tally;
    assert!(wrong.is_empty(), "{} wrong: {:#?}", wrong.len(), wrong.iter().take(5).collect::<Vec<_>>());
    assert_eq!(open, 0, "some were never answered");
    assert!(!world.bench.router.is_busy());
    eprintln!(
        "{races} races: {answers} answers ({timed_out} of them errors: too late), {progress} reports of progress, \
         {after_cancel} said by the server itself after a cancel; 0 after an answer, 0 of the router's after a cancel"
    );
}

fn progress(number: u64) -> Value {
    let params = json!({"progressToken": number, "progress": 1});
    json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": params})
}

fn result(number: u64) -> Value {
    json!({"jsonrpc": "2.0", "id": number, "result": {}})
}

/// The client cancels a request, perhaps after the answer has reached it.
fn cancel(world: &mut World, whose: (ClientId, u64)) {
    let fate = world.fates.get_mut(&whose).expect("a request");
    if *fate == Fate::Open {
        *fate = Fate::Cancelled(world.bench.now + AFTERLIFE);
    }
    let params = json!({"requestId": whose.1});
    let cancel = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params});
    world.from_client(whose.0, &cancel);
}

fn report(world: &mut World, whose: (ClientId, u64)) {
    if let Some(number) = world.numbers.get(&whose).copied() {
        world.from_server(number, &progress(number));
    }
}

fn answer(world: &mut World, whose: (ClientId, u64)) {
    if let Some(number) = world.numbers.get(&whose).copied() {
        world.from_server(number, &result(number));
    }
}

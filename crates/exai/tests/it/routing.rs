//! Many clients at once on shared servers: no answer is misrouted, lost or duplicated.

use std::collections::HashMap;
use std::sync::Barrier;
use std::time::Instant;

use serde_json::{Value, json};

use crate::support::{Instance, fixture, switch};
use crate::wire::{Wire, call};

const CLIENTS: usize = 200;
const AT_ONCE: usize = 8;
const SERVERS: [&str; 3] = ["a", "b", "c"];
/// One call of so many reports progress.
const PROGRESS: usize = 50;

/// The number of calls of one client, and of everything that went wrong.
#[derive(Default)]
struct Tally {
    calls: usize,
    progress: usize,
    lost: usize,
    misrouted: usize,
    /// Second answers, and other messages that the client did not ask for.
    stray: usize,
    examples: Vec<String>,
}

#[test]
fn two_hundred_clients_with_the_same_ids_and_tokens_get_each_their_own() {
    route(if cfg!(windows) { 20_000 } else { 100_000 });
}

#[test]
#[ignore = "takes minutes; `cargo xtask endure routing` runs it"]
fn a_million_calls_with_the_same_ids_and_tokens_come_back_to_their_clients() {
    route(switch("EXAI_ENDURE_CALLS").map_or(1_000_000, |calls| calls as usize));
}

fn route(calls: usize) {
    let servers: String = SERVERS.iter().map(|name| fixture(name, &[])).collect();
    let instance = Instance::new(&servers);
    instance.ends(0, &["start"]);
    let address = Wire::address(&instance);
    let all_there = Barrier::new(CLIENTS);
    let each = calls / CLIENTS;
    let began = Instant::now();
    let tallies: Vec<Tally> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..CLIENTS)
            .map(|number| {
                let (address, all_there) = (&address, &all_there);
                let run = move || client(number, each, address, all_there);
                std::thread::Builder::new().stack_size(256 * 1024).spawn_scoped(scope, run).expect("a thread")
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("a client")).collect()
    });
    let took = began.elapsed();
    let sum = |count: fn(&Tally) -> usize| tallies.iter().map(count).sum::<usize>();
    let (calls, wrong) = (sum(|one| one.calls), sum(|one| one.lost + one.misrouted + one.stray));
    eprintln!(
        "{calls} calls of {CLIENTS} clients with the same ids and tokens to {} servers in {took:.1?} ({} a second): \
         {} misrouted, {} lost, {} duplicated or asked for by nobody; {} times progress",
        SERVERS.len(),
        calls as u128 * 1000 / took.as_millis().max(1),
        sum(|one| one.misrouted),
        sum(|one| one.lost),
        sum(|one| one.stray),
        sum(|one| one.progress),
    );
    let examples: Vec<&String> = tallies.iter().flat_map(|one| &one.examples).take(5).collect();
    assert_eq!((wrong, calls), (0, CLIENTS * each), "{examples:#?}");
    assert!(sum(|one| one.progress) > CLIENTS, "progress was seen");
}

fn client(number: usize, calls: usize, address: &str, all_there: &Barrier) -> Tally {
    // Every fourth client uses all servers, the others use one server each.
    let own = (number % 4 < 3).then(|| SERVERS[number % 4]);
    let mut wire = Wire::open(address, own);
    all_there.wait();
    let (mut tally, mut open, mut next) = (Tally::default(), HashMap::new(), 1);
    while tally.calls < calls {
        while open.len() < AT_ONCE && next <= calls {
            let nonce = format!("{number}-{next}");
            let server = own.unwrap_or(SERVERS[next % 3]);
            let prefix = if own.is_some() { String::new() } else { format!("{server}__") };
            let steps = next.is_multiple_of(PROGRESS);
            let (tool, arguments) = if steps {
                ("progress", json!({"steps": 1, "ms": 1, "nonce": nonce}))
            } else {
                ("nonce", json!({"nonce": nonce, "max_delay_ms": 5}))
            };
            // `initialize` has used 0. From then on each number is used twice at the same time, once as a string.
            let id = if next % 2 == 0 { json!(next / 2) } else { json!((next / 2).to_string()) };
            let mut text = call(&id, &format!("{prefix}{tool}"), &arguments);
            text["params"]["_meta"]["progressToken"] = id.clone();
            wire.send(&text);
            open.insert(id.to_string(), (!steps).then_some(nonce));
            next += 1;
        }
        take(&wire.receive(), &mut open, &mut tally);
    }
    // All calls are answered, so any message before this answer is one too many.
    wire.send(&json!({"jsonrpc": "2.0", "id": "last", "method": "ping"}));
    loop {
        let message = wire.receive();
        if message["id"] == "last" {
            break;
        }
        take(&message, &mut open, &mut tally);
    }
    tally.lost = open.len();
    tally
}

fn take(message: &Value, open: &mut HashMap<String, Option<String>>, tally: &mut Tally) {
    let mut example = |what: &str| tally.examples.push(format!("{what}: {message}"));
    if message["method"] == "notifications/progress" {
        tally.progress += 1;
        if !open.contains_key(&message["params"]["progressToken"].to_string()) {
            example("progress of nothing that is open");
            tally.stray += 1;
        }
        return;
    }
    tally.calls += 1;
    match open.remove(&message["id"].to_string()) {
        None => {
            example("an answer to nothing that is open");
            tally.stray += 1;
        }
        Some(nonce) => {
            let text = message["result"]["content"][0]["text"].as_str();
            let is_right = nonce.as_deref().map_or(text == Some("1 steps"), |nonce| text == Some(nonce));
            if !is_right {
                example(&format!("{nonce:?} was answered with"));
                tally.misrouted += 1;
            }
        }
    }
}

//! Many clients at once on shared servers: 0 misrouted, 0 lost, 0 duplicated.

use std::collections::HashMap;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use exai_client::link::{Incoming, Link};
use exai_proto::documents::DaemonRecord;
use exai_proto::link::Role;
use serde_json::{Value, json};

use crate::support::{Instance, LIMIT, fixture};

const CLIENTS: usize = 200;
const CALLS: usize = 500;
const AT_ONCE: usize = 8;
const SERVERS: [&str; 3] = ["a", "b", "c"];

/// One client's count of what went wrong, and of calls.
#[derive(Default)]
struct Tally {
    calls: usize,
    progress: usize,
    wrong: Vec<String>,
}

#[test]
fn two_hundred_clients_with_the_same_ids_and_tokens_get_each_their_own() {
    let servers: String = SERVERS.iter().map(|name| fixture(name, &[])).collect();
    let instance = Instance::new(&servers);
    instance.ends(0, &["start"]);
    let record = std::fs::read(instance.home().join("daemon.json")).expect("a record");
    let record: DaemonRecord = serde_json::from_slice(&record).expect("a record");
    let address = record.local_address().expect("a local socket").to_owned();
    let all_there = Barrier::new(CLIENTS);
    let tallies: Vec<Tally> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..CLIENTS)
            .map(|number| {
                let (address, all_there) = (&address, &all_there);
                let run = move || client(number, address, all_there);
                std::thread::Builder::new().stack_size(256 * 1024).spawn_scoped(scope, run).expect("a thread")
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("a client")).collect()
    });
    let wrong: Vec<&String> = tallies.iter().flat_map(|tally| &tally.wrong).take(5).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(tallies.iter().map(|tally| tally.calls).sum::<usize>(), CLIENTS * CALLS);
    assert!(tallies.iter().map(|tally| tally.progress).sum::<usize>() > CLIENTS, "progress was seen");
}

fn client(number: usize, address: &str, all_there: &Barrier) -> Tally {
    let mut hello = exai_client::hello(Role::Shim);
    // Every fourth sees all servers, the others one each.
    let own = (number % 4 < 3).then(|| SERVERS[number % 4]);
    hello.server = own.map(ToOwned::to_owned);
    let endpoint = address.parse().expect("an address");
    let mut link = Link::open(&endpoint, &hello, Instant::now() + LIMIT).expect("a link");
    let mut tally = Tally::default();
    send(
        &link,
        &json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}}}),
    );
    let introduced = receive(&mut link);
    assert!(introduced["result"].is_object(), "{introduced}");
    all_there.wait();
    let mut open: HashMap<u64, String> = HashMap::new();
    let mut next = 1_u64;
    while tally.calls < CALLS {
        while open.len() < AT_ONCE && next as usize <= CALLS {
            let nonce = format!("{number}-{next}");
            let server = own.unwrap_or(SERVERS[next as usize % 3]);
            let prefix = if own.is_some() { String::new() } else { format!("{server}__") };
            let (tool, arguments) = if next.is_multiple_of(50) {
                (format!("{prefix}progress"), json!({"steps": 1, "ms": 1, "nonce": nonce}))
            } else {
                (format!("{prefix}nonce"), json!({"nonce": nonce, "max_delay_ms": 5}))
            };
            send(
                &link,
                &json!({"jsonrpc": "2.0", "id": next, "method": "tools/call", "params": {
                "name": tool, "arguments": arguments, "_meta": {"progressToken": next}}}),
            );
            open.insert(next, nonce);
            next += 1;
        }
        take(&receive(&mut link), &mut open, &mut tally);
    }
    if !open.is_empty() {
        tally.wrong.push(format!("client {number} lost {open:?}"));
    }
    tally
}

fn take(message: &Value, open: &mut HashMap<u64, String>, tally: &mut Tally) {
    if message["method"] == "notifications/progress" {
        tally.progress += 1;
        let known =
            message["params"]["progressToken"].as_u64().is_some_and(|token| open.contains_key(&token));
        if !known {
            tally.wrong.push(format!("progress of nothing that is open: {message}"));
        }
        return;
    }
    tally.calls += 1;
    let nonce = message["id"].as_u64().and_then(|id| Some((id, open.remove(&id)?)));
    match nonce {
        None => tally.wrong.push(format!("an answer to nothing that is open: {message}")),
        Some((id, nonce)) => {
            let text = message["result"]["content"][0]["text"].as_str().unwrap_or_default();
            if !id.is_multiple_of(50) && text != nonce {
                tally.wrong.push(format!("{nonce} was answered with {message}"));
            }
        }
    }
}

fn send(link: &Link, message: &Value) {
    link.send_message(message.to_string().as_bytes()).expect("the daemon reads");
}

fn receive(link: &mut Link) -> Value {
    let deadline = Instant::now() + Duration::from_mins(1);
    loop {
        if let Incoming::Message(bytes) = link.next_before(Some(deadline)).expect("a message within a minute")
        {
            return serde_json::from_slice(&bytes).expect("JSON");
        }
    }
}

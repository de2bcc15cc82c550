//! Clients that send messages of 30 MiB, and the effect on other clients.

use std::io::Read;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use exai_client::link::{Incoming, Link};
use exai_proto::link::Role;
use exai_test::eventually;
use serde_json::json;

use super::{Bystanders, Stop, percentile, verdict};
use crate::http::{HttpClient, http};
use crate::support::{Instance, LIMIT, fixture};
use crate::wire::{Wire, call, opening};

/// The way in which the long messages reach the daemon.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// Over a link, as a shim sends them.
    Link,
    /// Over HTTP, as POST requests.
    Http,
}

/// How much longer than at rest the answers of other clients may take.
const MORE: Duration = Duration::from_millis(10);

/// Sends long calls one after the other over a link, and counts their results. A call that is refused because too much
/// already waits for the server does not count.
fn send_long(address: &str, size: usize, over: &AtomicBool, answered: &AtomicU32) {
    let mut hello = exai_client::hello(Role::Shim);
    hello.server = Some("long".to_owned());
    let endpoint = address.parse().expect("an address");
    let mut link = Link::open(&endpoint, &hello, Instant::now() + LIMIT).expect("a link");
    let begin = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": opening()});
    link.send_message(begin.to_string().as_bytes()).expect("it is read");
    let text = call(&json!(1), "echo", &json!({"message": "x".repeat(size)})).to_string();
    while !over.load(Ordering::Relaxed) {
        link.send_message(text.as_bytes()).expect("it is read");
        let deadline = Instant::now() + Duration::from_mins(1);
        loop {
            let Incoming::Message(bytes) = link.next_before(Some(deadline)).expect("an answer") else {
                continue;
            };
            if bytes.len() >= size {
                answered.fetch_add(1, Ordering::Relaxed);
                break;
            }
            if String::from_utf8_lossy(&bytes).contains("-31003") {
                break;
            }
        }
    }
}

/// Sends long calls like [`send_long`], but over HTTP.
fn post_long(instance: &Instance, size: usize, over: &AtomicBool, answered: &AtomicU32) {
    let bearer = format!("Bearer {}", instance.token());
    let mut client = HttpClient { port: instance.port(), bearer, session: None };
    let begin = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": opening()});
    let response = client.send("POST", "/mcp/long", &begin.to_string());
    client.session = response.header("mcp-session-id").map(str::to_owned);
    let text = call(&json!(1), "echo", &json!({"message": "x".repeat(size)})).to_string();
    while !over.load(Ordering::Relaxed) {
        let mut answer = Vec::new();
        let headers = [
            ("authorization", client.bearer.as_str()),
            ("accept", "application/json, text/event-stream"),
            ("content-type", "application/json"),
            ("mcp-session-id", client.session.as_deref().unwrap_or_default()),
            ("connection", "close"),
        ];
        http(client.port, "POST", "/mcp/long", &headers, &text)
            .into_reader()
            .read_to_end(&mut answer)
            .expect("an answer");
        answered.fetch_add(u32::from(answer.len() >= size), Ordering::Relaxed);
    }
}

/// Returns the p99 of other clients at rest, their p99 while `clients` clients send long messages, and the number of
/// results.
fn beside(size: usize, clients: usize, way: Way, time: Duration) -> (Duration, Duration, u32) {
    let instance = Instance::new(&(fixture("fix", &[]) + &fixture("long", &[])));
    instance.ends(0, &["start"]);
    let address = Wire::address(&instance);
    let bystanders = Bystanders::default();
    let answered = AtomicU32::new(0);
    let echo = json!({"message": "x"});
    std::thread::scope(|scope| {
        let _stop = Stop(&bystanders);
        for _ in 0..4 {
            scope.spawn(|| bystanders.watch(&address, "fix", ("echo", &echo), Duration::from_millis(2)));
        }
        std::thread::sleep(time / 10);
        let calm = Instant::now();
        std::thread::sleep(time);
        let begin = Instant::now();
        for _ in 0..clients {
            scope.spawn(|| match way {
                Way::Link => send_long(&address, size, &bystanders.over, &answered),
                Way::Http => post_long(&instance, size, &bystanders.over, &answered),
            });
        }
        std::thread::sleep(time);
        eventually("a long one is answered", LIMIT, || answered.load(Ordering::Relaxed) > 0);
        let end = Instant::now();
        bystanders.stop();
        let at_rest = percentile(&bystanders.times(calm, begin), 99);
        let beside = percentile(&bystanders.times(begin, end), 99);
        (at_rest, beside, answered.load(Ordering::Relaxed))
    })
}

#[test]
#[ignore = "wants the machine for itself; `cargo xtask endure long` runs it"]
fn messages_of_thirty_mebibytes_cost_others_ten_milliseconds_at_most() {
    for (clients, way) in [(1, Way::Link), (1, Way::Http), (3, Way::Link), (3, Way::Http)] {
        let (at_rest, beside, answered) = beside(30 << 20, clients, way, Duration::from_secs(10));
        let reached = beside <= at_rest + MORE;
        eprintln!(
            "{clients} with calls of 30 MiB, {way:?} ({answered} answered): p99 of others {beside:.1?}, at rest {at_rest:.1?}, \
             at most {MORE:?} more: {}",
            verdict(reached)
        );
    }
}

#[test]
fn long_messages_of_one_client_are_answered_and_so_are_the_short_ones_of_others() {
    for way in [Way::Link, Way::Http] {
        let (at_rest, beside, answered) = beside(2 << 20, 2, way, Duration::from_secs(1));
        eprintln!(
            "p99 of others beside {answered} calls of 2 MiB, {way:?}: {beside:.1?}, at rest {at_rest:.1?}"
        );
        assert!(answered > 0, "the long ones are answered");
    }
}

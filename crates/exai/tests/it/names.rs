//! exai keeps the names of clients and servers in order to show them, within a bound.

use std::time::Instant;

use exai_client::link::{Incoming, Link};
use exai_proto::limits;
use exai_proto::link::{FromDaemon, Role, ToDaemon};
use exai_test::eventually;
use serde_json::{Value, json};

use crate::support::{Instance, LIMIT, fixture};
use crate::wire::Wire;

const LONG: usize = 16 * 1024 * 1024;

fn open(instance: &Instance, server: Option<String>, label: Option<String>) -> Link {
    let mut hello = exai_client::hello(Role::Shim);
    (hello.server, hello.label) = (server, label);
    let endpoint = Wire::address(instance).parse().expect("an address");
    Link::open(&endpoint, &hello, Instant::now() + LIMIT).expect("a link")
}

fn receive(link: &mut Link) -> Value {
    loop {
        if let Incoming::Message(bytes) = link.next_before(Some(Instant::now() + LIMIT)).expect("a message") {
            return serde_json::from_slice(&bytes).expect("JSON");
        }
    }
}

#[test]
#[cfg_attr(windows, ignore = "slow under Wine, and the system has no part in it")]
fn names_of_sixteen_mebibytes_are_cut_and_every_command_answers() {
    let instance = Instance::with_fixture(&[]);
    instance.ends(0, &["start"]);
    let long = |letter: &str| letter.repeat(LONG / letter.len());
    let mut links: Vec<Link> = ["ä", "b", "c"]
        .iter()
        .map(|letter| {
            let mut link = open(&instance, Some("fix".to_owned()), Some(long(letter)));
            let info = json!({"name": long(letter), "version": letter.repeat(1000)});
            let params = json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": info});
            let opening = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params});
            link.send_message(opening.to_string().as_bytes()).expect("the daemon reads");
            assert!(receive(&mut link)["result"].is_object());
            link
        })
        .collect();
    let status = instance.status();
    let clients = status["clients"].as_array().expect("clients");
    assert_eq!(clients.len(), 3);
    for client in clients {
        for name in ["label", "name", "version"] {
            let shown = client[name].as_str().unwrap_or_else(|| panic!("{name} in {client}"));
            assert_eq!(shown.chars().count(), limits::NAME_CHARS, "{name}");
        }
    }
    instance.ends(0, &["start"]);
    instance.ends(0, &["why", "fix"]);
    instance.ends(0, &["ps"]);
    // An error does not repeat a long name in full either.
    let answer =
        links[0].ask(&ToDaemon::Why { server: long("d") }, Instant::now() + LIMIT).expect("an answer");
    assert!(matches!(&answer, FromDaemon::Error { reason } if reason.len() < 1000), "{answer:?}");
}

#[test]
fn the_instructions_of_a_server_are_told_to_clients_of_all_servers_within_a_bound() {
    let servers = fixture("fix", &["--instructions", &"x".repeat(100_000)]);
    let instance = Instance::new(&servers);
    instance.ends(0, &["start"]);
    // The daemon knows the instructions of a server once it has started the server.
    drop(instance.client("fix"));
    eventually("its instructions are told", LIMIT, || {
        let mut client = instance.shim(&[]);
        let said = client.initialize(&json!({}));
        let told = said["result"]["instructions"].as_str().unwrap_or_default().to_owned();
        let told = told.chars().count();
        assert!(told < 2 * limits::INSTRUCTIONS_CHARS, "{told}");
        told > limits::INSTRUCTIONS_CHARS / 2
    });
}

//! Tokens that end while many clients use them: each is renewed once for all, and nobody is asked to sign in again.

use std::fmt::Write as _;
use std::thread;
use std::time::{Duration, Instant};

use exai_os::process::{self, Kill};
use exai_test::authorization_server::{AuthorizationServer, Options, Resource, follow};
use exai_test::{Random, eventually, scaled};
use serde_json::json;

use super::Login;
use crate::faults::daemon;
use crate::support::{Client, Instance, LIMIT};

/// Which moments are tried.
const SEED: u64 = 16;

/// An authorization server for this many MCP servers, which takes each refresh token once and punishes a second use.
fn authorization_server(servers: usize) -> AuthorizationServer {
    let resources = (0..servers).map(|number| Resource::new(&format!("/mcp/{number}"), &["mcp"]));
    AuthorizationServer::start(Options { resources: resources.collect(), ..Options::default() })
}

/// An instance that hosts all of them, signed in.
fn signed_in(server: &AuthorizationServer, servers: usize) -> Instance {
    let mut config = String::new();
    for number in 0..servers {
        let url = server.url(&format!("/mcp/{number}"));
        writeln!(config, "[servers.s{number}]\nurl = {}", json!(url)).expect("a text");
    }
    let instance = Instance::new(&config);
    instance.ends(0, &["start"]);
    for number in 0..servers {
        let login = Login::begin(&instance, &format!("s{number}"), &[]);
        assert_eq!(follow(&login.page).status, 200);
        login.succeeds();
    }
    assert_eq!(server.seen().pages, servers);
    instance
}

fn client(instance: &Instance) -> Client {
    let mut client = instance.shim(&[]);
    client.initialize(&json!({}));
    client
}

/// Calls a tool of each server. A call may fail when its daemon was killed, and never for want of a sign-in.
fn call_all(client: &mut Client, servers: usize) -> Result<(), String> {
    for number in 0..servers {
        let call = json!({"name": format!("s{number}__whoami"), "arguments": {}});
        let answer = client.ask("tools/call", &call);
        if !answer["result"].is_object() {
            return Err(answer.to_string());
        }
    }
    Ok(())
}

/// Every access token ends `expiries` times under this many clients.
fn expire(clients: usize, servers: usize, expiries: usize) {
    let server = authorization_server(servers);
    let instance = signed_in(&server, servers);
    let mut clients: Vec<Client> = (0..clients).map(|_| client(&instance)).collect();
    let began = Instant::now();
    for expiry in 0..expiries {
        server.expire_access_tokens();
        thread::scope(|scope| {
            let calling = clients.iter_mut().map(|client| scope.spawn(|| call_all(client, servers)));
            for called in calling.collect::<Vec<_>>() {
                called
                    .join()
                    .expect("it ends")
                    .unwrap_or_else(|answer| panic!("after {expiry} expiries: {answer}"));
            }
        });
    }
    let seen = server.seen();
    assert_eq!((seen.pages, seen.reuses, seen.leaks), (servers, 0, 0), "{seen:?}");
    assert_eq!(seen.refreshes, servers * expiries, "one renewal each: {seen:?}");
    eprintln!(
        "{} clients, {servers} servers, {expiries} expiries: {} pages, {} renewals, {:.1?}",
        clients.len(),
        seen.pages,
        seen.refreshes,
        began.elapsed()
    );
}

#[test]
fn a_token_that_ends_under_many_clients_is_renewed_once() {
    expire(20, 10, scaled(5));
}

#[test]
#[ignore = "takes minutes: cargo xtask endure sign-ins"]
fn a_thousand_expiries_cost_one_page_per_server() {
    expire(20, 10, 1000);
}

fn kill(instance: &Instance) {
    process::kill_verified(&daemon(instance), Kill::Force).expect("it can be killed");
}

#[test]
fn a_daemon_that_is_killed_while_a_token_is_renewed_loses_nothing() {
    let server = authorization_server(1);
    let instance = signed_in(&server, 1);
    let mut caller = client(&instance);
    call_all(&mut caller, 1).expect("it is signed in");
    // The authorization server has spent the old refresh token, and its answer is on the way.
    server.expire_access_tokens();
    server.hold_tokens();
    let asked = caller.request("tools/call", &json!({"name": "s0__whoami", "arguments": {}}));
    eventually("the renewal waits for its answer", LIMIT, || server.seen().held == 1);
    kill(&instance);
    server.release_tokens();
    let answer = caller.answer(&asked);
    assert!(answer["result"].is_object() || answer["error"]["data"]["retrySafe"].is_boolean(), "{answer}");
    call_all(&mut client(&instance), 1).expect("the sign-in is there");
    let seen = server.seen();
    assert_eq!((seen.pages, seen.reuses, seen.refreshes), (1, 0, 1), "{seen:?}");
}

#[test]
fn daemons_that_are_killed_at_any_moment_of_a_renewal_lose_nothing() {
    let server = authorization_server(2);
    let instance = signed_in(&server, 2);
    let mut random = Random::new(SEED);
    for round in 0..scaled(12) {
        server.expire_access_tokens();
        let victim = daemon(&instance);
        let delay = Duration::from_micros(random.below(60_000) as u64);
        let mut before = client(&instance);
        thread::scope(|scope| {
            // It may be answered by the next daemon, or not.
            scope.spawn(|| {
                call_all(&mut before, 2).map_err(|answer| {
                    assert!(!answer.contains("exai login"), "round {round}, {delay:?}: {answer}");
                })
            });
            thread::sleep(delay);
            process::kill_verified(&victim, Kill::Force).expect("it can be killed");
        });
        call_all(&mut client(&instance), 2)
            .unwrap_or_else(|answer| panic!("round {round}, {delay:?}: {answer}"));
    }
    let seen = server.seen();
    assert_eq!((seen.pages, seen.reuses), (2, 0), "{seen:?}");
}

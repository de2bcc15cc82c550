//! Several accounts of one server: a client uses one, and meets nothing of the others.

use std::time::Duration;

use exai_mux::policy::Policy;
use exai_mux::{Account, ClientId, ClientName, Endpoint, Era, Event};
use serde_json::{Value, json};

use crate::support::{Bench, initialize, only, policy};

fn account(name: &str, directory: Option<&str>) -> Account {
    let directories = directory.into_iter().map(str::to_owned).collect();
    Account { server: "hub".into(), name: name.into(), clients: Vec::new(), directories }
}

/// Server `hub` with the accounts `work` and `club`, and server `b`.
fn two_accounts() -> Bench {
    let mut bench = Bench::new(Vec::new());
    bench.does(Event::Accounts {
        accounts: vec![account("work", Some("/jobs")), account("club", Some("/club"))],
    });
    bench.does(Event::Configured { policies: vec![policy("hub@work"), policy("hub@club"), policy("b")] });
    bench
}

fn one() -> Endpoint {
    Endpoint::One("hub".into())
}

/// Opens a client in a directory, which sends `initialize`.
fn enters(bench: &mut Bench, client: u64, endpoint: Endpoint, directory: Option<&str>) -> Vec<String> {
    bench.open_in(client, endpoint, ClientName::Program, directory);
    bench.says(client, &initialize("{}"))
}

fn request(id: u64, method: &str, params: &Value) -> String {
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).to_string()
}

fn starts(lines: &[String]) -> Vec<&str> {
    lines.iter().filter_map(|line| line.strip_prefix("start ")).collect()
}

#[test]
fn clients_of_an_account_share_an_instance_and_those_of_another_never_do() {
    let mut bench = two_accounts();
    assert_eq!(starts(&enters(&mut bench, 1, one(), Some("/jobs"))), ["hub@work#1 as 0"]);
    assert_eq!(starts(&enters(&mut bench, 2, one(), Some("/jobs/deep"))), [""; 0]);
    assert_eq!(starts(&enters(&mut bench, 3, one(), Some("/club"))), ["hub@club#1 as 1"]);
    let lines = [bench.ready(0), bench.ready(1)].concat();
    for client in [1, 2, 3] {
        only(&lines, &format!("client {client}"));
    }
    for (client, instance) in [(1, 0), (2, 0), (3, 1)] {
        let sent = bench.says(client, &request(7, "tools/call", &json!({"name": "x"})));
        only(&sent, &format!("server {instance}"));
    }
    let explained = bench.router.explain_accounts("hub").join("\n");
    assert!(explained.contains("c3 (c) uses the account club: `directories` names \"/club\""), "{explained}");
}

#[test]
fn a_client_that_no_account_suits_is_told_the_accounts() {
    let mut bench = two_accounts();
    for endpoint in [one(), Endpoint::Several(std::sync::Arc::new(["hub".into()].into()))] {
        let refused = only(&enters(&mut bench, 1, endpoint, None), "client 1");
        let said = refused["error"]["message"].as_str().unwrap_or_default().to_owned();
        assert!(said.contains("has the accounts work, club") && said.contains("none of them"), "{refused}");
        bench.does(Event::Closed { client: ClientId(1) });
    }
    enters(&mut bench, 2, Endpoint::All, Some("/else"));
    let refused = only(&bench.says(2, &request(7, "tools/call", &json!({"name": "hub__x"}))), "client 2");
    assert!(refused.to_string().contains("has the accounts work, club"), "{refused}");
    assert!(!bench.router.is_busy());
}

/// The tools that a client is told.
fn tools(bench: &mut Bench, client: u64) -> Vec<String> {
    let mut lines = bench.says(client, &request(5, "tools/list", &json!({})));
    lines.extend(bench.lives(Duration::from_secs(3)));
    lines.retain(|line| line.contains(r#""id":5"#));
    let answer = only(&lines, &format!("client {client}"));
    let items = answer["result"]["tools"].as_array().unwrap_or_else(|| panic!("a list: {answer}"));
    items.iter().map(|item| item["name"].as_str().unwrap_or_default().to_owned()).collect()
}

/// Clients 1 and 2 of all servers, of the accounts `work` and `club`, which have the tools `w` and `c`.
fn listed_accounts() -> Bench {
    let mut bench = two_accounts();
    for (client, directory, tool) in [(1, "/jobs", "w"), (2, "/club", "c")] {
        enters(&mut bench, client, Endpoint::All, Some(directory));
        let lines = bench.says(client, &request(1, "tools/list", &json!({})));
        for start in starts(&lines) {
            let (server, instance) = start.split_once("#1 as ").expect("a first run");
            let instance = instance.parse().expect("a number");
            bench.ready(instance);
            let tool = if server == "b" { "t" } else { tool };
            let result = json!({"jsonrpc": "2.0", "id": 2, "result": {"tools": [{"name": tool}]}});
            bench.server_says(instance, &result.to_string());
        }
    }
    bench
}

#[test]
fn lists_and_failures_of_an_account_stay_with_it() {
    let mut bench = listed_accounts();
    assert_eq!(tools(&mut bench, 1), ["hub__w", "b__t"]);
    assert_eq!(tools(&mut bench, 2), ["hub__c", "b__t"]);
    // The account `work` fails, and is held back.
    let lines = bench.says(1, &request(7, "tools/call", &json!({"name": "hub__w"})));
    let instance = lines[0].split(' ').nth(1).and_then(|number| number.parse().ok()).expect("an instance");
    bench.down(instance, "wants somebody to sign in");
    let other = bench.says(2, &request(8, "tools/call", &json!({"name": "hub__c"})));
    assert!(other.len() == 1 && other[0].starts_with("server "), "{other:?}");
}

#[test]
fn other_rules_move_a_client_to_its_other_account() {
    let mut bench = listed_accounts();
    let told = bench.does(Event::Accounts { accounts: vec![account("club", None), account("work", None)] });
    assert!(
        told.iter().any(|line| line.starts_with("client 1 <- ") && line.contains("tools/list_changed")),
        "{told:?}"
    );
    assert!(!told.iter().any(|line| line.starts_with("client 2 <- ")), "nothing changes for it: {told:?}");
    assert_eq!(tools(&mut bench, 1), ["hub__c", "b__t"]);
}

#[test]
fn a_client_without_a_session_has_the_account_of_the_name_that_its_request_says() {
    let mut bench = Bench::new(Vec::new());
    let named = Account { clients: vec!["Cursor".to_owned()], ..account("work", None) };
    bench.does(Event::Accounts { accounts: vec![named, account("rest", None)] });
    let modern = |name: &str| Policy { era: Some(Era::Modern), ..policy(name) };
    bench.does(Event::Configured { policies: vec![modern("hub@work"), modern("hub@rest")] });
    let (client, name) = (ClientId(1), ClientName::Program);
    bench.does(Event::Opened { client, endpoint: one(), name, directory: None, stateless: true });
    for (number, program, expected) in [(1, "cursor", "hub@work#1 as 0"), (2, "zed", "hub@rest#1 as 1")] {
        let meta = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": {"name": program, "version": "1"},
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        let lines = bench.says(1, &request(number, "tools/call", &json!({"name": "x", "_meta": meta})));
        assert_eq!(starts(&lines), [expected], "{program}");
    }
}

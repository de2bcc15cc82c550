//! What a client sees of the servers: `[clients.LABEL]` in `config.toml`, and several `--server` of a shim.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use exai_test::eventually;
use serde_json::{Value, json};

use crate::http::HttpClient;
use crate::support::{Client, Instance, LIMIT, fixture, text};

const CURSOR: &str = "[clients.cursor]\nservers = [\"fix\"]\ntools = { deny = [\"fix__pid\"] }\n";

/// The fixture servers `fix` and `two`, with this choice.
fn servers(choice: &str) -> String {
    fixture("fix", &[]) + &fixture("two", &[]) + choice
}

fn labelled(instance: &Instance, label: &str) -> Client {
    let mut client = instance.shim(&["--client", label]);
    client.initialize(&json!({}));
    client
}

/// The names of the tools that a client is told.
fn tools(client: &mut Client) -> Vec<String> {
    names(&client.ask("tools/list", &json!({}))["result"])
}

fn names(result: &Value) -> Vec<String> {
    let tools = result["tools"].as_array().unwrap_or_else(|| panic!("a list: {result}"));
    tools.iter().filter_map(|tool| tool["name"].as_str()).map(str::to_owned).collect()
}

fn is_told(client: &mut Client, changed: &str) {
    while client.receive()["method"] != format!("notifications/{changed}/list_changed") {}
}

/// Nothing waits for the client: the next message is the answer to a ping.
fn is_told_nothing(client: &mut Client) {
    let id = client.request("ping", &json!({}));
    let next = client.receive();
    assert_eq!(next["id"], id, "{next}");
}

#[test]
fn a_client_sees_and_calls_what_is_chosen_and_hears_when_that_changes_and_others_do_not() {
    let instance = Instance::new(&servers(CURSOR));
    let mut other = labelled(&instance, "claude-code");
    other.call("two__pid", &json!({}));
    other.call("fix__pid", &json!({}));
    let mut cursor = labelled(&instance, "cursor");
    let seen = tools(&mut cursor);
    assert!(seen.contains(&"fix__echo".to_owned()), "{seen:?}");
    assert!(seen.iter().all(|name| name.starts_with("fix__") && name != "fix__pid"), "{seen:?}");
    assert_eq!(cursor.call("fix__echo", &json!({"message": "x"})), "x");
    for hidden in ["two__pid", "fix__pid", "three__pid"] {
        let answer = cursor.ask("tools/call", &json!({"name": hidden, "arguments": {}}));
        let text = format!("Unknown tool or prompt: {hidden} (names are SERVER__NAME)");
        assert_eq!(answer["error"], json!({"code": -32602, "message": text}));
    }
    // The entry of one server has the same choice.
    let mut alone = instance.shim(&["--client", "cursor", "--server", "two"]);
    let refused = alone.initialize(&json!({}));
    assert_eq!(refused["error"]["message"], r#"no server is called "two"; configured are: fix"#);
    let mut alone = instance.shim(&["--client", "cursor", "--server", "fix"]);
    alone.initialize(&json!({}));
    assert!(!tools(&mut alone).contains(&"pid".to_owned()));

    let all = tools(&mut other);
    assert!(all.contains(&"two__pid".to_owned()) && all.contains(&"fix__pid".to_owned()), "{all:?}");
    instance.configure(&servers("[clients.cursor]\nservers = [\"two\"]\n"));
    is_told(&mut cursor, "tools");
    is_told_nothing(&mut other);
    let seen = tools(&mut cursor);
    assert!(!seen.is_empty() && seen.iter().all(|name| name.starts_with("two__")), "{seen:?}");
    instance.configure(&servers(""));
    is_told(&mut cursor, "tools");
    is_told_nothing(&mut other);
    assert_eq!(tools(&mut cursor), all);
}

#[test]
fn a_server_that_no_client_may_see_is_not_started() {
    let instance = Instance::new(&servers(CURSOR));
    let mut cursor = labelled(&instance, "cursor");
    tools(&mut cursor);
    let status = instance.status();
    let servers = status["servers"].as_array().expect("servers").iter();
    let running = servers.filter(|server| server["instances"] != json!([]));
    assert_eq!(running.filter_map(|server| server["name"].as_str()).collect::<Vec<_>>(), ["fix"]);
}

#[test]
fn an_http_client_is_known_by_the_name_of_its_program_and_may_name_servers() {
    let instance = Instance::new(&servers(CURSOR));
    instance.know(&["fix", "two"]);
    let bearer = format!("Bearer {}", instance.token());
    let listed = |name: &str, path: &str| {
        let mut client = HttpClient { port: instance.port(), bearer: bearer.clone(), session: None };
        let hello = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
            "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": name, "version": "1"}}});
        let opened = client.send("POST", path, &hello.to_string());
        client.session = opened.header("mcp-session-id").map(ToOwned::to_owned);
        let opened = opened.answer();
        if opened["error"].is_object() {
            return Err(opened["error"]["message"].as_str().expect("a sentence").to_owned());
        }
        let list = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"});
        Ok(names(&client.send("POST", path, &list.to_string()).answer()["result"]))
    };
    let all = listed("other", "/mcp").expect("a list");
    let starts = |names: &[String], start: &str| names.iter().filter(|name| name.starts_with(start)).count();
    assert!(starts(&all, "fix__") > 0 && starts(&all, "two__") > 0 && starts(&all, "exai__") > 0, "{all:?}");
    let cursor = listed("Cursor", "/mcp").expect("a list");
    assert!(!cursor.is_empty() && starts(&cursor, "fix__") == cursor.len(), "{cursor:?}");
    let two = listed("other", "/mcp?server=two&server=exai").expect("a list");
    assert_eq!(starts(&two, "two__") + starts(&two, "exai__"), two.len());
    assert_eq!(two.len(), starts(&all, "two__") + starts(&all, "exai__"));
    let none = listed("Cursor", "/mcp?server=two").expect_err("no server is left");
    assert_eq!(none, r#"no server is called "two"; configured are: fix"#);
}

#[test]
fn several_servers_of_a_shim_are_united_and_the_unknown_ones_are_named() {
    let instance = Instance::new(&servers(""));
    let mut command = instance.command(&["shim", "--server", "two", "--server", "gone", "--server", "two"]);
    let mut shim =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("a shim");
    let mut said = String::new();
    BufReader::new(shim.stderr.take().expect("stderr")).read_line(&mut said).expect("a line");
    assert!(said.contains("no server is called gone; the client sees the others"), "{said}");
    drop(shim.stdin.take());
    shim.wait().expect("it ends");

    let mut client = instance.shim(&["--server", "two", "--server", "gone"]);
    client.initialize(&json!({}));
    client.call("two__pid", &json!({}));
    let seen = tools(&mut client);
    assert!(!seen.is_empty() && seen.iter().all(|name| name.starts_with("two__")), "{seen:?}");
    let log = std::fs::read_to_string(instance.home().join("log/daemon.log")).expect("a log");
    assert!(log.contains("a client wants servers that are not configured") && log.contains("gone"), "{log}");

    let mut lost = instance.shim(&["--server", "gone", "--server", "lost"]);
    let refused = lost.initialize(&json!({}));
    assert_eq!(refused["error"]["code"], -31006);
    let sentence = r#"no server is called "gone" or "lost"; configured are: fix, two, exai"#;
    assert_eq!(refused["error"]["message"], sentence);
    instance.configure(&(servers("") + &fixture("lost", &[])));
    eventually("it is there", LIMIT, || lost.initialize(&json!({}))["result"].is_object());
    lost.call("lost__pid", &json!({}));
    // A restart of the daemon changes nothing of that.
    instance.ends(0, &["restart"]);
    client.call("two__pid", &json!({}));
    let seen = tools(&mut client);
    assert!(!seen.is_empty() && seen.iter().all(|name| name.starts_with("two__")), "{seen:?}");
}

#[test]
fn a_person_sees_what_a_client_is_offered_and_what_is_wrong_with_the_choice() {
    let choice = "[clients.cursor]\nservers = [\"fix\", \"gone\"]\ntools = { allow = [\"fix__e*\"], deny = [\"delete_*\"] }\n";
    let instance = Instance::new(&servers(choice));
    let document = instance.json(&["tools", "--client", "Cursor", "--json"]);
    let listed = document["tools"].as_array().expect("tools");
    let seen: Vec<(&str, &str)> = listed
        .iter()
        .filter_map(|one| Some((one["server"].as_str()?, one["tool"]["name"].as_str()?)))
        .collect();
    assert!(seen.contains(&("fix", "echo")), "{seen:?}");
    assert!(seen.iter().all(|(server, tool)| *server == "fix" && tool.starts_with('e')), "{seen:?}");
    let output = instance.exai(&["tools", "--client", "cursor"]);
    assert_eq!(output.status.code(), Some(0));
    let said = text(&output.stderr);
    let tools = if seen.len() == 1 { "1 tool".to_owned() } else { format!("{} tools", seen.len()) };
    assert!(said.contains(&format!("cursor sees {tools} of 1 server")), "{said}");
    let output = instance.exai(&["tools", "two", "--client", "cursor"]);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains(r#"cursor sees no server called "two""#), "{said}");
    // The command line itself is no client.
    instance.know(&["two"]);
    let all = instance.json(&["tools", "--json"]);
    assert!(all["tools"].as_array().expect("tools").len() > seen.len());
    instance.ends(0, &["call", "two", "pid"]);

    let findings = instance.status()["findings"].clone();
    let details: Vec<&str> = findings
        .as_array()
        .expect("findings")
        .iter()
        .filter_map(|finding| finding["detail"].as_str())
        .collect();
    assert_eq!(details.len(), 2, "{findings}");
    assert!(
        details[0].contains(r#"[clients."cursor"] in config.toml: `servers` names "gone""#),
        "{findings}"
    );
    assert!(details[1].contains(r#""delete_*" in `tools` fits no tool"#), "{findings}");
    assert!(findings.as_array().expect("findings").iter().all(|finding| finding["id"] == "client-choice"));
}

//! The command line as a user sees it.

use exai_os::process;
use serde_json::{Value, json};

use crate::support::{Instance, fixture, text};

#[test]
fn servers_are_added_listed_called_and_removed_while_a_client_watches() {
    let instance = Instance::new("# kept\n");
    let program = exai_test::program("fixture-server");
    let program = program.to_str().expect("a path in UTF-8");
    let mut client = instance.shim(&[]);
    client.initialize(&json!({}));
    instance.ends(0, &["add", "one", "--env", "KEY=value", "--", program]);
    assert_eq!(client.receive()["method"], "notifications/tools/list_changed");
    instance.ends(1, &["add", "one", "--", program]);
    instance.ends(0, &["add", "one", "--force", "--env", "KEY=other", "--", program]);
    assert_eq!(instance.ends(0, &["call", "one", "env", r#"{"name":"KEY"}"#]).trim(), "other");
    let listed = instance.json(&["list", "--json"]);
    let names: Vec<&str> = listed["servers"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|server| server["name"].as_str())
        .collect();
    assert_eq!(names, ["one", "exai"]);
    assert_eq!(listed["servers"][0]["state"], "ready");
    let tools = instance.json(&["tools", "one", "--json"]);
    assert_eq!((&tools["schema"], &tools["tools"][0]["server"]), (&json!(1), &json!("one")));
    assert!(tools["tools"][0]["tool"]["x-vendor"].is_object(), "tools are passed raw: {}", tools["tools"][0]);
    let all = instance.ends(0, &["tools"]);
    assert!(all.contains("echo") && all.contains("status"), "{all}");
    instance.ends(0, &["remove", "one"]);
    instance.ends(1, &["remove", "one"]);
    let config = std::fs::read_to_string(instance.home().join("config.toml")).expect("the file");
    assert!(config.contains("# kept") && !config.contains("one"), "{config}");
}

#[test]
fn call_prints_text_or_the_raw_result_and_fails_when_the_tool_does() {
    let instance = Instance::with_fixture(&[]);
    assert_eq!(instance.ends(0, &["call", "fix", "echo", r#"{"message":"hi"}"#]), "hi\n");
    let raw = instance.ends(0, &["call", "fix", "echo", r#"{"message":"hi"}"#, "--json"]);
    assert!(raw.contains(r#""b":[1e2,-0.0],"c":"\u00e9 \/ \u2028""#), "byte for byte: {raw}");
    instance.ends(1, &["call", "fix", "fail", r#"{"message":"no"}"#]);
    let error: Value =
        serde_json::from_str(&instance.ends(1, &["call", "fix", "nothing", "--json"])).expect("JSON");
    assert!(error["error"]["code"].is_i64(), "{error}");
    let unknown: Value =
        serde_json::from_str(&instance.ends(1, &["call", "nobody", "x", "--json"])).expect("JSON");
    assert_eq!(unknown["error"]["code"], -31006);
    instance.ends(2, &["call", "fix", "echo", "{not json"]);
}

#[test]
fn status_counts_one_process_as_one() {
    let instance = Instance::with_fixture(&[]);
    let pid = instance.ends(0, &["call", "fix", "pid"]);
    let said = instance.ends(0, &["status"]);
    let processes = match consoles(pid.trim().parse().expect("a pid")) {
        0 => "1 process".to_owned(),
        number => format!("{} processes", 1 + number),
    };
    assert!(said.contains(&format!("1 instance, {processes}, ")), "{said}");
}

#[test]
fn the_built_in_server_says_what_runs() {
    let instance = Instance::with_fixture(&[]);
    let status = instance.json(&["call", "exai", "status", "--json"]);
    assert_eq!(status["structuredContent"]["state"], "running");
    let servers = instance.json(&["call", "exai", "servers", "--json"]);
    assert_eq!(servers["structuredContent"]["servers"][0]["name"], "fix");
}

#[test]
fn the_status_document_shows_clients_servers_and_processes() {
    let instance = Instance::with_fixture(&["--children", "2"]);
    let mut client = instance.shim(&["--server", "fix", "--client", "my editor"]);
    client.initialize(&json!({}));
    let pid: u64 = client.call("pid", &json!({})).parse().expect("a pid");
    let status = instance.status();
    let shown = &status["clients"][0];
    assert_eq!(
        (&shown["label"], &shown["name"], &shown["transport"]),
        (&json!("my editor"), &json!("test"), &json!("shim"))
    );
    assert_eq!(shown["shim_pid"], client.pid());
    assert_eq!(shown["client_pid"], std::process::id());
    let server = &status["servers"][0];
    assert_eq!(
        (&server["name"], &server["state"], &server["era"]),
        (&json!("fix"), &json!("ready"), &json!("2025-11-25"))
    );
    let running = &server["instances"][0];
    let consoles = consoles(pid as u32);
    assert_eq!(
        (&running["id"], &running["pid"], &running["processes"]),
        (&json!("fix#1"), &json!(pid), &json!(3 + consoles))
    );
    assert!(running["rss_bytes"].as_u64().is_some_and(|bytes| bytes > 100_000));
    // The daemon, the shim, the server with its two children, and the guard, which Windows does not have.
    let all = json!(5 + consoles + usize::from(!cfg!(windows)));
    assert_eq!((&status["processes"]["expected"], &status["processes"]["actual"]), (&all, &all));
}

/// The number of processes in the tree that Windows adds, one for each console.
fn consoles(root: u32) -> usize {
    let all = process::snapshot().expect("the process table");
    process::descendants(&all, root).iter().filter(|one| one.name == "conhost.exe").count()
}

#[test]
fn a_configuration_that_is_wrong_is_named_with_its_place_by_a_start() {
    let instance = Instance::new("");
    instance.configure("[servers.x]\ncommand = \"y\"\ncolour = \"red\"\n");
    let output = instance.exai(&["start"]);
    let said = crate::support::text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("config.toml") && said.contains("colour") && said.contains('5'), "{said}");
}

#[test]
fn two_servers_in_one_view_keep_their_names_apart() {
    let instance = Instance::new(&(fixture("one", &["--name", "1"]) + &fixture("two", &["--name", "2"])));
    instance.know(&["one", "two"]);
    let mut client = instance.shim(&[]);
    client.initialize(&json!({}));
    let tools = client.ask("tools/list", &json!({}));
    let names: Vec<&str> = tools["result"]["tools"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|tool| tool["name"].as_str())
        .collect();
    for expected in ["one__echo", "two__echo", "exai__status"] {
        assert!(names.contains(&expected), "{names:?}");
    }
    let (one, two) = (client.call("one__pid", &json!({})), client.call("two__pid", &json!({})));
    assert_ne!(one, two);
    let read = client.ask("resources/read", &json!({"uri": "test://static"}));
    assert!(read["result"]["contents"][0].is_object(), "{read}");
}

#[test]
fn a_number_that_makes_no_sense_is_a_usage_error() {
    let instance = Instance::new("");
    for seconds in ["18446744073709551615", "86401", "-1", "1.5", ""] {
        instance.ends(2, &["stop", &format!("--timeout={seconds}")]);
    }
    instance.ends(0, &["stop", "--timeout=86400"]);
}

#[test]
fn what_only_a_shell_would_understand_is_explained() {
    let instance = Instance::new("[servers.home]\ncommand = 'cat'\ncwd = '~/none'\n");
    let added = instance.exai(&["add", "line", "--no-check", "--", "npx -y some-server"]);
    let advice = r#"write command = "npx" and args = ["-y", "some-server"]"#;
    assert!(text(&added.stderr).contains(advice), "{}", text(&added.stderr));
    for (server, expected) in [("line", advice), ("home", "`cwd` holds `~`, which only a shell replaces")] {
        let called = instance.exai(&["call", server, "x"]);
        assert!(text(&called.stderr).contains(expected), "{}", text(&called.stderr));
    }
    let found: Value = serde_json::from_str(&instance.ends(6, &["doctor", "--json"])).expect("JSON");
    let checks = found["checks"].as_array().into_iter().flatten();
    let commands = checks.clone().find(|check| check["id"] == "commands").expect("the check");
    let detail = commands["detail"].as_str().unwrap_or_default();
    assert!(detail.contains(advice) && detail.contains("`cwd` holds `~`"), "{detail}");
}

//! A server that starts slowly is known from its last run, an added server is known before a client asks for it, and a
//! server that does not answer delays no client.

use std::fs;
use std::time::{Duration, Instant};

use exai_test::{eventually, program};
use serde_json::{Value, json};

use crate::support::{Instance, LIMIT, fixture, text};

fn names(answer: &serde_json::Value) -> Vec<String> {
    let tools = answer["result"]["tools"].as_array().unwrap_or_else(|| panic!("{answer}"));
    tools.iter().map(|tool| tool["name"].as_str().expect("a name").to_owned()).collect()
}

#[test]
fn a_daemon_that_has_just_started_answers_for_a_server_that_has_not() {
    let dir = tempfile::tempdir().expect("a directory");
    let may_start = dir.path().join("may start");
    let instance = Instance::new(&fixture("slow", &["--start-after", &may_start.to_string_lossy()]));
    let state = || instance.status()["servers"][0]["state"].clone();
    fs::write(&may_start, "").expect("a file");
    let first = names(&instance.client("slow").ask("tools/list", &json!({})));
    instance.ends(0, &["restart"]);
    instance.ends(0, &["stop"]);
    assert!(instance.home().join("discovery/slow.json").exists());

    // This client starts the daemon. The server waits for a file before it says anything.
    fs::remove_file(&may_start).expect("the file");
    let mut client = instance.shim(&["--server", "slow"]);
    let said = client.initialize(&json!({}));
    assert_eq!(said["result"]["serverInfo"]["name"], "fixture-server");
    assert_eq!(names(&client.ask("tools/list", &json!({}))), first);
    assert_eq!(state(), "starting");
    let mut all = instance.shim(&[]);
    all.initialize(&json!({}));
    assert!(names(&all.ask("tools/list", &json!({}))).contains(&format!("slow__{}", first[0])));
    assert_eq!(state(), "starting");

    // A call must wait for the server itself.
    let call = client.request("tools/call", &json!({"name": "pid", "arguments": {}}));
    fs::write(&may_start, "").expect("a file");
    assert!(client.answer(&call)["result"].is_object());
    assert_eq!(state(), "ready");
}

#[test]
fn a_server_that_is_started_in_another_way_is_not_taken_for_the_one_that_was_known() {
    let instance = Instance::new(&fixture("fix", &["--name", "one"]));
    instance.client("fix");
    instance.ends(0, &["stop"]);
    instance.configure(&fixture("fix", &["--name", "two"]));
    let mut client = instance.shim(&["--server", "fix"]);
    assert_eq!(client.initialize(&json!({}))["result"]["serverInfo"]["name"], "two");
}

#[test]
fn a_start_removes_what_is_known_of_servers_that_are_gone_and_nothing_else() {
    let instance = Instance::with_fixture(&[]);
    let kept = instance.home().join("discovery");
    let known = kept.join("fix.json");
    instance.client("fix").ask("tools/list", &json!({}));
    instance.ends(0, &["stop"]);
    assert!(known.exists());
    instance.configure("");
    let ours = fs::read_to_string(&known).expect("the file");
    let foreign = [
        ("notes.json", r#"{"mine":true}"#.to_owned()),
        ("torn.json", "{".to_owned()),
        ("empty.json", String::new()),
        ("later.json", ours.replace(r#""schema":1"#, r#""schema":2"#)),
        ("no name of a server.json", ours.clone()),
    ];
    for (name, text) in &foreign {
        fs::write(kept.join(name), text).expect("a file");
    }
    let restart = || {
        instance.ends(0, &["start"]);
        instance.ends(0, &["stop"]);
    };
    restart();
    assert!(!known.exists(), "nobody needs it");
    for (name, text) in &foreign {
        assert_eq!(fs::read_to_string(kept.join(name)).ok().as_ref(), Some(text), "{name}");
    }
    if cfg!(windows) {
        return; // few accounts may make links there
    }
    // The target of a link may belong to another program, so exai must not change it.
    let elsewhere = instance.dir().join("elsewhere");
    fs::rename(&kept, &elsewhere).expect("it is moved");
    fs::write(elsewhere.join("fix.json"), &ours).expect("a file");
    let made = std::process::Command::new("ln").arg("-s").arg(&elsewhere).arg(&kept).status();
    assert!(made.is_ok_and(|status| status.success()));
    restart();
    assert_eq!(fs::read_to_string(elsewhere.join("fix.json")).ok(), Some(ours));
}

/// The findings of `exai status` about the lists of servers.
fn list_findings(instance: &Instance) -> Vec<String> {
    let status = instance.status();
    let findings = status["findings"].as_array().expect("findings");
    let lists = findings.iter().filter(|finding| finding["id"] == "server-list");
    lists.map(|finding| finding["detail"].as_str().expect("a sentence").to_owned()).collect()
}

fn add(instance: &Instance, name: &str, switches: &[&str]) -> String {
    let fixture = program("fixture-server");
    let fixture = fixture.to_str().expect("a path in UTF-8");
    instance.ends(0, &[&["add", name, "--no-check", "--", fixture], switches].concat())
}

#[test]
fn a_server_that_hangs_delays_the_first_list_by_a_second_and_a_half_and_no_later_one() {
    // The promise is 1.5 s, and without it the list took 10 s. A busy machine may need up to half of that.
    const MUCH: Duration = Duration::from_secs(5);
    let instance = Instance::new(&fixture("good", &[]));
    instance.ends(0, &["start"]);
    instance.client("good").ask("tools/list", &json!({}));
    add(&instance, "hang", &["--hang-at-start"]);
    for _ in 0..3 {
        let mut client = instance.shim(&[]);
        client.initialize(&json!({}));
        for method in ["tools/list", "prompts/list", "resources/list"] {
            let begun = Instant::now();
            let answer = client.ask(method, &json!({}));
            let took = begun.elapsed();
            eprintln!("{method} in {took:?}");
            assert!(took < MUCH, "{method} took {took:?}");
            assert!(answer.to_string().contains("good__") || method.starts_with("resources"), "{answer}");
        }
    }
    let found = list_findings(&instance);
    assert!(matches!(&found[..], [one] if one.starts_with("server \"hang\" is not ready")), "{found:?}");
    // The command line, too, shows the tools that are there, and names the servers whose tools are missing.
    let begun = Instant::now();
    let output = instance.exai(&["tools"]);
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(1), "{out}{err}");
    assert!(out.contains("echo") && out.contains("status") && err.contains("hang: "), "{out}{err}");
    assert!(begun.elapsed() < MUCH, "took {:?}", begun.elapsed());
}

#[test]
fn a_server_that_is_added_is_started_once_and_known_before_a_client_comes() {
    let instance = Instance::new("");
    instance.ends(0, &["start"]);
    let starts = instance.dir().join("starts");
    let said = add(&instance, "new", &["--note-start", &starts.to_string_lossy()]);
    assert!(said.contains("added new; it is live and starts"), "{said}");
    let kept = || fs::read_to_string(instance.home().join("discovery/new.json")).unwrap_or_default();
    eventually("all lists are kept", LIMIT, || {
        ["tools/list", "prompts/list", "resources/list", "resources/templates/list"]
            .iter()
            .all(|method| kept().contains(&format!("\"{method}\":[{{")))
    });
    let status = instance.status();
    assert_eq!(status["servers"][0]["state"], "ready");
    assert_eq!(status["servers"][0]["instances"][0]["clients"], json!([]));
    let mut all = instance.shim(&[]);
    all.initialize(&json!({}));
    assert!(names(&all.ask("tools/list", &json!({}))).contains(&"new__echo".to_owned()));
    assert_eq!(fs::read_to_string(&starts).expect("a file").lines().count(), 1);
    // A server that cannot be started is added all the same.
    instance.ends(0, &["add", "broken", "--no-check", "--", "no-such-program-anywhere"]);
    eventually("it is found", LIMIT, || {
        instance.status()["findings"].to_string().contains("no-such-program-anywhere")
    });
    // Without a running daemon, adding a server starts nothing.
    instance.ends(0, &["stop"]);
    let said = add(&instance, "later", &[]);
    assert!(said.contains("no daemon runs"), "{said}");
    instance.ends(3, &["status"]);
}

#[test]
fn a_cursor_that_does_not_advance_costs_neither_the_tools_nor_a_thousand_requests() {
    let servers = fixture("end", &["--same-cursor", "end"]) + &fixture("empty", &["--same-cursor", ""]);
    let instance = Instance::new(&servers);
    let mut client = instance.shim(&[]);
    client.initialize(&json!({}));
    eventually("both have listed", LIMIT, || {
        let tools = names(&client.ask("tools/list", &json!({})));
        ["end__echo", "empty__echo"].iter().all(|name| tools.iter().any(|tool| tool == name))
    });
    let found = list_findings(&instance);
    let has = |words: &str| found.iter().any(|detail| detail.starts_with(words));
    assert!(has("server \"end\" repeats the cursor \"end\" in tools/list"), "{found:?}");
    assert!(has("server \"empty\" gives an empty cursor in tools/list"), "{found:?}");
    // The server sent its only page twice; its tools count once.
    let mut kept = Value::Null;
    eventually("it is kept", LIMIT, || {
        let text = fs::read(instance.home().join("discovery/end.json")).unwrap_or_default();
        kept = serde_json::from_slice(&text).unwrap_or_default();
        kept["lists"]["tools/list"].is_array()
    });
    let number = |server: &str| {
        let output = instance.exai(&["tools", server, "--json"]);
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert_eq!(output.status.code(), Some(0), "{out}{err}");
        assert!(err.contains("cursor"), "{err}");
        let document: Value = serde_json::from_str(&out).expect("JSON");
        document["tools"].as_array().map(Vec::len)
    };
    assert_eq!(number("end"), kept["lists"]["tools/list"].as_array().map(Vec::len));
    assert_eq!(number("end"), number("empty"));
    let log = fs::read_to_string(instance.home().join("log/daemon.log")).expect("a log");
    let warned = log.lines().filter(|line| line.contains("WARN") && line.contains("repeats the cursor"));
    assert_eq!(warned.count(), 1, "{log}");
}

//! Which clients share a process is measured with real processes, remembered by the next daemon, and explained by
//! `exai why`.

use exai_test::eventually;
use serde_json::{Value, json};

use crate::support::{Client, Instance, LIMIT};

/// A client of the fixture with these capabilities that has listed the tools, and the pid of its server.
fn client(instance: &Instance, can: &Value) -> (Client, String) {
    let mut client = instance.shim(&["--server", "fix"]);
    client.initialize(can);
    client.ask("tools/list", &json!({}));
    let pid = client.call("pid", &json!({}));
    (client, pid)
}

fn why(instance: &Instance) -> String {
    instance.ends(0, &["why", "fix"])
}

#[test]
fn capabilities_that_do_not_matter_separate_nobody_and_that_is_remembered() {
    let instance = Instance::with_fixture(&[]);
    assert!(why(&instance).contains("is not known yet"), "it starts a daemon, and no server");
    let (_one, first) = client(&instance, &json!({}));
    let sampling = json!({"sampling": {}});
    let (mut two, second) = client(&instance, &sampling);
    assert_ne!(first, second, "nobody can know it yet");
    // The server works for a while and asks for nothing.
    eventually("that is known", LIMIT, || {
        two.call("pid", &json!({}));
        why(&instance).contains("such clients share one process")
    });
    let (_three, third) = client(&instance, &sampling);
    assert_eq!(third, first);
    assert!(why(&instance).contains("measured on 20"));
    let file = instance.home().join("verdicts.json");
    eventually("it is kept", LIMIT, || file.exists());
    instance.ends(0, &["restart"]);
    let (_four, fourth) = client(&instance, &json!({}));
    let (_five, fifth) = client(&instance, &sampling);
    assert_eq!(fourth, fifth, "the next daemon knows it");
    let document = instance.json(&["why", "fix", "--json"]);
    assert_eq!((&document["server"], &document["share"]), (&json!("fix"), &json!("auto")));
    assert!(document["sentences"].as_array().is_some_and(|all| all.len() >= 2), "{document}");
}

#[test]
fn a_server_that_asks_for_roots_serves_each_client_that_has_some_alone() {
    let instance = Instance::with_fixture(&["--ask-roots-at-start"]);
    let roots = json!({"roots": {}});
    let (_one, first) = client(&instance, &roots);
    let (_two, second) = client(&instance, &roots);
    assert_ne!(first, second);
    let said = why(&instance);
    assert!(said.contains("it was seen to ask for roots") && said.contains("'s own"), "{said}");
    let (_three, third) = client(&instance, &json!({}));
    let (_four, fourth) = client(&instance, &json!({}));
    assert_eq!(third, fourth, "who has none shares");
}

#[test]
fn an_unknown_server_has_no_reasons() {
    let instance = Instance::with_fixture(&[]);
    let output = instance.exai(&["why", "none"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("no server is called \"none\""));
}

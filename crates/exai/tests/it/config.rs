//! `config.toml` is changed under a living daemon.

use exai_test::eventually;
use serde_json::{Value, json};

use crate::support::{Instance, LIMIT, fixture};

fn finding(instance: &Instance, id: &str) -> Option<Value> {
    let status = instance.status();
    let findings = status["findings"].as_array().expect("findings");
    findings.iter().find(|finding| finding["id"] == id).cloned()
}

fn log(instance: &Instance) -> String {
    std::fs::read_to_string(instance.home().join("log/daemon.log")).unwrap_or_default()
}

#[test]
fn saved_changes_take_effect_under_living_clients_and_leave_the_others_alone() {
    let instance = Instance::with_fixture(&[]);
    let mut all = instance.shim(&[]);
    all.initialize(&json!({}));
    let mut one = instance.client("fix");
    let pid = one.call("pid", &json!({}));
    assert_eq!(all.call("fix__pid", &json!({})), pid);

    instance.configure(&(fixture("fix", &[]) + &fixture("two", &[])));
    while all.receive()["method"] != "notifications/tools/list_changed" {}
    assert!(all.call("two__pid", &json!({})) != pid);
    assert_eq!(one.call("pid", &json!({})), pid, "a server that did not change keeps its process");

    instance.configure(&fixture("fix", &[]));
    eventually("the server is gone", LIMIT, || {
        instance.status()["servers"].as_array().map(Vec::len) == Some(2)
    });
    assert_eq!(one.call("pid", &json!({})), pid);
    assert_eq!(log(&instance).matches("configuration loaded").count(), 2);
}

#[test]
fn an_invalid_file_is_named_with_its_place_until_it_is_mended_and_everything_serves_on() {
    let instance = Instance::with_fixture(&[]);
    let mut client = instance.client("fix");
    let pid = client.call("pid", &json!({}));
    let good = std::fs::read_to_string(instance.home().join("config.toml")).expect("a file");
    instance.configure("[servers.fix]\ncomand = \"x\"\n");
    eventually("it is named", LIMIT, || finding(&instance, "config-invalid").is_some());
    let detail = finding(&instance, "config-invalid").expect("a finding")["detail"].to_string();
    assert!(detail.contains("config.toml:4:1: unknown field `comand`"), "{detail}");
    assert_eq!(client.call("pid", &json!({})), pid);
    assert_eq!(instance.status()["state"], "running");
    assert!(
        instance.exai(&["add", "other", "--", "true"]).status.code() != Some(0),
        "nothing is added to it"
    );

    std::fs::write(instance.home().join("config.toml"), good).expect("it is mended");
    eventually("the finding is gone", LIMIT, || finding(&instance, "config-invalid").is_none());
    assert_eq!(client.call("pid", &json!({})), pid);
    assert_eq!(log(&instance).matches("the configuration is invalid").count(), 1, "said once");
}

#[test]
fn a_file_that_is_gone_or_wants_another_port_changes_nothing_but_the_findings() {
    let instance = Instance::with_fixture(&[]);
    let mut client = instance.client("fix");
    let pid = client.call("pid", &json!({}));
    let file = instance.home().join("config.toml");
    let good = std::fs::read_to_string(&file).expect("a file");
    let port = instance.port();

    std::fs::remove_file(&file).expect("it is removed");
    eventually("it is missed", LIMIT, || finding(&instance, "config-missing").is_some());
    std::fs::write(&file, good.replace("port = 0", "port = 1")).expect("another port");
    eventually("a restart is asked for", LIMIT, || {
        finding(&instance, "config-port").is_some_and(|finding| finding["fix"] == "exai restart")
    });
    assert!(finding(&instance, "config-missing").is_none());
    assert_eq!(instance.port(), port);
    assert_eq!(client.call("pid", &json!({})), pid);
    std::fs::write(&file, good).expect("as before");
    eventually("nothing is to be said", LIMIT, || instance.status()["findings"] == json!([]));
}

#[test]
fn what_add_and_remove_make_live_is_loaded_once() {
    let instance = Instance::with_fixture(&[]);
    let mut client = instance.client("fix");
    instance.ends(0, &["add", "more", "--", exai_test::program("fixture-server").to_str().expect("a path")]);
    let mut more = instance.client("more");
    more.call("pid", &json!({}));
    instance.ends(0, &["remove", "more"]);
    instance.configure(&(fixture("fix", &[]) + &fixture("two", &[])));
    let mut two = instance.shim(&["--server", "two"]);
    eventually("the next change is live", LIMIT, || two.initialize(&json!({}))["result"].is_object());
    client.call("pid", &json!({}));
    assert_eq!(log(&instance).matches("configuration loaded").count(), 3);
}

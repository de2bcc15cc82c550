//! The official SDKs as judges: what a client sees through exai equals what it sees over direct stdio.

use std::path::Path;

use exai_test::peers::{SERVERS, Sdk};
use exai_test::program;
use serde_json::{Value, json};

use crate::support::Instance;

/// An instance that hosts what this SDK's scenarios want, each server with a directory of its own.
fn hosting(sdk: Sdk) -> Instance {
    let instance = Instance::new("");
    let configured = SERVERS.map(|server| {
        let dir = instance.dir().join(server);
        std::fs::create_dir_all(&dir).expect("a directory");
        let config = sdk.server(server, &dir);
        let (command, args, env) = (&config["command"], &config["args"], inline(&config["env"]));
        format!("[servers.{server}]\ncommand = {command}\nargs = {args}\nenv = {env}\n")
    });
    instance.configure(&configured.concat());
    instance.ends(0, &["start"]);
    instance
}

/// A JSON object of strings as an inline table.
fn inline(object: &Value) -> String {
    let pairs: Vec<String> = object
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, value)| format!("{} = {value}", json!(key)))
        .collect();
    format!("{{ {} }}", pairs.join(", "))
}

fn same(sdk: Sdk, server: &str, dir: &Path, way: &Value) {
    if let Err(difference) = sdk.compare(server, &dir.join(server), way) {
        panic!("{sdk:?} sees {server} differently over {way}:\n{difference}");
    }
}

fn over_the_shim(sdk: Sdk) {
    let instance = hosting(sdk);
    for server in SERVERS {
        let way = json!({"stdio": [program("exai"), "shim", "--server", server], "env": {"EXAI_HOME": instance.home()}});
        same(sdk, server, instance.dir(), &way);
    }
}

fn over_http(sdk: Sdk) {
    let instance = hosting(sdk);
    let (port, token) = (instance.port(), instance.token());
    for server in SERVERS {
        let way = json!({"http": format!("http://127.0.0.1:{port}/mcp/{server}"), "token": token});
        same(sdk, server, instance.dir(), &way);
    }
}

fn over_websocket(sdk: Sdk) {
    let instance = hosting(sdk);
    let (port, token) = (instance.port(), instance.token());
    for server in SERVERS {
        let way = json!({"ws": format!("ws://127.0.0.1:{port}/mcp/{server}"), "token": token});
        same(sdk, server, instance.dir(), &way);
    }
}

#[test]
fn python_1_over_the_shim() {
    over_the_shim(Sdk::Python1);
}

#[test]
fn python_2_over_the_shim() {
    over_the_shim(Sdk::Python2);
}

#[test]
fn typescript_over_the_shim() {
    over_the_shim(Sdk::TypeScript);
}

#[test]
fn python_1_over_http() {
    over_http(Sdk::Python1);
}

#[test]
fn python_2_over_http() {
    over_http(Sdk::Python2);
}

#[test]
fn typescript_over_http() {
    over_http(Sdk::TypeScript);
}

#[test]
fn python_1_over_websocket() {
    over_websocket(Sdk::Python1);
}

#[test]
fn typescript_over_websocket() {
    over_websocket(Sdk::TypeScript);
}

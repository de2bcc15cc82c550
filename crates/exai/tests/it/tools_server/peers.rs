//! A real model server, and an official client.

use std::process::Command;

use exai_test::{LlamaServer, peers, program};
use serde_json::json;

use super::scene::{call, config, endpoint, tools};
use crate::support::{Instance, text};

#[test]
fn every_kind_of_answer_fits_the_schema_of_its_tool_as_an_official_client_sees_it() {
    let endpoint = endpoint();
    let instance = Instance::new("");
    let more = format!("[ai]\nextra_tools = {}", json!(exai_config::ai::EXTRA_TOOLS));
    instance.configure(&config(&instance.home(), &endpoint, &more));
    let mut client = Command::new(peers::python());
    client.arg(peers::folder().join("ai_tools.py")).arg(program("exai")).env("EXAI_HOME", instance.home());
    let output = client.output().expect("Python runs");
    let said = text(&output.stdout);
    assert!(output.status.success(), "{said}{}", text(&output.stderr));
    assert!(said.lines().count() > 60, "{said}");
}

#[test]
fn llama_cpp_is_asked_and_its_answer_costs_what_it_says() {
    let instance = Instance::new("");
    let server = LlamaServer::start(instance.dir());
    let provider = format!("[providers.local]\nbase_url = \"{}\"\n", server.base_url());
    instance.configure(&(tools(&instance.home()) + &provider));
    let mut client = instance.client("ai");
    let models = call(&mut client, "listmodels", &json!({}));
    assert_eq!(models["providers"][0]["models"][0]["id"], "tiny", "{models}");
    let said = call(&mut client, "chat", &json!({"prompt": "Why?"}));
    assert!(said["content"].as_str().is_some_and(|text| !text.is_empty()), "{said}");
    assert!(said["metadata"]["usage"]["output_tokens"].as_u64().is_some_and(|tokens| tokens > 0), "{said}");
}

//! The tools server ends with its client, and says what has become of the calls that were under way.

use std::time::Duration;

use exai_test::model_endpoint::{End, ModelEndpoint};
use serde_json::json;

use super::scene::{SAID, call, instance, reply, wait_for};
use crate::support::{Client, Instance};

/// A client that hosts the tools server itself.
fn alone(instance: &Instance) -> Client {
    let mut client = Client::start(instance.command(&["tools-server"]));
    client.initialize(&json!({}));
    client
}

#[test]
fn it_ends_within_a_second_with_its_client_and_stops_what_is_paid() {
    let endpoint = ModelEndpoint::start(|seen| reply(seen, SAID).hang_after(2));
    let instance = instance(&endpoint, "");
    let mut client = alone(&instance);
    let question = json!({"prompt": "x"});
    let asked = json!({"name": "chat", "arguments": question, "_meta": {"progressToken": "t"}});
    client.request("tools/call", &asked);
    let heard = client.receive();
    assert_eq!(heard["method"], "notifications/progress", "the model has begun: {heard}");
    let took = client.finish();
    assert!(took < Duration::from_millis(1500), "{took:?}");
    wait_for("the stream is cut", || endpoint.chats()[0].end == End::CutByClient);
    let repeated = call(&mut alone(&instance), "chat", &question);
    assert_eq!(repeated["error"]["code"], "interrupted", "{repeated}");
    let told = repeated["partial"].as_str().expect("what had come");
    assert!(told.starts_with("The"), "what had come was not noted at the end: {told}");
    assert_eq!(endpoint.chats().len(), 1);
}

#[test]
fn it_ends_although_its_client_reads_nothing() {
    let endpoint = ModelEndpoint::start(|seen| reply(seen, &"word ".repeat(25_000)));
    let instance = instance(&endpoint, "");
    let mut command = instance.command(&["tools-server"]);
    command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
    let mut server = command.spawn().expect("it starts");
    let mut input = server.stdin.take().expect("stdin is a pipe");
    let mut send = |message: serde_json::Value| {
        use std::io::Write as _;
        writeln!(input, "{message}").expect("it reads");
    };
    send(
        json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {"protocolVersion": "2025-06-18",
        "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}}),
    );
    send(json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
    for number in 1..4 {
        send(json!({"jsonrpc": "2.0", "id": number, "method": "tools/call",
            "params": {"name": "chat", "arguments": {"prompt": format!("question {number}")}}}));
    }
    wait_for("the answers are there", || {
        endpoint.chats().iter().filter(|chat| chat.end == End::Sent).count() == 3
    });
    drop(input);
    let begun = std::time::Instant::now();
    wait_for("it ends", || server.try_wait().expect("it can be waited for").is_some());
    assert!(begun.elapsed() < Duration::from_millis(1500), "{:?}", begun.elapsed());
}

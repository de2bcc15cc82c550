//! Requests between the eras that a server, which is ending, does not read any more: the next process gets them.

use std::time::Duration;

use exai_mux::policy::Policy;
use exai_mux::{Endpoint, Event, InstanceId, Unsent};
use exai_proto::Segments;
use serde_json::Value;

use crate::bridged::bridged;
use crate::eras::{discover_result, number, request, result};
use crate::support::{Bench, policy};

/// Lets client 1 make a call that instance 0 does not read any more, and ends the instance. Returns what was to be sent.
fn call_in_vain(bench: &mut Bench, call: &str) -> Value {
    let lines = bench.says(1, call);
    let number = number(&lines, "server 0");
    let sent = lines[0].strip_prefix("server 0 <- ").expect("the call").to_owned();
    let why = Unsent::Ending(Segments::from(bytes::Bytes::from(sent.clone())));
    assert_eq!(bench.does(Event::Unsent { instance: InstanceId(0), number, why }), [""; 0]);
    bench.down(0, "exited with status 1");
    bench.lives(Duration::from_secs(2));
    without_number(&sent)
}

/// The only call among these lines.
fn call_in(lines: &[String]) -> Value {
    let mut calls = lines.iter().filter(|line| line.contains("tools/call"));
    let call = calls.next().unwrap_or_else(|| panic!("no call is sent: {lines:#?}"));
    assert_eq!(calls.next(), None);
    without_number(call.split_once(" <- ").expect("a line").1)
}

/// A call but for its number. Every key must be there once.
fn without_number(line: &str) -> Value {
    let mut call: Value = serde_json::from_str(line).expect("JSON");
    for key in ["\"progressToken\"", "\"name\":\"t\"", "io.modelcontextprotocol/protocolVersion"] {
        assert!(line.matches(key).count() <= 1, "{line}");
    }
    let number = std::mem::take(&mut call["id"]);
    assert_eq!(std::mem::take(&mut call["params"]["_meta"]["progressToken"]), number);
    call
}

#[test]
fn a_call_of_a_legacy_client_is_translated_once() {
    let mut bench = bridged("{}");
    let call = r#"{"jsonrpc":"2.0","id":5,"method":"tools/call","params":{"name":"t","_meta":{"progressToken":"p"}}}"#;
    let first = call_in_vain(&mut bench, call);
    assert!(first["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"].is_string(), "{first}");
    let asked = bench.up(2);
    let lines = bench.server_says(2, &result(number(&asked, "server 2"), &discover_result()));
    assert_eq!(call_in(&lines), first);
}

#[test]
fn a_call_of_a_modern_client_is_translated_once() {
    let mut bench = Bench::new(vec![Policy { bridge: true, ..policy("a") }]);
    bench.open(1, Endpoint::One("a".into()));
    bench.says(1, &request(4, "prompts/list", ""));
    bench.ready(0);
    let call = request(5, "tools/call", r#""name":"t","#)
        .replace("\"_meta\":{", "\"_meta\":{\"progressToken\":\"p\",");
    let first = call_in_vain(&mut bench, &call);
    assert_eq!(first["params"]["_meta"].as_object().map(serde_json::Map::len), Some(1), "{first}");
    assert_eq!(call_in(&bench.ready(1)), first);
}

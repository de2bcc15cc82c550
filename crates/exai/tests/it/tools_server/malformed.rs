//! Calls that no client should make: each is answered, and none with a wrong reason.

use serde_json::{Value, json};

use super::scene::{call, endpoint, instance, tools};
use crate::support::Instance;

#[test]
fn a_call_that_is_no_call_is_told_what_is_wrong_with_it() {
    let instance = Instance::new("");
    instance.configure(&tools(&instance.home()));
    let mut client = instance.client("ai");
    let calls = [
        json!({"name": "chat", "arguments": ["x"]}),
        json!({"name": "chat", "arguments": "x"}),
        json!({"name": 5, "arguments": {}}),
        json!({"arguments": {}}),
    ];
    for wrong in calls {
        let answer = client.ask("tools/call", &wrong);
        assert_eq!(answer["error"]["code"], -32602, "{wrong}: {answer}");
        assert!(
            answer["error"]["message"]
                .as_str()
                .is_some_and(|text| text.contains("invalid type") || text.contains("missing field")),
            "{answer}"
        );
    }
    let other = client.ask("tools/rename", &json!({}));
    assert_eq!(other["error"]["code"], -32601, "{other}");
}

#[test]
fn arguments_of_every_wrong_kind_are_refused_by_the_tool_and_nothing_is_paid() {
    let endpoint = endpoint();
    let instance =
        instance(&endpoint, &format!("[ai]\nextra_tools = {}", json!(exai_config::ai::EXTRA_TOOLS)));
    let mut client = instance.client("ai");
    let listed = client.ask("tools/list", &json!({}));
    let tools = listed["result"]["tools"].as_array().expect("tools").clone();
    let mut nested = json!(1);
    for _ in 0..60 {
        nested = json!([{"x": nested}]);
    }
    let huge = "x".repeat(1 << 17);
    let wrong = [
        json!(-1),
        json!(1e300),
        json!([[1]]),
        json!({"a": null}),
        json!("\u{0}\u{202e}"),
        nested,
        json!(huge),
    ];
    for tool in &tools {
        let name = tool["name"].as_str().expect("a name");
        let fields = tool["inputSchema"]["properties"].as_object().expect("fields");
        for value in &wrong {
            let all: serde_json::Map<String, Value> =
                fields.keys().map(|field| (field.clone(), value.clone())).collect();
            let answer = client.ask("tools/call", &json!({"name": name, "arguments": all}));
            let body = &answer["result"]["structuredContent"];
            assert!(body["status"].is_string(), "{name}: {answer}");
            // Any text can be challenged.
            if fields.is_empty() || (name == "challenge" && value.is_string()) {
                continue;
            }
            assert_eq!(answer["result"]["isError"], true, "{name} {:.80}: {answer}", value.to_string());
            assert!(answer.to_string().len() < 20_000, "{name}: an error repeats what was sent");
        }
        let nothing: serde_json::Map<String, Value> =
            fields.keys().map(|field| (field.clone(), Value::Null)).collect();
        let answer = client.ask("tools/call", &json!({"name": name, "arguments": nothing}));
        assert!(answer["result"]["structuredContent"].is_object(), "{name}: {answer}");
    }
    assert_eq!(endpoint.chats().len(), 0);
}

#[test]
fn a_call_as_large_as_a_message_may_be_is_answered() {
    let instance = Instance::new("");
    instance.configure(&tools(&instance.home()));
    let mut client = instance.client("ai");
    let step = json!({"step": "x", "step_number": 1, "total_steps": 2, "next_step_required": true,
        "unknown": "y".repeat(20 << 20)});
    assert_eq!(call(&mut client, "planner", &step)["status"], "pause_for_planner");
}

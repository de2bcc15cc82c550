//! A daemon that hosts the EXAI tools, with one provider at a played endpoint.

use std::path::Path;

use exai_test::model_endpoint::{ModelEndpoint, Reply, Seen};
use exai_test::program;
use serde_json::{Value, json};

use crate::support::{Client, Instance, LIMIT};

/// What the played model answers.
pub(super) const SAID: &str = "The lock is taken twice.";

/// The rows of the EXAI tools and of a provider `p` with the model `m`; `lines` go on with the table of the provider.
pub(super) fn config(home: &Path, endpoint: &ModelEndpoint, lines: &str) -> String {
    let provider = format!("[providers.p]\nbase_url = \"{}\"\nmodels = [\"m\"]\n", endpoint.base_url());
    format!("{}{provider}{lines}\n", tools(home))
}

/// The row of the EXAI tools.
pub(super) fn tools(home: &Path) -> String {
    format!(
        "[servers.ai]\ncommand = {}\nargs = [\"tools-server\"]\nenv = {{ EXAI_HOME = {} }}\n",
        json!(program("exai")),
        json!(home)
    )
}

/// An instance with the EXAI tools and this endpoint.
pub(super) fn instance(endpoint: &ModelEndpoint, lines: &str) -> Instance {
    let instance = Instance::new("");
    instance.configure(&config(&instance.home(), endpoint, lines));
    instance
}

/// An endpoint whose model always says [`SAID`], word by word.
pub(super) fn endpoint() -> ModelEndpoint {
    ModelEndpoint::start(|seen| reply(seen, SAID))
}

/// An answer that says `text`, one event for each word; or the list of models.
pub(super) fn reply(seen: &Seen, text: &str) -> Reply {
    if !seen.is_chat() {
        return Reply::json(200, r#"{"object":"list","data":[{"id":"m","object":"model"}]}"#);
    }
    let event = |delta: &str, finish: Value| {
        let chunk = json!({"model": "m", "choices": [{"index": 0, "delta": {"content": delta}, "finish_reason": finish}]});
        format!("data: {chunk}\n\n")
    };
    let words: String = text.split_inclusive(' ').map(|word| event(word, Value::Null)).collect();
    let usage = json!({"choices": [], "usage": {"prompt_tokens": 11, "completion_tokens": 7}});
    Reply::stream(&format!("{words}{}data: {usage}\n\ndata: [DONE]\n\n", event("", json!("stop"))))
}

/// Calls a tool; the structured content, after a look at the text and at `isError`.
#[track_caller]
pub(super) fn call(client: &mut Client, tool: &str, arguments: &Value) -> Value {
    let id = client.request("tools/call", &json!({"name": tool, "arguments": arguments}));
    answer(client, &id)
}

/// The structured content of the answer to a call.
#[track_caller]
pub(super) fn answer(client: &mut Client, id: &Value) -> Value {
    let answer = client.answer(id);
    let content = &answer["result"]["structuredContent"];
    assert!(content.is_object(), "{answer}");
    let text = answer["result"]["content"][0]["text"].as_str().expect("a text");
    assert_eq!(&serde_json::from_str::<Value>(text).expect("the text is the same as JSON"), content);
    let is_error = answer["result"]["isError"].as_bool().unwrap_or_default();
    let has_failed = ["error", "code_too_large", "resend_prompt"]
        .contains(&content["status"].as_str().unwrap_or_default());
    assert_eq!(is_error, has_failed, "{answer}");
    content.clone()
}

/// The last step of an investigation, after which the expert is asked.
pub(super) fn last_step(number: u64, findings: &str) -> Value {
    json!({"step": format!("step {number}"), "step_number": number, "total_steps": number, "next_step_required": false,
        "findings": findings, "confidence": "high"})
}

/// A step after which the investigation goes on.
pub(super) fn step(number: u64, findings: &str) -> Value {
    json!({"step": format!("step {number}"), "step_number": number, "total_steps": number + 1, "next_step_required": true,
        "findings": findings, "confidence": "low"})
}

/// Waits until a condition holds.
#[track_caller]
pub(super) fn wait_for(what: &str, condition: impl FnMut() -> bool) {
    exai_test::eventually(what, LIMIT, condition);
}

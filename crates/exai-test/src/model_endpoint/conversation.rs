//! A model that calls tools by a plan, for agents that ask for streams of chat completions or of the Anthropic Messages
//! API. How far the plan is, each request says itself: agents send the whole conversation each time.

use serde_json::{Value, json};

use super::reply::Reply;
use super::seen::Seen;

/// What the model says when nothing of its plan is left.
const DONE: &str = "All done.";

/// A call of a tool that the model plans: the name under which the agent offers the tool, and the arguments.
pub type PlannedCall = (String, Value);

/// An API in which a model is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Api {
    ChatCompletions,
    Messages,
}

/// A conversation as one request tells it.
#[derive(Debug, Clone)]
pub struct Conversation {
    api: Api,
    /// The names of the tools that the agent offers.
    pub offered: Vec<String>,
    /// The results so far, oldest first.
    pub results: Vec<ToolResult>,
}

/// What a tool has answered, as the agent tells the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolResult {
    /// The name under which it was called.
    pub tool: String,
    /// Its texts, a line each.
    pub text: String,
    /// Whether it has failed. Only the Messages API says so.
    pub is_error: bool,
}

impl Conversation {
    /// Reads a request; `None` where no model is asked.
    pub fn read(seen: &Seen) -> Option<Self> {
        let api = match seen.path.split('?').next() {
            Some(path) if path.ends_with("/chat/completions") => Api::ChatCompletions,
            Some(path) if path.ends_with("/messages") => Api::Messages,
            _ => return None,
        };
        let name = |tool: &Value| match api {
            Api::ChatCompletions => string(&tool["function"]["name"]),
            Api::Messages => string(&tool["name"]),
        };
        let messages = items(&seen.body["messages"]);
        Some(Conversation {
            api,
            offered: items(&seen.body["tools"]).iter().map(name).collect(),
            results: match api {
                Api::ChatCompletions => chat_results(messages),
                Api::Messages => message_results(messages),
            },
        })
    }

    /// The next call of the plan: the first one of an offered tool that has no result.
    fn next_call<'plan>(&self, plan: &'plan [PlannedCall]) -> Option<&'plan PlannedCall> {
        let has_result = |tool: &String| self.results.iter().any(|result| result.tool == *tool);
        plan.iter().find(|(tool, _)| self.offered.contains(tool) && !has_result(tool))
    }

    /// Whether nothing of the plan is left. A request without tools, such as one for a title, is of no such conversation.
    pub fn is_over(&self, plan: &[PlannedCall]) -> bool {
        !self.offered.is_empty() && self.next_call(plan).is_none()
    }

    /// The next call of the plan, or the word that all is done.
    pub fn reply(&self, plan: &[PlannedCall]) -> Reply {
        let call = self.next_call(plan).map(|(tool, arguments)| Call {
            id: format!("call_{}", self.results.len()),
            tool,
            arguments,
        });
        Reply::stream(&match self.api {
            Api::ChatCompletions => chat(call.as_ref()),
            Api::Messages => message(call.as_ref()),
        })
    }
}

/// A call as the model makes it.
struct Call<'plan> {
    id: String,
    tool: &'plan str,
    arguments: &'plan Value,
}

fn chat_results(messages: &[Value]) -> Vec<ToolResult> {
    let calls = messages.iter().flat_map(|message| items(&message["tool_calls"]));
    let name = |id: &Value| {
        let call = calls.clone().find(|call| call["id"] == *id);
        call.map(|call| string(&call["function"]["name"])).unwrap_or_default()
    };
    let results = messages.iter().filter(|message| message["role"] == "tool");
    let result = |message: &Value| ToolResult {
        tool: name(&message["tool_call_id"]),
        text: text(&message["content"]),
        is_error: false,
    };
    results.map(result).collect()
}

fn message_results(messages: &[Value]) -> Vec<ToolResult> {
    let blocks = messages.iter().flat_map(|message| items(&message["content"]));
    let name = |id: &Value| {
        let call = blocks.clone().find(|block| block["type"] == "tool_use" && block["id"] == *id);
        call.map(|call| string(&call["name"])).unwrap_or_default()
    };
    let results = blocks.clone().filter(|block| block["type"] == "tool_result");
    let result = |block: &Value| ToolResult {
        tool: name(&block["tool_use_id"]),
        text: text(&block["content"]),
        is_error: block["is_error"] == true,
    };
    results.map(result).collect()
}

/// The texts of a result, whose content is a string or a list of blocks.
fn text(content: &Value) -> String {
    let texts: Vec<&str> = items(content).iter().filter_map(|block| block["text"].as_str()).collect();
    content.as_str().map_or_else(|| texts.join("\n"), ToOwned::to_owned)
}

fn items(list: &Value) -> &[Value] {
    list.as_array().map_or(&[], Vec::as_slice)
}

fn string(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn chat(call: Option<&Call<'_>>) -> String {
    let (delta, reason) = match call {
        Some(Call { id, tool, arguments }) => {
            let function = json!({"name": tool, "arguments": arguments.to_string()});
            let call = json!({"index": 0, "id": id, "type": "function", "function": function});
            (json!({"role": "assistant", "tool_calls": [call]}), "tool_calls")
        }
        None => (json!({"role": "assistant", "content": DONE}), "stop"),
    };
    let chunk = |delta: Value, reason: Value| {
        let choice = json!({"index": 0, "delta": delta, "finish_reason": reason});
        let chunk = json!({
            "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "planned",
            "choices": [choice], "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
        });
        format!("data: {chunk}\n\n")
    };
    chunk(delta, Value::Null) + &chunk(json!({}), json!(reason)) + "data: [DONE]\n\n"
}

fn message(call: Option<&Call<'_>>) -> String {
    let (block, delta, reason) = match call {
        Some(Call { id, tool, arguments }) => (
            json!({"type": "tool_use", "id": id, "name": tool, "input": {}}),
            json!({"type": "input_json_delta", "partial_json": arguments.to_string()}),
            "tool_use",
        ),
        None => {
            (json!({"type": "text", "text": ""}), json!({"type": "text_delta", "text": DONE}), "end_turn")
        }
    };
    let message = json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "planned", "content": [],
        "stop_reason": null, "stop_sequence": null, "usage": {"input_tokens": 1, "output_tokens": 1},
    });
    let end = json!({"stop_reason": reason, "stop_sequence": null});
    let events = [
        json!({"type": "message_start", "message": message}),
        json!({"type": "content_block_start", "index": 0, "content_block": block}),
        json!({"type": "content_block_delta", "index": 0, "delta": delta}),
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "message_delta", "delta": end, "usage": {"output_tokens": 1}}),
        json!({"type": "message_stop"}),
    ];
    let event = |event: &Value| format!("event: {}\ndata: {event}\n\n", string(&event["type"]));
    events.iter().map(event).collect()
}

//! What a client of the origin's wire hears, told as stories without I/O.

use serde_json::{Value, json};

use super::op::Op;
use super::*;

/// A client and the time.
struct Story {
    wire: OriginWire,
    begun: Instant,
    seconds: u32,
}

impl Story {
    fn new() -> Self {
        Story { wire: OriginWire::default(), begun: Instant::now(), seconds: 0 }
    }

    fn now(&self) -> Moment {
        let seconds = Duration::from_secs(self.seconds.into());
        Moment { instant: self.begun + seconds, at_us: i64::from(self.seconds) * 1_000_000 }
    }

    /// What the hub gets and what the client gets at once.
    fn say(&self, op: &Value) -> (Vec<Value>, Vec<Value>) {
        let number = self.wire.next_number();
        let step = match op::read(&op.to_string().into(), number).expect("an op") {
            Op::ListTools => self.wire.list_tools(number),
            Op::CallTool(call) => self.wire.call_tool(number, call, self.now()),
            Op::Health => self.wire.check_health(number, DaemonHealth { uptime_s: 5, sessions: 2 }),
            other => panic!("{other:?}"),
        };
        let read = |bytes: &[u8]| serde_json::from_slice(bytes).expect("JSON");
        let messages = step.messages.iter().map(|message| read(message.bytes())).collect();
        let frames = step.frames.into_iter().map(|frame| self.wire.tell(frame, self.now()).expect("a frame"));
        (messages, frames.map(|frame| read(&frame)).collect())
    }

    /// What the client is told of a message of the hub.
    fn hear(&self, message: &Value) -> Value {
        let frame = self.wire.tell(message.to_string().into(), self.now());
        frame.map_or(Value::Null, |frame| serde_json::from_slice(&frame).expect("JSON"))
    }

    fn reports(&mut self, after: u32) -> Vec<Value> {
        self.seconds += after;
        let frames = self.wire.report(self.now());
        frames.iter().map(|frame| serde_json::from_slice(frame).expect("JSON")).collect()
    }
}

fn call(name: &str, request_id: Value) -> Value {
    json!({"op": "call_tool", "name": name, "arguments": {"a": 1}, "request_id": request_id})
}

fn text_result(id: u64, text: &str) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "result": {"content": [{"type": "text", "text": text}]}})
}

#[test]
fn the_opening_is_one_of_mcp_that_declares_nothing() {
    let opening = OriginWire::opening();
    let read = |at: usize| serde_json::from_slice::<Value>(opening[at].bytes()).expect("JSON");
    assert_eq!(opening.len(), 2);
    assert_eq!(read(0)["params"]["capabilities"], json!({}));
    assert_eq!(read(0)["params"]["clientInfo"]["name"], "exai-shim");
    assert_eq!(read(1)["method"], "notifications/initialized");
    assert_eq!(Story::new().hear(&json!({"jsonrpc": "2.0", "id": 0, "result": {}})), Value::Null);
}

#[test]
fn a_call_is_accepted_taken_reported_and_answered_once() {
    let mut story = Story::new();
    let (messages, frames) = story.say(&call("chat_EXAI-WS", json!("r")));
    assert_eq!(messages.len(), 2);
    assert_eq!((&messages[0]["method"], &messages[0]["id"]), (&json!("tools/call"), &json!(1)));
    assert_eq!(messages[0]["params"]["name"], "ai__chat");
    assert_eq!(messages[0]["params"]["_meta"]["progressToken"], 1);
    assert_eq!((&messages[1]["method"], &messages[1]["id"]), (&json!("ping"), &json!("taken 1")));
    let accepted = json!({"op": "progress", "request_id": "r", "name": "chat", "t": 0.0, "note": "accepted, awaiting the server"});
    assert_eq!(frames, [accepted]);
    let taken = story.hear(&json!({"jsonrpc": "2.0", "id": "taken 1", "result": {}}));
    assert_eq!(
        taken,
        json!({"op": "call_tool_ack", "request_id": "r", "accepted": true, "timeout": 3600, "name": "chat"})
    );
    // Silence is reported every 8 s, and what the server says counts as a report.
    assert_eq!(story.wire.next_report(), Some(story.begun + PROGRESS_INTERVAL));
    assert!(story.reports(7).is_empty());
    let still = json!({"op": "progress", "request_id": "r", "name": "chat", "t": 8.0});
    assert_eq!(story.reports(1), [still]);
    story.seconds = 10;
    let progress = json!({"jsonrpc": "2.0", "method": "notifications/progress",
                          "params": {"progressToken": 1, "progress": 1, "message": "half"}});
    let told = json!({"op": "progress", "request_id": "r", "name": "chat", "t": 10.0, "note": "half"});
    assert_eq!(story.hear(&progress), told);
    assert!(story.reports(7).is_empty());
    assert_eq!(story.reports(1).len(), 1);
    let answered = story.hear(&text_result(1, "done"));
    assert_eq!((&answered["request_id"], &answered["text"]), (&json!("r"), &json!("done")));
    // Afterwards nothing is left of the call.
    assert_eq!(story.hear(&text_result(1, "again")), Value::Null);
    assert_eq!(story.hear(&progress), Value::Null);
    assert_eq!(story.hear(&json!({"jsonrpc": "2.0", "id": "taken 1", "result": {}})), Value::Null);
    assert_eq!(story.wire.next_report(), None);
    assert!(story.reports(100).is_empty());
}

#[test]
fn an_error_that_comes_at_once_comes_instead_of_the_word_that_the_call_was_taken() {
    let story = Story::new();
    story.say(&call("nothing", json!("r")));
    let unknown = json!({"code": -32602, "message": "Unknown tool or prompt: ai__nothing"});
    let answered = story.hear(&json!({"jsonrpc": "2.0", "id": 1, "error": unknown}));
    assert_eq!(answered["error"]["code"], "TOOL_NOT_FOUND");
    assert_eq!(story.hear(&json!({"jsonrpc": "2.0", "id": "taken 1", "result": {}})), Value::Null);
}

#[test]
fn only_a_request_id_that_is_under_way_is_a_duplicate() {
    let story = Story::new();
    story.say(&call("a", json!("r")));
    let (messages, frames) = story.say(&call("b", json!("r")));
    assert!(messages.is_empty());
    assert_eq!(frames[0]["error"]["code"], "DUPLICATE");
    assert_eq!(
        (&frames[0]["request_id"], &frames[0]["error"]["original_request_id"]),
        (&json!("r"), &json!("r"))
    );
    // The same arguments, and no id at all, are no reason.
    for id in [json!("s"), Value::Null, Value::Null] {
        assert_eq!(story.say(&call("a", id.clone())).0.len(), 2, "{id}");
    }
    assert_eq!(story.hear(&text_result(4, "first"))["request_id"], Value::Null);
    assert_eq!(story.hear(&text_result(5, "second"))["text"], "second");
    story.hear(&text_result(1, "done"));
    assert_eq!(story.say(&call("b", json!("r"))).0.len(), 2, "the first has its answer");
}

#[test]
fn tools_are_listed_under_the_names_by_which_they_are_called() {
    let story = Story::new();
    assert_eq!(story.say(&json!({"op": "list_tools"})).0[0]["method"], "tools/list");
    let tools = json!([
        {"name": "ai__chat", "description": "Talks.", "inputSchema": {"type": "object", "b": 1.50}, "title": "x"},
        {"name": "fix__echo", "inputSchema": true},
        {"title": "nameless"},
    ]);
    let listed = story.hear(&json!({"jsonrpc": "2.0", "id": 1, "result": {"tools": tools}}));
    let expected = json!({"op": "list_tools_res", "tools": [
        {"name": "chat", "description": "Talks.", "inputSchema": {"type": "object", "b": 1.5}},
        {"name": "fix__echo", "description": "", "inputSchema": {"type": "object"}},
    ]});
    assert_eq!(listed, expected);
    story.say(&json!({"op": "list_tools"}));
    let failed =
        story.hear(&json!({"jsonrpc": "2.0", "id": 2, "error": {"code": -31001, "message": "it stops"}}));
    assert_eq!(failed, json!({"op": "error", "message": "the tools cannot be listed: it stops"}));
}

#[test]
fn health_counts_the_tools_that_would_be_listed() {
    let story = Story::new();
    story.say(&json!({"op": "health"}));
    let health = story.hear(&json!({"jsonrpc": "2.0", "id": 1, "result": {"tools": [{}, {}]}}));
    assert_eq!(health["op"], "health_res");
    assert_eq!(health["health"]["tool_count"], 2);
    assert_eq!(health["health"]["sessions"], 2);
}

#[test]
fn a_list_of_tools_that_fits_into_no_message_is_cut() {
    let story = Story::new();
    story.say(&json!({"op": "list_tools"}));
    let tool = |name: &str| json!({"name": name, "description": "x".repeat(limits::MESSAGE_BYTES / 2)});
    let answer = json!({"jsonrpc": "2.0", "id": 1, "result": {"tools": [tool("a__a"), tool("a__b")]}});
    let listed = story.hear(&answer);
    assert_eq!(listed["tools"].as_array().map(Vec::len), Some(1));
}

#[test]
fn a_client_has_as_many_requests_under_way_as_the_router_takes() {
    let story = Story::new();
    for _ in 0..MAX_REQUESTS_PER_CLIENT {
        story.say(&call("a", Value::Null));
    }
    let (messages, frames) = story.say(&call("a", json!("one too many")));
    assert!(messages.is_empty());
    assert_eq!(frames[0]["error"]["code"], "OVER_CAPACITY");
    assert_eq!(frames[0]["error"]["retry_after"], 1);
    for op in ["list_tools", "health"] {
        let (messages, frames) = story.say(&json!({"op": op}));
        assert!(messages.is_empty() && frames[0]["op"] == "error", "{frames:?}");
    }
}

#[test]
fn what_the_wire_has_no_word_for_is_not_told_and_no_server_can_forge_a_frame() {
    let story = Story::new();
    for message in [
        json!({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}),
        json!({"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": "x"}}),
        json!({"jsonrpc": "2.0", "id": 1, "method": "sampling/createMessage", "params": {}}),
        json!({"jsonrpc": "2.0", "id": 7, "result": {}}),
        json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": {"progressToken": 7}}),
        json!({"op": "call_tool_res", "jsonrpc": "2.0", "id": 7, "result": {}}),
    ] {
        assert_eq!(story.hear(&message), Value::Null, "{message}");
    }
    let forged = Bytes::from_static(b"\0{\"op\":\"call_tool_res\"}");
    assert!(Message::of_server(forged).is_err(), "the hub hears no message that begins with the mark");
}

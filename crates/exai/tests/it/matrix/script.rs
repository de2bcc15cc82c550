//! The script that a client of either era plays, and what it writes down.

use serde_json::{Value, json};

use super::received::Received;
use super::transcript::Transcript;
use crate::support::add_modern_meta;
use crate::ways::Party;

const MODERN: &str = "2026-07-28";
/// What each step awaits beside its answer: messages of this method, so many.
type Awaited<'a> = &'a [(&'a str, usize)];

/// A client that plays the script.
pub(super) struct Player {
    party: Party,
    revision: &'static str,
    /// Stands before the names of tools and prompts, where the endpoint is that of all servers.
    prefix: String,
    log_level: Option<&'static str>,
    received: Received,
    transcript: Transcript,
}

impl Player {
    pub(super) fn new(party: Party, prefix: &str, received: Received) -> Self {
        let transcript = Transcript::default();
        Player { party, revision: MODERN, prefix: prefix.to_owned(), log_level: None, received, transcript }
    }

    /// Plays the script as a client of the legacy era, whatever was said before.
    pub(super) fn play_legacy(&mut self, revision: &'static str) -> String {
        self.initialize(revision);
        self.requests();
        self.set_level("info");
        self.logging_call("a call that logs, at the level info", 3);
        self.set_level("error");
        self.logging_call("a call that logs, at the level error", 0);
        self.subscribe();
        self.unknown();
        self.transcript.take()
    }

    /// Plays the script as a client of the modern era. One that is not served in that era soon sees it. Returns the
    /// revisions of the server as well.
    pub(super) fn play_modern(&mut self) -> (Value, String) {
        let discovered = self.step("server/discover", "server/discover", json!({}));
        if discovered.get("error").is_some() {
            self.step("tools/list", "tools/list", json!({}));
            self.call("a call", "test_simple_text", json!({}));
            self.step("resources/list", "resources/list", json!({}));
            let (id, is_open) = self.listen();
            if is_open {
                self.party.cancel(&id, true);
            }
        } else {
            self.requests();
            self.log_level = Some("info");
            self.logging_call("a call that logs, at the level info", 3);
            self.log_level = None;
            self.logging_call("a call that logs, without a level", 0);
            self.unknown();
        }
        (discovered["result"]["supportedVersions"].clone(), self.transcript.take())
    }

    fn initialize(&mut self, revision: &'static str) {
        self.revision = revision;
        self.transcript = Transcript::of(revision);
        let params = json!({
            "protocolVersion": revision,
            "capabilities": {"elicitation": {}},
            "clientInfo": {"name": "matrix", "version": "1"},
        });
        self.step("initialize", "initialize", params);
        self.party.notify("notifications/initialized", &json!({}));
    }

    fn is_modern(&self) -> bool {
        self.revision == MODERN
    }

    fn requests(&mut self) {
        self.lists();
        self.calls();
        self.reads();
    }

    fn unknown(&mut self) {
        self.step("an unknown method", "no/such/method", json!({}));
        self.step("ping, which the modern era does not have", "ping", json!({}));
    }

    fn lists(&mut self) {
        for method in ["tools/list", "prompts/list", "resources/list", "resources/templates/list"] {
            self.step(method, method, json!({}));
        }
    }

    fn calls(&mut self) {
        self.call("a call", "test_simple_text", json!({}));
        self.transcript.note("the server gets", &self.received.last_call("test_simple_text"));
        self.call("a call of an unknown tool", "no_such_tool", json!({}));
        let params = json!({"name": self.name("test_tool_with_progress"), "arguments": {}, "_meta": {"progressToken": "p"}});
        self.await_step("a call with progress", "tools/call", params, &[("notifications/progress", 3)]);
        self.call("a call that asks", "test_elicitation", json!({"message": "Who are you?"}));
        self.call("a call that keeps a state", "test_input_required_result_request_state", json!({}));
    }

    fn reads(&mut self) {
        self.step("a resource", "resources/read", json!({"uri": "test://static-text"}));
        self.step("an unknown resource", "resources/read", json!({"uri": "test://none"}));
        let arguments = json!({"arg1": "one", "arg2": "two"});
        let params = json!({"name": self.name("test_prompt_with_arguments"), "arguments": arguments});
        self.step("a prompt", "prompts/get", params);
    }

    fn set_level(&mut self, level: &str) {
        self.step("logging/setLevel", "logging/setLevel", json!({"level": level}));
    }

    fn logging_call(&mut self, title: &str, messages: usize) {
        let params = json!({"name": self.name("test_tool_with_logging"), "arguments": {}});
        self.await_step(title, "tools/call", params, &[("notifications/message", messages)]);
    }

    fn subscribe(&mut self) {
        let uri = json!({"uri": "test://watched-resource"});
        self.step("resources/subscribe", "resources/subscribe", uri.clone());
        self.update("a resource that changes", 1);
        self.change_tools("the tools that change", 1);
        self.step("resources/unsubscribe", "resources/unsubscribe", uri);
        self.update("a resource that changes, without a subscription", 0);
        self.change_tools("the tools that change back", 1);
    }

    /// Listens to changes as a client of the modern era.
    pub(super) fn play_listening(&mut self) -> String {
        let (id, _) = self.listen();
        self.update("a resource that changes", 1);
        self.change_tools("the tools that change", 1);
        self.party.cancel(&id, true);
        self.update("a resource that changes, without a subscription", 0);
        self.change_tools("the tools that change back, without a subscription", 0);
        self.transcript.take()
    }

    /// Opens a subscription, and hears its acknowledgement or refusal. Returns its id, and whether it is open.
    fn listen(&mut self) -> (Value, bool) {
        let wanted = json!({"toolsListChanged": true, "resourceSubscriptions": ["test://watched-resource"]});
        self.transcript.begin("subscriptions/listen");
        let id = self.request("subscriptions/listen", json!({"notifications": wanted}));
        self.transcript.listen = Some(id.clone());
        let acknowledged = self.party.receive();
        self.transcript.add(&acknowledged);
        self.transcript.end();
        (id, acknowledged.get("method").is_some())
    }

    fn update(&mut self, title: &str, notifications: usize) {
        let arguments = json!({"uri": "test://watched-resource"});
        let params = json!({"name": self.name("test_trigger_resource_update"), "arguments": arguments});
        self.await_step(title, "tools/call", params, &[("notifications/resources/updated", notifications)]);
    }

    fn change_tools(&mut self, title: &str, notifications: usize) {
        let params = json!({"name": self.name("test_trigger_tool_change"), "arguments": {}});
        self.await_step(title, "tools/call", params, &[("notifications/tools/list_changed", notifications)]);
        // Where all servers are one, the list is that of whichever process of the server was asked last.
        if self.prefix.is_empty() {
            self.step("tools/list after the change", "tools/list", json!({}));
        }
    }

    /// Cancels a call, in a session if there is to be one. Returns what was heard from then on.
    pub(super) fn play_cancelling(&mut self, session: Option<&'static str>) -> String {
        if let Some(revision) = session {
            self.initialize(revision);
            self.transcript.take();
        }
        let meta = json!({"progressToken": "c"});
        let params = json!({"name": self.name("test_until_cancelled"), "arguments": {}, "_meta": meta});
        self.transcript.begin("a call that is cancelled");
        let id = self.request("tools/call", params);
        let progress = self.party.receive();
        self.transcript.add(&progress);
        self.transcript.end();
        self.party.cancel(&id, self.is_modern());
        self.received.await_cancellation("test_until_cancelled");
        self.step("an unknown method", "no/such/method", json!({}));
        self.transcript.take()
    }

    fn name(&self, tool: &str) -> String {
        format!("{}{tool}", self.prefix)
    }

    fn call(&mut self, title: &str, tool: &str, arguments: Value) {
        self.step(title, "tools/call", json!({"name": self.name(tool), "arguments": arguments}));
    }

    fn step(&mut self, title: &str, method: &str, params: Value) -> Value {
        self.await_step(title, method, params, &[])
    }

    /// Sends a request, answers what it asks, and writes down all that comes until the answer and what else is awaited
    /// have come. Returns the answer.
    fn await_step(&mut self, title: &str, method: &str, params: Value, awaited: Awaited<'_>) -> Value {
        self.transcript.begin(title);
        let mut id = self.request(method, params.clone());
        let mut missing: Vec<(&str, usize)> = awaited.to_vec();
        let mut answer = None;
        while answer.is_none() || missing.iter().any(|(_, number)| *number > 0) {
            let message = self.party.receive();
            self.transcript.add(&message);
            match message["method"].as_str() {
                Some(_) if message.get("id").is_some() => self.answer(&message),
                Some(method) => {
                    if let Some((_, number)) = missing.iter_mut().find(|(awaited, _)| *awaited == method) {
                        *number = number.saturating_sub(1);
                    }
                }
                None if message["id"] != id => {}
                None if message["result"]["resultType"] == "input_required" => {
                    id = self.request(method, retry(&params, &message["result"]));
                }
                None => answer = Some(message),
            }
        }
        self.transcript.end();
        answer.expect("the loop has ended with it")
    }

    /// Sends a request with what each request of the revision says, and returns its id.
    fn request(&mut self, method: &str, mut params: Value) -> Value {
        if self.is_modern() {
            add_modern_meta(&mut params, "matrix", json!({"elicitation": {}}));
            if let Some(level) = self.log_level {
                params["_meta"]["io.modelcontextprotocol/logLevel"] = json!(level);
            }
        }
        self.party.request(method, &params)
    }

    fn answer(&mut self, question: &Value) {
        let answer = respond(question);
        self.party.send(&json!({"jsonrpc": "2.0", "id": question["id"], "result": answer}));
    }
}

/// The request that brings what the last one has asked for.
fn retry(params: &Value, asked: &Value) -> Value {
    let mut params = params.clone();
    let questions = asked["inputRequests"].as_object().into_iter().flatten();
    params["inputResponses"] = questions.map(|(key, question)| (key.clone(), respond(question))).collect();
    if let Some(state) = asked.get("requestState") {
        params["requestState"] = state.clone();
    }
    params
}

/// The answer of the user to a question.
fn respond(question: &Value) -> Value {
    assert_eq!(question["method"], "elicitation/create", "the client can do nothing else");
    json!({"action": "accept", "content": {"username": "ada", "email": "ada@example.org", "ok": true}})
}

//! Servers elsewhere that speak the HTTP+SSE transport of MCP 2024-11-05.

use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use exai_test::eventually;
use exai_test::http::Request;
use exai_test::scripted_http::{Reply, ScriptedHttp, document};
use serde_json::{Value, json};

use crate::support::{Client, Instance, LIMIT};

/// What a server says first on the stream of this session.
type FirstEvent = dyn Fn(&Request, usize) -> String + Send + Sync;

/// A server whose stream is at `/a/sse`, and whose messages are posted to a path with `?s=SESSION`.
struct SseServer {
    http: ScriptedHttp,
    streams: Arc<Streams>,
}

#[derive(Default)]
struct Streams(Mutex<Vec<Option<Sender<Vec<u8>>>>>);

impl Streams {
    fn all(&self) -> MutexGuard<'_, Vec<Option<Sender<Vec<u8>>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self, request: &Request, first: &FirstEvent) -> Reply {
        let (sender, parts) = channel();
        let mut all = self.all();
        let head =
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nConnection: close\r\n\r\n";
        let begin = format!("{head}: welcome\n\n{}", first(request, all.len()));
        sender.send(begin.into_bytes()).expect("it is open");
        all.push(Some(sender));
        Reply::Stream(parts)
    }

    /// Says a message. Returns whether somebody listens.
    fn say(&self, session: usize, text: &str) -> bool {
        self.all()[session].as_ref().is_some_and(|stream| stream.send(text.as_bytes().to_vec()).is_ok())
    }

    fn cut(&self, session: usize) {
        self.all()[session] = None;
    }

    /// Carries out a message that was posted.
    fn post(&self, session: usize, message: &Value) -> Vec<u8> {
        let tool = message["params"]["name"].as_str();
        let result = match (message["method"].as_str(), tool) {
            (Some("initialize"), _) => json!({"protocolVersion": "2024-11-05", "capabilities": {"tools": {}},
                "serverInfo": {"name": "scripted", "version": "1"}}),
            (Some("tools/list"), _) => {
                json!({"tools": [{"name": "which", "inputSchema": {"type": "object"}}]})
            }
            (Some("tools/call"), Some("cut")) => {
                self.cut(session);
                return document(202, "", "Accepted");
            }
            (Some("tools/call"), Some("hang")) => return document(202, "", ""),
            (Some("tools/call"), Some("forget")) => return document(404, "", "Could not find session"),
            (Some("tools/call"), Some("refuse")) => return document(429, "", "slowly"),
            (Some("tools/call"), _) => json!({"content": [{"type": "text", "text": session.to_string()}]}),
            (_, _) => return document(202, "", "Accepted"),
        };
        let answer = json!({"jsonrpc": "2.0", "id": message["id"], "result": result});
        self.say(session, &format!("event: message\ndata: {answer}\n\n"));
        if tool == Some("break off") {
            return Vec::new();
        }
        // What a body says does not count.
        document(200, "Content-Type: text/plain\r\n", "{}")
    }
}

impl SseServer {
    fn start(first: impl Fn(&Request, usize) -> String + Send + Sync + 'static) -> Self {
        let streams = Arc::new(Streams::default());
        let own = Arc::clone(&streams);
        let http = ScriptedHttp::start_streaming(move |request| {
            let session = request.path.rsplit_once("s=").and_then(|(_, session)| session.parse().ok());
            match (&*request.method, session) {
                ("GET", _) if request.path == "/a/sse" => own.open(request, &first),
                ("POST", Some(session)) => Reply::Whole(own.post(session, &parsed(request))),
                (_, _) => Reply::Whole(document(405, "", "Method Not Allowed")),
            }
        });
        SseServer { http, streams }
    }

    /// Names a usual endpoint.
    fn usual() -> Self {
        SseServer::start(|_, session| endpoint(&format!("/messages/?s={session}")))
    }

    fn hosting(&self) -> Instance {
        hosting(&self.http.url("/a/sse"))
    }

    /// What was asked for: method, path, and the method of the message.
    fn heard(&self) -> Vec<(String, String, String)> {
        let told = |request: Request| {
            let said = parsed(&request)["method"].as_str().unwrap_or_default().to_owned();
            (request.method, request.path, said)
        };
        self.http.requests().into_iter().map(told).collect()
    }
}

fn endpoint(text: &str) -> String {
    format!("event: endpoint\r\ndata: {text}\r\n\r\n")
}

fn parsed(request: &Request) -> Value {
    serde_json::from_slice(&request.body).unwrap_or_default()
}

fn hosting(url: &str) -> Instance {
    let headers = "headers = { Authorization = \"Bearer secret\" }";
    let instance = Instance::new(&format!("[servers.far]\nurl = {}\n{headers}\n", json!(url)));
    instance.ends(0, &["start"]);
    instance
}

fn refusal(instance: &Instance) -> String {
    let mut client = instance.shim(&["--server", "far"]);
    let answer = client.initialize(&json!({}));
    answer["error"]["message"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
}

fn call(client: &mut Client, tool: &str) -> Value {
    client.ask("tools/call", &json!({"name": tool, "arguments": {}}))
}

#[test]
fn each_client_has_a_stream_of_its_own_and_only_the_first_finds_out() {
    let server = SseServer::usual();
    let instance = server.hosting();
    let mut clients = [instance.client("far"), instance.client("far")];
    for (number, client) in clients.iter_mut().enumerate() {
        assert_eq!(client.call("which", &json!({})), number.to_string());
        assert_eq!(client.ask("tools/list", &json!({}))["result"]["tools"][0]["name"], "which");
    }
    let heard = server.heard();
    let heard: Vec<(&str, &str, &str)> =
        heard.iter().map(|(method, path, said)| (&**method, &**path, &**said)).collect();
    let first = [
        ("POST", "/a/sse", "server/discover"),
        ("POST", "/a/sse", "initialize"),
        ("GET", "/a/sse", ""),
        ("POST", "/messages/?s=0", "initialize"),
    ];
    assert_eq!(heard[..4], first);
    // The client is answered while this is sent, so the second client may be quicker.
    let then = heard.iter().filter(|(_, path, _)| *path == "/messages/?s=0").nth(1);
    assert_eq!(then, Some(&("POST", "/messages/?s=0", "notifications/initialized")));
    let second = heard.iter().position(|one| *one == ("GET", "/a/sse", "")).expect("a stream");
    let later: Vec<_> = heard[second + 1..].iter().filter(|(_, path, _)| *path == "/a/sse").collect();
    assert_eq!(later, [&("GET", "/a/sse", "")], "the second session begins with its stream: {heard:#?}");
    for request in server.http.requests() {
        assert_eq!(request.header("authorization"), Some("Bearer secret"));
        assert_eq!(request.header("mcp-session-id"), None);
    }
    for (number, client) in clients.into_iter().enumerate() {
        client.finish();
        eventually("the stream ends with its client", LIMIT, || {
            !server.streams.say(number, ": still there\n\n")
        });
    }
}

#[test]
fn an_endpoint_is_a_path_a_relative_path_or_a_url_of_the_same_origin() {
    type Spelling = fn(&Request, usize) -> String;
    let spellings: [(Spelling, &str); 4] = [
        (|_, session| format!("/m?s={session}"), "/m?s=0"),
        (|_, session| format!("m?s={session}"), "/a/m?s=0"),
        (|_, session| format!("?s={session}"), "/a/sse?s=0"),
        (
            |request, session| format!("http://{}/m?s={session}", request.header("host").unwrap_or("?")),
            "/m?s=0",
        ),
    ];
    for (spelling, path) in spellings {
        let server = SseServer::start(move |request, session| endpoint(&spelling(request, session)));
        let instance = server.hosting();
        assert_eq!(instance.client("far").call("which", &json!({})), "0", "{path}");
        let called = server.heard().into_iter().find(|(_, _, said)| said == "tools/call");
        assert_eq!(called.expect("a call").1, path);
    }
}

#[test]
fn nothing_is_sent_to_an_endpoint_of_another_origin() {
    let thief = ScriptedHttp::start(|_| document(202, "", ""));
    let stolen = thief.url("/stolen?s=0");
    let origin = thief.url("");
    let server = SseServer::start(move |_, _| endpoint(&stolen));
    let instance = server.hosting();
    let message = refusal(&instance);
    let expected = format!("names an endpoint at {origin}, where nothing is sent");
    assert!(message.contains(&expected) && !message.contains("stolen"), "{message}");
    assert_eq!(thief.requests(), []);
}

#[test]
fn a_stream_that_names_no_endpoint_is_said_so() {
    for (first, said) in [
        ("event: message\ndata: {}\n\n", "has an event stream that does not begin with an endpoint"),
        ("event: endpoint\ndata: /a b\n\n", "has an event stream that names no possible endpoint"),
        ("event: hello\ndata: you\n\n", "has an event stream that names no endpoint within 10 s"),
    ] {
        let server = SseServer::start(move |_, _| first.to_owned());
        let message = refusal(&server.hosting());
        let both = format!("answered HTTP 405 Method Not Allowed to a POST (Method Not Allowed), and {said}");
        assert!(message.contains(&both), "{message}");
    }
}

#[test]
fn a_server_without_anything_at_its_url_is_told_of_both() {
    let server = ScriptedHttp::start(|_| document(404, "", ""));
    let message = refusal(&hosting(&server.url("/mcp")));
    let both = "answered HTTP 404 Not Found to a POST, and has no event stream";
    assert!(message.contains(both), "{message}");
    let asked: Vec<String> = server.requests().into_iter().map(|request| request.method).collect();
    assert_eq!(asked, ["POST", "POST", "GET"]);
}

#[test]
fn an_error_of_json_rpc_is_an_answer_and_no_reason_to_look_for_a_stream() {
    for id in ["null", "\"server-error\""] {
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":-32001,"message":"Session not found"}}}}"#
        );
        let server = ScriptedHttp::start(move |_| document(404, "Content-Type: application/json\r\n", &body));
        let message = refusal(&hosting(&server.url("/mcp")));
        assert!(message.contains("Session not found"), "{message}");
        assert!(server.requests().iter().all(|request| request.method == "POST"), "{:#?}", server.requests());
    }
}

#[test]
fn a_stream_that_is_cut_during_a_call_leaves_its_outcome_unknown_and_another_is_opened() {
    let server = SseServer::usual();
    let instance = server.hosting();
    let mut client = instance.client("far");
    let lost = call(&mut client, "cut");
    let error = &lost["error"];
    let facts = (&error["code"], &error["data"]["sent"], &error["data"]["retrySafe"]);
    assert_eq!(facts, (&json!(-31005), &json!(true), &json!(false)), "{lost}");
    let said =
        "has ended its event stream before it answered; the request may or may not have been carried out";
    assert!(error["message"].as_str().is_some_and(|text| text.contains(said)), "{lost}");
    eventually("a new session is begun", LIMIT, || call(&mut client, "which")["result"].is_object());
    assert_eq!(client.call("which", &json!({})), "1");
}

#[test]
fn a_call_that_is_refused_is_answered_and_a_session_that_is_unknown_is_begun_anew() {
    let server = SseServer::usual();
    let instance = server.hosting();
    let mut client = instance.client("far");
    for (tool, said) in
        [("refuse", "answered HTTP 429 Too Many Requests: slowly"), ("forget", "has ended its session")]
    {
        let answer = call(&mut client, tool);
        assert_eq!(answer["error"]["code"], -31006, "{answer}");
        assert!(answer["error"]["message"].as_str().is_some_and(|text| text.contains(said)), "{answer}");
    }
    eventually("a new session is begun", LIMIT, || call(&mut client, "which")["result"].is_object());
    assert_eq!(client.call("which", &json!({})), "1");
}

#[test]
fn an_answer_on_the_stream_counts_whatever_becomes_of_the_post() {
    let server = SseServer::usual();
    let instance = server.hosting();
    let mut client = instance.client("far");
    for tool in ["break off", "which"] {
        let answer = call(&mut client, tool);
        assert_eq!(answer["result"]["content"][0]["text"], "0", "{answer}");
    }
    assert_eq!(client.receive_within(Duration::from_millis(600)), None, "each call is answered once");
}

#[test]
fn a_server_is_told_of_a_call_that_is_cancelled() {
    let server = SseServer::usual();
    let instance = server.hosting();
    let mut client = instance.client("far");
    let id = client.request("tools/call", &json!({"name": "hang", "arguments": {}}));
    let is_heard = |said: &str| server.heard().iter().any(|(_, _, method)| method == said);
    eventually("the call is sent", LIMIT, || is_heard("tools/call"));
    // It has been accepted when another call is answered.
    assert_eq!(client.call("which", &json!({})), "0");
    let params = json!({"requestId": id, "reason": "enough"});
    client.send(&json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params}));
    eventually("the server is told", LIMIT, || is_heard("notifications/cancelled"));
}

#[test]
fn a_server_that_begins_anew_is_found_again_by_all_its_clients() {
    let server = SseServer::usual();
    let instance = server.hosting();
    let mut clients: Vec<Client> = (0..6).map(|_| instance.client("far")).collect();
    for client in &mut clients {
        assert!(call(client, "which")["result"].is_object());
    }
    (0..clients.len()).for_each(|session| server.streams.cut(session));
    for client in &mut clients {
        eventually("its session is begun anew", LIMIT, || call(client, "which")["result"].is_object());
    }
}

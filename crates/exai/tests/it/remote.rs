//! Servers that run elsewhere, reached by URL.

use std::io::{BufReader, Read as _, Write as _};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use exai_test::http::Request;
use exai_test::scripted_http::{ScriptedHttp, document};
use exai_test::suite::Bridge;
use exai_test::{eventually, free_port, program, tls};
use serde_json::{Value, json};

use crate::support::{Client, Instance, LIMIT};

pub(crate) fn far(url: &str, more: &str) -> String {
    format!("[servers.far]\nurl = {}\n{more}\n", json!(url))
}

/// A server of this era that speaks Streamable HTTP.
fn suite_server(era: &str) -> Bridge {
    Bridge::start(Command::new(program("suite-server")).args(["--era", era]))
}

pub(crate) fn hosting(url: &str, more: &str) -> Instance {
    let instance = Instance::new(&far(url, more));
    instance.ends(0, &["start"]);
    instance
}

pub(crate) fn call(client: &mut Client) -> Value {
    client.ask("tools/call", &json!({"name": "test_simple_text", "arguments": {}}))
}

/// What the first call of a new client is refused with.
pub(crate) fn refusal(instance: &Instance) -> String {
    let mut client = instance.shim(&["--server", "far"]);
    let answer = client.initialize(&json!({}));
    let error = if answer["error"].is_null() { call(&mut client) } else { answer };
    error["error"]["message"].as_str().unwrap_or_else(|| panic!("{error}")).to_owned()
}

/// Checks that the server `far` answers a call and is shown as one that runs elsewhere and speaks this revision.
#[track_caller]
pub(crate) fn serves_from_elsewhere(instance: &Instance, client: &mut Client, revision: &str) {
    let answer = call(client);
    let said = &answer["result"]["content"][0]["text"];
    assert_eq!(said, "This is a simple text response for testing.", "{answer}");
    let status = instance.status();
    let row = status["servers"].as_array().expect("servers").iter().find(|row| row["name"] == "far");
    let row = row.expect("it is listed");
    let facts = (&row["state"], &row["remote"], &row["instances"][0]["pid"]);
    assert_eq!(facts, (&json!("ready"), &json!(true), &Value::Null), "{row}");
    assert!(row.to_string().contains(revision), "{row}");
}

#[test]
fn a_server_elsewhere_is_served_whatever_era_it_speaks() {
    for (era, revision) in [("legacy", "2025-11-25"), ("modern", "2026-07-28"), ("dual", "2025-11-25")] {
        let server = suite_server(era);
        let instance = hosting(server.url(), "");
        let mut client = instance.client("far");
        serves_from_elsewhere(&instance, &mut client, revision);
        assert!(instance.ends(0, &["status"]).contains("elsewhere, "));
    }
}

/// The headers of a session of the legacy era.
fn sessions(server: &ScriptedHttp) -> Vec<Option<String>> {
    let calls = server.requests().into_iter().filter(|request| is(request, "tools/call"));
    calls.map(|request| request.header("mcp-session-id").map(ToOwned::to_owned)).collect()
}

fn is(request: &Request, method: &str) -> bool {
    parsed(request)["method"] == method
}

fn parsed(request: &Request) -> Value {
    serde_json::from_slice(&request.body).unwrap_or_default()
}

const JSON: &str = "Content-Type: application/json\r\n";

/// A server of the legacy era that gives each session an id.
fn legacy_server(request: &Request, session: usize) -> Vec<u8> {
    let message = parsed(request);
    let result = match message["method"].as_str() {
        Some("initialize") => json!({"protocolVersion": "2025-11-25", "capabilities": {"tools": {}},
            "serverInfo": {"name": "scripted", "version": "1"}}),
        Some("tools/call") => json!({"content": [{"type": "text", "text": "done"}]}),
        Some("tools/list") => {
            json!({"tools": [{"name": "test_simple_text", "inputSchema": {"type": "object"}}]})
        }
        Some("server/discover") => {
            return document(404, "Content-Type: text/html\r\n", "<html>no such page</html>");
        }
        Some(_) => return document(202, "", ""),
        None => return document(405, "", ""),
    };
    let body = json!({"jsonrpc": "2.0", "id": message["id"], "result": result}).to_string();
    document(200, &format!("{JSON}Mcp-Session-Id: s{session}\r\n"), &body)
}

#[test]
fn each_client_has_a_session_of_its_own_that_ends_with_it() {
    let count = AtomicUsize::new(0);
    let server = ScriptedHttp::start(move |request| {
        let begun = usize::from(is(request, "initialize"));
        legacy_server(request, count.fetch_add(begun, Ordering::SeqCst))
    });
    let instance =
        hosting(&server.url("/mcp"), "headers = { Authorization = \"Bearer secret-of-the-server\" }");
    let mut clients = [instance.client("far"), instance.client("far")];
    for client in &mut clients {
        assert_eq!(call(client)["result"]["content"][0]["text"], "done");
    }
    let sessions = sessions(&server);
    assert_eq!(sessions.iter().flatten().count(), 2);
    assert_ne!(sessions[0], sessions[1]);
    let is_authorized =
        |request: &Request| request.header("authorization") == Some("Bearer secret-of-the-server");
    assert!(server.requests().iter().all(is_authorized));
    for client in clients {
        client.finish();
    }
    eventually("both sessions are ended", LIMIT, || {
        server.requests().iter().filter(|request| request.method == "DELETE").count() == 2
    });
    for args in [&["status", "--json"][..], &["why", "far"], &["ps"], &["list"]] {
        let shown = instance.ends(0, args);
        assert!(!shown.contains("secret-of-the-server"), "{args:?}: {shown}");
    }
}

#[test]
fn what_a_server_refuses_is_said_in_one_sentence_and_costs_no_second_request() {
    for (status, headers, body, said) in [
        (
            401,
            "WWW-Authenticate: Bearer\r\n",
            r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32001,"message":"who?"}}"#,
            "wants somebody to sign in (`exai login far`), and ",
        ),
        (403, "", "go away", "answered HTTP 403 Forbidden: go away"),
        (503, "", "", "answered HTTP 503 Service Unavailable"),
    ] {
        let server = ScriptedHttp::start(move |_| document(status, headers, body));
        let instance = hosting(&server.url("/mcp"), "");
        let message = refusal(&instance);
        assert!(message.contains(said), "{status}: {message}");
        // Where to sign in is asked besides.
        let posts = server.requests().iter().filter(|request| request.method == "POST").count();
        assert_eq!(posts, 1, "{status}: {:#?}", server.requests());
    }
}

#[test]
fn nothing_is_sent_to_where_a_server_redirects_but_within_itself() {
    let thief = ScriptedHttp::start(|_| document(200, JSON, "{}"));
    let elsewhere = thief.url("/stolen");
    let server = ScriptedHttp::start(move |request| match &*request.path {
        "/old" => document(307, "Location: /mcp\r\n", ""),
        "/away" => document(307, &format!("Location: {elsewhere}\r\n"), ""),
        _ => legacy_server(request, 1),
    });
    let secret = "headers = { Authorization = \"Bearer secret\" }";
    let instance = hosting(&server.url("/old"), secret);
    assert_eq!(call(&mut instance.client("far"))["result"]["content"][0]["text"], "done");
    let instance = hosting(&server.url("/away"), secret);
    let message = refusal(&instance);
    assert!(message.contains("redirects to another place"), "{message}");
    assert_eq!(thief.requests(), []);
}

#[test]
fn a_session_that_the_server_has_ended_is_begun_anew() {
    let count = AtomicUsize::new(0);
    let server = ScriptedHttp::start(move |request| {
        // The first session ends with its first call.
        if is(request, "tools/call") && request.header("mcp-session-id") == Some("s0") {
            return document(404, "", "");
        }
        let begun = usize::from(is(request, "initialize"));
        legacy_server(request, count.fetch_add(begun, Ordering::SeqCst))
    });
    let instance = hosting(&server.url("/mcp"), "");
    let mut client = instance.client("far");
    let lost = call(&mut client);
    assert_eq!(
        (&lost["error"]["code"], &lost["error"]["data"]["retrySafe"]),
        (&json!(-31006), &json!(true)),
        "{lost}"
    );
    eventually("a new session is begun", LIMIT, || call(&mut client)["result"].is_object());
}

#[test]
fn a_server_that_is_away_is_named_and_found_again() {
    let port = free_port();
    let instance = hosting(&format!("http://127.0.0.1:{port}/mcp"), "");
    let message = refusal(&instance);
    assert!(message.contains("cannot be reached"), "{message}");
    let mut client = instance.shim(&["--server", "far"]);
    let mut server = Command::new(program("fixture-server"));
    let mut server = server.args(["--http", &port.to_string()]).spawn().expect("it starts");
    eventually("the server is found", LIMIT, || client.initialize(&json!({}))["result"].is_object());
    assert_eq!(client.call("echo", &json!({"message": "here"})), "here");
    server.kill().expect("it runs");
    server.wait().expect("it has ended");
}

#[test]
fn headers_are_not_sent_where_others_could_read_them() {
    let instance = hosting("http://mcp.example.com/mcp", "headers = { Authorization = \"Bearer secret\" }");
    let message = refusal(&instance);
    assert!(message.contains("use https://") && !message.contains("secret"), "{message}");
}

fn refuse(message: &Value, code: i32) -> Vec<u8> {
    let error = json!({"code": code, "message": "refused", "data": {"supported": ["2026-07-28"]}});
    let body = json!({"jsonrpc": "2.0", "id": message["id"], "error": error});
    document(400, JSON, &body.to_string())
}

#[test]
fn a_server_whose_certificate_is_not_trusted_hears_nothing() {
    let heard = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&heard);
    let address = tls::serve(&["http/1.1"], move |mut stream| {
        let mut bytes = [0; 64];
        counted.fetch_add(stream.read(&mut bytes).unwrap_or(0), Ordering::SeqCst);
    });
    let url = format!("https://{address}/mcp");
    let instance = hosting(&url, "headers = { Authorization = \"Bearer secret\" }");
    let message = refusal(&instance);
    assert!(message.contains("no trusted TLS connection") && !message.contains("secret"), "{message}");
    assert_eq!(heard.load(Ordering::SeqCst), 0);
}

#[test]
fn a_server_may_have_certificates_and_proxies_of_its_own() {
    let address = tls::serve(&["http/1.1"], move |stream| {
        let mut stream = BufReader::new(stream);
        while let Ok(Some(request)) = Request::read(&mut stream) {
            let answer = legacy_server(&request, 1);
            if stream.get_mut().write_all(&answer).and_then(|()| stream.get_mut().flush()).is_err() {
                break;
            }
        }
    });
    let dir = tempfile::tempdir().expect("a directory");
    let certificates = dir.path().join("ca.pem");
    std::fs::write(&certificates, tls::CA).expect("a file");
    let url = format!("https://{address}/mcp");
    let trusting = far(&url, &format!("env = {{ SSL_CERT_FILE = {} }}", json!(certificates)));
    // Whoever has no such variable trusts nobody more for that.
    let instance = Instance::new(&format!("{}{}", trusting.replace("far", "near"), far(&url, "")));
    let answer = call(&mut instance.client("near"));
    assert_eq!(answer["result"]["content"][0]["text"], "done", "{answer}");
    assert!(refusal(&instance).contains("no trusted TLS connection"));
    let proxy = "env = { HTTPS_PROXY = \"http://127.0.0.1:1\" }";
    let said = refusal(&hosting("https://mcp.example.com/mcp", proxy));
    assert!(said.contains("proxy") && said.contains("127.0.0.1:1"), "{said}");
}

/// A server of the modern era whose tool wants its argument repeated in a header.
fn regional_server(request: &Request) -> Vec<u8> {
    let message = parsed(request);
    let result = match message["method"].as_str() {
        Some("server/discover") => json!({"supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}},
            "_meta": {"io.modelcontextprotocol/serverInfo": {"name": "scripted", "version": "1"}}}),
        Some("tools/list") => json!({"tools": [{"name": "go", "inputSchema": {"type": "object", "properties":
            {"region": {"type": "string", "x-mcp-header": "Region"}}}}]}),
        Some("tools/call") if request.header("mcp-param-region").is_none() => {
            return refuse(&message, -32020);
        }
        Some("initialize") => return refuse(&message, -32022),
        Some("tools/call") => {
            let region = request.header("mcp-param-region");
            json!({"content": [{"type": "text", "text": region}]})
        }
        Some(_) => return document(202, "", ""),
        None => return document(405, "", ""),
    };
    let mut body = json!({"jsonrpc": "2.0", "id": message["id"], "result": result});
    body["result"]["resultType"] = json!("complete");
    document(200, JSON, &body.to_string())
}

#[test]
fn arguments_that_a_server_wants_in_headers_are_repeated_there() {
    let server = ScriptedHttp::start(regional_server);
    let instance = hosting(&server.url("/mcp"), "");
    let mut client = instance.client("far");
    let go = json!({"name": "go", "arguments": {"region": "süd"}});
    // Nobody has asked for the tools yet: the server refuses, and they are asked for.
    for _ in 0..2 {
        let answer = client.ask("tools/call", &go);
        assert_eq!(answer["result"]["content"][0]["text"], "=?base64?c8O8ZA==?=", "{answer}");
    }
    let asked: Vec<Value> =
        server.requests().iter().map(|request| parsed(request)["method"].clone()).collect();
    let about_tools: Vec<&str> =
        asked.iter().filter_map(Value::as_str).filter(|method| method.starts_with("tools/")).collect();
    assert_eq!(about_tools, ["tools/call", "tools/list", "tools/call", "tools/call"]);
    let requests = server.requests();
    let modern = requests.iter().filter(|request| request.header("mcp-method").is_some());
    assert!(modern.clone().count() > 4);
    for request in modern {
        let message = parsed(request);
        assert_eq!(request.header("mcp-method"), message["method"].as_str());
        assert_eq!(request.header("mcp-protocol-version"), Some("2026-07-28"));
        assert_eq!(request.header("mcp-name"), message["params"]["name"].as_str(), "{message}");
        assert_eq!(request.header("mcp-session-id"), None);
    }
}

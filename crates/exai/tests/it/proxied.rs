//! `allowed_hosts`: a proxy before the port of the daemon.

use exai_test::eventually;
use serde_json::{Value, json};

use crate::http::{Response, connect, http, http_over, sentence};
use crate::named_tokens::add;
use crate::support::{Instance, LIMIT, fixture};

const HOST: (&str, &str) = ("host", "mcp.example.com");
const JSON: (&str, &str) = ("content-type", "application/json");
const UPGRADE: [(&str, &str); 4] = [
    ("connection", "upgrade"),
    ("upgrade", "websocket"),
    ("sec-websocket-version", "13"),
    ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
];

/// The configuration of one server and these hosts.
fn config(hosts: &str) -> String {
    format!("allowed_hosts = [{hosts}]\n{}", fixture("fix", &[]))
}

fn hello() -> String {
    json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
        "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "h", "version": "1"}}})
    .to_string()
}

/// The statuses of a POST, of a WebSocket handshake and of the other paths, with these headers.
fn statuses(port: u16, headers: &[(&str, &str)]) -> [u16; 5] {
    let json = [headers, &[JSON]].concat();
    let upgrade = [headers, &UPGRADE].concat();
    [
        http(port, "POST", "/mcp", &json, &hello()).status,
        http(port, "GET", "/mcp/fix", &upgrade, "").status,
        http(port, "GET", "/", &upgrade, "").status,
        http(port, "GET", "/healthz", headers, "").status,
        http(port, "GET", "/oauth/callback?state=x&code=y", headers, "").status,
    ]
}

#[test]
fn a_host_that_is_named_is_served_with_a_token_and_no_other_host_is() {
    let instance = Instance::new(&config("\"MCP.example.com\", \"box:8443\""));
    instance.ends(0, &["start"]);
    let port = instance.port();
    let named = add(&instance, "laptop");
    let (named, own) = (format!("Bearer {named}"), format!("Bearer {}", instance.token()));
    let own_host = format!("localhost:{port}");
    let here = ("host", own_host.as_str());
    let forwarded = ("x-forwarded-for", "127.0.0.1");
    let origin = |value| ("origin", value);

    assert_eq!(statuses(port, &[here]), [401, 401, 101, 200, 400], "as before, without a token");
    for host in [HOST, ("host", "mcp.example.com:443"), ("host", "BOX:8443")] {
        assert_eq!(statuses(port, &[host]), [401, 401, 401, 401, 404], "{host:?} without a token");
        for bearer in [&named, &own] {
            let headers = [host, ("authorization", bearer.as_str())];
            assert_eq!(statuses(port, &headers), [200, 101, 101, 200, 404], "{host:?}");
        }
    }
    let auth = ("authorization", named.as_str());
    for trace in [forwarded, ("forwarded", "for=127.0.0.1;host=localhost"), ("via", "1.1 caddy")] {
        assert_eq!(statuses(port, &[here, trace]), [401, 401, 401, 401, 404], "{trace:?} without a token");
        assert_eq!(statuses(port, &[here, trace, auth]), [200, 101, 101, 200, 404], "{trace:?}");
    }
    for (name, headers) in [
        ("its own page", vec![HOST, auth, origin("https://mcp.example.com")]),
        ("a proxy that names the daemon", vec![here, auth, origin("https://box:8443"), forwarded]),
    ] {
        assert_eq!(statuses(port, &headers), [200, 101, 101, 200, 404], "{name}");
    }
    for (name, headers) in [
        ("a page of elsewhere", vec![HOST, auth, origin("https://evil.com")]),
        ("a page without TLS", vec![HOST, auth, origin("http://mcp.example.com")]),
        ("another port", vec![("host", "mcp.example.com:8079"), auth]),
        ("a host below it", vec![("host", "a.mcp.example.com"), auth]),
        ("a host above it", vec![("host", "example.com"), auth]),
        ("a host with it at its beginning", vec![("host", "mcp.example.com.evil.com"), auth]),
        ("what a proxy says", vec![("host", "evil.com"), ("x-forwarded-host", "mcp.example.com"), auth]),
        ("two hosts", vec![HOST, ("host", "evil.com"), auth]),
    ] {
        assert_eq!(statuses(port, &headers), [403; 5], "{name}");
    }
    let refused = http(port, "POST", "/mcp", &[("host", "mcp.evil.com"), auth, JSON], &hello());
    let refused = sentence(refused);
    assert!(refused.contains("\"mcp.evil.com\"") && refused.contains("allowed_hosts"), "{refused}");
    assert!(!refused.contains("example"), "nobody learns the names of others: {refused}");
}

#[test]
fn hosts_are_served_and_refused_as_soon_as_the_file_says_so() {
    let instance = Instance::with_fixture(&[]);
    instance.ends(0, &["start"]);
    let (port, daemon) = (instance.port(), instance.status()["daemon"]["pid"].clone());
    let bearer = format!("Bearer {}", instance.token());
    let status = || http(port, "POST", "/mcp", &[HOST, JSON, ("authorization", &bearer)], &hello()).status;
    assert_eq!(status(), 403);
    instance.configure(&config("\"mcp.example.com\""));
    eventually("the host is served", LIMIT, || status() == 200);
    instance.configure(&config("\"https://mcp.example.com\""));
    let invalid = || instance.status()["findings"].to_string().contains("has a scheme");
    eventually("the mistake is named", LIMIT, invalid);
    assert_eq!(status(), 200, "the last good configuration is in force");
    instance.configure(&config(""));
    eventually("the host is refused", LIMIT, || status() == 403);
    assert_eq!(instance.status()["daemon"]["pid"], daemon);
}

/// A session that came through a proxy must not end with the process of the proxy.
#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "the kernel must tell whose connection it is")]
fn the_process_of_a_proxy_is_not_that_of_a_client() {
    let instance = Instance::new(&config("\"mcp.example.com\""));
    instance.ends(0, &["start"]);
    let (port, bearer) = (instance.port(), format!("Bearer {}", instance.token()));
    // The kernel is asked for the process of a connection that is still open.
    let send = |over, session: Option<&str>, proxied: bool, body: &str| -> Response {
        let mut headers = vec![("authorization", bearer.as_str()), JSON];
        headers.extend(session.map(|session| ("mcp-session-id", session)));
        headers.extend(proxied.then_some(HOST));
        http_over(over, "POST", "/mcp/fix", &headers, body)
    };
    let begin = |proxied| {
        let response = send(connect(port), None, proxied, &hello());
        let session = response.header("mcp-session-id").expect("a session").to_owned();
        (session, response.json_and_connection().1)
    };
    let ((direct, mut one), (through, mut other)) = (begin(false), begin(true));
    let ping = json!({"jsonrpc": "2.0", "id": 1, "method": "ping"}).to_string();
    let pids = || -> Vec<Value> {
        let status = instance.status();
        let clients = status["clients"].as_array().expect("clients").iter();
        clients.map(|client| client["client_pid"].clone()).collect()
    };
    eventually("the process of the direct one is known", LIMIT, || {
        for (over, session, proxied) in [(&mut one, &direct, false), (&mut other, &through, true)] {
            let taken = std::mem::replace(over, connect(port));
            let response = send(taken, Some(session), proxied, &ping);
            assert_eq!(response.status, 200);
            *over = response.json_and_connection().1;
        }
        pids().iter().any(|pid| !pid.is_null())
    });
    let known: Vec<Value> = pids().into_iter().filter(|pid| !pid.is_null()).collect();
    assert_eq!(known, [json!(std::process::id())], "one of the two");
}

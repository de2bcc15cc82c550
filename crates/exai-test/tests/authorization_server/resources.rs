//! The protected MCP servers.

use exai_test::authorization_server::{AuthorizationServer, Options, Resource};
use exai_test::scripted_http::{ScriptedHttp, document};
use serde_json::{Value, json};

use crate::client::{Client, account, call, send};

#[test]
fn a_token_is_good_at_its_own_resource_alone() {
    let resources = vec![Resource::new("/mcp", &["mcp"]), Resource::new("/other", &["mcp"])];
    let server = AuthorizationServer::start(Options { resources, ..Options::default() });
    let client = Client::register(&server);
    let (access, _) = client.sign_in("mcp");
    assert_eq!(account(&server.url("/other"), &access), Err(401));
    assert_eq!(server.seen().wrong_resources, 1);
    assert_eq!(account(&server.url("/mcp"), &access).as_deref(), Ok("alice"));
    let stranger = AuthorizationServer::start(Options::default());
    assert_eq!(account(&stranger.url("/mcp"), &access), Err(401));
}

#[test]
fn a_token_ends_when_the_test_says_so() {
    let server = AuthorizationServer::start(Options::default());
    let client = Client::register(&server);
    let (access, refresh) = client.sign_in("mcp");
    server.expire_access_tokens();
    assert_eq!(account(&client.resource, &access), Err(401));
    let refreshed = crate::client::tokens(&client.refresh(&refresh));
    assert_eq!(account(&client.resource, &refreshed.0).as_deref(), Ok("alice"));
    server.revoke_all();
    assert_eq!(account(&client.resource, &refreshed.0), Err(401));
    assert_eq!(client.refresh(&refreshed.1).refusal(), (400, "invalid_grant".to_owned()));
}

#[test]
fn a_tool_can_need_another_scope() {
    let server = AuthorizationServer::start(Options::default());
    let client = Client::register(&server);
    let (access, _) = client.sign_in("mcp");
    let refused = call(&client.resource, &access, "admin");
    let header = refused.header("www-authenticate").unwrap();
    assert_eq!(refused.status, 403);
    assert!(
        header.contains("error=\"insufficient_scope\"") && header.contains("scope=\"mcp admin\""),
        "{header}"
    );
    assert!(header.contains("resource_metadata=\""), "{header}");
    assert_eq!(server.seen().insufficient_scopes, 1);
    let (access, _) = client.sign_in("mcp admin");
    assert_eq!(call(&client.resource, &access, "admin").status, 200);
    let (access, _) = client.sign_in("admin");
    assert_eq!(account(&client.resource, &access), Err(403), "every request needs the scope of the resource");
}

#[test]
fn a_token_comes_in_one_header() {
    let server = AuthorizationServer::start(Options::default());
    let client = Client::register(&server);
    let (access, _) = client.sign_in("mcp");
    let header = format!("authorization: Bearer {access}\r\n");
    let url = &client.resource;
    assert_eq!(send("POST", &format!("{url}?access_token={access}"), &header, "").status, 400);
    assert_eq!(server.seen().leaks, 1);
    assert_eq!(send("POST", url, &format!("{header}{header}"), "").status, 400);
    assert_eq!(send("POST", url, &format!("authorization: Basic {access}\r\n"), "").status, 401);
    assert_eq!(send("GET", url, "", "").status, 401);
    assert_eq!(send("DELETE", url, "", "").status, 401);
    assert_eq!(send("GET", url, &header, "").status, 405);
}

#[test]
fn the_built_in_server_speaks_both_eras() {
    let server = AuthorizationServer::start(Options::default());
    let client = Client::register(&server);
    let (access, _) = client.sign_in("mcp");
    let ask = |head: &str, message: Value| {
        let common = "accept: application/json, text/event-stream\r\ncontent-type: application/json\r\n";
        let head = format!("authorization: Bearer {access}\r\n{common}{head}");
        send("POST", &client.resource, &head, &message.to_string())
    };
    let legacy = |method: &str, params: Value| {
        ask("", json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params})).json()
    };
    let begun = legacy("initialize", json!({"protocolVersion": "2025-11-25", "capabilities": {}}));
    assert_eq!((&begun["id"], &begun["result"]["protocolVersion"]), (&json!(7), &json!("2025-11-25")));
    assert_eq!(ask("", json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).status, 202);
    assert_eq!(legacy("tools/list", json!({}))["result"]["tools"].as_array().unwrap().len(), 2);
    assert_eq!(legacy("server/discover", json!({}))["error"]["code"], -32601);

    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let modern = |head: &str, method: &str, name: &str| {
        let params = json!({"_meta": meta, "name": name, "arguments": {}});
        let head = format!("mcp-protocol-version: 2026-07-28\r\n{head}");
        ask(&head, json!({"jsonrpc": "2.0", "id": 8, "method": method, "params": params}))
    };
    let found = modern("mcp-method: server/discover\r\n", "server/discover", "").json();
    assert_eq!(found["result"]["supportedVersions"][0], "2026-07-28");
    let headers = "mcp-method: tools/call\r\nmcp-name: whoami\r\n";
    let said = modern(headers, "tools/call", "whoami").json();
    let said = &said["result"]["structuredContent"];
    assert_eq!(
        (&said["account"], &said["scopes"], &said["client"]),
        (&json!("alice"), &json!(["mcp"]), &json!(client.id))
    );
    let contradicting = modern("mcp-method: tools/call\r\nmcp-name: other\r\n", "tools/call", "whoami");
    assert_eq!((contradicting.status, &contradicting.json()["error"]["code"]), (400, &json!(-32020)));
    assert_eq!(modern("mcp-method: prompts/list\r\n", "prompts/list", "").status, 404);
}

#[test]
fn a_server_behind_gets_what_is_let_in_without_the_token() {
    let behind = ScriptedHttp::start(|_| document(200, "X-Behind: yes\r\n", "{\"behind\": true}"));
    let resources = vec![Resource::protecting("/mcp", &["mcp"], &behind.url("/there"))];
    let server = AuthorizationServer::start(Options { resources, ..Options::default() });
    let client = Client::register(&server);
    let (access, _) = client.sign_in("mcp");
    assert_eq!(call(&client.resource, "wrong", "x").status, 401);
    assert_eq!(call(&client.resource, &access, "admin").status, 403);
    assert!(behind.requests().is_empty());
    let answer = call(&client.resource, &access, "x");
    assert_eq!(
        (answer.status, answer.header("x-behind"), &*answer.text),
        (200, Some("yes"), "{\"behind\": true}")
    );
    let request = &behind.requests()[0];
    assert_eq!((&*request.path, request.header("authorization")), ("/there", None));
    assert_eq!(request.header("mcp-protocol-version"), Some("2025-11-25"));
    assert!(String::from_utf8_lossy(&request.body).contains("tools/call"));
}

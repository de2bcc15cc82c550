//! Authorization servers and browsers that others have written.

#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
mod browser;

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};

use exai_test::peers::Sdk;
use exai_test::{eventually, free_port, peers};
use serde_json::{Value, json};

use super::sse::Elsewhere;
use crate::remote::hosting;
use crate::sign_in::Login;
use crate::support::{Client, Instance, LIMIT};

/// `oidc_server.mjs`. It ends when its stdin does, so when this is dropped.
struct OidcServer {
    child: Child,
    mcp: String,
}

impl OidcServer {
    fn start() -> Self {
        let mut command = peers::script("oidc_server.mjs");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("it starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("a pipe");
        BufReader::new(stdout).read_line(&mut line).expect("a line");
        let ready: Value = serde_json::from_str(&line).expect("JSON");
        let mcp = ready["mcp"].as_str().expect("a URL").to_owned();
        OidcServer { child, mcp }
    }
}

impl Drop for OidcServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The example of the TypeScript SDK, which signs people in itself. It serves at this port, and signs in at another one.
fn typescript(port: u16) -> Elsewhere {
    let example = "@modelcontextprotocol/sdk/dist/esm/examples/server/simpleStreamableHttp.js";
    let mut command = peers::node(example);
    // It takes no token that was given out for another server.
    command.args(["--oauth", "--oauth-strict"]);
    command.env("MCP_PORT", port.to_string()).env("MCP_AUTH_PORT", free_port().to_string());
    Elsewhere::run(command, port)
}

/// `py_auth_server.py`, which signs people in itself.
fn python(sdk: Sdk, port: u16) -> Elsewhere {
    let mut command = sdk.script("py_auth_server");
    command.arg(port.to_string());
    Elsewhere::run(command, port)
}

/// Opens a page in a browser that keeps cookies and sends off every form. The page where it ends.
fn visit(url: &str) -> Value {
    let output = peers::script("visit.mjs").arg(url).output().expect("it starts");
    let said = String::from_utf8_lossy(&output.stderr);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {said}"))
}

/// What the server says of the token and of the authorization server.
fn account(client: &mut Client) -> Value {
    serde_json::from_str(&client.call("account", &json!({}))).expect("JSON")
}

/// Calls until the token is the third, with one registration, and a renewal for each.
#[track_caller]
fn is_renewed(instance: &Instance) {
    let mut clients = [instance.client("far"), instance.client("far")];
    let first = account(&mut clients[0]);
    let mut tokens = vec![first["jti"].clone()];
    eventually("two tokens are replaced", LIMIT, || {
        for client in &mut clients {
            let now = account(client);
            let facts = (&now["sub"], &now["errors"], &now["registrations"]);
            assert_eq!(facts, (&json!("tester"), &json!([]), &json!(1)), "{now}");
            if tokens.last() != Some(&now["jti"]) {
                tokens.push(now["jti"].clone());
                assert!(now["rotations"].as_u64() >= Some(tokens.len() as u64 - 1), "{now}");
            }
        }
        tokens.len() > 2
    });
}

#[test]
fn oidc_provider_signs_in_and_renews() {
    let server = OidcServer::start();
    let instance = hosting(&server.mcp, "");
    let login = Login::begin(&instance, "far", &[]);
    let page = visit(&login.page);
    assert_eq!(page["status"], 200, "{page}");
    assert!(page["text"].as_str().is_some_and(|text| text.contains("You are signed in at far")), "{page}");
    login.succeeds();
    is_renewed(&instance);
}

#[test]
fn oidc_provider_signs_in_at_another_device() {
    let server = OidcServer::start();
    let instance = hosting(&server.mcp, "");
    let login = Login::begin(&instance, "far", &["--device"]);
    let page = visit(&format!("{}?user_code={}", login.page, login.code()));
    assert_eq!(page["status"], 200, "{page}");
    login.succeeds();
    is_renewed(&instance);
}

#[test]
fn the_example_of_the_typescript_sdk_signs_in() {
    let port = free_port();
    let _server = typescript(port);
    let instance = hosting(&format!("http://localhost:{port}/mcp"), "");
    let login = Login::begin(&instance, "far", &[]);
    let page = visit(&login.page);
    assert!(page["text"].as_str().is_some_and(|text| text.contains("You are signed in at far")), "{page}");
    login.succeeds();
    for mut client in [instance.client("far"), instance.client("far")] {
        assert_eq!(client.call("greet", &json!({"name": "tester"})), "Hello, tester!");
    }
}

fn python_signs_in_and_renews(sdk: Sdk) {
    let port = free_port();
    let _server = python(sdk, port);
    let instance = hosting(&format!("http://127.0.0.1:{port}/mcp"), "");
    let login = Login::begin(&instance, "far", &[]);
    let page = visit(&login.page);
    assert_eq!(page["status"], 200, "{page}");
    login.succeeds();
    is_renewed(&instance);
}

#[test]
fn python_1_signs_in_and_renews() {
    python_signs_in_and_renews(Sdk::Python1);
}

#[test]
fn python_2_signs_in_and_renews() {
    python_signs_in_and_renews(Sdk::Python2);
}

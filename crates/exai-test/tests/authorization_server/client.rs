//! A client of OAuth and MCP that is written by hand, so that it does only what a test says.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use exai_test::authorization_server::{AuthorizationServer, Page, follow};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

pub(crate) const VERIFIER: &str = "a-verifier-of-at-least-forty-three-characters-1";
/// Nobody listens there: the browser ends at this URL, whose query has the answer.
pub(crate) const CALLBACK: &str = "http://127.0.0.1:1/callback";

/// An answer of HTTP.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let pairs = self.head.lines().filter_map(|line| line.split_once(": "));
        pairs.filter(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
    }

    /// The status and the error of OAuth.
    pub(crate) fn refusal(&self) -> (u16, String) {
        (self.status, self.json()["error"].as_str().unwrap_or_default().to_owned())
    }
}

/// One request. The head lines end with their line ends. No answer at all has the status 0.
pub(crate) fn send(method: &str, url: &str, head: &str, body: &str) -> Answer {
    let (authority, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut stream = TcpStream::connect(authority).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let length = body.len();
    let head =
        format!("{method} /{path} HTTP/1.1\r\nhost: {authority}\r\n{head}content-length: {length}\r\n\r\n");
    stream.write_all((head + body).as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, text) = answer.split_once("\r\n\r\n").unwrap_or_default();
    let status = head.split(' ').nth(1).map_or(0, |status| status.parse().unwrap());
    Answer { status, head: head.to_owned(), text: text.to_owned() }
}

pub(crate) fn get(url: &str) -> Answer {
    send("GET", url, "", "")
}

pub(crate) fn post_json(url: &str, body: &Value) -> Answer {
    send("POST", url, "content-type: application/json\r\n", &body.to_string())
}

pub(crate) fn encode(fields: &[(&str, &str)]) -> String {
    let escape =
        |text: &str| text.replace('%', "%25").replace('&', "%26").replace('+', "%2B").replace(' ', "+");
    fields.iter().map(|(name, value)| format!("{name}={}", escape(value))).collect::<Vec<_>>().join("&")
}

pub(crate) fn post_form(url: &str, head: &str, fields: &[(&str, &str)]) -> Answer {
    let head = format!("content-type: application/x-www-form-urlencoded\r\n{head}");
    send("POST", url, &head, &encode(fields))
}

/// A public client that has registered.
pub(crate) struct Client<'a> {
    pub(crate) server: &'a AuthorizationServer,
    pub(crate) id: String,
    pub(crate) resource: String,
}

/// What a client registers.
pub(crate) fn metadata() -> Value {
    json!({
        "application_type": "native",
        "client_name": "by hand",
        "redirect_uris": [CALLBACK],
        "grant_types": ["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
    })
}

impl<'a> Client<'a> {
    pub(crate) fn register(server: &'a AuthorizationServer) -> Self {
        let registered = post_json(&format!("{}/register", server.issuer()), &metadata());
        assert_eq!(registered.status, 201, "{registered:?}");
        let id = registered.json()["client_id"].as_str().unwrap().to_owned();
        Client { server, id, resource: server.url("/mcp") }
    }

    /// The fields of an authorization request in which nothing is wrong.
    pub(crate) fn question(&self) -> Vec<(&str, String)> {
        vec![
            ("response_type", "code".to_owned()),
            ("client_id", self.id.clone()),
            ("redirect_uri", CALLBACK.to_owned()),
            ("code_challenge", URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER))),
            ("code_challenge_method", "S256".to_owned()),
            ("state", "of this client".to_owned()),
            ("resource", self.resource.clone()),
        ]
    }

    /// Opens the authorization page; `changes` replace fields, and an empty one drops it.
    pub(crate) fn open(&self, changes: &[(&str, &str)]) -> Page {
        let mut fields = self.question();
        for &(name, value) in changes {
            fields.retain(|(known, _)| *known != name);
            fields.push((name, value.to_owned()));
        }
        let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, &**value)).collect();
        follow(&format!("{}/authorize?{}", self.server.issuer(), encode(&fields)))
    }

    pub(crate) fn code(&self, scope: &str) -> String {
        let page = self.open(&[("scope", scope)]);
        page.field("code").unwrap_or_else(|| panic!("no code: {page:?}"))
    }

    pub(crate) fn token(&self, fields: &[(&str, &str)]) -> Answer {
        let mut all = vec![("client_id", &*self.id), ("resource", &*self.resource)];
        all.retain(|(name, _)| fields.iter().all(|(other, _)| other != name));
        all.extend(fields);
        post_form(&format!("{}/token", self.server.issuer()), "", &all)
    }

    pub(crate) fn exchange(&self, code: &str, verifier: &str) -> Answer {
        let fields = [("code", code), ("code_verifier", verifier), ("redirect_uri", CALLBACK)];
        self.token(&[&[("grant_type", "authorization_code")], &fields[..]].concat())
    }

    pub(crate) fn refresh(&self, token: &str) -> Answer {
        self.token(&[("grant_type", "refresh_token"), ("refresh_token", token)])
    }

    /// The access token and the refresh token for a scope.
    pub(crate) fn sign_in(&self, scope: &str) -> (String, String) {
        tokens(&self.exchange(&self.code(scope), VERIFIER))
    }
}

pub(crate) fn tokens(answer: &Answer) -> (String, String) {
    assert_eq!(answer.status, 200, "{answer:?}");
    let text = |name: &str| answer.json()[name].as_str().unwrap_or_default().to_owned();
    (text("access_token"), text("refresh_token"))
}

/// Calls a tool of a legacy session.
pub(crate) fn call(url: &str, token: &str, tool: &str) -> Answer {
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool}});
    let head = format!(
        "authorization: Bearer {token}\r\naccept: application/json, text/event-stream\r\n\
         content-type: application/json\r\nmcp-protocol-version: 2025-11-25\r\n"
    );
    send("POST", url, &head, &body.to_string())
}

/// The account that `whoami` says, or the status.
pub(crate) fn account(url: &str, token: &str) -> Result<String, u16> {
    let answer = call(url, token, "whoami");
    if answer.status != 200 {
        return Err(answer.status);
    }
    Ok(answer.json()["result"]["structuredContent"]["account"].as_str().unwrap().to_owned())
}

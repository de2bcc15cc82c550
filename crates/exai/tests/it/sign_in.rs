//! Sign-ins at servers elsewhere: one for all clients.

mod expiries;

use std::io::Write as _;
use std::process::{Child, Stdio};

use exai_test::authorization_server::{AuthorizationServer, Options, follow, follow_without};
use exai_test::eventually;
use serde_json::{Value, json};

use crate::remote::hosting;
use crate::support::{Client, Instance, LIMIT};

fn whoami(client: &mut Client) -> Value {
    client.ask("tools/call", &json!({"name": "whoami", "arguments": {}}))
}

fn shim(instance: &Instance) -> Client {
    Client::start(instance.command(&["shim"]))
}

/// The page in the output of a command that waits. That for a device comes with the code, which the page takes as a field.
fn page_of(output: &str) -> Option<String> {
    let mut lines = output.lines().map(str::trim);
    let line = lines.find(|line| line.contains("http://"))?;
    let page = line.split(' ').find(|word| word.starts_with("http://"))?;
    if line == page { Some(page.to_owned()) } else { Some(format!("{page}?user_code={}", lines.next()?)) }
}

/// `exai login`, which waits for the browser.
pub(crate) struct Login {
    child: Child,
    pub(crate) page: String,
}

impl Login {
    pub(crate) fn begin(instance: &Instance, server: &str, more: &[&str]) -> Self {
        let stdout = instance.dir().join("login");
        let mut command = instance.command(&[&["login", server], more].concat());
        command.env("BROWSER", "false").stdin(Stdio::piped());
        command.stdout(std::fs::File::create(&stdout).expect("a file"));
        let child = command.spawn().expect("it starts");
        let read = || std::fs::read_to_string(&stdout).expect("a file");
        eventually("the page is named", LIMIT, || page_of(&read()).is_some());
        Login { child, page: page_of(&read()).expect("a page") }
    }

    pub(crate) fn succeeds(mut self) {
        assert!(self.child.wait().expect("it ends").success());
    }
}

#[test]
fn one_sign_in_serves_all_clients_and_survives_the_daemon() {
    let server = AuthorizationServer::start(Options::default());
    let instance = hosting(&server.url("/mcp"), "");
    let mut clients = [shim(&instance), shim(&instance)];
    for client in &mut clients {
        client.initialize(&json!({}));
        let refused = client.ask("tools/call", &json!({"name": "far__whoami", "arguments": {}}));
        let said = refused["error"]["message"].as_str().unwrap_or_default();
        assert!(said.contains("wants somebody to sign in: run `exai login far`"), "{refused}");
    }
    let login = Login::begin(&instance, "far", &[]);
    let page = follow(&login.page);
    assert!(page.status == 200 && page.text.contains("You are signed in at far"), "{page:?}");
    login.succeeds();
    for client in &mut clients {
        let answer = client.ask("tools/call", &json!({"name": "far__whoami", "arguments": {}}));
        assert!(answer["result"].is_object(), "{answer}");
    }
    assert_eq!((server.seen().pages, server.seen().registrations), (1, 1));
    instance.ends(0, &["restart"]);
    let mut client = Client::start(instance.command(&["shim", "--server", "far"]));
    client.initialize(&json!({}));
    assert!(whoami(&mut client)["result"].is_object());
    assert_eq!(server.seen().pages, 1);
    let list: Value = serde_json::from_str(&instance.ends(0, &["login", "--list", "--json"])).expect("JSON");
    assert_eq!(list["sign_ins"][0]["signed_in"], true, "{list}");
}

#[test]
fn who_signs_out_is_asked_again_and_not_registered_anew() {
    let server = AuthorizationServer::start(Options::default());
    let instance = hosting(&server.url("/mcp"), "");
    follow(&Login::begin(&instance, "far", &[]).page);
    let mut client = Client::start(instance.command(&["shim", "--server", "far"]));
    client.initialize(&json!({}));
    assert!(whoami(&mut client)["result"].is_object());
    instance.ends(0, &["logout", "far"]);
    let list: Value = serde_json::from_str(&instance.ends(0, &["login", "--list", "--json"])).expect("JSON");
    assert_eq!(list["sign_ins"][0]["signed_in"], false, "{list}");
    let refused = whoami(&mut client);
    assert!(
        refused["error"]["message"].as_str().is_some_and(|text| text.contains("exai login far")),
        "{refused}"
    );
    // The registration stays.
    follow(&Login::begin(&instance, "far", &[]).page);
    assert_eq!((server.seen().pages, server.seen().registrations), (2, 1));
    assert!(whoami(&mut client)["result"].is_object());
}

#[test]
fn what_the_browser_could_not_bring_back_is_pasted() {
    let server = AuthorizationServer::start(Options::default());
    let instance = hosting(&server.url("/mcp"), "");
    let mut login = Login::begin(&instance, "far", &["--paste"]);
    let ended = follow_without(&login.page, "/oauth/callback");
    assert_eq!(ended.status, 0, "{ended:?}");
    let mut stdin = login.child.stdin.take().expect("a pipe");
    writeln!(stdin, "{}", ended.url).expect("it reads");
    login.succeeds();
    let mut client = Client::start(instance.command(&["shim", "--server", "far"]));
    client.initialize(&json!({}));
    assert!(whoami(&mut client)["result"].is_object());
    // What came back is good for one use.
    let page = follow(&ended.url);
    assert!(page.status == 400 && page.text.contains("unknown or over"), "{page:?}");
}

//! Sign-ins at servers elsewhere: one for all clients.

mod accounts;
mod adoption;
mod expiries;
#[cfg(target_os = "linux")]
mod keyring;
mod trouble;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Child, Stdio};

use exai_test::authorization_server::{AuthorizationServer, Consent, Options, follow, follow_without};
use exai_test::eventually;
use serde_json::{Value, json};

use crate::remote::hosting;
use crate::support::{Client, Instance, LIMIT, add_modern_meta, text};

fn whoami(client: &mut Client) -> Value {
    client.ask("tools/call", &json!({"name": "whoami", "arguments": {}}))
}

fn shim(instance: &Instance) -> Client {
    instance.shim(&[])
}

/// The page in the output of a command that waits. That for a device comes with the code, which the page takes as a field.
fn page_of(output: &str) -> Option<String> {
    output.lines().map(str::trim).find(|line| line.starts_with("http://")).map(str::to_owned)
}

/// `exai login`, which waits for the browser.
pub(crate) struct Login {
    child: Child,
    pub(crate) page: String,
    stdout: PathBuf,
}

impl Login {
    pub(crate) fn begin(instance: &Instance, server: &str, more: &[&str]) -> Self {
        let stdout = instance.dir().join("login");
        let way = if more.is_empty() { &["--no-browser"] } else { more };
        let mut command = instance.command(&[&["login", server], way].concat());
        command.stdin(Stdio::piped());
        command.stdout(std::fs::File::create(&stdout).expect("a file"));
        let child = command.spawn().expect("it starts");
        let read = || std::fs::read_to_string(&stdout).expect("a file");
        eventually("the page is named", LIMIT, || page_of(&read()).is_some());
        Login { child, page: page_of(&read()).expect("a page"), stdout }
    }

    /// The code that is to be typed on the page.
    pub(crate) fn code(&self) -> String {
        let code = || {
            let said = std::fs::read_to_string(&self.stdout).expect("a file");
            let code = said.lines().skip_while(|line| page_of(line).is_none()).nth(1)?;
            Some(code.trim().to_owned())
        };
        eventually("the code is named", LIMIT, || code().is_some());
        code().expect("a code")
    }

    pub(crate) fn succeeds(self) {
        self.tells();
    }

    /// Waits until it has succeeded, and returns what it has said.
    pub(crate) fn tells(mut self) -> String {
        assert!(self.child.wait().expect("it ends").success());
        std::fs::read_to_string(&self.stdout).expect("a file")
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
    let mut client = instance.shim(&["--server", "far"]);
    client.initialize(&json!({}));
    assert!(whoami(&mut client)["result"].is_object());
    assert_eq!(server.seen().pages, 1);
    let list: Value = serde_json::from_str(&instance.ends(0, &["login", "--list", "--json"])).expect("JSON");
    assert_eq!(list["sign_ins"][0]["signed_in"], true, "{list}");
}

#[cfg(unix)]
#[test]
fn the_browser_of_the_account_is_opened_once() {
    let server = AuthorizationServer::start(Options::default());
    let instance = hosting(&server.url("/mcp"), "");
    let (browser, opened) = (instance.dir().join("browser"), instance.dir().join("opened"));
    let script = format!("#!/bin/sh\necho \"$@\" >>'{}'\n", opened.display());
    crate::ssh::write_script(&browser, &script);
    let mut command = instance.command(&["login", "far"]);
    let child = command.env("BROWSER", &browser).stdout(Stdio::null()).spawn().expect("it starts");
    let seen = || std::fs::read_to_string(&opened).unwrap_or_default();
    eventually("a browser is opened", LIMIT, || seen().ends_with('\n'));
    assert_eq!(follow(seen().trim()).status, 200);
    assert!(child.wait_with_output().expect("it ends").status.success());
    assert_eq!(seen().lines().count(), 1);
}

#[test]
fn who_signs_out_is_asked_again_and_not_registered_anew() {
    let server = AuthorizationServer::start(Options::default());
    let instance = hosting(&server.url("/mcp"), "");
    follow(&Login::begin(&instance, "far", &[]).page);
    let mut client = instance.shim(&["--server", "far"]);
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
    let mut client = instance.shim(&["--server", "far"]);
    client.initialize(&json!({}));
    assert!(whoami(&mut client)["result"].is_object());
    // What came back is good for one use.
    let page = follow(&ended.url);
    assert!(page.status == 400 && page.text.contains("unknown or over"), "{page:?}");
}

/// What a client says of itself that can show its user a page.
fn can_open() -> Value {
    json!({"elicitation": {"form": {}, "url": {}}})
}

#[test]
fn a_client_that_can_show_a_page_is_asked_to_and_hears_of_the_tools() {
    let server = AuthorizationServer::start(Options::default());
    let instance = hosting(&server.url("/mcp"), "");
    let mut client = shim(&instance);
    client.initialize(&can_open());
    client.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
    let listed = client.ask("tools/list", &json!({}));
    assert!(!listed.to_string().contains("far__whoami"), "{listed}");
    let call = json!({"name": "far__whoami", "arguments": {}});
    let refused = client.ask("tools/call", &call);
    let asked = &refused["error"]["data"]["elicitations"][0];
    assert_eq!((&refused["error"]["code"], &asked["mode"]), (&json!(-32042), &json!("url")), "{refused}");
    assert!(asked["elicitationId"].is_string() && asked["message"].as_str().is_some(), "{refused}");
    let row = instance.status()["servers"][0].clone();
    assert_eq!(row["state"], "signed_out", "{row}");
    assert!(row["reason"].as_str().is_some_and(|text| text.contains("exai login far")), "{row}");
    let page = asked["url"].as_str().expect("a page").to_owned();
    // Whoever asks meanwhile is given the same page.
    let login = Login::begin(&instance, "far", &[]);
    assert_eq!(login.page, page);
    assert_eq!(follow(&page).status, 200);
    login.succeeds();
    let told = |client: &mut Client| client.receive()["method"] == "notifications/tools/list_changed";
    eventually("the client hears of the tools", LIMIT, || told(&mut client));
    assert!(client.ask("tools/call", &call)["result"].is_object());
    assert_eq!(instance.status()["servers"][0]["state"], "ready");
    assert_eq!(server.seen().pages, 1);
}

/// A call of the modern era that was answered with a page, the page, and the call as it comes again with this action.
fn ask_for_page(client: &mut Client, action: &str) -> (String, Value) {
    let mut call = json!({"name": "whoami", "arguments": {}});
    add_modern_meta(&mut call, "modern", can_open());
    let asked = client.ask("tools/call", &call);
    let result = &asked["result"];
    let question = result["inputRequests"].as_object().and_then(|all| all.iter().next());
    let (key, question) = question.unwrap_or_else(|| panic!("no question: {asked}"));
    assert_eq!(
        (&question["method"], &question["params"]["mode"]),
        (&json!("elicitation/create"), &json!("url"))
    );
    let page = question["params"]["url"].as_str().expect("a page").to_owned();
    call["inputResponses"] = json!({key: {"action": action}});
    call["requestState"] = result["requestState"].clone();
    (page, call)
}

#[test]
fn a_modern_client_is_asked_for_input_and_its_call_goes_on() {
    let server = AuthorizationServer::start(Options::default());
    let instance = hosting(&server.url("/mcp"), "");
    let mut client = instance.shim(&["--server", "far"]);
    let (page, call) = ask_for_page(&mut client, "accept");
    assert_eq!(follow(&page).status, 200);
    let answer = client.ask("tools/call", &call);
    assert!(answer["result"]["content"].is_array(), "{answer}");
    // A state is good for one use: the server is asked what it means, and knows nothing of it.
    let spent = client.ask("tools/call", &call);
    assert_ne!(spent["result"]["resultType"], "input_required", "{spent}");
}

#[test]
fn what_needs_one_scope_more_leads_to_a_page_for_all_of_them() {
    let server = AuthorizationServer::start(Options::default());
    let instance = hosting(&server.url("/mcp"), "");
    follow(&Login::begin(&instance, "far", &[]).page);
    let mut client = instance.shim(&["--server", "far"]);
    client.initialize(&can_open());
    let admin = json!({"name": "admin", "arguments": {}});
    let refused = client.ask("tools/call", &admin);
    let asked = &refused["error"]["data"]["elicitations"][0];
    let page = asked["url"].as_str().unwrap_or_else(|| panic!("{refused}"));
    assert!(page.contains("scope=admin+mcp"), "{page}");
    // The token that there is stays good meanwhile.
    assert!(whoami(&mut client)["result"].is_object());
    assert_eq!(follow(page).status, 200);
    assert!(client.ask("tools/call", &admin)["result"].is_object());
}

#[test]
fn who_refuses_or_brings_back_nothing_is_told_so() {
    let server = AuthorizationServer::start(Options::default());
    server.change(|settings| settings.consent = Consent::Denied);
    let instance = hosting(&server.url("/mcp"), "");
    let mut login = Login::begin(&instance, "far", &[]);
    let page = follow(&login.page);
    assert!(page.status == 400 && page.text.contains("access_denied"), "{page:?}");
    assert!(!login.child.wait().expect("it ends").success());
    let callback = format!("http://127.0.0.1:{}/oauth/callback", instance.port());
    for (query, said) in
        [("", "holds no sign-in"), ("?state=x&code=y", "unknown or over"), ("?state=a&state=b", "no sign-in")]
    {
        let page = follow(&format!("{callback}{query}"));
        assert!(page.status == 400 && page.text.contains(said), "{query}: {page:?}");
    }
    let added = instance.exai(&["add", "near", &server.url("/mcp"), "--yes"]);
    assert!(text(&added.stdout).contains("added near: it wants somebody to sign in first"), "{added:?}");
    assert!(text(&added.stderr).contains("exai login near"), "{added:?}");
    let missing = instance.exai(&["login", "nobody"]);
    assert!(text(&missing.stderr).contains("no server is called"), "{missing:?}");
    let (wrong, both) = (instance.exai(&["login"]), instance.exai(&["login", "far", "--paste", "--device"]));
    assert_eq!((wrong.status.code(), both.status.code()), (Some(2), Some(2)));
}

#[test]
fn a_code_is_typed_on_another_machine() {
    let server = AuthorizationServer::start(Options::default());
    let instance = hosting(&server.url("/mcp"), "");
    let login = Login::begin(&instance, "far", &["--device"]);
    let page = follow(&format!("{}?user_code={}", login.page, login.code()));
    assert_eq!(page.status, 200, "{page:?}");
    login.succeeds();
    let mut client = instance.shim(&["--server", "far"]);
    client.initialize(&json!({}));
    assert!(whoami(&mut client)["result"].is_object());
}

/// The page that a refusal shows.
fn page_in(refused: &Value) -> Option<&str> {
    refused["error"]["data"]["elicitations"][0]["url"].as_str()
}

#[test]
fn scopes_that_were_asked_for_in_vain_are_asked_for_again_by_a_person_alone() {
    let server = AuthorizationServer::start(Options::default());
    server.change(|settings| settings.most_scopes = Some(vec!["mcp".to_owned()]));
    let instance = hosting(&server.url("/mcp"), "");
    let mut client = shim(&instance);
    client.initialize(&json!({"elicitation": {"url": {}}}));
    let admin = json!({"name": "far__admin", "arguments": {}});
    // For the sign-in, and for the scope that the tool needs.
    for _ in 0..2 {
        let refused = client.ask("tools/call", &admin);
        let page = page_in(&refused).unwrap_or_else(|| panic!("no page: {refused}"));
        assert_eq!(follow(page).status, 200);
    }
    let refused = client.ask("tools/call", &admin);
    let said = refused["error"]["message"].as_str().unwrap_or_default();
    assert!(
        said.contains("exai login far") && said.contains("has asked for `admin mcp` already"),
        "{refused}"
    );
    assert_eq!((page_in(&refused), server.seen().pages), (None, 2));
    server.change(|settings| settings.most_scopes = None);
    follow(&Login::begin(&instance, "far", &[]).page);
    let answer = client.ask("tools/call", &admin);
    assert!(answer["result"].is_object(), "{answer}");
}

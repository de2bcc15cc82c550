//! Sign-ins that end, are refused, or that nobody makes.

use exai_test::authorization_server::{AuthorizationServer, Options, Resource, follow};
use exai_test::eventually;
use serde_json::{Value, json};

use super::{Login, ask_for_page, can_open, whoami};
use crate::remote::hosting;
use crate::support::{Instance, LIMIT, add_modern_meta, text};

fn state(instance: &Instance) -> Value {
    instance.status()["servers"][0]["state"].clone()
}

#[test]
fn a_call_whose_user_has_agreed_to_sign_in_waits_until_that_is_done() {
    let server = AuthorizationServer::start(Options::default());
    let instance = hosting(&server.url("/mcp"), "");
    let mut client = instance.shim(&["--server", "far"]);
    let (page, call) = ask_for_page(&mut client, "accept");
    let waiting = client.request("tools/call", &call);
    // It has arrived, since what came after it is answered, and it is not.
    let mut other = json!({});
    add_modern_meta(&mut other, "modern", can_open());
    client.ask("server/discover", &other);
    assert_eq!(follow(&page).status, 200);
    let answer = client.answer(&waiting);
    assert!(answer["result"]["content"].is_array(), "{answer}");
    assert_eq!(server.seen().pages, 1);
}

#[test]
fn a_user_who_declines_to_sign_in_is_not_asked_again() {
    let server = AuthorizationServer::start(Options::default());
    let instance = hosting(&server.url("/mcp"), "");
    let mut client = instance.shim(&["--server", "far"]);
    for action in ["decline", "cancel"] {
        let (_, call) = ask_for_page(&mut client, action);
        let refused = client.ask("tools/call", &call);
        let said = refused["error"]["message"].as_str().unwrap_or_default();
        assert!(said.contains("\"far\"") && said.contains("declined"), "{refused}");
    }
}

#[test]
fn a_sign_in_that_ends_under_a_running_session_is_shown_and_can_be_made_again() {
    let server = AuthorizationServer::start(Options::default());
    let instance = hosting(&server.url("/mcp"), "");
    follow(&Login::begin(&instance, "far", &[]).page);
    let mut client = instance.shim(&["--server", "far"]);
    client.initialize(&json!({}));
    assert!(whoami(&mut client)["result"].is_object());
    assert_eq!(state(&instance), "ready");
    server.revoke_all();
    let refused = whoami(&mut client);
    assert!(
        refused["error"]["message"].as_str().is_some_and(|text| text.contains("exai login far")),
        "{refused}"
    );
    eventually("it is shown", LIMIT, || state(&instance) == "signed_out");
    let doctor = instance.exai(&["doctor"]);
    assert!(text(&doctor.stdout).contains("server-signed-out"), "{doctor:?}");
    let login = Login::begin(&instance, "far", &[]);
    follow(&login.page);
    login.succeeds();
    assert!(whoami(&mut client)["result"].is_object());
    assert_eq!(state(&instance), "ready");
}

#[test]
fn the_server_is_asked_what_it_needs_before_anybody_was_refused() {
    // The scope is in the challenge alone.
    let resource = Resource { scopes_supported: None, ..Resource::new("/mcp", &["mcp"]) };
    let options = Options { resources: vec![resource], ..Options::default() };
    let server = AuthorizationServer::start(options);
    let instance = hosting(&server.url("/mcp"), "");
    let login = Login::begin(&instance, "far", &[]);
    assert!(login.page.contains("scope=mcp"), "{}", login.page);
    follow(&login.page);
    login.succeeds();
}

#[test]
fn tokens_of_a_server_that_was_removed_can_be_forgotten() {
    let server = AuthorizationServer::start(Options::default());
    let url = server.url("/mcp");
    let instance = hosting(&url, "");
    let login = Login::begin(&instance, "far", &[]);
    follow(&login.page);
    login.succeeds();
    instance.ends(0, &["remove", "far"]);
    assert!(text(&instance.exai(&["logout", "far"]).stderr).contains("no server is called"));
    let out = instance.exai(&["logout", &url]);
    assert!(text(&out.stdout).contains(&format!("signed out at {url}")), "{out:?}");
    let list: Value =
        serde_json::from_slice(&instance.exai(&["login", "--list", "--json"]).stdout).expect("JSON");
    assert_eq!(list["sign_ins"][0]["signed_in"], false, "{list}");
    let nobody = instance.exai(&["logout", "http://127.0.0.1:1/mcp"]);
    assert!(text(&nobody.stderr).contains("nobody has signed in at"), "{nobody:?}");
}

#[test]
fn servers_with_one_address_are_signed_in_and_out_together() {
    let server = AuthorizationServer::start(Options::default());
    let url = json!(server.url("/mcp"));
    let instance = Instance::new(&format!("[servers.far]\nurl = {url}\n[servers.twin]\nurl = {url}\n"));
    let mut clients = ["far", "twin"].map(|name| {
        let mut client = instance.shim(&["--server", name]);
        client.initialize(&json!({}));
        assert!(whoami(&mut client)["error"].is_object());
        client
    });
    let states = || {
        let status = instance.status();
        let servers = status["servers"].as_array().expect("servers").clone();
        servers.iter().take(2).map(|server| server["state"].to_string()).collect::<Vec<_>>()
    };
    assert_eq!(states(), [r#""signed_out""#; 2]);
    let login = Login::begin(&instance, "far", &[]);
    follow(&login.page);
    login.succeeds();
    eventually("both are not signed out", LIMIT, || !states().contains(&r#""signed_out""#.to_owned()));
    for client in &mut clients {
        assert!(whoami(client)["result"].is_object());
    }
    instance.ends(0, &["logout", "twin"]);
    for client in &mut clients {
        assert!(whoami(client)["error"].is_object());
    }
    assert_eq!(server.seen().pages, 1);
}

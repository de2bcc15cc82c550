//! The sign-in that mcp-remote has kept, taken over once.

use std::fs;
use std::path::{Path, PathBuf};

use exai_auth::{AuthHttp, Challenge, PendingSignIn, Place, Returned, Scopes, discover, identify};
use exai_config::Secret;
use exai_test::authorization_server::{AuthorizationServer, Fault, Options, follow, follow_without};
use exai_test::mcp_remote::keep;
use serde_json::{Value, json};

use super::{Login, whoami};
use crate::support::{Instance, text};

/// Signs in as mcp-remote does, and keeps what it keeps. Returns the file with the tokens.
fn sign_in_with_mcp_remote(server: &AuthorizationServer, directory: &Path) -> PathBuf {
    let at = server.url("/mcp").parse().expect("a URL");
    let callback = "http://localhost:3334/oauth/callback";
    let signing_in = async {
        let http = AuthHttp::of(&[]).expect("certificates").for_server(&at).await;
        let discovered = discover(&http, &at, &Challenge::default()).await.expect("metadata");
        let redirect = callback.parse().expect("a URL");
        let identity = identify(&http, &discovered, None, None, &redirect).await.expect("a registration");
        let place = Place { server: at.clone(), account: String::new() };
        let pending = PendingSignIn::begin(place, discovered, identity, Scopes::read("mcp"), &redirect);
        let ended = follow_without(pending.address.as_str(), "/oauth/callback");
        let returned = Returned::read_pasted(&ended.url).expect("it comes back");
        pending.finish(&http, returned).await.expect("tokens")
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let record = runtime.block_on(signing_in);
    let tokens = record.tokens.expect("tokens");
    let client = json!({"client_id": record.identity.client_id, "redirect_uris": [callback],
        "token_endpoint_auth_method": "none", "client_name": "MCP CLI Proxy"});
    let tokens = json!({"access_token": tokens.access_token.expose(), "token_type": "Bearer", "expires_in": 3600,
        "scope": "mcp", "refresh_token": tokens.refresh_token.as_ref().map(Secret::expose)});
    keep(directory, "0.1.43", at.as_str(), Some(&client), &tokens)
}

/// An instance that hosts this server, for which mcp-remote keeps its files in `kept`.
fn hosting(server: &AuthorizationServer) -> Instance {
    let instance = Instance::new("");
    let (url, kept) = (json!(server.url("/mcp")), json!(kept(&instance)));
    instance.configure(&format!("[servers.far]\nurl = {url}\nenv = {{ MCP_REMOTE_CONFIG_DIR = {kept} }}\n"));
    instance
}

fn kept(instance: &Instance) -> PathBuf {
    instance.dir().join("kept")
}

/// What `exai login far --from mcp-remote` says, which must end with `code`.
#[track_caller]
fn adopt(instance: &Instance, code: i32) -> String {
    let output = instance.exai(&["login", "far", "--from", "mcp-remote"]);
    let said = text(&output.stdout) + &text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    said
}

#[test]
fn what_mcp_remote_has_kept_is_taken_over_once_and_nobody_sees_a_page() {
    let server = AuthorizationServer::start(Options::default());
    let instance = hosting(&server);
    let said = adopt(&instance, 1);
    assert!(said.contains("it has kept none for the URL of this server"), "{said}");
    let file = sign_in_with_mcp_remote(&server, &kept(&instance));
    let before = fs::read(&file).expect("a file");
    let said = adopt(&instance, 0);
    assert!(said.contains("signed in at far") && said.contains(&file.display().to_string()), "{said}");
    assert!(said.contains("whoever still runs mcp-remote"), "{said}");
    let mut client = instance.client("far");
    assert!(whoami(&mut client)["result"].is_object());
    let seen = server.seen();
    assert_eq!((seen.pages, seen.registrations, seen.refreshes), (1, 1, 1), "renewed at once: {seen:?}");
    assert_eq!(fs::read(&file).expect("a file"), before);
    let said = adopt(&instance, 1);
    assert!(said.contains("somebody is signed in here already"), "{said}");
    // It is a sign-in like any other.
    server.expire_access_tokens();
    assert!(whoami(&mut client)["result"].is_object());
    let list: Value = serde_json::from_str(&instance.ends(0, &["login", "--list", "--json"])).expect("JSON");
    assert_eq!(
        (&list["sign_ins"][0]["signed_in"], &list["sign_ins"][0]["renews"]),
        (&json!(true), &json!(true))
    );
    // What was taken over is spent, also for exai.
    instance.ends(0, &["logout", "far"]);
    let said = adopt(&instance, 1);
    assert!(said.contains("does not take the refresh token") && said.contains("exai login far"), "{said}");
    let login = Login::begin(&instance, "far", &[]);
    assert_eq!(follow(&login.page).status, 200);
    login.succeeds();
    assert!(whoami(&mut client)["result"].is_object());
    assert_eq!(server.seen().registrations, 2, "the callback is another one");
}

#[test]
fn who_signs_in_is_told_that_mcp_remote_has_a_sign_in() {
    let server = AuthorizationServer::start(Options::default());
    let instance = hosting(&server);
    let login = || text(&instance.exai(&["login", "far", "--paste"]).stderr);
    assert!(!login().contains("mcp-remote"));
    let file = sign_in_with_mcp_remote(&server, &kept(&instance));
    let said = login();
    assert!(said.contains("`exai login far --from mcp-remote` takes it over"), "{said}");
    fs::write(&file, "not what it writes").expect("a file");
    assert!(!login().contains("mcp-remote"), "what cannot be read is no offer");
    let said = adopt(&instance, 1);
    assert!(
        said.contains("it is not what mcp-remote writes") && said.contains(&file.display().to_string()),
        "{said}"
    );
}

#[test]
fn an_authorization_server_that_is_away_costs_nothing_that_was_kept() {
    let server = AuthorizationServer::start(Options::default());
    let instance = hosting(&server);
    sign_in_with_mcp_remote(&server, &kept(&instance));
    server.fail_tokens(1, Fault::Unavailable);
    let said = adopt(&instance, 0);
    assert!(said.contains("could not be renewed yet") && !said.contains("used up"), "{said}");
    assert!(whoami(&mut instance.client("far"))["result"].is_object());
}

#[test]
fn a_token_that_cannot_be_renewed_is_taken_over_with_its_end() {
    let server = AuthorizationServer::start(Options::default());
    let instance = hosting(&server);
    let file = sign_in_with_mcp_remote(&server, &kept(&instance));
    let mut tokens: Value = serde_json::from_slice(&fs::read(&file).expect("a file")).expect("JSON");
    tokens["refresh_token"] = Value::Null;
    fs::write(&file, tokens.to_string()).expect("a file");
    let said = adopt(&instance, 0);
    assert!(said.contains("has kept no refresh token, so the sign-in is good until 20"), "{said}");
    assert!(whoami(&mut instance.client("far"))["result"].is_object());
    assert_eq!(server.seen().refreshes, 0);
}

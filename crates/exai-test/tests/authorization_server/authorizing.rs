//! Registration and the authorization page.

use exai_test::authorization_server::{
    AuthorizationServer, Consent, Iss, KnownClient, Options, Registration, follow,
};
use exai_test::scripted_http::{ScriptedHttp, document};
use serde_json::{Value, json};

use crate::client::{CALLBACK, Client, VERIFIER, account, encode, metadata, post_json, tokens};

#[test]
fn a_client_goes_all_the_way_from_its_registration_to_a_call() {
    let server = AuthorizationServer::start(Options::default());
    let client = Client::register(&server);
    let page = client.open(&[("scope", "mcp")]);
    assert!(page.url.starts_with(CALLBACK), "{page:?}");
    assert_eq!(page.field("state").as_deref(), Some("of this client"));
    assert_eq!(page.field("iss"), Some(server.issuer()));
    let answer = client.exchange(&page.field("code").unwrap(), VERIFIER);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let body = answer.json();
    assert_eq!(
        (&body["token_type"], &body["expires_in"], &body["scope"]),
        (&json!("Bearer"), &json!(3600), &json!("mcp"))
    );
    assert_eq!(account(&client.resource, &tokens(&answer).0).as_deref(), Ok("alice"));
    server.sign_in_as("bob");
    assert_eq!(account(&client.resource, &client.sign_in("mcp").0).as_deref(), Ok("bob"));
    let seen = server.seen();
    assert_eq!((seen.registrations, seen.pages, seen.codes, seen.exchanges, seen.let_in), (1, 2, 2, 2, 2));
    let request = &server.token_requests()[0];
    assert_eq!(request.field("resource"), Some(&*client.resource));
    assert!(!request.has_basic);
}

#[test]
fn the_browser_is_sent_back_with_the_error_of_a_wrong_request() {
    let server = AuthorizationServer::start(Options::default());
    let client = Client::register(&server);
    let elsewhere = server.url("/other");
    for (field, value, error) in [
        ("response_type", "token", "unsupported_response_type"),
        ("code_challenge", "", "invalid_request"),
        ("code_challenge", VERIFIER, "invalid_request"),
        ("code_challenge_method", "plain", "invalid_request"),
        ("code_challenge_method", "", "invalid_request"),
        ("state", "", "invalid_request"),
        ("resource", "", "invalid_target"),
        ("resource", &elsewhere, "invalid_target"),
        ("scope", "mcp unknown", "invalid_scope"),
    ] {
        let page = client.open(&[(field, value)]);
        assert_eq!(page.field("error").as_deref(), Some(error), "{field}={value}: {page:?}");
        assert_eq!(page.field("iss"), Some(server.issuer()));
        assert_eq!(page.field("code"), None);
    }
    assert_eq!(server.seen().codes, 0);
}

#[test]
fn the_browser_is_sent_to_nobody_whom_the_client_has_not_named() {
    let server = AuthorizationServer::start(Options::default());
    let client = Client::register(&server);
    for (field, value) in [
        ("client_id", "nobody"),
        ("client_id", "https://client.example/metadata.json"),
        ("redirect_uri", "http://127.0.0.1:2/callback"),
        ("redirect_uri", "http://127.0.0.1:1/other"),
        ("redirect_uri", ""),
        ("code_verifier", VERIFIER),
    ] {
        let page = client.open(&[(field, value)]);
        assert_eq!((page.status, page.field("code")), (400, None), "{field}={value}");
        assert!(page.url.starts_with(&server.issuer()), "{page:?}");
    }
    let twice: Vec<_> = client.question().into_iter().chain([("state", "again".to_owned())]).collect();
    let twice: Vec<_> = twice.iter().map(|(name, value)| (*name, &**value)).collect();
    assert_eq!(follow(&format!("{}/authorize?{}", server.issuer(), encode(&twice))).status, 400);
    assert_eq!((server.seen().codes, server.seen().leaks), (0, 1));
}

#[test]
fn somebody_can_press_a_button() {
    let settings = |server: &AuthorizationServer, consent| server.change(|all| all.consent = consent);
    let server = AuthorizationServer::start(Options::default());
    let client = Client::register(&server);
    settings(&server, Consent::Page);
    let page = client.open(&[]);
    assert_eq!((page.status, page.field("code")), (200, None));
    let back = page.press("allow");
    assert_eq!(client.exchange(&back.field("code").unwrap(), VERIFIER).status, 200);
    assert_eq!(page.press("allow").status, 400, "a button works once");
    assert_eq!(client.open(&[]).press("deny").field("error").as_deref(), Some("access_denied"));
    settings(&server, Consent::Denied);
    assert_eq!(client.open(&[]).field("error").as_deref(), Some("access_denied"));
}

#[test]
fn the_browser_brings_the_answer_to_whom_listens() {
    let listening = ScriptedHttp::start(|_| document(200, "", "you may close this"));
    let options =
        Options { metadata: json!({"client_id_metadata_document_supported": true}), ..Options::default() };
    let server = AuthorizationServer::start(options);
    let id = "https://client.example/metadata.json".to_owned();
    let client = Client { server: &server, id, resource: server.url("/mcp") };
    let page = client.open(&[("redirect_uri", &listening.url("/back?x=1"))]);
    assert_eq!((page.status, &*page.text), (200, "you may close this"));
    assert!(listening.requests()[0].path.starts_with("/back?x=1&code="), "{page:?}");
    for wrong in ["https://client.example/", "https://client.example", "https://client.example/../x"] {
        assert_eq!(client.open(&[("client_id", wrong)]).status, 400, "{wrong}");
    }
    assert_eq!(client.open(&[("redirect_uri", "https://client.example/back")]).status, 400);
}

#[test]
fn the_redirection_can_name_a_wrong_issuer_or_none() {
    let server = AuthorizationServer::start(Options::default());
    let client = Client::register(&server);
    server.change(|settings| settings.iss = Iss::Missing);
    assert_eq!(client.open(&[]).field("iss"), None);
    server.change(|settings| settings.iss = Iss::Other("https://evil.example".to_owned()));
    assert_eq!(client.open(&[]).field("iss").as_deref(), Some("https://evil.example"));
}

#[test]
fn only_a_native_client_of_this_machine_registers() {
    let server = AuthorizationServer::start(Options::default());
    let url = format!("{}/register", server.issuer());
    for (field, value, error) in [
        ("application_type", Value::Null, "invalid_client_metadata"),
        ("application_type", json!("web"), "invalid_client_metadata"),
        ("redirect_uris", Value::Null, "invalid_redirect_uri"),
        ("redirect_uris", json!([]), "invalid_redirect_uri"),
        ("redirect_uris", json!(["https://client.example/back"]), "invalid_redirect_uri"),
        ("redirect_uris", json!([CALLBACK, "http://client.example/back"]), "invalid_redirect_uri"),
        ("grant_types", json!(["refresh_token"]), "invalid_client_metadata"),
        ("grant_types", json!(["authorization_code", "password"]), "invalid_client_metadata"),
        ("response_types", json!(["token"]), "invalid_client_metadata"),
        ("token_endpoint_auth_method", json!("private_key_jwt"), "invalid_client_metadata"),
    ] {
        let mut asked = metadata();
        asked[field] = value.clone();
        assert_eq!(post_json(&url, &asked).refusal(), (400, error.to_owned()), "{field}: {value}");
    }
    server.change(|settings| settings.registration = Registration::Refused);
    assert_eq!(post_json(&url, &metadata()).status, 403);
    assert_eq!(server.seen().registrations, 0);
    server.change(|settings| settings.registration = Registration::WithSecret);
    let registered = post_json(&url, &metadata()).json();
    assert_eq!(registered["token_endpoint_auth_method"], "client_secret_basic");
    assert!(registered["client_secret"].is_string() && registered["client_secret_expires_at"] == 0);
}

#[test]
fn a_client_that_is_known_beforehand_needs_no_registration() {
    let known = KnownClient { id: "known".to_owned(), secret: None };
    let metadata = json!({"registration_endpoint": null});
    let server = AuthorizationServer::start(Options { clients: vec![known], metadata, ..Options::default() });
    assert_eq!(post_json(&format!("{}/register", server.issuer()), &json!({})).status, 404);
    let client = Client { server: &server, id: "known".to_owned(), resource: server.url("/mcp") };
    assert_eq!(account(&client.resource, &client.sign_in("mcp").0).as_deref(), Ok("alice"));
}

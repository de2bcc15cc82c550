//! The token endpoint.

use std::thread;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use exai_test::authorization_server::{
    AuthorizationServer, Fault, KnownClient, Options, RefreshTokens, Settings,
};
use exai_test::eventually;
use serde_json::json;

use crate::client::{CALLBACK, Client, VERIFIER, account, metadata, post_form, post_json, send, tokens};

fn invalid_grant() -> (u16, String) {
    (400, "invalid_grant".to_owned())
}

#[test]
fn a_wrong_verifier_gets_nothing_and_spends_the_code() {
    let server = AuthorizationServer::start(Options::default());
    let client = Client::register(&server);
    let code = client.code("mcp");
    let wrong = VERIFIER.replace('1', "2");
    assert_eq!(client.exchange(&code, &wrong).refusal(), invalid_grant());
    assert_eq!(client.exchange(&code, VERIFIER).refusal(), invalid_grant());
    assert_eq!(client.exchange(&client.code("mcp"), VERIFIER).status, 200);
}

#[test]
fn a_code_that_comes_twice_costs_the_tokens() {
    let server = AuthorizationServer::start(Options::default());
    let client = Client::register(&server);
    let code = client.code("mcp");
    let (access, refresh) = tokens(&client.exchange(&code, VERIFIER));
    assert_eq!(account(&client.resource, &access).as_deref(), Ok("alice"));
    assert_eq!(client.exchange(&code, VERIFIER).refusal(), invalid_grant());
    assert_eq!(account(&client.resource, &access), Err(401));
    assert_eq!(client.refresh(&refresh).refusal(), invalid_grant());
    assert_eq!((server.seen().exchanges, server.seen().reuses), (1, 1));
}

#[test]
fn a_code_is_good_for_what_it_was_given_for() {
    let server = AuthorizationServer::start(Options::default());
    let (client, other) = (Client::register(&server), Client::register(&server));
    assert_eq!(other.exchange(&client.code("mcp"), VERIFIER).refusal(), invalid_grant());
    let with = |changes: &[(&'static str, &'static str)]| {
        let code = client.code("mcp");
        let mut fields = vec![
            ("grant_type", "authorization_code"),
            ("code", &*code),
            ("code_verifier", VERIFIER),
            ("redirect_uri", CALLBACK),
        ];
        fields.retain(|(name, _)| changes.iter().all(|(other, _)| other != name));
        client.token(&[&fields, changes].concat()).refusal()
    };
    assert_eq!(with(&[]).0, 200);
    assert_eq!(with(&[("redirect_uri", "http://127.0.0.1:1/other")]), invalid_grant());
    assert_eq!(with(&[("redirect_uri", "")]), (400, "invalid_request".to_owned()));
    assert_eq!(with(&[("code_verifier", "")]), (400, "invalid_request".to_owned()));
    assert_eq!(with(&[("resource", "")]), (400, "invalid_target".to_owned()));
    assert_eq!(with(&[("resource", "http://127.0.0.1:1/mcp")]), (400, "invalid_target".to_owned()));
    assert_eq!(with(&[("grant_type", "password")]), (400, "unsupported_grant_type".to_owned()));
    assert_eq!(with(&[("state", "1"), ("state", "2")]), (400, "invalid_request".to_owned()));
    assert_eq!(with(&[("client_id", "nobody")]), (401, "invalid_client".to_owned()));
    let url = format!("{}/token", server.issuer());
    assert_eq!(send("GET", &url, "", "").status, 405);
    assert_eq!(post_json(&url, &json!({})).status, 400);
    assert_eq!(post_form(&format!("{url}?client_id={}", client.id), "", &[]).status, 400);
}

#[test]
fn a_refresh_token_is_good_once_and_its_reuse_costs_the_grant() {
    let server = AuthorizationServer::start(Options::default());
    let client = Client::register(&server);
    let (access, first) = client.sign_in("mcp admin");
    let (_, second) = tokens(&client.refresh(&first));
    assert_ne!(first, second);
    assert_eq!(Client::register(&server).refresh(&second).refusal(), invalid_grant());
    let asked = |scope| [("grant_type", "refresh_token"), ("refresh_token", &*second), ("scope", scope)];
    assert_eq!(client.token(&asked("mcp other")).refusal(), (400, "invalid_scope".to_owned()));
    let narrower = client.token(&asked("mcp"));
    assert_eq!(narrower.json()["scope"], "mcp");
    let (newest, third) = tokens(&narrower);
    assert_eq!(account(&client.resource, &newest).as_deref(), Ok("alice"));
    assert_eq!(client.refresh(&first).refusal(), invalid_grant());
    assert_eq!(server.seen().reuses, 1);
    assert_eq!(client.refresh(&third).refusal(), invalid_grant());
    assert_eq!([&access, &newest].map(|token| account(&client.resource, token)), [Err(401), Err(401)]);
    assert_eq!(server.seen().refreshes, 2);
}

#[test]
fn a_client_shows_who_it_is_in_the_one_way_that_it_has_registered() {
    let known = KnownClient { id: "a b:c".to_owned(), secret: Some("100%".to_owned()) };
    let server = AuthorizationServer::start(Options { clients: vec![known], ..Options::default() });
    let url = format!("{}/token", server.issuer());
    let fields = [("grant_type", "refresh_token"), ("refresh_token", "none")];
    let try_with =
        |head: &str, more: &[(&str, &str)]| post_form(&url, head, &[&fields, more].concat()).refusal();
    let basic = |text: &str| format!("authorization: Basic {}\r\n", STANDARD.encode(text));
    let no_client = (401, "invalid_client".to_owned());
    assert_eq!(try_with(&basic("a+b%3Ac:100%25"), &[]), invalid_grant());
    assert_eq!(try_with("", &[("client_id", "a b:c"), ("client_secret", "100%")]), invalid_grant());
    assert_eq!(try_with("", &[("client_id", "a b:c"), ("client_secret", "wrong")]), no_client);
    assert_eq!(try_with("", &[("client_id", "a b:c")]), no_client);
    assert_eq!(try_with(&basic("a+b%3Ac:wrong"), &[]), no_client);
    assert_eq!(try_with("authorization: Bearer x\r\n", &[]), no_client);
    let twice = try_with(&basic("a+b%3Ac:100%25"), &[("client_id", "a b:c"), ("client_secret", "100%")]);
    assert_eq!(twice, (400, "invalid_request".to_owned()));
    let mut asked = metadata();
    asked["token_endpoint_auth_method"] = json!("client_secret_post");
    let registered = post_json(&format!("{}/register", server.issuer()), &asked).json();
    let text = |name: &str| registered[name].as_str().unwrap();
    let (id, secret) = (text("client_id"), text("client_secret"));
    assert_eq!(try_with("", &[("client_id", id), ("client_secret", secret)]), invalid_grant());
    assert_eq!(try_with(&basic(&format!("{id}:{secret}")), &[]), no_client);
}

#[test]
fn faults_come_in_their_order_and_change_nothing() {
    let server = AuthorizationServer::start(Options::default());
    let client = Client::register(&server);
    let (_, refresh) = client.sign_in("mcp");
    server.fail_tokens(2, Fault::Unavailable);
    server.fail_tokens(1, Fault::Malformed);
    server.fail_tokens(1, Fault::Huge);
    server.fail_tokens(1, Fault::InvalidGrant);
    server.fail_tokens(1, Fault::Hang(Duration::from_millis(50)));
    assert_eq!([client.refresh(&refresh).status, client.refresh(&refresh).status], [503, 503]);
    assert!(serde_json::from_str::<serde_json::Value>(&client.refresh(&refresh).text).is_err());
    assert!(client.refresh(&refresh).text.len() > 1024 * 1024);
    assert_eq!(client.refresh(&refresh).refusal(), invalid_grant());
    assert_eq!(client.refresh(&refresh).status, 0);
    let (_, refresh) = tokens(&client.refresh(&refresh));
    server.fail_tokens(1, Fault::LoseAnswer);
    assert_eq!(client.refresh(&refresh).status, 0);
    assert_eq!(client.refresh(&refresh).refusal(), invalid_grant());
    assert_eq!((server.seen().refreshes, server.seen().reuses, server.seen().token_requests), (2, 1, 10));
}

#[test]
fn a_token_response_can_be_held_back() {
    let server = AuthorizationServer::start(Options::default());
    let client = Client::register(&server);
    let (_, refresh) = client.sign_in("mcp");
    server.hold_tokens();
    thread::scope(|scope| {
        let answer = scope.spawn(|| client.refresh(&refresh));
        eventually("the response is held back", Duration::from_secs(5), || server.seen().held == 1);
        assert_eq!(server.seen().refreshes, 1);
        assert!(!answer.is_finished());
        server.release_tokens();
        assert_eq!(answer.join().unwrap().status, 200);
    });
    assert_eq!(server.seen().held, 0);
}

#[test]
fn tokens_are_as_the_settings_say() {
    let settings = Settings {
        expires_in: Duration::ZERO,
        says_expires_in: false,
        refresh_tokens: RefreshTokens::Offline,
        most_scopes: Some(vec!["mcp".to_owned(), "offline_access".to_owned()]),
        ..Settings::default()
    };
    let server = AuthorizationServer::start(Options { settings, ..Options::default() });
    let client = Client::register(&server);
    let answer = client.exchange(&client.code("mcp admin"), VERIFIER).json();
    assert_eq!(answer["scope"], "mcp");
    assert!(answer["expires_in"].is_null() && answer["refresh_token"].is_null(), "{answer}");
    assert_eq!(account(&client.resource, answer["access_token"].as_str().unwrap()), Err(401));
    assert_eq!(client.sign_in("mcp offline_access").1, "", "nobody has asked that a person is asked");
    let page = client.open(&[("scope", "mcp offline_access"), ("prompt", "consent")]);
    assert!(tokens(&client.exchange(&page.field("code").unwrap(), VERIFIER)).1.starts_with("rt-"));
    server.change(|settings| settings.refresh_tokens = RefreshTokens::Never);
    let refused = client.open(&[("scope", "mcp offline_access")]);
    assert_eq!(refused.field("error").as_deref(), Some("invalid_scope"), "it is not announced any more");
    assert_eq!(client.sign_in("mcp").1, "");
}

#[test]
fn who_has_registered_for_no_refresh_tokens_gets_none() {
    let server = AuthorizationServer::start(Options::default());
    let mut asked = metadata();
    asked["grant_types"] = json!(["authorization_code"]);
    let registered = post_json(&format!("{}/register", server.issuer()), &asked).json();
    let id = registered["client_id"].as_str().unwrap().to_owned();
    let client = Client { server: &server, id, resource: server.url("/mcp") };
    assert_eq!(client.sign_in("mcp").1, "");
    assert_eq!(client.refresh("x").refusal(), (400, "unauthorized_client".to_owned()));
}

//! What a sign-in would need, before anybody signs in.

use exai_auth::{Identity, Plan, PlannedIdentity, Scopes, probe};
use exai_config::Secret;
use exai_test::authorization_server::Options;
use exai_test::scripted_http::{ScriptedHttp, document};
use serde_json::{Value, json};

use crate::play::{Play, http, url};

/// The plan at an authorization server whose metadata differ so, with this client in the configuration.
async fn plan(metadata: Value, client: Option<&str>, earlier: Option<&Identity>) -> Plan {
    let play = Play::start(Options { metadata, ..Options::default() });
    let discovered = play.discover().await.unwrap();
    let configured = client.map(|id| (id, None));
    let found = Plan::new(&discovered, configured, earlier, Scopes::read("mcp"), &play.redirect());
    let seen = play.server.seen();
    assert_eq!(
        (found.issuer.as_str(), seen.registrations, seen.pages),
        (play.server.issuer().as_str(), 0, 0)
    );
    found
}

#[tokio::test]
async fn who_exai_would_be_is_known_without_being_registered() {
    let closed = || json!({"registration_endpoint": null});
    let documents = json!({"registration_endpoint": null, "client_id_metadata_document_supported": true});
    let document = Some("https://exai.example/client.json");
    for (metadata, client, expected) in [
        (json!({}), None, PlannedIdentity::Registers),
        (json!({}), Some("by hand"), PlannedIdentity::Configured),
        (json!({}), document, PlannedIdentity::Registers),
        (closed(), None, PlannedIdentity::ByHand { takes_documents: false }),
        (closed(), document, PlannedIdentity::ByHand { takes_documents: false }),
        (documents.clone(), None, PlannedIdentity::ByHand { takes_documents: true }),
        (documents, document, PlannedIdentity::Configured),
    ] {
        let found = plan(metadata.clone(), client, None).await;
        assert_eq!(found.identity, expected, "{metadata} {client:?}");
    }
}

#[tokio::test]
async fn codes_are_promised_where_there_are_some() {
    for (metadata, expected) in [(json!({}), true), (json!({"device_authorization_endpoint": null}), false)] {
        assert_eq!(plan(metadata, None, None).await.gives_codes, expected);
    }
}

#[tokio::test]
async fn what_an_earlier_sign_in_has_registered_is_used_at_its_authorization_server_alone() {
    let play = Play::start(Options::default());
    let identity = play.sign_in().await.identity;
    let discovered = play.discover().await.unwrap();
    let here = Plan::new(&discovered, None, Some(&identity), Scopes::default(), &play.redirect());
    assert_eq!(here.identity, PlannedIdentity::Known);
    assert_eq!(plan(json!({}), None, Some(&identity)).await.identity, PlannedIdentity::Registers);
}

#[tokio::test]
async fn a_server_is_asked_whether_it_wants_a_sign_in_with_the_headers_of_the_configuration() {
    let server = ScriptedHttp::start(|request| match request.header("x-key") {
        Some("right") => document(200, "", "{}"),
        _ => document(401, "WWW-Authenticate: Bearer scope=\"a\"\r\n", ""),
    });
    let at = url(&server.url("/mcp"));
    let http = http(&tempfile::tempdir().unwrap()).for_server(&at).await;
    let wish = probe(&http, &at, &[]).await.unwrap();
    assert_eq!(wish.unwrap().scopes, Some(Scopes::read("a")));
    let headers = [("X-Key", "right"), ("Content-Length", "7")];
    let headers = headers.map(|(name, value)| (name.to_owned(), Secret::new(value)));
    assert_eq!(probe(&http, &at, &headers).await.unwrap(), None);
    let bad = [("X-Key".to_owned(), Secret::new("hidden\r\nX: y"))];
    let error = probe(&http, &at, &bad).await.unwrap_err().to_string();
    assert!(error.contains("`X-Key`") && !error.contains("hidden"), "{error}");
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn an_answer_without_an_end_is_not_read_to_its_end() {
    let (open, parts) = std::sync::mpsc::channel();
    let parts = std::sync::Mutex::new(Some(parts));
    let server = ScriptedHttp::start_streaming(move |_| {
        exai_test::scripted_http::Reply::Stream(parts.lock().unwrap().take().unwrap())
    });
    open.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n: \n".to_vec()).unwrap();
    let at = url(&server.url("/mcp"));
    let http = http(&tempfile::tempdir().unwrap()).for_server(&at).await;
    assert_eq!(probe(&http, &at, &[]).await.unwrap(), None);
}

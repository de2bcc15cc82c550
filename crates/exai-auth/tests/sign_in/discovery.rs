//! Metadata that must not be believed.

use std::time::{Duration, Instant};

use exai_auth::{Challenge, SignInError, discover};
use exai_test::authorization_server::Options;
use exai_test::scripted_http::{Reply, ScriptedHttp, document};
use serde_json::{Value, json};

use crate::play::{Play, http, url};

const RESOURCE: &str = "/.well-known/oauth-protected-resource/mcp";
const SERVER: &str = "/.well-known/oauth-authorization-server";
const OPENID: &str = "/.well-known/openid-configuration";

/// Discovers by the metadata of a server that is honest but for these patches.
async fn patched(resource: Value, server: Value) -> Result<exai_auth::Discovered, SignInError> {
    let play = Play::start(Options { resource_metadata: resource, metadata: server, ..Options::default() });
    play.discover().await
}

#[tokio::test]
async fn what_contradicts_itself_is_not_followed() {
    for (resource, server) in [
        (json!({"resource": "https://evil.example/mcp"}), json!({})),
        (json!({"resource": "http://127.0.0.1:1/mcp"}), json!({})),
        (json!({"authorization_servers": ["javascript:alert(1)"]}), json!({})),
        (json!({"authorization_servers": ["http://evil.example"]}), json!({})),
        (json!({"authorization_servers": ["https://a:b@evil.example"]}), json!({})),
        (json!({}), json!({"issuer": "https://evil.example"})),
        (json!({}), json!({"code_challenge_methods_supported": null})),
        (json!({}), json!({"code_challenge_methods_supported": ["plain"]})),
        (json!({}), json!({"authorization_endpoint": null})),
        (json!({}), json!({"authorization_endpoint": "javascript:alert(1)"})),
        (json!({}), json!({"authorization_endpoint": "http://evil.example/authorize"})),
        (json!({}), json!({"authorization_endpoint": "file:///etc/passwd"})),
        (json!({}), json!({"token_endpoint": null})),
        (json!({}), json!({"token_endpoint": "http://10.0.0.1/token"})),
        (json!({}), json!({"registration_endpoint": "http://evil.example/register"})),
        (json!({}), json!({"device_authorization_endpoint": "http://evil.example/device"})),
    ] {
        let text = format!("{resource} {server}");
        let error = patched(resource, server).await.expect_err(&text);
        assert!(matches!(error, SignInError::Untrustworthy(_)), "{text} {error:?}");
    }
    let error = patched(json!({"authorization_servers": []}), json!({})).await.unwrap_err();
    assert!(matches!(error, SignInError::NoMetadata(_)), "{error:?}");
}

#[tokio::test]
async fn members_that_are_null_are_absent() {
    for (resource, server) in [
        (json!({"scopes_supported": Value::Null}), json!({})),
        (json!({}), json!({"token_endpoint_auth_methods_supported": Value::Null})),
    ] {
        patched(resource, server).await.unwrap();
    }
    let (answers, _server) = scripted(|path, origin| match path {
        RESOURCE => json!({"resource": format!("{origin}/mcp"), "authorization_servers": [origin],
            "scopes_supported": null})
        .to_string(),
        _ => json!({"issuer": origin, "authorization_endpoint": format!("{origin}/a"),
            "token_endpoint": format!("{origin}/t"), "code_challenge_methods_supported": ["S256"],
            "scopes_supported": null, "client_id_metadata_document_supported": null,
            "authorization_response_iss_parameter_supported": null,
            "token_endpoint_auth_methods_supported": null})
        .to_string(),
    });
    answers.await.unwrap();
}

type Outcome = std::pin::Pin<Box<dyn Future<Output = Result<exai_auth::Discovered, SignInError>>>>;

/// Discovers at a server whose documents these are, by path and origin. The second is the server.
fn scripted(text: impl Fn(&str, &str) -> String + Send + Sync + 'static) -> (Outcome, ScriptedHttp) {
    answering(move |path, origin| document(200, "Content-Type: application/json\r\n", &text(path, origin)))
}

fn answering(answer: impl Fn(&str, &str) -> Vec<u8> + Send + Sync + 'static) -> (Outcome, ScriptedHttp) {
    let server = ScriptedHttp::start_streaming(move |request| {
        let origin = format!("http://{}", request.header("host").unwrap_or_default());
        Reply::Whole(answer(&request.path, &origin))
    });
    let at = url(&server.url("/mcp"));
    let outcome = async move {
        let dir = tempfile::tempdir().unwrap();
        let http = http(&dir).with_request_timeout(Duration::from_secs(5)).for_server(&at).await;
        discover(&http, &at, &Challenge::default()).await
    };
    (Box::pin(outcome), server)
}

fn good_server(origin: &str) -> Vec<u8> {
    let body = json!({"issuer": origin, "authorization_endpoint": format!("{origin}/a"),
        "token_endpoint": format!("{origin}/t"), "code_challenge_methods_supported": ["S256"]});
    document(200, "", &body.to_string())
}

fn good_resource(origin: &str) -> Vec<u8> {
    let body = json!({"resource": format!("{origin}/mcp"), "authorization_servers": [origin]});
    document(200, "", &body.to_string())
}

#[tokio::test]
async fn broken_documents_are_broken_and_not_absent() {
    type Answer = fn() -> Vec<u8>;
    let broken: [Answer; 5] = [
        || document(200, "", "{\"resource\": "),
        || document(200, "", "<html>"),
        || document(200, "", &format!("{{\"x\": \"{}\"}}", "x".repeat(1024 * 1024))),
        || document(503, "", "not now"),
        || document(302, "Location: http://127.0.0.1:1/elsewhere\r\n", ""),
    ];
    for answer in broken {
        for wrong in [RESOURCE, SERVER] {
            let (outcome, server) = answering(move |path, origin| match path {
                path if path == wrong => answer(),
                RESOURCE => good_resource(origin),
                _ => document(404, "", ""),
            });
            let error = outcome.await.unwrap_err();
            let text = String::from_utf8_lossy(&answer()).chars().take(60).collect::<String>();
            assert!(matches!(error, SignInError::Broken { .. }), "{wrong} {text}: {error:?}");
            assert!(server.requests().iter().all(|request| request.path != "/elsewhere"));
        }
    }
    let (outcome, _server) = answering(|_, _| document(404, "", ""));
    assert!(matches!(outcome.await.unwrap_err(), SignInError::NoMetadata(_)));
    // A program in the browser answers every path with its page, and a gateway with an error; the right place has the right
    // document nevertheless.
    for elsewhere in [|| document(200, "", "<html>"), || document(502, "", "x")] {
        let (outcome, _server) = answering(move |path, origin| match path {
            "/.well-known/oauth-protected-resource" => good_resource(origin),
            OPENID => good_server(origin),
            _ => elsewhere(),
        });
        outcome.await.unwrap();
    }
    let (outcome, _server) = answering(move |path, origin| match path {
        SERVER => good_server(origin),
        _ => document(200, "", "<html>"),
    });
    outcome.await.unwrap();
    let quoted = format!("{{\"resource\": {{\"{}\": 1}}}}", "x".repeat(10_000));
    let (outcome, _server) = answering(move |_, _| document(200, "", &quoted));
    assert!(outcome.await.unwrap_err().to_string().len() < 500);
    let (outcome, _server) = answering(|_, _| Vec::new());
    assert!(matches!(outcome.await.unwrap_err(), SignInError::Unreachable { .. }));
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_not_waited_for_without_end() {
    let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let at = url(&format!("http://{}/mcp", server.local_addr().unwrap()));
    let dir = tempfile::tempdir().unwrap();
    let http = http(&dir).with_request_timeout(Duration::from_millis(200)).for_server(&at).await;
    let begun = Instant::now();
    let error = discover(&http, &at, &Challenge::default()).await.unwrap_err();
    assert!(matches!(error, SignInError::Unreachable { .. }), "{error:?}");
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn a_server_of_the_first_revision_is_its_own_authorization_server() {
    let document = |issuer: String, origin: &str| {
        json!({"issuer": issuer, "authorization_endpoint": format!("{origin}/a"),
            "token_endpoint": format!("{origin}/t"), "code_challenge_methods_supported": ["S256"]})
        .to_string()
    };
    let absent = || exai_test::scripted_http::document(404, "", "");
    let (outcome, server) = answering(move |path, origin| match path {
        SERVER => exai_test::scripted_http::document(200, "", &document(origin.to_owned(), origin)),
        _ => absent(),
    });
    let found = outcome.await.unwrap();
    assert_eq!((found.issuer, found.resource), (server.url(""), server.url("/mcp")));
    let (outcome, _server) = answering(move |path, origin| match path {
        SERVER => {
            exai_test::scripted_http::document(200, "", &document("https://evil.example".to_owned(), origin))
        }
        _ => absent(),
    });
    assert!(matches!(outcome.await.unwrap_err(), SignInError::Untrustworthy(_)));
}

#[tokio::test]
async fn an_error_does_not_show_what_the_address_of_the_server_holds() {
    let server = ScriptedHttp::start(|_| {
        let body =
            json!({"resource": "https://evil.example/", "authorization_servers": ["https://evil.example"]});
        exai_test::scripted_http::document(200, "", &body.to_string())
    });
    let at = url(&server.url("/mcp?key=topsecret").replace("http://", "http://me:topsecret@"));
    let dir = tempfile::tempdir().unwrap();
    let error = discover(&http(&dir).for_server(&at).await, &at, &Challenge::default()).await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains("topsecret"), "{error}");
}

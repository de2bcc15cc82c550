//! Signing in with a code to type on another machine.

use std::time::{Duration, Instant};

use exai_auth::{Challenge, PendingDevice, Place, Scopes, SignInError, discover, identify};
use exai_test::authorization_server::{Consent, DevicePlan, Options, Settings, follow};
use exai_test::scripted_http::{ScriptedHttp, document};
use serde_json::{Value, json};

use crate::play::{Play, block_on, http, url};

async fn begin(play: &Play) -> Result<PendingDevice, SignInError> {
    let (http, discovered) = (play.own_http().await, play.discover().await?);
    let identity = identify(&http, &discovered, None, None, &play.redirect()).await?;
    let scopes = discovered.scopes_to_ask_for(&Scopes::default(), None)?;
    PendingDevice::begin(&http, play.place(), discovered, identity, scopes).await
}

fn plan(pending: u32, slow_downs: u32) -> Settings {
    Settings { device: DevicePlan { interval: 1, pending, slow_downs }, ..Settings::default() }
}

fn code_of(error: &SignInError) -> &str {
    if let SignInError::Refused { code, .. } = error { code } else { panic!("{error:?}") }
}

#[tokio::test]
async fn a_device_polls_as_it_is_told_and_gets_its_tokens() {
    let play = Play::with(plan(1, 1));
    let pending = begin(&play).await.unwrap();
    assert_eq!((pending.page(), pending.code().as_str()), (&*play.server.url("/device"), "TEST-0001"));
    let record = pending.finish(&play.own_http().await).await.unwrap();
    let tokens = record.tokens.clone().unwrap();
    play.call("whoami", Some(&tokens.access_token)).unwrap();
    assert_eq!((play.server.seen().hasty_polls, play.server.seen().polls), (0, 3));
    let sign_in = play.open();
    sign_in.adopt(record).unwrap();
    play.server.expire_access_tokens();
    play.request(&sign_in).await.unwrap();
}

#[tokio::test]
async fn a_person_decides_elsewhere() {
    for (choice, is_allowed) in [("allow", true), ("deny", false)] {
        let play = Play::with(Settings { consent: Consent::Page, ..plan(0, 0) });
        let pending = begin(&play).await.unwrap();
        let page = follow(&format!("{}?user_code={}", pending.page(), pending.code()));
        page.press(choice).text.contains("Go back").then_some(()).unwrap();
        let outcome = pending.finish(&play.own_http().await).await;
        assert_eq!(outcome.is_ok(), is_allowed);
        if let Err(error) = outcome {
            assert_eq!(code_of(&error), "access_denied");
        }
    }
}

#[tokio::test]
async fn a_code_that_nobody_typed_in_time_is_over() {
    let play = Play::with(Settings { consent: Consent::Page, ..plan(0, 0) });
    let pending = begin(&play).await.unwrap();
    play.server.expire_device_codes();
    let error = pending.finish(&play.own_http().await).await.unwrap_err();
    assert_eq!(code_of(&error), "expired_token");
}

#[tokio::test]
async fn an_outage_while_somebody_types_ends_nothing() {
    use exai_test::authorization_server::Fault;
    let play = Play::with(plan(0, 0));
    let pending = begin(&play).await.unwrap();
    play.server.fail_tokens(1, Fault::Unavailable);
    pending.finish(&play.own_http().await).await.unwrap();
}

/// A server whose answer to a request for a code is this, and that has no tokens yet.
fn scripted(details: Value) -> ScriptedHttp {
    let is_hasty = details["interval"] == u64::MAX;
    ScriptedHttp::start(move |request| {
        let origin = format!("http://{}", request.header("host").unwrap_or_default());
        let json =
            |status, body: &Value| document(status, "Content-Type: application/json\r\n", &body.to_string());
        match &*request.path {
            "/.well-known/oauth-authorization-server" => json(
                200,
                &json!({
                    "issuer": origin, "authorization_endpoint": format!("{origin}/a"),
                    "token_endpoint": format!("{origin}/t"), "registration_endpoint": format!("{origin}/r"),
                    "device_authorization_endpoint": format!("{origin}/d"),
                    "code_challenge_methods_supported": ["S256"],
                }),
            ),
            "/r" => json(201, &json!({"client_id": "x"})),
            "/d" => json(200, &details),
            "/t" => {
                json(400, &json!({"error": if is_hasty { "slow_down" } else { "authorization_pending" }}))
            }
            _ => document(404, "", ""),
        }
    })
}

async fn begin_at(server: &ScriptedHttp) -> Result<(PendingDevice, exai_auth::AuthHttp), SignInError> {
    let at = url(&server.url("/mcp"));
    let dir = tempfile::tempdir().unwrap();
    let http = http(&dir).for_server(&at).await;
    let discovered = discover(&http, &at, &Challenge::default()).await.unwrap();
    let redirect = url("http://127.0.0.1:1/callback");
    let identity = identify(&http, &discovered, None, None, &redirect).await.unwrap();
    let place = Place { server: at, account: String::new() };
    let pending = PendingDevice::begin(&http, place, discovered, identity, Scopes::default()).await?;
    Ok((pending, http))
}

fn details(uri: &str, interval: u64) -> Value {
    json!({"device_code": "topsecret", "user_code": "A\u{1b}[2JB", "verification_uri": uri,
        "expires_in": 2, "interval": interval})
}

#[tokio::test]
async fn the_page_for_the_code_is_a_web_page() {
    for uri in ["javascript:alert(1)", "http://evil.example/", "file:///x", "data:text/html,x"] {
        let error = begin_at(&scripted(details(uri, 1))).await.unwrap_err();
        assert!(matches!(error, SignInError::Untrustworthy(_)), "{uri} {error:?}");
    }
    let server = scripted(details("https://a.example/\u{1b}[2J\u{7}x\n", 1));
    let (pending, _) = begin_at(&server).await.unwrap();
    assert!(!pending.page().chars().any(char::is_control), "{:?}", pending.page());
    assert!(!pending.code().chars().any(char::is_control), "{:?}", pending.code());
    assert!(!format!("{pending:?}").contains("topsecret"));
}

#[tokio::test]
async fn the_wait_ends_when_the_code_does_whatever_pause_is_asked_for() {
    for interval in [3600, u64::MAX] {
        let server = scripted(details("https://a.example/", interval));
        let (pending, http) = begin_at(&server).await.unwrap();
        let begun = Instant::now();
        assert_eq!(pending.lasts(), Duration::from_secs(2));
        let outcome = tokio::time::timeout(Duration::from_secs(20), pending.finish(&http)).await;
        assert_eq!(code_of(&outcome.expect("it ends").unwrap_err()), "expired_token");
        assert!(begun.elapsed() >= Duration::from_secs(1), "not before somebody could type");
        assert!(server.requests().iter().any(|request| request.path == "/t"));
    }
}

#[test]
fn a_server_that_wants_no_pause_is_not_flooded() {
    let server = scripted(details("https://a.example/", 0));
    block_on(async {
        let (pending, http) = begin_at(&server).await.unwrap();
        assert_eq!(code_of(&pending.finish(&http).await.unwrap_err()), "expired_token");
    });
    let polls = server.requests().iter().filter(|request| request.path == "/t").count();
    assert!((1..=5).contains(&polls), "{polls}");
}

#[tokio::test]
async fn where_there_is_no_such_way_the_error_says_so() {
    let metadata = json!({"device_authorization_endpoint": null});
    let play = Play::start(Options { metadata, ..Options::default() });
    let error = begin(&play).await.unwrap_err();
    assert!(error.to_string().contains("--device"), "{error}");
}

//! Who we are to an authorization server.

use exai_auth::{Challenge, Identity, Record, Refusal, Registered, SignInError, discover, identify};
use exai_config::Secret;
use exai_test::authorization_server::{KnownClient, Options, Registration, Settings, follow};
use exai_test::scripted_http::{ScriptedHttp, document};
use serde_json::{Value, json};

use crate::play::{Play, http, url};

fn with_methods(methods: &[&str]) -> Options {
    let clients = vec![KnownClient { id: "by hand:1".to_owned(), secret: Some("a secret+%".to_owned()) }];
    Options {
        metadata: json!({"token_endpoint_auth_methods_supported": methods}),
        clients,
        ..Options::default()
    }
}

/// Checks that a client shows its secret in this way, when it signs in and when it renews.
async fn shows_its_secret(play: &Play, record: Record, in_header: bool) {
    let sign_in = play.open();
    sign_in.adopt(record).unwrap();
    play.server.expire_access_tokens();
    play.request(&sign_in).await.unwrap();
    let requests = play.server.token_requests();
    assert_eq!(requests.len(), 2, "{requests:?}");
    assert!(requests.iter().all(|request| request.has_basic == in_header), "{requests:?}");
}

#[tokio::test]
async fn a_client_of_the_configuration_shows_its_secret_as_the_server_wants_it() {
    let secret = Secret::new("a secret+%");
    for (methods, in_header) in [
        (["client_secret_basic", "client_secret_post"].as_slice(), true),
        (&["client_secret_post"], false),
        (&["none", "client_secret_post"], false),
        (&["client_secret_basic"], true),
    ] {
        let play = Play::start(with_methods(methods));
        let record = play.sign_in_with(Some(("by hand:1", Some(&secret))), None, "").await.unwrap();
        assert_eq!(record.identity.registered, Registered::ByHand);
        shows_its_secret(&play, record, in_header).await;
        assert_eq!(play.server.seen().registrations, 0);
    }
}

#[tokio::test]
async fn a_secret_that_was_replaced_in_the_configuration_reaches_the_sign_in_that_there_is() {
    let (right, wrong) = (Secret::new("a secret+%"), Secret::new("an older one"));
    let play = Play::start(with_methods(&["client_secret_post"]));
    let record = play.sign_in_with(Some(("by hand:1", Some(&right))), None, "").await.unwrap();
    let sign_in = play.open();
    sign_in.adopt(record).unwrap();
    sign_in.note_secret("by hand:1", Some(&wrong)).unwrap();
    play.server.expire_access_tokens();
    let refused = play.request(&sign_in).await.unwrap_err();
    assert!(matches!(refused, Refusal::Unavailable(_)), "{refused:?}");
    sign_in.note_secret("somebody else", Some(&wrong)).unwrap();
    // As the next daemon finds it.
    let sign_in = play.open();
    sign_in.note_secret("by hand:1", Some(&right)).unwrap();
    play.request(&sign_in).await.unwrap();
    assert_eq!(play.server.seen().pages, 1);
}

#[tokio::test]
async fn a_page_from_which_nobody_comes_back_costs_one_registration() {
    let play = Play::start(Options::default());
    let sign_in = play.open();
    for _ in 0..3 {
        let pending = play.begin(None, sign_in.identity().as_ref(), "").await.unwrap();
        sign_in.note_identity(pending.identity());
    }
    assert_eq!(play.server.seen().registrations, 1);
    sign_in.forget_registration().unwrap();
    assert_eq!(sign_in.identity(), None);
}

#[tokio::test]
async fn a_public_client_of_the_configuration_has_no_secret() {
    let clients = vec![KnownClient { id: "public".to_owned(), secret: None }];
    let play = Play::start(Options { clients, ..Options::default() });
    let record = play.sign_in_with(Some(("public", None)), None, "").await.unwrap();
    play.call("whoami", Some(&record.tokens.unwrap().access_token)).unwrap();
    assert_eq!(play.server.seen().registrations, 0);
}

#[tokio::test]
async fn a_document_is_a_client_where_that_is_announced_and_otherwise_one_registers() {
    let document = "https://exai.example/client.json";
    let metadata = json!({"client_id_metadata_document_supported": true});
    for (metadata, registered) in [(metadata, Registered::AsDocument), (json!({}), Registered::Dynamically)] {
        let play = Play::start(Options { metadata, ..Options::default() });
        let record = play.sign_in_with(Some((document, None)), None, "").await.unwrap();
        assert_eq!(record.identity.registered, registered);
        assert_eq!(record.identity.client_id == document, registered == Registered::AsDocument);
        play.call("whoami", Some(&record.tokens.unwrap().access_token)).unwrap();
    }
}

#[tokio::test]
async fn a_registration_may_give_a_secret() {
    for methods in
        [["client_secret_basic"].as_slice(), &["client_secret_post"], &["none", "client_secret_basic"]]
    {
        let settings = Settings { registration: Registration::WithSecret, ..Settings::default() };
        let play = Play::start(Options { settings, ..with_methods(methods) });
        let record = play.sign_in().await;
        assert!(record.identity.client_secret.is_some(), "{methods:?}");
        let sign_in = play.open();
        sign_in.adopt(record).unwrap();
        play.server.expire_access_tokens();
        play.request(&sign_in).await.unwrap();
    }
}

#[tokio::test]
async fn a_registered_secret_is_shown_in_the_body_where_that_is_taken() {
    for (methods, in_header) in [
        (["client_secret_post", "client_secret_basic"].as_slice(), false),
        (&["client_secret_basic", "client_secret_post"], false),
        (&["client_secret_basic"], true),
    ] {
        let play = Play::start(with_methods(methods));
        let record = play.sign_in().await;
        assert!(record.identity.client_secret.is_some(), "{methods:?}");
        shows_its_secret(&play, record, in_header).await;
    }
}

/// Registers at a server that answers this, and signs in twice: how often it has registered.
async fn register_twice(answer: Value) -> (Identity, usize) {
    let server = ScriptedHttp::start(move |request| {
        let origin = format!("http://{}", request.header("host").unwrap_or_default());
        let body = match &*request.path {
            "/.well-known/oauth-authorization-server" => json!({
                "issuer": origin, "authorization_endpoint": format!("{origin}/a"),
                "token_endpoint": format!("{origin}/t"), "registration_endpoint": format!("{origin}/r"),
                "code_challenge_methods_supported": ["S256"],
            }),
            "/r" => answer.clone(),
            _ => return document(404, "", ""),
        };
        document(200, "", &body.to_string())
    });
    let (dir, at) = (tempfile::tempdir().unwrap(), url(&server.url("/mcp")));
    let http = http(&dir).for_server(&at).await;
    let discovered = discover(&http, &at, &Challenge::default()).await.unwrap();
    let redirect = url("http://127.0.0.1:1/callback");
    let first = identify(&http, &discovered, None, None, &redirect).await.unwrap();
    identify(&http, &discovered, None, Some(&first), &redirect).await.unwrap();
    (first, server.requests().iter().filter(|request| request.path == "/r").count())
}

#[tokio::test]
async fn a_secret_that_has_ended_needs_another_registration() {
    for (ends, registrations) in [
        (json!(0), 1),
        (json!(null), 1),
        (json!(-1), 1),
        (json!(4_102_444_800_u64), 1),
        (json!(1_000_000_000), 2),
    ] {
        let answer = json!({"client_id": "x", "client_secret": "y", "client_secret_expires_at": ends});
        let (identity, seen) = register_twice(answer).await;
        assert_eq!((identity.client_secret.is_some(), seen), (true, registrations), "{ends}");
    }
    let empty = register_twice(json!({"client_id": "x", "client_secret": ""})).await;
    assert_eq!((empty.0.client_secret, empty.1), (None, 1));
}

#[tokio::test]
async fn where_nobody_registers_the_error_says_what_to_do() {
    let play =
        Play::start(Options { metadata: json!({"registration_endpoint": null}), ..Options::default() });
    let error = play.begin(None, None, "").await.unwrap_err();
    assert!(matches!(error, SignInError::NoRegistration { .. }), "{error:?}");
    assert!(error.to_string().contains(play.redirect().as_str()), "{error}");
    let play = Play::with(Settings { registration: Registration::Refused, ..Settings::default() });
    let error = play.begin(None, None, "").await.unwrap_err();
    assert!(matches!(&error, SignInError::Refused { code, .. } if code == "access_denied"), "{error:?}");
}

#[tokio::test]
async fn a_registration_that_the_server_has_forgotten_can_be_forgotten() {
    let play = Play::start(Options::default());
    let sign_in = play.signed_in().await;
    let earlier = sign_in.record().unwrap().identity;
    sign_in.sign_out().unwrap();
    play.server.move_issuer("");
    let pending = play.begin(None, Some(&earlier), "").await.unwrap();
    let page = follow(pending.address.as_str());
    assert_eq!(page.status, 400, "nobody comes back");
    sign_in.forget_registration().unwrap();
    let identity = play.open().record().unwrap().identity;
    let record = play.sign_in_with(None, Some(&identity), "").await.unwrap();
    assert_ne!(record.identity.client_id, earlier.client_id);
}

#[tokio::test]
async fn a_registration_is_used_again_only_where_it_was_made_and_with_its_callback() {
    let play = Play::start(Options::default());
    let earlier = play.sign_in().await.identity;
    let again = play.sign_in_with(None, Some(&earlier), "").await.unwrap();
    assert_eq!((again.identity, play.server.seen().registrations), (earlier.clone(), 1));
    let elsewhere = Play::start(Options::default());
    let record = elsewhere.sign_in_with(None, Some(&earlier), "").await.unwrap();
    assert_ne!(record.identity.client_id, "");
    assert_eq!(elsewhere.server.seen().registrations, 1, "another callback");
}

//! Token responses that are not as they should be.

use exai_auth::{Renewal, SignInError, Tokens, fingerprint, renew};
use exai_test::authorization_server::Options;
use exai_test::scripted_http::{ScriptedHttp, document};
use serde_json::{Value, json};

use crate::play::{Play, url};

/// Renews at a token endpoint that answers this. The record then, and the renewal.
async fn renewed_with(status: u16, answer: Value) -> (Option<Tokens>, Renewal) {
    let play = Play::start(Options::default());
    let server = ScriptedHttp::start(move |_| {
        document(status, "Content-Type: application/json\r\n", &answer.to_string())
    });
    let mut text = serde_json::to_value(play.sign_in().await).unwrap();
    text["token_endpoint"] = json!(url(&server.url("/token")));
    let record: exai_auth::Record = serde_json::from_value(text).unwrap();
    play.records().write(&record).unwrap();
    let old = record.tokens.clone().unwrap().access_token;
    let renewal = renew(&play.http, &play.records(), &record.id(), &fingerprint(&old)).await;
    (play.records().read(&record.id()).unwrap().unwrap().tokens, renewal)
}

fn tokens(expires_in: Value) -> Value {
    json!({"access_token": "new", "refresh_token": "newer", "token_type": "bearer", "expires_in": expires_in})
}

#[tokio::test]
async fn a_lifetime_that_makes_no_sense_costs_no_tokens() {
    for (said, lifetime) in [
        (json!(3600), Some(3600)),
        (json!("3600"), Some(3600)),
        (json!(3600.5), Some(3600)),
        (json!(u64::MAX), Some(10 * 365 * 24 * 3600)),
        (json!(1e30), Some(10 * 365 * 24 * 3600)),
        (json!(-5), None),
        (json!("-5"), None),
        (json!("soon"), None),
        (json!({"seconds": 5}), None),
        (json!(null), None),
        // Servers say so of tokens without an end.
        (json!(0), None),
    ] {
        let (now, renewal) = renewed_with(200, tokens(said.clone())).await;
        assert_eq!(renewal, Renewal::Renewed, "{said}");
        let now = now.unwrap();
        assert_eq!(now.refresh_token.as_ref().unwrap().expose(), "newer", "{said}");
        assert_eq!((now.access_token.expose(), now.lifetime()), ("new", lifetime), "{said}");
    }
}

#[tokio::test]
async fn a_refresh_token_that_is_not_given_anew_stays() {
    let mut answer = tokens(json!(60));
    answer["refresh_token"] = json!(null);
    let (now, renewal) = renewed_with(200, answer).await;
    assert_eq!(renewal, Renewal::Renewed);
    assert!(now.unwrap().refresh_token.unwrap().expose().starts_with("rt-"));
}

#[tokio::test]
async fn a_token_that_cannot_be_used_does_not_cost_the_refresh_token() {
    for change in
        [json!({"access_token": "a b\n"}), json!({"access_token": ""}), json!({"token_type": "mac"})]
    {
        let mut answer = tokens(json!(60));
        answer.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let (now, renewal) = renewed_with(200, answer).await;
        assert!(matches!(renewal, Renewal::Failed(_)), "{change} {renewal:?}");
        let now = now.unwrap();
        assert!(now.access_token.expose().starts_with("at-"), "{change}");
        assert_eq!(now.refresh_token.unwrap().expose(), "newer", "{change}: the old one is spent");
    }
}

#[tokio::test]
async fn only_a_refusal_of_the_grant_or_of_the_client_ends_a_sign_in() {
    let error = |code: &str| json!({"error": code, "error_description": "because"});
    for (status, code, ends) in [
        (400, "invalid_grant", true),
        (401, "invalid_grant", true),
        // GitHub answers so.
        (200, "bad_refresh_token", true),
        // The registration is gone, and with it what it was given.
        (401, "invalid_client", true),
        (400, "invalid_request", false),
        (400, "temporarily_unavailable", false),
        (429, "invalid_grant", false),
        (500, "invalid_grant", false),
        (503, "invalid_grant", false),
        (302, "invalid_grant", false),
    ] {
        let (now, renewal) = renewed_with(status, error(code)).await;
        assert_eq!(matches!(renewal, Renewal::SignedOut(_)), ends, "{status} {code} {renewal:?}");
        assert_eq!(now.is_none(), ends, "{status} {code}");
    }
}

#[tokio::test]
async fn who_is_not_known_any_more_registers_anew() {
    let play = Play::start(Options::default());
    let sign_in = play.signed_in().await;
    let earlier = sign_in.record().unwrap().identity;
    // The server forgets its clients, and stays who it is.
    play.server.move_issuer("");
    play.request(&sign_in).await.unwrap_err();
    let identity = sign_in.record().unwrap().identity;
    let record = play.sign_in_with(None, Some(&identity), "").await.unwrap();
    assert_ne!(record.identity.client_id, earlier.client_id);
    sign_in.adopt(record).unwrap();
    play.request(&sign_in).await.unwrap();
    assert_eq!(play.server.seen().registrations, 2);
}

#[tokio::test]
async fn a_code_that_gets_strange_tokens_is_no_sign_in() {
    let play = Play::start(Options::default());
    play.server.fail_tokens(1, exai_test::authorization_server::Fault::Malformed);
    let error = play.sign_in_with(None, None, "").await.unwrap_err();
    assert!(matches!(error, SignInError::Broken { .. }), "{error:?}");
}

//! What another program has kept of a sign-in, taken over.

use std::sync::Arc;

use exai_auth::{McpRemoteSignIn, Record, Refusal, Registered, Scopes, SignInError, Standing};
use exai_config::Secret;
use exai_test::authorization_server::{Fault, KnownClient, Options, Registration, Settings};
use exai_test::mcp_remote::keep;
use serde_json::{Value, json};

use crate::play::Play;

/// The answer of the token endpoint that a record was made of.
fn tokens_of(record: &Record) -> Value {
    let tokens = record.tokens.as_ref().unwrap();
    json!({"access_token": tokens.access_token.expose(), "token_type": "Bearer", "expires_in": 3600,
        "refresh_token": tokens.refresh_token.as_ref().map(Secret::expose), "scope": tokens.scopes.to_string()})
}

/// The answer to the registration.
fn client_of(record: &Record, method: &str) -> Value {
    let secret = record.identity.client_secret.as_ref().map(Secret::expose);
    json!({"client_id": record.identity.client_id, "client_secret": secret, "client_secret_expires_at": 0,
        "token_endpoint_auth_method": method, "redirect_uris": ["http://localhost:3334/oauth/callback"]})
}

/// Takes over what was kept.
async fn adopt(
    play: &Play,
    (client, tokens): (Option<&Value>, &Value),
    configured: Option<(&str, Option<&Secret>)>,
    limit: Option<&Scopes>,
) -> Result<Record, SignInError> {
    let directory = tempfile::tempdir().unwrap();
    let url = play.server.url("/mcp");
    keep(directory.path(), "0.1.43", &url, client, tokens);
    let kept = McpRemoteSignIn::find(directory.path(), &url, &[]).unwrap().unwrap();
    kept.into_record(play.place(), &play.discover().await.unwrap(), configured, limit)
}

#[tokio::test]
async fn tokens_that_were_kept_are_used_and_renewed_with_the_client_that_they_were_given_to() {
    for (registration, method) in
        [(Registration::AsAsked, "none"), (Registration::WithSecret, "client_secret_basic")]
    {
        let play = Play::with(Settings { registration, ..Settings::default() });
        let theirs = play.sign_in().await;
        let kept = (Some(&client_of(&theirs, method)), &tokens_of(&theirs));
        let record = adopt(&play, kept, None, None).await.unwrap();
        assert_eq!(record.identity.registered, Registered::Dynamically);
        let sign_in = play.open();
        sign_in.adopt(record).unwrap();
        play.request(&sign_in).await.unwrap();
        play.server.expire_access_tokens();
        play.request(&sign_in).await.unwrap();
        let seen = play.server.seen();
        assert_eq!((seen.pages, seen.registrations, seen.refreshes, seen.reuses), (1, 1, 1, 0), "{seen:?}");
        // Its callback is that of the other program.
        let earlier = sign_in.record().unwrap().identity;
        play.sign_in_with(None, Some(&earlier), "").await.unwrap();
        assert_eq!(play.server.seen().registrations, 2);
    }
}

#[tokio::test]
async fn a_refresh_token_that_is_good_no_more_leaves_nobody_signed_in() {
    let play = Play::start(Options::default());
    let theirs = play.sign_in().await;
    let kept = (Some(&client_of(&theirs, "none")), &tokens_of(&theirs));
    let record = adopt(&play, kept, None, None).await.unwrap();
    let token = record.tokens.clone().unwrap().access_token;
    let sign_in = play.open();
    sign_in.adopt(record).unwrap();
    play.server.fail_tokens(1, Fault::InvalidGrant);
    assert_eq!(sign_in.refused(Some(&token), play.challenge()).await, Refusal::SignInNeeded);
    assert_eq!(sign_in.standing(), Standing::SignedOut);
}

#[tokio::test]
async fn a_client_of_the_configuration_must_be_the_one_that_they_were_given_to() {
    let clients = vec![KnownClient { id: "by hand".to_owned(), secret: None }];
    let play = Play::start(Options { clients, ..Options::default() });
    let theirs = play.sign_in_with(Some(("by hand", None)), None, "").await.unwrap();
    let (client, tokens) = (client_of(&theirs, "none"), tokens_of(&theirs));
    for kept in [(Some(&client), &tokens), (None, &tokens)] {
        let record = adopt(&play, kept, Some(("by hand", None)), None).await.unwrap();
        assert_eq!(record.identity.registered, Registered::ByHand);
        let sign_in: Arc<_> = play.open();
        sign_in.adopt(record).unwrap();
        play.request(&sign_in).await.unwrap();
    }
    let refused = |result: Result<Record, SignInError>| result.unwrap_err().to_string();
    let other = refused(adopt(&play, (Some(&client), &tokens), Some(("another", None)), None).await);
    assert!(other.contains("another client"), "{other}");
    let unknown = refused(adopt(&play, (None, &tokens), None, None).await);
    assert!(unknown.contains("set `client_id`"), "{unknown}");
}

#[tokio::test]
async fn what_allows_too_much_or_cannot_be_sent_is_not_taken_over() {
    let play = Play::start(Options::default());
    let theirs = play.sign_in().await;
    let client = client_of(&theirs, "none");
    let with = |name: &str, value: Value| {
        let mut tokens = tokens_of(&theirs);
        tokens[name] = value;
        tokens
    };
    for (tokens, limit, said) in [
        (with("scope", json!("mcp admin")), Some("mcp"), "allows `admin mcp`"),
        (with("access_token", json!("topsecret\r\nX: y")), None, "cannot be sent"),
        (with("refresh_token", json!("")), None, "cannot be sent"),
        (with("access_token", json!("topsecret".repeat(2000))), None, "cannot be sent"),
        (with("token_type", json!("MAC")), None, "cannot be sent"),
    ] {
        let limit = limit.map(Scopes::read);
        let error =
            adopt(&play, (Some(&client), &tokens), None, limit.as_ref()).await.unwrap_err().to_string();
        assert!(error.contains(said) && !error.contains("topsecret"), "{error}");
    }
    let fine = (Some(&client), &with("scope", json!("mcp")));
    assert!(adopt(&play, fine, None, Some(&Scopes::read("mcp admin"))).await.is_ok());
}

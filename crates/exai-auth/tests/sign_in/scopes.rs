//! Tools that need more than a token allows.

use exai_auth::{Refusal, Scopes, SignInError, discover};
use exai_test::authorization_server::{Options, RefreshTokens, Settings};

use crate::play::{Play, access_token};

#[tokio::test]
async fn a_step_up_asks_for_the_old_scopes_and_the_new_ones() {
    let play = Play::start(Options::default());
    let sign_in = play.signed_in().await;
    let token = access_token(&sign_in);
    let (status, challenge) = play.call("admin", Some(&token)).unwrap_err();
    assert_eq!(status, 403);
    let refusal = sign_in.refused(Some(&token), challenge.clone()).await;
    assert_eq!(refusal, Refusal::ScopesNeeded(Scopes::read("mcp admin")));
    assert_eq!(play.server.seen().refreshes, 0, "a renewal would not help");
    let (wished, scopes) = sign_in.wish();
    assert_eq!((wished, scopes.to_string()), (Some(challenge), "admin mcp".to_owned()));
    let identity = sign_in.record().unwrap().identity;
    let record = play.sign_in_with(None, Some(&identity), &scopes.to_string()).await.unwrap();
    sign_in.adopt(record).unwrap();
    let new = access_token(&sign_in);
    play.call("admin", Some(&new)).unwrap();
    assert_eq!(
        sign_in.refused(Some(&token), sign_in.wish().0.unwrap_or_default()).await,
        Refusal::Again,
        "the old one was sent"
    );
    // A renewal keeps both.
    play.server.expire_access_tokens();
    play.request(&sign_in).await.unwrap();
    play.call("admin", Some(&access_token(&sign_in))).unwrap();
}

#[tokio::test]
async fn a_limit_of_the_configuration_is_kept() {
    let settings = Settings { refresh_tokens: RefreshTokens::Offline, ..Settings::default() };
    let play = Play::with(settings);
    let sign_in = play.signed_in().await;
    let token = access_token(&sign_in);
    let (_, challenge) = play.call("admin", Some(&token)).unwrap_err();
    sign_in.refused(Some(&token), challenge).await;
    let (challenge, scopes) = sign_in.wish();
    let http = play.own_http().await;
    let discovered = discover(&http, &play.place().server, &challenge.unwrap()).await.unwrap();
    let limit = Scopes::read("mcp");
    let error = discovered.scopes_to_ask_for(&scopes, Some(&limit)).unwrap_err();
    assert!(matches!(&error, SignInError::ScopesNotAllowed(text) if text == "admin"), "{error:?}");
    let wide = discovered.scopes_to_ask_for(&scopes, Some(&Scopes::read("mcp admin x"))).unwrap();
    assert!(Scopes::read("mcp admin").is_within(&wide) && !wide.contains("x"), "{wide}");
    // What metadata list is no step-up: the limit chooses among it.
    let discovered = play.discover().await.unwrap();
    assert!(discovered.scopes_to_ask_for(&Scopes::read("mcp admin"), Some(&limit)).unwrap().contains("mcp"));
}

//! A server that changes its authorization server.

use exai_auth::{Refusal, Standing};
use exai_test::authorization_server::Options;

use crate::play::Play;

#[tokio::test]
async fn nothing_of_the_old_authorization_server_goes_to_the_new_one() {
    let play = Play::start(Options::default());
    let sign_in = play.signed_in().await;
    let old = sign_in.record().unwrap();
    play.server.move_issuer("/new");
    let before = play.server.http_requests().len();
    let refusal = play.request(&sign_in).await.unwrap_err();
    assert!(matches!(refusal, Refusal::Unavailable(_)), "{refusal:?}: nobody answers at the old place");
    // The caller passes what it has, whoever gave it.
    let new = play.sign_in_with(None, Some(&old.identity), "").await.unwrap();
    assert_ne!(new.identity.client_id, old.identity.client_id);
    assert_ne!(new.id(), old.id());
    sign_in.adopt(new.clone()).unwrap();
    play.request(&sign_in).await.unwrap();
    let left = old.clone();
    let tokens = old.tokens.unwrap();
    let secrets = [tokens.refresh_token.unwrap().expose().to_owned(), old.identity.client_id.clone()];
    for request in play.server.http_requests().split_off(before) {
        let text = format!("{} {}", request.path, String::from_utf8_lossy(&request.body));
        let is_new = request.path.starts_with("/new");
        assert!(!is_new || !secrets.iter().any(|secret| text.contains(secret)), "{text}");
    }
    assert_eq!(play.records().load().unwrap(), [new], "what the old one gave is removed");
    assert!(matches!(play.open().standing(), Standing::SignedIn { .. }));
    // Should the old record be there all the same, signing out means both.
    play.records().write(&left).unwrap();
    sign_in.sign_out().unwrap();
    assert_eq!(play.open().standing(), Standing::SignedOut);
}

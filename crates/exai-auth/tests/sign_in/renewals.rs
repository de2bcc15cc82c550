//! Renewals, and what goes wrong with them.

use std::sync::Arc;
use std::time::Duration;

use exai_auth::{Refusal, Renewal, SignIn, Standing, fingerprint, renew};
use exai_test::authorization_server::{Fault, Options, RefreshTokens, Settings};
use exai_test::eventually;

use crate::play::{InThread, Play, access_token, block_on, detach, ends_in};

fn refresh_token_on_disk(play: &Play, sign_in: &SignIn) -> Option<String> {
    let record = play.records().read(&sign_in.record()?.id()).unwrap()?;
    Some(record.tokens?.refresh_token?.expose().to_owned())
}

#[tokio::test]
async fn the_newest_refresh_token_is_always_on_disk() {
    let play = Play::start(Options::default());
    let sign_in = play.signed_in().await;
    let mut before = refresh_token_on_disk(&play, &sign_in);
    for round in 1..=5 {
        play.server.expire_access_tokens();
        play.request(&sign_in).await.unwrap();
        let now = refresh_token_on_disk(&play, &sign_in);
        assert_ne!(now, before, "the server has changed it");
        assert_eq!(play.server.token_requests().last().unwrap().field("refresh_token"), before.as_deref());
        assert_eq!((play.server.seen().refreshes, play.server.seen().reuses), (round, 0));
        before = now;
        assert_eq!(play.open().record(), sign_in.record());
    }
}

#[tokio::test]
async fn faults_of_a_server_end_no_sign_in() {
    let play = Play::start(Options::default());
    // A request that is given up before it is sent would leave its fault to a later one.
    let impatient = play.http.clone().with_request_timeout(Duration::from_secs(1));
    let record = play.sign_in().await;
    play.records().write(&record).unwrap();
    let old = record.tokens.clone().unwrap().access_token;
    for fault in [Fault::Unavailable, Fault::Hang(Duration::from_secs(10)), Fault::Malformed, Fault::Huge] {
        let http = if matches!(fault, Fault::Hang(_)) { &impatient } else { &play.http };
        play.server.fail_tokens(1, fault);
        let renewal = renew(http, &play.records(), &record.id(), &fingerprint(&old)).await;
        assert!(matches!(renewal, Renewal::Failed(_)), "{fault:?} {renewal:?}");
        assert_eq!(play.records().read(&record.id()).unwrap().as_ref(), Some(&record), "{fault:?}");
    }
    assert_eq!(renew(&play.http, &play.records(), &record.id(), &fingerprint(&old)).await, Renewal::Renewed);
    assert_eq!((play.server.seen().refreshes, play.server.seen().reuses), (1, 0));
}

#[tokio::test]
async fn a_server_that_nobody_reaches_ends_no_sign_in() {
    let play = Play::start(Options::default());
    let record = play.sign_in().await;
    play.records().write(&record).unwrap();
    let Play { server, http, dir, .. } = play;
    drop(server);
    let records = exai_auth::Records::at(dir.path().join("sign-ins"));
    let old = record.tokens.clone().unwrap().access_token;
    let http = http.with_request_timeout(Duration::from_secs(2));
    assert!(matches!(renew(&http, &records, &record.id(), &fingerprint(&old)).await, Renewal::Failed(_)));
    assert_eq!(records.read(&record.id()).unwrap(), Some(record));
}

#[tokio::test]
async fn a_refusal_of_the_grant_ends_the_sign_in_and_keeps_who_we_are() {
    let play = Play::start(Options::default());
    let sign_in = play.signed_in().await;
    play.server.revoke_all();
    assert_eq!(play.request(&sign_in).await, Err(Refusal::SignInNeeded));
    assert_eq!((sign_in.standing(), play.open().standing()), (Standing::SignedOut, Standing::SignedOut));
    assert_eq!(play.request(&sign_in).await, Err(Refusal::SignInNeeded));
    assert_eq!(play.server.seen().token_requests, 2, "nothing is asked for again");
    let identity = sign_in.record().unwrap().identity;
    sign_in.adopt(play.sign_in_with(None, Some(&identity), "").await.unwrap()).unwrap();
    play.request(&sign_in).await.unwrap();
    assert_eq!(play.server.seen().registrations, 1);
}

/// Nobody can tell a lost answer from one that was never given. The next try shows the server a refresh token that it has
/// taken before, and it ends the grant, as it must. Then a person signs in again, and is told to.
#[test]
fn an_answer_that_was_lost_costs_the_sign_in_at_a_server_that_takes_tokens_once() {
    let play = Play::start(Options::default());
    let sign_in = block_on(play.signed_in());
    play.server.expire_access_tokens();
    play.server.fail_tokens(1, Fault::LoseAnswer);
    let refusal = block_on(play.request(&sign_in)).unwrap_err();
    assert!(matches!(refusal, Refusal::Unavailable(_)), "{refusal:?}");
    assert!(matches!(sign_in.standing(), Standing::SignedIn { .. }), "it may still be good");
    eventually("the sign-in is over", Duration::from_secs(20), || {
        block_on(play.request(&sign_in)) == Err(Refusal::SignInNeeded)
    });
    assert_eq!((sign_in.standing(), play.server.seen().reuses), (Standing::SignedOut, 1));
    sign_in.adopt(block_on(play.sign_in())).unwrap();
    block_on(play.request(&sign_in)).unwrap();
}

#[tokio::test]
async fn a_token_that_ends_soon_is_renewed_while_it_is_used() {
    let play = Play::start(Options::default());
    let renewer = Arc::new(InThread::new(play.http.clone(), play.records()));
    let sign_in = play.open_with(&renewer);
    sign_in.adopt(ends_in(play.sign_in().await, 3000)).unwrap();
    play.request(&sign_in).await.unwrap();
    assert_eq!(renewer.begun(), 0, "much is left");
    sign_in.adopt(ends_in(play.sign_in().await, 100)).unwrap();
    let old = access_token(&sign_in);
    play.server.hold_tokens();
    assert_eq!(sign_in.token(detach).await.unwrap(), Some(old.clone()), "nobody waits");
    eventually("the answer is held back", Duration::from_secs(10), || play.server.seen().held == 1);
    assert_eq!(sign_in.token(|_| panic!("one is on its way")).await.unwrap(), Some(old.clone()));
    play.server.release_tokens();
    eventually("it is renewed", Duration::from_secs(10), || access_token(&sign_in) != old);
    play.request(&sign_in).await.unwrap();
    assert_eq!((renewer.begun(), play.server.seen().refreshes), (1, 1));
    assert_eq!(play.server.seen().unauthorized, 2, "those without a token, when signing in");
}

#[tokio::test]
async fn a_token_that_is_spent_is_not_sent() {
    let play = Play::start(Options::default());
    let sign_in = play.open();
    sign_in.adopt(ends_in(play.sign_in().await, 2)).unwrap();
    let before = play.server.seen().unauthorized;
    play.request(&sign_in).await.unwrap();
    assert_eq!((play.server.seen().unauthorized, play.server.seen().refreshes), (before, 1));
}

#[tokio::test]
async fn without_a_refresh_token_a_token_is_used_to_its_end() {
    let play = Play::with(Settings { refresh_tokens: RefreshTokens::Never, ..Settings::default() });
    let sign_in = play.open();
    sign_in.adopt(ends_in(play.sign_in().await, 2)).unwrap();
    assert!(matches!(sign_in.standing(), Standing::SignedIn { is_renewable: false, .. }));
    play.request(&sign_in).await.unwrap();
    play.server.expire_access_tokens();
    assert_eq!(play.request(&sign_in).await, Err(Refusal::SignInNeeded));
    assert_eq!(play.server.seen().token_requests, 1);
}

#[tokio::test]
async fn a_token_whose_end_is_not_said_is_renewed_when_it_is_refused() {
    let play = Play::with(Settings { says_expires_in: false, ..Settings::default() });
    let sign_in = play.signed_in().await;
    assert!(matches!(sign_in.standing(), Standing::SignedIn { expires_at: None, .. }));
    play.request(&sign_in).await.unwrap();
    assert_eq!(play.server.seen().refreshes, 0);
    play.server.expire_access_tokens();
    play.request(&sign_in).await.unwrap();
    assert_eq!(play.server.seen().refreshes, 1);
}

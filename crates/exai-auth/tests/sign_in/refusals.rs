//! Storms: what must not be asked for again and again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use exai_auth::{Challenge, Refusal, SignIn};
use exai_test::authorization_server::{Fault, Options, Settings};
use exai_test::eventually;

use crate::play::{InThread, Play, access_token, block_on, detach, ends_in};

/// Uses the sign-in at a server that takes no token, so often.
async fn refuse(sign_in: &Arc<SignIn>, times: usize) -> Vec<Refusal> {
    let mut refusals = Vec::new();
    for _ in 0..times {
        let token = sign_in.token(detach).await.unwrap();
        refusals.push(sign_in.refused(token.as_ref(), Challenge::default()).await);
    }
    refusals
}

#[tokio::test]
async fn new_tokens_that_nobody_takes_are_asked_for_three_times() {
    let play = Play::start(Options::default());
    let sign_in = play.signed_in().await;
    play.request(&sign_in).await.unwrap();
    let refusals = refuse(&sign_in, 10).await;
    assert_eq!(refusals[..3], [Refusal::Again, Refusal::Again, Refusal::Again]);
    assert!(refusals[3..].iter().all(|refusal| *refusal == Refusal::SignInNeeded), "{refusals:?}");
    assert_eq!(play.server.seen().refreshes, 3);
    sign_in.adopt(play.sign_in().await).unwrap();
    play.request(&sign_in).await.unwrap();
    play.server.expire_access_tokens();
    play.request(&sign_in).await.unwrap();
    assert_eq!(play.server.seen().refreshes, 4);
}

#[tokio::test]
async fn who_has_just_signed_in_in_vain_is_not_asked_to_sign_in_again() {
    let play = Play::start(Options::default());
    let sign_in = play.signed_in().await;
    assert_eq!(refuse(&sign_in, 4).await[3], Refusal::NewTokenRefused);
    // What was taken once may end.
    play.request(&sign_in).await.unwrap();
    assert_eq!(refuse(&sign_in, 4).await[3], Refusal::SignInNeeded);
}

#[tokio::test]
async fn a_server_that_takes_tokens_again_needs_no_person() {
    let play = Play::start(Options::default());
    let sign_in = play.signed_in().await;
    play.request(&sign_in).await.unwrap();
    assert_eq!(refuse(&sign_in, 4).await[3], Refusal::SignInNeeded);
    play.request(&sign_in).await.unwrap();
    play.server.expire_access_tokens();
    play.request(&sign_in).await.unwrap();
}

#[tokio::test]
async fn a_token_that_is_taken_ends_the_count() {
    let play = Play::start(Options::default());
    let sign_in = play.signed_in().await;
    for _ in 0..3 {
        assert_eq!(refuse(&sign_in, 2).await, [Refusal::Again, Refusal::Again]);
        play.request(&sign_in).await.unwrap();
    }
}

#[tokio::test]
async fn a_token_that_lives_for_no_time_is_not_renewed_with_every_request() {
    for seconds in [0, 1, 3] {
        let play = Play::with(Settings { expires_in: Duration::from_secs(seconds), ..Settings::default() });
        let begun = Instant::now();
        let sign_in = play.signed_in().await;
        for _ in 0..20 {
            sign_in.token(detach).await.unwrap().unwrap();
        }
        // One for each second that begins meanwhile.
        let most = 2 + begun.elapsed().as_secs();
        let refreshes = play.server.seen().refreshes;
        assert!(refreshes as u64 <= most, "{seconds}: {refreshes} of {most}");
    }
}

#[tokio::test]
async fn who_waits_for_a_renewal_shares_its_failure() {
    let play = Play::start(Options::default());
    let http = play.http.clone().with_request_timeout(Duration::from_millis(500));
    let renewer = Arc::new(InThread::new(http, play.records()));
    let sign_in = play.open_with(&renewer);
    sign_in.adopt(play.sign_in().await).unwrap();
    play.server.fail_tokens(20, Fault::Hang(Duration::from_secs(1)));
    let token = access_token(&sign_in);
    std::thread::scope(|scope| {
        for _ in 0..10 {
            scope.spawn(|| {
                let refusal = block_on(sign_in.refused(Some(&token), Challenge::default()));
                assert!(matches!(refusal, Refusal::Unavailable(_)), "{refusal:?}");
            });
        }
    });
    assert!(renewer.begun() <= 2, "{}", renewer.begun());
}

#[tokio::test]
async fn an_early_renewal_that_fails_is_not_tried_with_every_request() {
    let play = Play::start(Options::default());
    let renewer = Arc::new(InThread::new(play.http.clone(), play.records()));
    let sign_in = play.open_with(&renewer);
    sign_in.adopt(ends_in(play.sign_in().await, 100)).unwrap();
    play.server.fail_tokens(50, Fault::Unavailable);
    for _ in 0..20 {
        sign_in.token(finish_in_thread).await.unwrap().unwrap();
    }
    eventually("one is tried", Duration::from_secs(5), || renewer.begun() > 0);
    assert_eq!(renewer.begun(), 1);
    play.request(&sign_in).await.unwrap();
}

/// Waits for the work, so that the next request comes after it.
fn finish_in_thread(future: std::pin::Pin<Box<dyn Future<Output = ()> + Send>>) {
    std::thread::spawn(move || block_on(future)).join().unwrap();
}

#[tokio::test]
async fn a_server_cannot_fill_the_memory_with_scopes() {
    let play = Play::start(Options::default());
    let sign_in = play.open();
    for number in 0..2000 {
        let scopes = Some(exai_auth::Scopes::read(&format!("a{number} b{number}")));
        sign_in.refused(None, Challenge { scopes, ..Challenge::default() }).await;
    }
    let (challenge, scopes) = sign_in.wish();
    assert!(scopes.iter().count() <= 1000, "{}", scopes.iter().count());
    assert!(challenge.unwrap().scopes.unwrap().contains("a1999"));
}

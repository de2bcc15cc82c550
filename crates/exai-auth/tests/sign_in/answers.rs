//! What a browser brings back.

use exai_auth::{Returned, SignInError};
use exai_test::authorization_server::{Consent, Iss, Options, Settings, follow};
use serde_json::json;

use crate::play::{Play, go};

/// Signs in where answers name `iss`, and the metadata announce that or not.
async fn answered(iss: Iss, is_announced: bool) -> (Result<(), SignInError>, usize) {
    let metadata = json!({"authorization_response_iss_parameter_supported": is_announced.then_some(true)});
    let settings = Settings { iss, ..Settings::default() };
    let play = Play::start(Options { metadata, settings, ..Options::default() });
    let outcome = play.sign_in_with(None, None, "").await;
    (outcome.map(|_| ()), play.server.seen().token_requests)
}

#[tokio::test]
async fn who_answers_must_be_who_was_asked() {
    for (iss, is_announced) in [(Iss::Right, true), (Iss::Right, false), (Iss::Missing, false)] {
        answered(iss, is_announced).await.0.unwrap();
    }
    let other = || Iss::Other("https://evil.example".to_owned());
    for (iss, is_announced) in [(Iss::Missing, true), (other(), true), (other(), false)] {
        let (outcome, token_requests) = answered(iss.clone(), is_announced).await;
        let error = outcome.unwrap_err();
        assert!(matches!(error, SignInError::Untrustworthy(_)), "{iss:?} {error:?}");
        assert_eq!(token_requests, 0, "{iss:?}: no code goes anywhere");
    }
}

#[tokio::test]
async fn issuers_are_not_normalised_before_they_are_compared() {
    for change in [
        |issuer: &str| format!("{issuer}/"),
        |issuer: &str| issuer.replace("http:", "HTTP:"),
        |issuer: &str| issuer.replace("/tenant", "/%74enant"),
    ] {
        let options = Options { issuer_path: "/tenant".to_owned(), ..Options::default() };
        let play = Play::start(options);
        let other = change(&play.server.issuer());
        play.server.change(|settings| settings.iss = Iss::Other(other.clone()));
        let error = play.sign_in_with(None, None, "").await.unwrap_err();
        assert!(matches!(error, SignInError::Untrustworthy(_)), "{other} {error:?}");
    }
}

#[tokio::test]
async fn a_refusal_is_believed_only_if_it_comes_from_who_was_asked() {
    let play = Play::with(Settings { consent: Consent::Denied, ..Settings::default() });
    let error = play.sign_in_with(None, None, "").await.unwrap_err();
    assert!(matches!(&error, SignInError::Refused { code, .. } if code == "access_denied"), "{error:?}");
    assert!(error.to_string().contains("the account says no"), "{error}");
    play.server.change(|settings| settings.iss = Iss::Other("https://evil.example".to_owned()));
    let error = play.sign_in_with(None, None, "").await.unwrap_err();
    assert!(matches!(error, SignInError::Untrustworthy(_)), "{error:?}");
    assert!(!error.to_string().contains("says no"), "{error}");
}

#[tokio::test]
async fn a_person_decides_on_the_page() {
    let play = Play::with(Settings { consent: Consent::Page, ..Settings::default() });
    for (choice, is_allowed) in [("allow", true), ("deny", false)] {
        let pending = play.begin(None, None, "").await.unwrap();
        let page = follow(pending.address.as_str()).press(choice);
        let returned = Returned::read_pasted(&page.url).unwrap();
        assert_eq!(pending.finish(&play.own_http().await, returned).await.is_ok(), is_allowed);
    }
}

#[tokio::test]
async fn what_belongs_to_another_sign_in_sends_nothing() {
    let play = Play::start(Options::default());
    let (one, other) = (play.begin(None, None, "").await.unwrap(), play.begin(None, None, "").await.unwrap());
    assert_ne!(one.state, other.state);
    let returned = go(&other);
    assert_eq!(returned.state, other.state);
    let error = one.finish(&play.own_http().await, returned).await.unwrap_err();
    assert!(matches!(error, SignInError::UnknownState), "{error:?}");
    assert_eq!(play.server.seen().token_requests, 0);
}

#[tokio::test]
async fn an_answer_without_a_code_is_no_sign_in() {
    let play = Play::start(Options::default());
    let pending = play.begin(None, None, "").await.unwrap();
    let iss = url::form_urlencoded::byte_serialize(play.server.issuer().as_bytes()).collect::<String>();
    let returned = Returned::read(&format!("state={}&iss={iss}", pending.state)).unwrap();
    let error = pending.finish(&play.own_http().await, returned).await.unwrap_err();
    assert!(matches!(error, SignInError::Untrustworthy(_)), "{error:?}");
    assert_eq!(play.server.seen().token_requests, 0);
}

#[tokio::test]
async fn a_code_that_comes_again_is_refused() {
    let play = Play::start(Options::default());
    let pending = play.begin(None, None, "").await.unwrap();
    let page = follow(pending.address.as_str());
    let http = play.own_http().await;
    pending.finish(&http, Returned::read_pasted(&page.url).unwrap()).await.unwrap();
    // The address of the page has no second use either: another sign-in has another state and verifier.
    let next = play.begin(None, None, "").await.unwrap();
    let forged = page.url.replace(&page.field("state").unwrap(), &next.state);
    let error = next.finish(&http, Returned::read_pasted(&forged).unwrap()).await.unwrap_err();
    assert!(matches!(&error, SignInError::Refused { code, .. } if code == "invalid_grant"), "{error:?}");
}

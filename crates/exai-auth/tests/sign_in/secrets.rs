//! What must never be shown.

use std::time::Duration;

use exai_auth::{Renewal, Returned, fingerprint, renew};
use exai_config::Secret;
use exai_test::authorization_server::{Consent, Fault, Iss, KnownClient, Options, Settings};
use exai_test::scripted_http::{ScriptedHttp, document};
use serde_json::{Value, json};

use crate::play::{Play, go, url};

const SECRET: &str = "secret-of-the-client";

/// Every text that some error, or something that is written into a log, may show, and every secret.
async fn collect() -> (Vec<String>, Vec<String>) {
    let clients = vec![KnownClient { id: "known".to_owned(), secret: Some(SECRET.to_owned()) }];
    let play = Play::start(Options { clients, ..Options::default() });
    let secret = Secret::new(SECRET);
    let configured = Some(("known", Some(&secret)));
    // A request that is given up before it is sent would leave its fault to a later one.
    let patient = play.own_http().await;
    let impatient = play.own_http().await.with_request_timeout(Duration::from_secs(1));
    let http_for = |fault| if matches!(fault, Fault::Hang(_)) { &impatient } else { &patient };
    let (mut texts, mut secrets) = (Vec::new(), vec![SECRET.to_owned()]);
    let faults = [
        Fault::Unavailable,
        Fault::Malformed,
        Fault::Huge,
        Fault::InvalidGrant,
        Fault::LoseAnswer,
        Fault::Hang(Duration::from_secs(10)),
    ];
    for fault in faults {
        let pending = play.begin(configured, None, "").await.unwrap();
        let returned = go(&pending);
        texts.push(format!("{pending:?} {returned:?}"));
        play.server.fail_tokens(1, fault);
        let error = pending.finish(http_for(fault), returned).await.unwrap_err();
        texts.push(format!("{error} {error:?}"));
    }
    let record = play.sign_in_with(configured, None, "").await.unwrap();
    play.records().write(&record).unwrap();
    let tokens = record.tokens.clone().unwrap();
    secrets.push(tokens.access_token.expose().to_owned());
    secrets.push(tokens.refresh_token.clone().unwrap().expose().to_owned());
    texts.push(format!("{record:?}"));
    for fault in faults {
        play.records().write(&record).unwrap();
        play.server.fail_tokens(1, fault);
        let renewal =
            renew(http_for(fault), &play.records(), &record.id(), &fingerprint(&tokens.access_token)).await;
        texts.push(format!("{renewal:?}"));
    }
    let sign_in = play.open();
    sign_in.adopt(record).unwrap();
    texts.push(format!("{sign_in:?} {:?}", sign_in.standing()));
    for settings in [
        Settings { consent: Consent::Denied, ..Settings::default() },
        Settings { iss: Iss::Missing, ..Settings::default() },
        Settings { iss: Iss::Other("https://evil.example".to_owned()), ..Settings::default() },
    ] {
        play.server.change(|now| *now = settings);
        let error = play.sign_in_with(configured, None, "").await.unwrap_err();
        texts.push(format!("{error} {error:?}"));
    }
    for request in play.server.token_requests() {
        for name in ["code", "code_verifier", "refresh_token", "client_secret"] {
            secrets.extend(request.field(name).map(str::to_owned));
        }
    }
    (texts, secrets)
}

#[tokio::test]
async fn no_error_and_no_debug_text_holds_a_secret() {
    let (texts, secrets) = collect().await;
    assert!(texts.len() > 15 && secrets.len() > 15);
    for text in &texts {
        let found = secrets.iter().find(|secret| text.contains(*secret));
        assert_eq!(found, None, "{text}");
    }
}

#[tokio::test]
async fn a_server_that_quotes_a_secret_is_not_quoted() {
    let play = Play::start(Options::default());
    // It says what it was sent, in plain words and as a form has it.
    let server = ScriptedHttp::start(|request| {
        let sent = String::from_utf8_lossy(&request.body).into_owned();
        let token =
            sent.split('&').find_map(|field| field.strip_prefix("refresh_token=")).unwrap_or_default();
        let body: Value = json!({"error": "invalid_request", "error_description": format!("bad {token}")});
        document(400, "Content-Type: application/json\r\n", &body.to_string())
    });
    let mut text = serde_json::to_value(play.sign_in().await).unwrap();
    text["token_endpoint"] = json!(url(&server.url("/token")));
    let record: exai_auth::Record = serde_json::from_value(text).unwrap();
    play.records().write(&record).unwrap();
    let tokens = record.tokens.clone().unwrap();
    let renewal = renew(&play.http, &play.records(), &record.id(), &fingerprint(&tokens.access_token)).await;
    let Renewal::Failed(why) = &renewal else { panic!("{renewal:?}") };
    assert!(why.contains("bad ") && !why.contains(tokens.refresh_token.unwrap().expose()), "{why}");
}

#[tokio::test]
async fn a_broken_record_is_not_quoted() {
    let play = Play::start(Options::default());
    let record = play.signed_in().await.record().unwrap();
    let path = play.records().dir().join(format!("{}.json", record.id()));
    let text = std::fs::read_to_string(&path).unwrap();
    let token = record.tokens.as_ref().unwrap().access_token.expose().to_owned();
    std::fs::write(&path, text.replace(&format!("\"{token}\""), &format!("[\"{token}\"]"))).unwrap();
    let error = play.records().read(&record.id()).unwrap_err();
    assert!(!format!("{error} {error:?}").contains(&token), "{error}");
    assert!(!format!("{:?}", Returned::read("state=a&code=topsecret").unwrap()).contains("topsecret"));
}

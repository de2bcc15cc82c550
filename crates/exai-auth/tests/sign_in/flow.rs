//! The whole way from a refusal to a call.

use exai_auth::Standing;
use exai_os::inspect;
use exai_test::authorization_server::{
    Challenge as Told, Discovery, Options, Place, RefreshTokens, Settings,
};

use crate::play::{Play, access_token};

#[tokio::test]
async fn somebody_signs_in_and_calls_and_is_still_signed_in_after_a_restart() {
    let play = Play::start(Options::default());
    let sign_in = play.open();
    assert_eq!(sign_in.standing(), Standing::SignedOut);
    assert!(sign_in.token(|_| panic!("nothing to renew")).await.unwrap().is_none());
    let record = play.sign_in().await;
    sign_in.adopt(record.clone()).unwrap();
    play.request(&sign_in).await.unwrap();
    let again = play.open();
    assert_eq!(again.record(), Some(record.clone()));
    assert_eq!(play.records().read(&record.id()).unwrap(), Some(record));
    play.request(&again).await.unwrap();
    let seen = play.server.seen();
    assert_eq!((seen.registrations, seen.exchanges, seen.let_in, seen.leaks), (1, 1, 2, 0));
    let Standing::SignedIn { issuer, scopes, expires_at, is_renewable } = again.standing() else { panic!() };
    assert_eq!((issuer, scopes.to_string(), is_renewable), (play.server.issuer(), "mcp".to_owned(), true));
    assert!(expires_at.is_some());
}

#[tokio::test]
async fn the_record_is_for_this_account_alone() {
    let play = Play::start(Options::default());
    let record = play.signed_in().await.record().unwrap();
    let path = play.records().dir().join(format!("{}.json", record.id()));
    let entry = inspect::entry(&path).unwrap();
    assert!(entry.mode.is_none_or(|mode| mode & 0o777 == 0o600), "{entry:?}");
    let dir = inspect::entry(play.records().dir()).unwrap();
    assert!(!dir.open_to_others, "{dir:?}");
}

#[tokio::test]
async fn who_has_signed_out_is_signed_out_on_disk_too_and_need_not_register_again() {
    let play = Play::start(Options::default());
    let sign_in = play.signed_in().await;
    let token = access_token(&sign_in);
    assert!(sign_in.sign_out().unwrap());
    assert!(!sign_in.sign_out().unwrap());
    assert_eq!(play.open().standing(), Standing::SignedOut);
    let record = sign_in.record().unwrap();
    let file = std::fs::read_to_string(play.records().dir().join(format!("{}.json", record.id()))).unwrap();
    assert!(!file.contains(token.expose()), "{file}");
    let again = play.sign_in_with(None, Some(&record.identity), "").await.unwrap();
    assert_eq!(again.identity, record.identity);
    assert_eq!(play.server.seen().registrations, 1);
}

#[tokio::test]
async fn every_place_of_metadata_is_found() {
    let places = [Discovery::OAuth, Discovery::OpenIdInserted, Discovery::OpenIdAppended];
    for discovery in places {
        for issuer_path in ["", "/tenant/a"] {
            for told in [Told::Full, Told::WithoutMetadata, Told::WithoutScope, Told::Absent] {
                for resource_metadata_place in [Place::AtPath, Place::AtRoot] {
                    let play = Play::start(Options {
                        discovery,
                        issuer_path: issuer_path.to_owned(),
                        challenge: told,
                        resource_metadata_place,
                        ..Options::default()
                    });
                    let record = play.sign_in().await;
                    let tokens = record.tokens.unwrap();
                    assert_eq!(tokens.scopes.to_string(), "mcp", "{discovery:?} {issuer_path} {told:?}");
                    play.call("whoami", Some(&tokens.access_token)).unwrap();
                }
            }
        }
    }
}

#[tokio::test]
async fn the_scope_for_refresh_tokens_is_asked_for_where_it_is_announced() {
    let play = Play::with(Settings { refresh_tokens: RefreshTokens::Offline, ..Settings::default() });
    let tokens = play.sign_in().await.tokens.unwrap();
    assert_eq!(tokens.scopes.to_string(), "mcp offline_access");
    assert!(tokens.refresh_token.is_some());
}

#[tokio::test]
async fn a_server_that_announces_no_scopes_decides_itself() {
    let mut options = Options { challenge: Told::WithoutScope, ..Options::default() };
    options.resources[0].scopes_supported = None;
    let play = Play::start(options);
    let record = play.sign_in().await;
    assert!(record.asked.is_empty());
    assert_eq!(record.tokens.unwrap().scopes.to_string(), "mcp");
}

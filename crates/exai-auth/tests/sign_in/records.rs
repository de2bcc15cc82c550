//! Records that cannot be read or written.

use std::fs;
use std::sync::mpsc::channel;
use std::time::Duration;

use exai_auth::{Place, Record, Refusal, Renewal, Standing, fingerprint, renew};
use exai_test::authorization_server::Options;
use exai_test::eventually;

use crate::play::{Play, access_token, block_on, url};

/// What does not happen for so long waits for something.
const A_WHILE: Duration = Duration::from_millis(200);

fn path(play: &Play, record: &Record) -> std::path::PathBuf {
    play.records().dir().join(format!("{}.json", record.id()))
}

#[tokio::test]
async fn a_broken_record_harms_no_other_and_is_not_lost() {
    let play = Play::start(Options::default());
    let sign_in = play.signed_in().await;
    let record = sign_in.record().unwrap();
    let mut other = play.sign_in().await;
    other.place.account = "other".to_owned();
    play.records().write(&other).unwrap();
    let half = fs::read_to_string(path(&play, &record)).unwrap().split_at(60).0.to_owned();
    fs::write(path(&play, &record), &half).unwrap();
    assert_eq!(play.records().load().unwrap(), [other]);
    assert_eq!(play.open().standing(), Standing::SignedOut);
    play.records().read(&record.id()).unwrap_err();
    let renewal =
        renew(&play.http, &play.records(), &record.id(), &fingerprint(&access_token(&sign_in))).await;
    assert!(matches!(renewal, Renewal::Failed(_)), "{renewal:?}");
    // A new sign-in gets its place, and what was there is put aside.
    let again = play.open();
    again.adopt(play.sign_in().await).unwrap();
    play.request(&play.open()).await.unwrap();
    let files: Vec<_> =
        fs::read_dir(play.records().dir()).unwrap().map(|file| file.unwrap().path()).collect();
    assert!(files.iter().any(|file| fs::read_to_string(file).unwrap() == half), "{files:?}");
}

#[tokio::test]
async fn a_copy_of_a_record_is_no_record() {
    let play = Play::start(Options::default());
    let sign_in = play.signed_in().await;
    let old = sign_in.record().unwrap();
    fs::copy(path(&play, &old), play.records().dir().join("copy.json")).unwrap();
    play.server.expire_access_tokens();
    play.request(&sign_in).await.unwrap();
    assert_eq!(play.records().load().unwrap(), [sign_in.record().unwrap()]);
}

#[test]
fn a_disk_that_takes_nothing_does_not_cost_the_refresh_token() {
    let play = Play::start(Options::default());
    let sign_in = block_on(play.signed_in());
    let record = sign_in.record().unwrap();
    // A file where the directory was: nothing can be written there, whoever asks.
    let (dir, aside) = (play.records().dir().to_owned(), play.dir.path().join("aside"));
    fs::rename(&dir, &aside).unwrap();
    fs::write(&dir, "").unwrap();
    play.server.expire_access_tokens();
    let refusal = block_on(play.request(&sign_in)).unwrap_err();
    assert!(matches!(refusal, Refusal::Unavailable(_)), "{refusal:?}");
    assert_eq!(play.server.seen().token_requests, 1, "nothing was exchanged");
    assert_eq!(sign_in.record(), Some(record));
    fs::remove_file(&dir).unwrap();
    fs::rename(&aside, &dir).unwrap();
    eventually("it works again", Duration::from_secs(10), || block_on(play.request(&sign_in)).is_ok());
    assert_eq!((play.server.seen().refreshes, play.server.seen().reuses), (1, 0));
}

#[tokio::test]
async fn whatever_is_in_the_way_of_a_record_is_put_aside_each_time() {
    let play = Play::start(Options::default());
    let record = play.sign_in().await;
    for text in ["one", "two", "three"] {
        play.records().write(&record).unwrap();
        fs::write(path(&play, &record), text).unwrap();
    }
    fs::remove_file(path(&play, &record)).unwrap();
    fs::create_dir_all(path(&play, &record).join("x")).unwrap();
    play.records().write(&record).unwrap();
    let mut kept: Vec<_> = fs::read_dir(play.records().dir())
        .unwrap()
        .filter_map(|file| fs::read_to_string(file.unwrap().path()).ok())
        .filter(|text| text.len() < 10)
        .collect();
    kept.sort();
    assert_eq!(kept, ["one", "two"], "the third was removed by hand");
    assert_eq!(play.records().load().unwrap(), [record]);
}

#[tokio::test]
async fn servers_of_one_resource_do_not_take_each_others_records() {
    // Two servers below one resource, which their metadata name.
    let play = Play::start(Options::default());
    let mut one = play.sign_in().await;
    let mut other = play.sign_in().await;
    one.place = Place { server: url(&play.server.url("/mcp/one")), account: String::new() };
    other.place = Place { server: url(&play.server.url("/mcp/other")), account: String::new() };
    play.records().write(&one).unwrap();
    play.records().write(&other).unwrap();
    assert_eq!(play.records().find(&one.place).unwrap(), Some(one));
    assert_eq!(play.records().find(&other.place).unwrap(), Some(other));
}

#[test]
fn who_signs_out_during_a_renewal_is_signed_out() {
    let play = Play::start(Options::default());
    let sign_in = block_on(play.signed_in());
    play.server.expire_access_tokens();
    play.server.hold_tokens();
    std::thread::scope(|scope| {
        let renewing = scope.spawn(|| block_on(play.request(&sign_in)));
        eventually("the answer is held back", Duration::from_secs(10), || play.server.seen().held == 1);
        let (tell, hear) = channel();
        let leaving = scope.spawn({
            let sign_in = &sign_in;
            move || {
                let outcome = sign_in.sign_out();
                tell.send(()).unwrap();
                outcome
            }
        });
        assert!(hear.recv_timeout(A_WHILE).is_err(), "the renewal would write over it");
        // Others are not held up by who signs out.
        assert!(matches!(sign_in.standing(), Standing::SignedIn { .. } | Standing::SignedOut));
        play.server.release_tokens();
        assert!(leaving.join().unwrap().unwrap());
        let _ = renewing.join().unwrap();
    });
    assert_eq!((sign_in.standing(), play.open().standing()), (Standing::SignedOut, Standing::SignedOut));
}

#[test]
fn a_new_sign_in_during_a_renewal_is_kept() {
    let play = Play::start(Options::default());
    let sign_in = block_on(play.signed_in());
    let new = block_on(play.sign_in());
    play.server.expire_access_tokens();
    play.server.hold_tokens();
    std::thread::scope(|scope| {
        let renewing = scope.spawn(|| block_on(play.request(&sign_in)));
        eventually("the answer is held back", Duration::from_secs(10), || play.server.seen().held == 1);
        let (tell, hear) = channel();
        let adopting = scope.spawn({
            let (sign_in, new) = (&sign_in, new.clone());
            move || {
                let outcome = sign_in.adopt(new);
                tell.send(()).unwrap();
                outcome
            }
        });
        assert!(hear.recv_timeout(A_WHILE).is_err(), "the renewal would write over it");
        play.server.release_tokens();
        adopting.join().unwrap().unwrap();
        let _ = renewing.join().unwrap();
    });
    // Its token has ended meanwhile; what it renews with is that of the new sign-in.
    let refresh = new.tokens.as_ref().unwrap().refresh_token.clone();
    let request = |play: &Play| {
        play.server
            .token_requests()
            .iter()
            .filter_map(|request| Some(request.field("refresh_token")?.to_owned()))
            .collect::<Vec<_>>()
    };
    block_on(play.request(&sign_in)).unwrap();
    assert!(request(&play).contains(&refresh.unwrap().expose().to_owned()), "{:?}", request(&play));
    assert_eq!(play.open().record(), sign_in.record());
}

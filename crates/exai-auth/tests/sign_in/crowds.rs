//! Many who need a token at the same time.

use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use exai_auth::{Renewal, SignIn, fingerprint, renew};
use exai_test::authorization_server::Options;
use exai_test::{eventually, scaled};
use tokio::sync::oneshot;

use crate::play::{InThread, Play, block_on, ends_in};

const CROWD: usize = 20;

/// A request of each of the crowd, all at the same moment.
fn request_at_once(play: &Play, sign_in: &Arc<SignIn>) {
    let barrier = Barrier::new(CROWD);
    thread::scope(|scope| {
        for _ in 0..CROWD {
            scope.spawn(|| {
                barrier.wait();
                block_on(play.request(sign_in)).unwrap();
            });
        }
    });
}

#[test]
fn a_crowd_renews_once_for_each_end_of_a_token() {
    let play = Play::start(Options::default());
    let sign_in = block_on(play.signed_in());
    for round in 1..=scaled(20) {
        play.server.expire_access_tokens();
        request_at_once(&play, &sign_in);
        let seen = play.server.seen();
        assert_eq!((seen.refreshes, seen.reuses), (round, 0));
    }
    assert_eq!(play.server.seen().let_in, CROWD * scaled(20));
    assert_eq!(play.open().record(), sign_in.record());
}

#[test]
fn a_crowd_that_knows_the_end_renews_once_and_is_never_refused() {
    let play = Play::start(Options::default());
    let renewer = Arc::new(InThread::new(play.http.clone(), play.records()));
    let sign_in = play.open_with(&renewer);
    for round in 1..=scaled(5) {
        sign_in.adopt(ends_in(block_on(play.sign_in()), 1)).unwrap();
        let refused = play.server.seen().unauthorized;
        request_at_once(&play, &sign_in);
        assert_eq!((renewer.begun(), play.server.seen().refreshes), (round, round));
        assert_eq!(play.server.seen().unauthorized, refused);
    }
}

#[test]
fn processes_that_renew_the_same_record_make_one_exchange() {
    let play = Play::start(Options::default());
    for round in 1..=scaled(5) {
        let record = block_on(play.sign_in());
        play.records().write(&record).unwrap();
        let old = record.tokens.clone().unwrap().access_token;
        let barrier = Barrier::new(4);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let records = play.records();
                    barrier.wait();
                    let renewal = block_on(renew(&play.http, &records, &record.id(), &fingerprint(&old)));
                    assert_eq!(renewal, Renewal::Renewed);
                });
            }
        });
        assert_eq!((play.server.seen().refreshes, play.server.seen().reuses), (round, 0));
    }
}

#[test]
fn a_renewal_goes_on_without_who_has_asked_for_it() {
    let play = Play::start(Options::default());
    let sign_in = block_on(play.signed_in());
    for round in 1..=5 {
        play.server.expire_access_tokens();
        play.server.hold_tokens();
        let (leave, left) = oneshot::channel();
        thread::scope(|scope| {
            let asking = scope.spawn(|| {
                block_on(async {
                    tokio::select! {
                        outcome = play.request(&sign_in) => panic!("{outcome:?}"),
                        _ = left => {}
                    }
                });
            });
            eventually("the answer is held back", Duration::from_secs(10), || play.server.seen().held == 1);
            leave.send(()).unwrap();
            asking.join().unwrap();
        });
        play.server.release_tokens();
        block_on(play.request(&sign_in)).unwrap();
        assert_eq!((play.server.seen().refreshes, play.server.seen().reuses), (round, 0));
    }
}

#[test]
fn two_daemons_with_one_directory_make_one_exchange_for_each_end() {
    let play = Play::start(Options::default());
    let one = block_on(play.signed_in());
    let other = play.open();
    for round in 1..=scaled(5) {
        play.server.expire_access_tokens();
        let barrier = Barrier::new(2);
        thread::scope(|scope| {
            for sign_in in [&one, &other] {
                scope.spawn(|| {
                    barrier.wait();
                    block_on(play.request(sign_in)).unwrap();
                });
            }
        });
        assert_eq!((play.server.seen().refreshes, play.server.seen().reuses), (round, 0));
        assert_eq!(one.record(), other.record());
    }
}

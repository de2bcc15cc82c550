//! Records that are sealed, and keyrings that have no key for them.

use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Barrier, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use exai_auth::{
    Keeping, KeyVault, NoKey, Place, Record, Records, Renew, Renewal, SealingKey, SignIn, Standing,
    fingerprint, renew,
};
use exai_test::authorization_server::Options;
use exai_test::eventually;

use crate::play::{InThread, Play, access_token, block_on, detach};

const LIMIT: Duration = Duration::from_secs(20);

/// A keyring that does what a test wants.
#[derive(Debug, Default)]
struct Keyring(Mutex<Inside>);

#[derive(Debug, Default)]
struct Inside {
    key: Option<Vec<u8>>,
    mood: Mood,
    reads: usize,
    writes: usize,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Mood {
    #[default]
    Open,
    Locked,
    /// It takes what it is given, and forgets it.
    Forgetful,
}

impl Keyring {
    fn new() -> Arc<Self> {
        Arc::default()
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.0.lock().unwrap()
    }

    fn set(&self, mood: Mood) {
        self.inside().mood = mood;
    }
}

impl KeyVault for Keyring {
    fn read(&self) -> Result<Option<Vec<u8>>, String> {
        let mut inside = self.inside();
        inside.reads += 1;
        if inside.mood == Mood::Locked { Err("it is locked".to_owned()) } else { Ok(inside.key.clone()) }
    }

    fn write(&self, key: &[u8]) -> Result<(), String> {
        let mut inside = self.inside();
        match inside.mood {
            Mood::Locked => return Err("it is locked".to_owned()),
            Mood::Forgetful => {}
            Mood::Open => inside.key = Some(key.to_vec()),
        }
        inside.writes += 1;
        Ok(())
    }
}

/// The records as a daemon that has just started has them.
fn records(play: &Play, keyring: &Arc<Keyring>) -> Records {
    Records::with_vault(play.records().dir(), Arc::clone(keyring) as Arc<dyn KeyVault>)
}

/// The sign-in as such a daemon has it. Its renewals are given the key, as the process is that makes them.
fn open(play: &Play, keyring: &Arc<Keyring>) -> Arc<SignIn> {
    let records = records(play, keyring);
    let renewing = Records::with_key(records.dir(), records.key());
    let renewer: Arc<dyn Renew> = Arc::new(InThread::new(play.http.clone(), renewing));
    Arc::new(SignIn::open(records, play.place(), renewer).unwrap())
}

fn path(play: &Play, record: &Record) -> PathBuf {
    play.records().dir().join(format!("{}.json", record.id()))
}

fn is_sealed(play: &Play, record: &Record) -> bool {
    let text = fs::read_to_string(path(play, record)).unwrap();
    let secrets = record.tokens.as_ref().map(|tokens| tokens.access_token.expose().to_owned());
    let sealed = text.contains("\"sealed\": \"XChaCha20-Poly1305\"");
    assert_eq!(secrets.is_some_and(|secret| text.contains(&secret)), !sealed, "{text}");
    assert_eq!(text.contains(&record.issuer), !sealed, "{text}");
    sealed
}

/// The files that were put aside.
fn aside(play: &Play) -> Vec<String> {
    let files = fs::read_dir(play.records().dir()).unwrap().map(|file| file.unwrap().path());
    let broken = files.filter(|path| path.to_str().unwrap().contains(".broken-"));
    broken.map(|path| fs::read_to_string(path).unwrap()).collect()
}

#[test]
fn a_sign_in_is_sealed_and_its_renewals_too_and_the_key_is_read_once() {
    let play = Play::start(Options::default());
    let keyring = Keyring::new();
    let sign_in = open(&play, &keyring);
    sign_in.adopt(block_on(play.sign_in())).unwrap();
    let first = sign_in.record().unwrap();
    assert!(is_sealed(&play, &first));
    // Another daemon.
    let sign_in = open(&play, &keyring);
    assert_eq!(sign_in.record(), Some(first.clone()));
    let reads = keyring.inside().reads;
    for _ in 0..3 {
        play.server.expire_access_tokens();
        block_on(play.request(&sign_in)).unwrap();
    }
    let renewed = sign_in.record().unwrap();
    assert!(renewed != first && is_sealed(&play, &renewed));
    let inside = keyring.inside();
    assert_eq!((inside.reads - reads, inside.writes), (0, 1));
    drop(inside);
    assert_eq!(records(&play, &keyring).load().unwrap(), [renewed]);
    assert_eq!(records(&play, &keyring).keeping(), Keeping::Sealed);
}

#[test]
fn a_plain_file_is_read_and_sealed_with_its_next_change() {
    let play = Play::start(Options::default());
    let keyring = Keyring::new();
    let plain = block_on(play.sign_in());
    play.records().write(&plain).unwrap();
    assert!(!is_sealed(&play, &plain));
    let sign_in = open(&play, &keyring);
    assert_eq!(sign_in.record(), Some(plain));
    play.server.expire_access_tokens();
    block_on(play.request(&sign_in)).unwrap();
    let renewed = sign_in.record().unwrap();
    assert!(is_sealed(&play, &renewed));
    assert_eq!(open(&play, &keyring).record(), Some(renewed));
    assert_eq!(aside(&play).len(), 0);
}

#[test]
fn a_locked_keyring_signs_nobody_out() {
    let play = Play::start(Options::default());
    let keyring = Keyring::new();
    open(&play, &keyring).adopt(block_on(play.sign_in())).unwrap();
    let record = open(&play, &keyring).record().unwrap();
    let file = fs::read(path(&play, &record)).unwrap();
    keyring.set(Mood::Locked);
    let sign_in = open(&play, &keyring);
    let reason = NoKey::Unavailable("it is locked".to_owned());
    assert_eq!(sign_in.standing(), Standing::Unread(reason.clone()));
    let error = block_on(sign_in.token(detach)).unwrap_err();
    assert_eq!(NoKey::of(&error), Some(&reason));
    assert_eq!(error.to_string(), "the key cannot be had now, since it is locked");
    assert_eq!(
        NoKey::of(&sign_in.sign_out().unwrap_err()),
        Some(&reason),
        "nobody is signed out by hand either"
    );
    let survey = records(&play, &keyring).survey().unwrap();
    assert_eq!((survey.kept.len(), survey.unread), (0, vec![reason]));
    let told = fingerprint(&record.tokens.clone().unwrap().access_token);
    let blind = Records::with_key(play.records().dir(), None);
    let renewal = block_on(renew(&play.http, &blind, &record.id(), &told));
    assert!(matches!(renewal, Renewal::Failed(_)), "{renewal:?}");
    assert_eq!((fs::read(path(&play, &record)).unwrap(), aside(&play).len()), (file, 0));
    // Somebody unlocks it, and the same daemon goes on.
    keyring.set(Mood::Open);
    eventually("the sign-in is read", LIMIT, || block_on(sign_in.token(detach)).is_ok());
    block_on(play.request(&sign_in)).unwrap();
    assert_eq!((sign_in.record(), play.server.seen().refreshes), (Some(record), 0));
}

#[test]
fn a_locked_keyring_is_not_asked_by_every_call() {
    let play = Play::start(Options::default());
    let keyring = Keyring::new();
    open(&play, &keyring).adopt(block_on(play.sign_in())).unwrap();
    keyring.set(Mood::Locked);
    let sign_in = open(&play, &keyring);
    let (begun, before) = (Instant::now(), keyring.inside().reads);
    for _ in 0..200 {
        block_on(sign_in.token(detach)).unwrap_err();
    }
    let asked = keyring.inside().reads - before;
    assert!(asked <= begun.elapsed().as_secs() as usize / 2 + 1, "{asked} times in {:?}", begun.elapsed());
}

#[test]
fn who_signs_in_anew_while_the_keyring_is_locked_is_signed_in_and_nothing_is_lost() {
    let play = Play::start(Options::default());
    let keyring = Keyring::new();
    open(&play, &keyring).adopt(block_on(play.sign_in())).unwrap();
    let old = open(&play, &keyring).record().unwrap();
    let file = fs::read_to_string(path(&play, &old)).unwrap();
    keyring.set(Mood::Locked);
    let sign_in = open(&play, &keyring);
    sign_in.adopt(block_on(play.sign_in())).unwrap();
    block_on(play.request(&sign_in)).unwrap();
    assert!(!is_sealed(&play, &sign_in.record().unwrap()));
    assert_eq!(aside(&play), [file]);
    let why = "it is locked".to_owned();
    assert_eq!(records(&play, &keyring).keeping(), Keeping::Plain { why });
    keyring.set(Mood::Open);
    let sign_in = open(&play, &keyring);
    play.server.expire_access_tokens();
    block_on(play.request(&sign_in)).unwrap();
    assert!(is_sealed(&play, &sign_in.record().unwrap()));
}

#[test]
fn a_key_that_is_gone_is_told_from_one_that_cannot_be_had_and_a_new_sign_in_makes_another() {
    let play = Play::start(Options::default());
    let keyring = Keyring::new();
    let mut other = block_on(play.sign_in());
    other.place.account = "other".to_owned();
    records(&play, &keyring).write(&other).unwrap();
    open(&play, &keyring).adopt(block_on(play.sign_in())).unwrap();
    let old = open(&play, &keyring).record().unwrap();
    let read = |record: &Record| fs::read_to_string(path(&play, record)).unwrap();
    let files = (read(&old), read(&other));
    keyring.inside().key = None;
    let sign_in = open_without_key(&play, &keyring);
    assert_eq!(sign_in.standing(), Standing::Unread(NoKey::Gone));
    let error = block_on(sign_in.token(detach)).unwrap_err();
    assert_eq!(error.to_string(), "the keyring of the system does not have the key any more");
    assert_eq!(keyring.inside().writes, 1, "nothing was written for that");
    sign_in.adopt(block_on(play.sign_in())).unwrap();
    assert!(is_sealed(&play, &sign_in.record().unwrap()));
    assert_eq!((aside(&play), read(&other)), (vec![files.0], files.1));
    let survey = records(&play, &keyring).survey().unwrap();
    assert_eq!((survey.kept.len(), survey.unread), (1, vec![NoKey::Gone]));
    assert_eq!(records(&play, &keyring).count_sealed().unwrap(), 2);
}

#[test]
fn a_keyring_that_is_reset_under_a_daemon_gets_the_key_again_with_the_next_sign_in() {
    let play = Play::start(Options::default());
    let keyring = Keyring::new();
    let sign_in = open(&play, &keyring);
    sign_in.adopt(block_on(play.sign_in())).unwrap();
    let key = keyring.inside().key.take();
    sign_in.adopt(block_on(play.sign_in())).unwrap();
    assert_eq!(keyring.inside().key, key);
    assert!(matches!(open(&play, &keyring).standing(), Standing::SignedIn { .. }));
}

/// A daemon that has not renewed anything yet.
fn open_without_key(play: &Play, keyring: &Arc<Keyring>) -> Arc<SignIn> {
    let renewing = Records::with_key(play.records().dir(), None);
    let renewer: Arc<dyn Renew> = Arc::new(InThread::new(play.http.clone(), renewing));
    Arc::new(SignIn::open(records(play, keyring), play.place(), renewer).unwrap())
}

#[test]
fn of_all_who_make_the_key_at_once_one_does() {
    let play = Play::start(Options::default());
    let keyring = Keyring::new();
    let start = Barrier::new(8);
    let keys: Vec<Option<SealingKey>> = thread::scope(|scope| {
        let make = || {
            start.wait();
            records(&play, &keyring).key()
        };
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(make)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(keys[0].is_some() && keys.iter().all(|key| *key == keys[0]));
    assert_eq!(keyring.inside().writes, 1);
}

#[test]
fn a_keyring_that_keeps_nothing_is_not_relied_on() {
    let play = Play::start(Options::default());
    let keyring = Keyring::new();
    keyring.set(Mood::Forgetful);
    let sign_in = open(&play, &keyring);
    sign_in.adopt(block_on(play.sign_in())).unwrap();
    assert!(!is_sealed(&play, &sign_in.record().unwrap()));
    block_on(play.request(&open(&play, &keyring))).unwrap();
}

#[test]
fn what_is_no_key_is_not_replaced() {
    let play = Play::start(Options::default());
    let keyring = Keyring::new();
    keyring.inside().key = Some(b"somebody else's".to_vec());
    let record = block_on(play.sign_in());
    records(&play, &keyring).write(&record).unwrap();
    assert!(!is_sealed(&play, &record));
    assert_eq!(keyring.inside().key.as_deref(), Some(&b"somebody else's"[..]));
}

#[test]
fn a_sealed_file_that_was_changed_or_renamed_is_broken_and_no_record() {
    let play = Play::start(Options::default());
    let keyring = Keyring::new();
    let sign_in = open(&play, &keyring);
    sign_in.adopt(block_on(play.sign_in())).unwrap();
    let record = sign_in.record().unwrap();
    let mut other = record.clone();
    other.place.account = "other".to_owned();
    fs::rename(path(&play, &record), path(&play, &other)).unwrap();
    let survey = records(&play, &keyring).survey().unwrap();
    assert_eq!((survey.kept.len(), survey.unread.len()), (0, 0));
    let error = records(&play, &keyring).read(&other.id()).unwrap_err();
    assert_eq!((error.kind(), NoKey::of(&error)), (std::io::ErrorKind::InvalidData, None));
}

#[test]
fn a_sealed_sign_in_that_cannot_be_read_is_not_hidden_by_one_that_is_over() {
    let play = Play::start(Options::default());
    let keyring = Keyring::new();
    // Where the server was before, and somebody has signed out.
    let mut over = block_on(play.sign_in());
    over.issuer = "https://elsewhere.example".to_owned();
    over.tokens = None;
    play.records().write(&over).unwrap();
    records(&play, &keyring).write(&block_on(play.sign_in())).unwrap();
    keyring.set(Mood::Locked);
    let place: Place = play.place();
    let error = records(&play, &keyring).find(&place).unwrap_err();
    assert!(NoKey::of(&error).is_some(), "{error}");
    keyring.set(Mood::Open);
    assert!(records(&play, &keyring).find(&place).unwrap().unwrap().tokens.is_some());
    let sign_in = open(&play, &keyring);
    assert!(!access_token(&sign_in).expose().is_empty());
}

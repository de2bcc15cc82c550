//! On Linux against a bus of the test's own; on Windows against the real credentials.

use super::*;

#[test]
fn nobody_waits_for_a_keyring_that_hangs_and_few_threads_do() {
    let keyring = Keyring::new(&[], "exai", "a test").with_timeout(Duration::from_millis(50));
    let (release, hold) = sync_channel::<()>(0);
    let hold = std::sync::Arc::new(std::sync::Mutex::new(hold));
    let hang = || {
        let hold = hold.clone();
        keyring.ask(move |_, _, _| {
            // Ends when `release` is dropped.
            let _ = hold.lock().unwrap().recv();
            Ok(())
        })
    };
    for _ in 0..MAX_WAITING {
        assert_eq!(hang(), Err(KeyringError::Silent));
    }
    let asked = std::time::Instant::now();
    let more = keyring.clone().with_timeout(Duration::from_mins(1));
    assert_eq!(more.ask(|_, _, _| Ok(())), Err(KeyringError::Silent), "no further thread");
    assert!(asked.elapsed() < Duration::from_secs(30), "nor a wait");
    drop(release);
    exai_test::eventually("the threads end", Duration::from_secs(10), || {
        keyring.ask(|_, _, _| Ok(7)) == Ok(7)
    });
}

#[cfg(windows)]
#[test]
fn the_credentials_of_windows_keep_what_they_are_given() {
    let keyring = Keyring::new(&[], "exai-test", &format!("test {}", std::process::id()));
    assert_eq!(keyring.read(), Ok(None));
    keyring.write(b"one\0\xff").unwrap();
    assert_eq!(keyring.read(), Ok(Some(b"one\0\xff".to_vec())));
    keyring.write(&[7; 32]).unwrap();
    assert_eq!(keyring.read(), Ok(Some(vec![7; 32])));
    keyring.remove().unwrap();
    keyring.remove().unwrap();
    assert_eq!(keyring.read(), Ok(None));
}

#[cfg(target_os = "linux")]
mod linux {
    use exai_test::secret_service::{Mood, SecretService};

    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(10);

    /// A keyring of a session with this bus.
    fn keyring(address: &str, user: &str) -> Keyring {
        let environment = [
            ("DBUS_SESSION_BUS_ADDRESS".into(), address.into()),
            // A real bus of this account must not answer.
            ("XDG_RUNTIME_DIR".into(), "/nowhere".into()),
        ];
        let mut keyring = Keyring::new(&environment, "exai-test", user).with_timeout(TIMEOUT);
        keyring.place.keep_only_named();
        keyring
    }

    #[test]
    fn what_is_written_is_read_again_and_belongs_to_its_user_alone() {
        let dir = tempfile::tempdir().unwrap();
        let service = SecretService::start(dir.path());
        let (one, other) = (keyring(service.address(), "one"), keyring(service.address(), "other"));
        assert_eq!(one.read(), Ok(None));
        one.write(b"old").unwrap();
        one.write(b"\0\xff new").unwrap();
        assert_eq!((one.read(), other.read()), (Ok(Some(b"\0\xff new".to_vec())), Ok(None)));
        let items = service.items();
        let attributes = [("service", "exai-test"), ("user", "one")];
        assert_eq!(items.len(), 1);
        assert_eq!(items[0].attributes, attributes.map(|(name, value)| (name.to_owned(), value.to_owned())));
        other.remove().unwrap();
        one.remove().unwrap();
        assert_eq!((one.read(), service.items().len()), (Ok(None), 0));
    }

    #[test]
    fn a_keyring_that_needs_a_person_is_locked_and_asks_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let service = SecretService::start(dir.path());
        let keyring = keyring(service.address(), "one");
        keyring.write(b"kept").unwrap();
        for mood in [Mood::Locked, Mood::LockedAndSilent] {
            service.set(mood);
            assert_eq!(keyring.read(), Err(KeyringError::Locked), "{mood:?}");
            assert_eq!(keyring.write(b"x"), Err(KeyringError::Locked), "{mood:?}");
        }
        service.set(Mood::Asking);
        assert_eq!(keyring.write(b"x"), Err(KeyringError::Locked));
        service.set(Mood::Open);
        assert_eq!((keyring.read(), service.prompts()), (Ok(Some(b"kept".to_vec())), 0));
    }

    #[test]
    fn where_there_is_no_keyring_that_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let service = SecretService::start(dir.path());
        let found = keyring(service.address(), "one");
        for mood in [Mood::Gone, Mood::Empty] {
            service.set(mood);
            assert!(matches!(found.read(), Err(KeyringError::Absent(_))), "{mood:?} {:?}", found.read());
            assert!(matches!(found.write(b"x"), Err(KeyringError::Absent(_))), "{mood:?}");
        }
        let nowhere = keyring(&format!("unix:path={}/nothing", dir.path().display()), "one");
        assert!(matches!(nowhere.read(), Err(KeyringError::Absent(_))), "{:?}", nowhere.read());
        // An address that would start a program.
        let mark = dir.path().join("started");
        let program = keyring(&format!("unixexec:path=/usr/bin/touch,argv1={}", mark.display()), "one");
        assert!(matches!(program.read(), Err(KeyringError::Absent(_))), "{:?}", program.read());
        assert!(!mark.exists());
    }

    #[test]
    fn a_keyring_that_hangs_is_given_up() {
        let dir = tempfile::tempdir().unwrap();
        let service = SecretService::start(dir.path());
        service.set(Mood::Hanging);
        let keyring = keyring(service.address(), "one").with_timeout(Duration::from_millis(200));
        assert_eq!(keyring.read(), Err(KeyringError::Silent));
        service.set(Mood::Open);
        exai_test::eventually("it answers again", TIMEOUT, || keyring.read() == Ok(None));
    }

    #[test]
    fn the_bus_of_the_account_is_found_without_a_variable() {
        let dir = tempfile::tempdir().unwrap();
        let service = SecretService::start(dir.path());
        let socket = service.address().strip_prefix("unix:path=").unwrap();
        std::fs::rename(socket, dir.path().join("bus")).unwrap();
        let environment = [("XDG_RUNTIME_DIR".into(), dir.path().into())];
        let keyring = Keyring::new(&environment, "exai-test", "one").with_timeout(TIMEOUT);
        keyring.write(b"kept").unwrap();
        assert_eq!((keyring.read(), service.items().len()), (Ok(Some(b"kept".to_vec())), 1));
    }
}

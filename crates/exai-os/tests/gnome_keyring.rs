//! The keyring that most sessions of Linux have, where the machine has it: what the fake of the other tests imitates.
#![cfg(target_os = "linux")]

use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use exai_os::keyring::{Keyring, KeyringError};
use exai_test::eventually;

const TIMEOUT: Duration = Duration::from_secs(10);

fn find(name: &str) -> Option<String> {
    let paths = ["/usr/bin", "/bin"].map(|folder| format!("{folder}/{name}"));
    paths.into_iter().find(|path| Path::new(path).exists())
}

#[test]
#[allow(clippy::print_stderr, reason = "says why it proves nothing there")]
fn gnome_keyring_keeps_what_it_is_given() {
    let (Some(bus), Some(program)) = (find("dbus-daemon"), find("gnome-keyring-daemon")) else {
        eprintln!("skipped: dbus-daemon and gnome-keyring-daemon are not both installed");
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let address = format!("unix:path={}/session", dir.path().display());
    let start = |command: &mut Command| {
        command.env_clear().env("HOME", dir.path()).env("XDG_RUNTIME_DIR", dir.path());
        command.env("DBUS_SESSION_BUS_ADDRESS", &address).stdin(Stdio::piped());
        Ended(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    };
    // A bus that starts no programs by itself.
    let config = dir.path().join("bus.conf");
    let text = format!(
        "<busconfig><type>session</type><listen>{address}</listen><policy context='default'>\
         <allow send_destination='*'/><allow receive_sender='*'/><allow own='*'/></policy></busconfig>"
    );
    std::fs::write(&config, text).unwrap();
    let _bus = start(Command::new(bus).arg("--nofork").arg(format!("--config-file={}", config.display())));
    eventually("the bus listens", TIMEOUT, || dir.path().join("session").exists());
    let environment = [("DBUS_SESSION_BUS_ADDRESS".into(), address.clone().into())];
    let keyring = Keyring::new(&environment, "exai-test", "one").with_timeout(TIMEOUT);
    let absent = keyring.read();
    assert!(matches!(absent, Err(KeyringError::Absent(_))), "{absent:?}");
    let begin = |how: &[&str]| {
        let mut begun =
            start(Command::new(&program).args(["--foreground", "--components=secrets"]).args(how));
        begun.0.stdin.take().unwrap().write_all(b"a password").unwrap();
        begun
    };
    let unlocked = begin(&["--unlock"]);
    eventually("it is unlocked", TIMEOUT, || keyring.read() == Ok(None));
    keyring.write(b"old").unwrap();
    keyring.write(b"\0\xff new").unwrap();
    assert_eq!(keyring.read(), Ok(Some(b"\0\xff new".to_vec())));
    drop(unlocked);
    let locked = begin(&[]);
    eventually("it is locked", TIMEOUT, || keyring.read() == Err(KeyringError::Locked));
    assert_eq!(keyring.write(b"x"), Err(KeyringError::Locked));
    drop(locked);
    let _unlocked = begin(&["--unlock"]);
    eventually("it is kept", TIMEOUT, || keyring.read() == Ok(Some(b"\0\xff new".to_vec())));
    keyring.remove().unwrap();
    assert_eq!(keyring.read(), Ok(None));
}

/// A process that ends with this value.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

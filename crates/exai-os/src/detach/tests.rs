use std::io::{Read as _, Write as _};
use std::time::Duration;

use super::*;

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

/// Starts `sh` as the daemon. Its arguments are `--way session --ready` and the number of the descriptor.
fn shell(script: &str, dir: &Path) -> Started {
    let args = ["-c", script, "daemon"].map(OsString::from);
    let env = [("ONLY".into(), "this".into())];
    spawn(Path::new("/bin/sh"), &args, &env, dir, &dir.join("daemon.log"), soon()).unwrap()
}

#[test]
fn starts_in_a_session_of_its_own_with_nothing_of_ours() {
    let dir = tempfile::tempdir().unwrap();
    let leak = File::create(dir.path().join("leak")).unwrap();
    rustix::io::fcntl_setfd(&leak, rustix::io::FdFlags::empty()).unwrap();
    let script = r#"echo to the log
        for fd in /proc/$$/fd/*; do [ "$fd" -ef leak ] && echo leaked >&$4; done
        read -r stat < /proc/$$/stat
        echo "$1 $2 $3|$ONLY$HOME|$(pwd)|$stat" >&$4"#;
    let mut started = shell(script, dir.path());
    let message = String::from_utf8(started.ready.read_to_end_until(soon()).unwrap()).unwrap();
    let pid = started.pid.to_string();
    let words: Vec<&str> = message.split('|').collect();
    assert_eq!(words[..3], ["--way session --ready", "this", dir.path().to_str().unwrap()], "{message}");
    let session = words[3].rsplit_once(')').unwrap().1.split(' ').nth(4).unwrap();
    assert_eq!(session, pid, "its own session");
    assert_eq!(std::fs::read_to_string(dir.path().join("daemon.log")).unwrap(), "to the log\n");
    // The process is reaped without any call of this test.
    while Path::new(&format!("/proc/{pid}")).exists() {
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn death_is_an_empty_message_and_silence_a_timeout() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(shell("exit 3", dir.path()).ready.read_to_end_until(soon()).unwrap(), b"");
    let mut silent = shell("exec sleep 60", dir.path());
    let error = silent.ready.read_to_end_until(Instant::now() + Duration::from_millis(30)).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    let identity = crate::process::identify(silent.pid).unwrap().unwrap();
    crate::process::kill_verified(&identity, crate::process::Kill::Force).unwrap();
    let mut rest = Vec::new();
    silent.ready.read_to_end(&mut rest).unwrap();
    assert!(rest.is_empty());
}

#[test]
fn a_missing_program_is_an_error_of_the_starter() {
    let dir = tempfile::tempdir().unwrap();
    let error = spawn(&dir.path().join("nothing"), &[], &[], dir.path(), &dir.path().join("log"), soon())
        .unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
}

#[test]
fn a_token_works_once_and_for_a_handed_over_pipe_only() {
    use std::os::fd::{AsRawFd as _, IntoRawFd as _};
    let (mut reader, writer) = std::io::pipe().unwrap();
    let token = writer.as_raw_fd().to_string();
    // The descriptor is close-on-exec, so it cannot be one that a starter has handed over.
    assert!(ready_writer(&token).is_err());
    rustix::io::fcntl_setfd(&writer, rustix::io::FdFlags::empty()).unwrap();
    let _ = writer.into_raw_fd();
    let mut file = ready_writer(&token).unwrap();
    assert!(ready_writer(&token).is_err());
    file.write_all(b"ready").unwrap();
    drop(file);
    let mut message = String::new();
    reader.read_to_string(&mut message).unwrap();
    assert_eq!(message, "ready");
    for token in ["", "1", "-1", "x", "99999"] {
        assert!(ready_writer(token).is_err(), "{token}");
    }
}

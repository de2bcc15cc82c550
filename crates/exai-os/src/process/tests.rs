use std::process::Child;
#[cfg(target_os = "linux")]
use std::process::Command;
use std::time::Duration;

use super::*;

fn sleeper() -> Child {
    exai_test::sleeper().spawn().unwrap()
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(10)
}

#[test]
fn knows_this_process() {
    let me = current().unwrap();
    assert_eq!(me.pid, std::process::id());
    assert!(me.start > 0 && !me.boot.is_empty());
    assert_eq!(identify(me.pid).unwrap(), Some(me.clone()));
    assert_eq!(identify(u32::MAX).unwrap(), None);
    let all = snapshot().unwrap();
    let row = all.iter().find(|row| row.pid == me.pid).unwrap();
    assert_eq!(row.start, me.start);
    assert!(row.rss_bytes > 100_000 && !row.zombie);
    assert_eq!(executable(me.pid).unwrap(), std::env::current_exe().unwrap());
}

#[test]
fn reads_a_command_line() {
    let mut child = sleeper();
    // The kernel sets the command line a moment after the new program has started.
    let deadline = soon();
    let mut line = Vec::new();
    while line.is_empty() && Instant::now() < deadline {
        line = command_line(child.id()).unwrap();
    }
    assert_eq!(line, [exai_test::program("fixture-server").to_str().unwrap(), "--sleep"]);
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn ends_the_process_that_was_meant() {
    let mut child = sleeper();
    let identity = identify(child.id()).unwrap().unwrap();
    assert!(!wait_gone(&identity, Instant::now()).unwrap());
    assert_eq!(kill_verified(&identity, Kill::Terminate).unwrap(), Killed::Signalled);
    assert!(wait_gone(&identity, soon()).unwrap());
    // Until this test reaps it, the process is a zombie, which counts as gone.
    assert_eq!(identify(child.id()).unwrap(), None);
    let all = snapshot().unwrap();
    let row = all.iter().find(|row| row.pid == identity.pid);
    assert!(row.map_or(cfg!(windows), |row| row.zombie));
    assert_eq!(kill_verified(&identity, Kill::Force).unwrap(), Killed::AlreadyGone);
    child.wait().unwrap();
    assert_eq!(kill_verified(&identity, Kill::Force).unwrap(), Killed::AlreadyGone);
    assert!(wait_gone(&identity, Instant::now()).unwrap());
}

/// The main thread of this process has ended, so the process looks like a zombie, but another thread works on.
#[cfg(target_os = "linux")]
#[test]
fn a_process_without_its_first_thread_lives() {
    let script = "import ctypes, threading, time\nthreading.Thread(target=time.sleep, args=(60,)).start()\n\
                  ctypes.CDLL(None).pthread_exit(None)";
    let mut child = Command::new("python3").args(["-c", script]).spawn().unwrap();
    let deadline = soon();
    let state = || std::fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap();
    while !state().contains(") Z ") {
        assert!(Instant::now() < deadline, "{}", state());
        std::thread::sleep(Duration::from_millis(5));
    }
    let identity = identify(child.id()).unwrap().expect("it lives");
    assert!(!wait_gone(&identity, Instant::now()).unwrap());
    assert!(snapshot().unwrap().iter().any(|row| row.pid == identity.pid && !row.zombie));
    assert_eq!(kill_verified(&identity, Kill::Force).unwrap(), Killed::Signalled);
    assert!(wait_gone(&identity, soon()).unwrap());
    assert_eq!(identify(child.id()).unwrap(), None);
    child.wait().unwrap();
}

#[test]
fn spares_another_process_with_the_same_pid() {
    let mut child = sleeper();
    let real = identify(child.id()).unwrap().unwrap();
    let earlier = Identity { start: real.start - 1, ..real.clone() };
    assert_eq!(kill_verified(&earlier, Kill::Force).unwrap(), Killed::NotTheSame);
    let other_boot = Identity { boot: "another".into(), ..real };
    assert_eq!(kill_verified(&other_boot, Kill::Force).unwrap(), Killed::NotTheSame);
    assert!(wait_gone(&earlier, Instant::now()).unwrap());
    assert!(child.try_wait().unwrap().is_none());
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn refuses_to_end_itself_or_init() {
    let me = current().unwrap();
    assert!(kill_verified(&me, Kill::Terminate).is_err());
    assert!(kill_verified(&Identity { pid: 1, ..me.clone() }, Kill::Terminate).is_err());
    assert!(kill_verified(&Identity { pid: 0, ..me }, Kill::Terminate).is_err());
}

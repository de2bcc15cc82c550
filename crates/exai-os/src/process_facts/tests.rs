use std::io::{Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
#[cfg(target_os = "linux")]
use std::time::Instant;

use super::*;

struct Cat(Child);

#[cfg(windows)]
impl Cat {
    /// Starts the fixture server instead of `cat`, and waits for its answer: before that its environment is not stable.
    fn start() -> Self {
        let mut command = Command::new(exai_test::program("fixture-server"));
        command.env("EXAI_TEST_VALUE", "a=b c").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut server = Cat(command.spawn().unwrap());
        server
            .0
            .stdin
            .as_mut()
            .unwrap()
            .write_all(b"{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"ping\"}\n")
            .unwrap();
        assert_eq!(server.0.stdout.as_mut().unwrap().read(&mut [0]).unwrap(), 1);
        server
    }
}

#[cfg(target_os = "linux")]
impl Cat {
    /// Starts `cat`, and waits for its answer, which shows that its start is over.
    fn start() -> Self {
        let mut command = Command::new("cat");
        command.env("EXAI_TEST_VALUE", "a=b c").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut cat = Cat(command.spawn().unwrap());
        cat.exchange(b"hello");
        cat
    }

    fn exchange(&mut self, text: &[u8]) {
        self.0.stdin.as_mut().unwrap().write_all(text).unwrap();
        let mut answer = vec![0; text.len()];
        self.0.stdout.as_mut().unwrap().read_exact(&mut answer).unwrap();
        assert_eq!(answer, text);
    }
}

impl Drop for Cat {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_child_holds_the_other_ends_of_our_pipes() {
    let cat = Cat::start();
    let stdin = PipeId::of(cat.0.stdin.as_ref().unwrap()).unwrap();
    let stdout = PipeId::of(cat.0.stdout.as_ref().unwrap()).unwrap();
    assert_ne!(stdin, stdout);
    let all = [(stdin, End::Read), (stdin, End::Write), (stdout, End::Read), (stdout, End::Write)];
    assert_eq!(holds(cat.0.id(), all).unwrap(), [true, false, false, true]);
    assert_eq!(holds(std::process::id(), all).unwrap(), [false, true, true, false]);
    let file = std::fs::File::open("/dev/null").unwrap();
    assert_eq!(PipeId::of(&file).unwrap_err().kind(), io::ErrorKind::InvalidInput);
}

#[cfg(target_os = "linux")]
#[test]
fn counters_move_by_what_went_through() {
    let mut cat = Cat::start();
    let before = io_counters(cat.0.id()).unwrap();
    cat.exchange(&b"x".repeat(20_000));
    // The kernel counts written bytes only after it has woken the reader.
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let after = io_counters(cat.0.id()).unwrap();
        let moved = (after.read - before.read, after.written - before.written);
        if moved == (20_000, 20_000) {
            break;
        }
        assert!(moved.0 <= 20_000 && moved.1 <= 20_000 && Instant::now() < deadline, "{moved:?}");
        std::thread::yield_now();
    }
}

#[test]
fn variables_of_another_process_are_read() {
    let cat = Cat::start();
    let variable = |name| environment_variable(cat.0.id(), name).unwrap();
    assert_eq!(variable("EXAI_TEST_VALUE").as_deref(), Some("a=b c"));
    assert_eq!(variable("EXAI_TEST"), None);
    assert_eq!(variable("EXAI_TEST_VALUE=a"), None);
    assert_eq!(variable(""), None);
}

#[cfg(target_os = "linux")]
#[test]
fn where_a_process_works_is_known_by_the_path_that_the_system_writes() {
    let directory = tempfile::tempdir().unwrap();
    let (here, link) = (directory.path().join("here"), directory.path().join("link"));
    std::fs::create_dir(&here).unwrap();
    std::os::unix::fs::symlink(&here, &link).unwrap();
    let mut command = Command::new("cat");
    command.current_dir(&link).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut cat = Cat(command.spawn().unwrap());
    cat.exchange(b"hello");
    let works_in = |path: &Path| works_in(cat.0.id(), path).unwrap();
    assert!(works_in(&here.canonicalize().unwrap()));
    for other in
        [&link, directory.path(), &here.join("."), &here.join("../here"), Path::new("here"), Path::new("")]
    {
        assert!(!works_in(other), "{}", other.display());
    }
    std::fs::remove_dir(&here).unwrap();
    assert!(!works_in(&here), "it is another directory that may be there again");
}

#[test]
fn start_times_are_on_two_clocks() {
    let before = (clock().unwrap(), SystemTime::now());
    let cat = Cat::start();
    let start = crate::process::identify(cat.0.id()).unwrap().unwrap().start;
    assert!((before.0..=clock().unwrap()).contains(&start));
    let shown = started_at(start).unwrap().unwrap();
    // A tick is 10 ms.
    let slack = Duration::from_millis(50);
    assert!(shown > before.1 - slack && shown < SystemTime::now() + slack, "{shown:?}");
    // A broken record may hold this number.
    started_at(u64::MAX).unwrap();
}

#[test]
fn nobody_has_lived_for_less_than_no_time() {
    let now = clock().unwrap();
    let while_ago = now / 1000;
    assert_eq!(age(now + while_ago).unwrap(), Some(Duration::ZERO));
    let lived = age(now - while_ago).unwrap().unwrap();
    assert!(lived > Duration::ZERO, "{lived:?}");
}

#[cfg(target_os = "linux")]
#[test]
fn who_is_gone_is_not_found() {
    let mut cat = Cat::start();
    let stdin = PipeId::of(cat.0.stdin.as_ref().unwrap()).unwrap();
    cat.0.kill().unwrap();
    cat.0.wait().unwrap();
    let pid = cat.0.id();
    let kinds = [
        holds(pid, [(stdin, End::Read)]).unwrap_err().kind(),
        io_counters(pid).unwrap_err().kind(),
        environment_variable(pid, "PATH").unwrap_err().kind(),
        works_in(pid, Path::new("/")).unwrap_err().kind(),
    ];
    assert_eq!(kinds, [io::ErrorKind::NotFound; 4]);
}

//! The token goes only to the daemon. In some cases the test itself is the daemon, in others a stranger.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::time::Duration;

use exai_config::Home;
use exai_os::lock::{self, HeldLock};
use exai_proto::documents::{self, Identity};
use exai_proto::link::Role;

use super::*;

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// The state directory of a daemon that seems to live.
struct Fake {
    _directory: tempfile::TempDir,
    home: Home,
    _lock: HeldLock,
    /// Keeps other code from starting a real daemon.
    _starting: HeldLock,
}

impl Fake {
    fn new() -> Fake {
        let directory = tempfile::tempdir().unwrap();
        let home = Home::at(directory.path().join("home"));
        home.prepare().unwrap();
        private::write_atomic(&home.token(), format!("{TOKEN}\n").as_bytes()).unwrap();
        let held = lock::try_lock(&home.instance_lock()).unwrap().unwrap();
        let starting = lock::try_lock(&home.spawn_lock()).unwrap().unwrap();
        Fake { _directory: directory, home, _lock: held, _starting: starting }
    }

    /// Writes a record that names the process with this identity as the daemon.
    fn is(&self, identity: process::Identity, listens: &[SocketAddr]) {
        let listener = |addr: &SocketAddr| documents::Listener {
            kind: "tcp".to_owned(),
            addr: addr.to_string(),
            owner_pid: Some(identity.pid),
            verified: true,
        };
        let record = DaemonRecord {
            schema: documents::SCHEMA,
            pid: identity.pid,
            instance: "one".to_owned(),
            identity: Identity { boot: identity.boot, pid: identity.pid, start: identity.start },
            started_at: String::new(),
            version: String::new(),
            exe: String::new(),
            launchers: Vec::new(),
            listeners: listens.iter().map(listener).collect(),
        };
        private::write_atomic(&self.home.daemon_record(), &serde_json::to_vec(&record).unwrap()).unwrap();
    }

    fn connect(&self, addr: SocketAddr) -> Result<LinkHalves, RouteError> {
        self.connect_within(addr, Duration::from_secs(20))
    }

    fn connect_within(&self, addr: SocketAddr, limit: Duration) -> Result<LinkHalves, RouteError> {
        let connector = DaemonConnector::new(self.home.clone(), crate::hello(Role::Command));
        let url = McpUrl { addr, path: "/mcp/files".to_owned() };
        UrlConnector::new(connector, url).connect_or_start(Instant::now() + limit)
    }
}

fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    (listener, addr)
}

/// Another living process: the starter of the test, or any process where the starter cannot be seen.
fn other() -> process::Identity {
    let above = process::ancestors(std::process::id()).unwrap().into_iter();
    let mut others = above.chain(process::snapshot().unwrap()).filter(|one| one.pid != std::process::id());
    others.find_map(|one| process::identify(one.pid).ok()?).unwrap()
}

/// Checks that no connection has sent anything.
fn heard_nothing(listener: TcpListener) {
    listener.set_nonblocking(true).unwrap();
    while let Ok((mut stream, _)) = listener.accept() {
        stream.set_nonblocking(false).unwrap();
        let mut heard = Vec::new();
        let _ = stream.read_to_end(&mut heard);
        assert_eq!(String::from_utf8_lossy(&heard), "");
    }
}

#[test]
fn the_daemon_that_listens_gets_the_token_and_nothing_a_browser_would_send() {
    let fake = Fake::new();
    let (listener, addr) = listener();
    fake.is(process::current().unwrap(), &[addr]);
    let daemon = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut head = [0; 4096];
        let mut length = 0;
        while !head[..length].ends_with(b"\r\n\r\n") {
            length += stream.read(&mut head[length..]).unwrap();
        }
        let answer = "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\
             Sec-WebSocket-Protocol: mcp\r\n\r\n\x01\x01a";
        stream.write_all(answer.as_bytes()).unwrap();
        String::from_utf8_lossy(&head[..length]).into_owned()
    });
    let (stream, _) = fake.connect(addr).unwrap();
    let Stream::Tcp(tcp) = &*stream else { panic!("not TCP") };
    assert!(tcp.nodelay().unwrap() && tcp.read_timeout().unwrap().is_none());
    let head = daemon.join().unwrap();
    assert!(head.starts_with("GET /mcp/files HTTP/1.1\r\n"), "{head}");
    for line in [
        &*format!("Host: {addr}"),
        &*format!("Authorization: Bearer {TOKEN}"),
        "Sec-WebSocket-Protocol: mcp",
        "Upgrade: websocket",
    ] {
        assert_eq!(head.lines().filter(|found| *found == line).count(), 1, "{line} in {head}");
    }
    assert!(!head.to_ascii_lowercase().contains("origin"), "{head}");
}

#[test]
fn a_stranger_gets_nothing_and_is_named() {
    let fake = Fake::new();
    let (listener, addr) = listener();
    // The result must be the same when the record claims that the daemon listens at this very port.
    for listens in [&[][..], &["127.0.0.1:1".parse().unwrap()], &[addr]] {
        fake.is(other(), listens);
        let error = fake.connect(addr).unwrap_err();
        assert!(error.is_final() && matches!(error, RouteError::Foreign { .. }), "{error}");
        let (sentence, me) = (error.to_string(), format!("(pid {})", std::process::id()));
        assert!(sentence.contains(&me) && sentence.contains(&addr.to_string()), "{sentence}");
        assert_eq!(sentence.lines().count(), 1);
    }
    heard_nothing(listener);
}

#[test]
fn a_record_of_a_process_that_is_gone_proves_nothing() {
    let fake = Fake::new();
    let (listener, addr) = listener();
    let me = process::current().unwrap();
    fake.is(process::Identity { start: me.start - 1, ..me }, &[addr]);
    assert!(fake.connect_within(addr, Duration::from_millis(300)).is_err());
    heard_nothing(listener);
}

#[test]
fn a_daemon_on_another_port_is_said_at_once_and_one_without_a_port_is_waited_for() {
    let fake = Fake::new();
    let (listener, addr) = listener();
    drop(listener);
    let elsewhere = "127.0.0.1:1".parse().unwrap();
    fake.is(other(), &[elsewhere]);
    let error = fake.connect(addr).unwrap_err();
    assert!(matches!(error, RouteError::Elsewhere { listens, .. } if listens == elsewhere), "{error}");
    fake.is(other(), &[]);
    let error = fake.connect_within(addr, Duration::from_millis(300)).unwrap_err();
    assert!(matches!(error, RouteError::Silent { .. }) && !error.is_final(), "{error}");
}

#[test]
fn what_is_no_token_is_not_sent() {
    let fake = Fake::new();
    let (listener, addr) = listener();
    fake.is(process::current().unwrap(), &[addr]);
    for token in ["", "\n", "two\r\nlines"] {
        private::write_atomic(&fake.home.token(), token.as_bytes()).unwrap();
        let error = fake.connect(addr).unwrap_err();
        assert!(matches!(error, RouteError::Token { .. }), "{error}");
    }
    heard_nothing(listener);
}

use std::io::{Read as _, Write as _};
use std::time::Instant;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;

#[test]
fn names_survive_their_text_form() {
    let dir = tempfile::tempdir().unwrap();
    let endpoint = Endpoint::fresh(dir.path(), "6f2c").unwrap();
    assert_eq!(endpoint.to_string().parse::<Endpoint>().unwrap(), endpoint);
    for text in ["", "relative/s.sock", "\\\\server\\pipe\\exai", "http://localhost"] {
        assert!(text.parse::<Endpoint>().is_err(), "{text}");
    }
    assert!(Endpoint::fresh(dir.path(), "../x").is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_threads_read_and_write_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let endpoint = Endpoint::fresh(dir.path(), "1").unwrap();
    let mut listener = Listener::bind(&endpoint).unwrap();
    let client = std::thread::spawn(move || {
        let connection = Connection::connect(&endpoint, Duration::from_secs(5)).unwrap();
        let peer = connection.peer().unwrap();
        assert!(peer.same_user);
        assert_eq!(peer.pid, Some(std::process::id()));
        std::thread::scope(|scope| {
            // The reader blocks before anything is written. The writer must not wait for the reader.
            let reader = scope.spawn(|| {
                let mut text = [0; 5];
                (&connection).read_exact(&mut text).unwrap();
                text
            });
            std::thread::sleep(Duration::from_millis(20));
            (&connection).write_all(b"hello").unwrap();
            assert_eq!(&reader.join().unwrap(), b"HELLO");
        });
        connection.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let started = Instant::now();
        let error = (&connection).read(&mut [0]).unwrap_err();
        assert!(matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut), "{error}");
        assert!(started.elapsed() < Duration::from_secs(2));
        connection.set_read_timeout(None).unwrap();
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| (&connection).read(&mut [0]));
            std::thread::sleep(Duration::from_millis(20));
            connection.close();
            assert!(matches!(reader.join().unwrap(), Ok(0) | Err(_)));
        });
    });
    let (mut stream, peer) = listener.accept().await.unwrap();
    assert!(peer.same_user);
    assert_eq!(peer.pid, Some(std::process::id()));
    let mut text = [0; 5];
    stream.read_exact(&mut text).await.unwrap();
    text.make_ascii_uppercase();
    stream.write_all(&text).await.unwrap();
    // The client's close arrives as an end (Unix) or a broken pipe (Windows).
    assert!(matches!(stream.read(&mut text).await, Ok(0) | Err(_)));
    client.join().unwrap();
}

#[tokio::test]
async fn accepts_many_before_anybody_asks() {
    let dir = tempfile::tempdir().unwrap();
    let endpoint = Endpoint::fresh(dir.path(), "2").unwrap();
    let mut listener = Listener::bind(&endpoint).unwrap();
    let count = if cfg!(windows) { 4 } else { 200 };
    let clients: Vec<_> =
        (0..count).map(|_| Connection::connect(&endpoint, Duration::from_secs(5)).unwrap()).collect();
    for _ in &clients {
        listener.accept().await.unwrap();
    }
}

#[tokio::test]
async fn a_dropped_listener_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let endpoint = Endpoint::fresh(dir.path(), "3").unwrap();
    let listener = Listener::bind(&endpoint).unwrap();
    // Wine lets a second process serve a pipe of the same name.
    assert!(crate::build::under_wine() || Listener::bind(&endpoint).is_err());
    drop(listener);
    let error = Connection::connect(&endpoint, Duration::from_millis(200)).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
}

#[cfg(target_os = "linux")]
#[test]
fn a_daemon_that_accepts_nobody_does_not_hold_its_clients() {
    let dir = tempfile::tempdir().unwrap();
    let endpoint = Endpoint::fresh(dir.path(), "6").unwrap();
    let (family, kind) = (rustix::net::AddressFamily::UNIX, rustix::net::SocketType::STREAM);
    let socket = rustix::net::socket(family, kind, None).unwrap();
    let address = rustix::net::SocketAddrUnix::new(endpoint.to_string()).unwrap();
    rustix::net::bind(&socket, &address).unwrap();
    rustix::net::listen(&socket, 1).unwrap();
    let mut kept = Vec::new();
    let started = Instant::now();
    let error = loop {
        match Connection::connect(&endpoint, Duration::from_millis(50)) {
            Ok(connection) => kept.push(connection),
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    assert!(started.elapsed() < Duration::from_secs(5) && kept.len() < 10);
}

#[cfg(unix)]
#[tokio::test]
async fn sockets_are_private_and_the_dead_ones_are_swept() {
    use std::os::unix::fs::PermissionsExt as _;

    let dir = tempfile::tempdir().unwrap();
    let endpoint = Endpoint::fresh(dir.path(), "4").unwrap();
    let listener = Listener::bind(&endpoint).unwrap();
    let mode = std::fs::metadata(endpoint.to_string()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    std::mem::forget(listener); // a killed daemon does not remove its socket either
    std::fs::write(dir.path().join("s-not-a-socket.sock"), "").unwrap();
    assert_eq!(Endpoint::sweep(dir.path()).unwrap(), 1);
    assert!(!Path::new(&endpoint.to_string()).exists());
    assert!(dir.path().join("s-not-a-socket.sock").exists());
}

#[cfg(unix)]
#[test]
fn a_long_home_does_not_make_a_broken_name() {
    let dir = tempfile::tempdir().unwrap();
    let deep = dir.path().join("x".repeat(120));
    std::fs::create_dir(&deep).unwrap();
    match Endpoint::fresh(&deep, "5") {
        Ok(endpoint) => assert!(endpoint.to_string().len() <= 100),
        Err(error) => assert!(error.to_string().contains("too long"), "{error}"),
    }
}

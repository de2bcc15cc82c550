//! What comes in the moment in which a token is removed.

use std::io::{BufRead as _, BufReader, ErrorKind, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use exai_config::Home;
use exai_config::named_token_edit::remove_named_token;
use exai_test::eventually;
use serde_json::json;

use super::{Visitor, add, ends, hello, instance, judged, tokens_of_clients, upgrade};
use crate::http::{connect, http};
use crate::support::{LIMIT, add_modern_meta};

#[test]
fn who_comes_while_a_token_is_removed_does_not_stay() {
    let instance = instance();
    let (port, laptop) = (instance.port(), add(&instance, "laptop"));
    let bearer = format!("Bearer {laptop}");
    let upgrade = upgrade(&bearer);
    let (opened, begun) = (AtomicUsize::new(0), AtomicUsize::new(0));
    // Each opens WebSockets or sessions until it is refused.
    let open_sockets = || {
        let mut open = Vec::new();
        loop {
            let response = http(port, "GET", "/mcp/fix", &upgrade, "");
            if response.status == 401 {
                return open;
            }
            assert_eq!(response.status, 101);
            open.push(response);
            opened.fetch_add(1, Ordering::Relaxed);
        }
    };
    let begin_sessions = || {
        loop {
            match begin_session(port, &bearer) {
                Some(200) => begun.fetch_add(1, Ordering::Relaxed),
                Some(401) => return,
                Some(other) => panic!("{other}"),
                // It was under way in that moment.
                None => 0,
            };
        }
    };
    thread::scope(|scope| {
        let sockets = [scope.spawn(open_sockets), scope.spawn(open_sockets)];
        let sessions = [scope.spawn(begin_sessions), scope.spawn(begin_sessions)];
        eventually("many have come", LIMIT, || {
            opened.load(Ordering::Relaxed) >= 40 && begun.load(Ordering::Relaxed) >= 40
        });
        instance.ends(0, &["token", "remove", "laptop"]);
        for socket in sockets.into_iter().flat_map(|open| open.join().expect("it was refused in the end")) {
            ends(socket, "a WebSocket");
        }
        for session in sessions {
            session.join().expect("it was refused in the end");
        }
    });
    assert!(tokens_of_clients(&instance).is_empty());
    eprintln!("{opened:?} WebSockets and {begun:?} sessions came before, and none has stayed");
}

/// The status of the answer to `initialize`; `None` if the connection is broken off instead.
fn begin_session(port: u16, bearer: &str) -> Option<u16> {
    let body = hello().to_string();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("the daemon listens");
    stream.set_read_timeout(Some(LIMIT)).expect("a timeout");
    let length = body.len();
    let head = format!(
        "POST /mcp/fix HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nauthorization: {bearer}\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    stream.write_all(head.as_bytes()).expect("it reads");
    let mut line = String::new();
    match BufReader::new(stream).read_line(&mut line) {
        Ok(_) => line.split(' ').nth(1).and_then(|status| status.parse().ok()),
        Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted) => {
            None
        }
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn what_was_let_in_before_a_removal_opens_nothing_after_it() {
    let instance = instance();
    let (port, laptop) = (instance.port(), add(&instance, "laptop"));
    let mut params = json!({});
    add_modern_meta(&mut params, "modern", json!({}));
    let modern = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": params});
    let slow = [(hello(), ""), (modern, "mcp-protocol-version: 2026-07-28\r\nmcp-method: tools/list\r\n")];
    let begun = slow.map(|(body, headers)| {
        let (body, mut stream) = (body.to_string(), connect(port));
        let length = body.len();
        let head = format!(
            "POST /mcp/fix HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nauthorization: Bearer {laptop}\r\n{headers}\
             content-type: application/json\r\nexpect: 100-continue\r\ncontent-length: {length}\r\n\r\n"
        );
        stream.get_mut().write_all(head.as_bytes()).expect("it reads");
        // The daemon asks for the body once the head was judged.
        assert_eq!(next_status(&mut stream), 100);
        (body, stream)
    });
    instance.ends(0, &["token", "remove", "laptop"]);
    for (body, mut stream) in begun {
        stream.get_mut().write_all(body.as_bytes()).expect("it reads");
        assert_eq!(next_status(&mut stream), 401, "{body}");
    }
    assert!(tokens_of_clients(&instance).is_empty());
}

/// The status of the next head of a response.
fn next_status(stream: &mut BufReader<TcpStream>) -> u16 {
    let mut first = String::new();
    stream.read_line(&mut first).expect("a status line");
    let mut line = String::new();
    while line != "\r\n" {
        line.clear();
        assert!(stream.read_line(&mut line).expect("a header") > 0, "an end");
    }
    first.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("{first}"))
}

/// The command may be killed before it has told the daemon.
#[test]
fn a_removal_that_nobody_has_told_counts_within_seconds() {
    let instance = instance();
    let (laptop, phone) = (add(&instance, "laptop"), add(&instance, "phone"));
    let visitor = Visitor::open(&instance, &laptop);
    remove_named_token(&Home::at(instance.home()), "laptop").expect("it is removed");
    let begun = Instant::now();
    visitor.is_gone();
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    assert_eq!(judged(instance.port(), &phone), (200, 101));
}

//! What hands requests on to a server of the test.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc::sync_channel;
use std::thread;

use super::answer::Answer;
use super::loopback::Loopback;
use crate::http::Request;
use crate::scripted_http::Reply;

/// How many parts of an answer wait for the client.
const MOST_PARTS: usize = 64;

/// Hands on a request without its token, which is for nobody else, and its answer as it comes.
pub(super) fn send(upstream: &str, request: &Request) -> Reply {
    let url = Loopback::parse(upstream).expect("an upstream is an http URL of this machine");
    let sent = TcpStream::connect((&*url.host, url.port))
        .and_then(|mut stream| stream.write_all(&rewritten(&url, request)).map(|()| stream));
    let Ok(mut stream) = sent else { return Reply::Whole(Answer::plain(502, "no server there").bytes()) };
    let (parts, received) = sync_channel(MOST_PARTS);
    thread::spawn(move || {
        let mut buffer = vec![0; 16 * 1024];
        while let Ok(count @ 1..) = stream.read(&mut buffer) {
            if parts.send(buffer[..count].to_vec()).is_err() {
                break;
            }
        }
        let _ = stream.shutdown(Shutdown::Both);
    });
    Reply::Stream(received)
}

fn rewritten(url: &Loopback, request: &Request) -> Vec<u8> {
    let Loopback { host, port, path } = url;
    let mut head =
        format!("{} {path} HTTP/1.1\r\nhost: {host}:{port}\r\nconnection: close\r\n", request.method);
    for (name, value) in &request.headers {
        if !matches!(&**name, "authorization" | "connection" | "host") {
            let _ = write!(head, "{name}: {value}\r\n");
        }
    }
    head += "\r\n";
    [head.as_bytes(), &request.body].concat()
}

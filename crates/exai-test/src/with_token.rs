//! A proxy that brings the token, for programs that cannot send one.

use std::fmt::Write as _;
use std::io::{self, BufReader, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;

use crate::http::Request;

/// Listens on a port of this machine, until the process ends, and hands each request to the daemon at `port` with its
/// `token`. The daemon sees its own port where `Host` and `Origin` name that of the proxy; other values stay as they
/// are, so the daemon judges them.
///
/// # Panics
/// When no port is free.
pub fn with_token(port: u16, token: &str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let own = listener.local_addr().expect("an address").port();
    let token = token.to_owned();
    thread::spawn(move || {
        for near in listener.incoming().flatten() {
            let token = token.clone();
            // A client whose connection breaks sees that itself.
            thread::spawn(move || drop(pass(&near, (own, port), &token)));
        }
    });
    own
}

/// Passes one request and its answer. The connection is closed behind it, so each request begins a new one.
fn pass(near: &TcpStream, (own, port): (u16, u16), token: &str) -> io::Result<()> {
    let Some(request) = Request::read(&mut BufReader::new(near))? else { return Ok(()) };
    let far = TcpStream::connect(("127.0.0.1", port))?;
    (&far).write_all(&rewritten(&request, (own, port), token))?;
    let (near_end, far_end) = (near.try_clone()?, far.try_clone()?);
    thread::spawn(move || {
        // Nothing more comes from the client but its end, which cancels what it has asked for.
        let _ = io::copy(&mut &near_end, &mut io::sink());
        let _ = far_end.shutdown(Shutdown::Both);
    });
    let copied = io::copy(&mut &far, &mut &*near);
    let _ = near.shutdown(Shutdown::Both);
    copied.map(drop)
}

fn rewritten(request: &Request, (own, port): (u16, u16), token: &str) -> Vec<u8> {
    let mut head = format!("{} {} HTTP/1.1\r\n", request.method, request.path);
    for (name, value) in &request.headers {
        let value = match name.as_str() {
            "connection" => continue,
            "host" | "origin" => &value.replace(&format!("127.0.0.1:{own}"), &format!("127.0.0.1:{port}")),
            _ => value,
        };
        let _ = write!(head, "{name}: {value}\r\n");
    }
    let _ = write!(head, "authorization: Bearer {token}\r\nconnection: close\r\n\r\n");
    [head.as_bytes(), &request.body].concat()
}

//! The SDK's client of Streamable HTTP. Of its two kinds the one for Unix sockets is used here, since the one with reqwest
//! would bring 29 more crates; its socket leads to the daemon's port.

use std::io;
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::thread;

use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::transport::{StreamableHttpClientTransport, UnixSocketHttpClient};

use super::{hosting, look, sees_the_same};

/// Joins each connection to the socket with one to the port, until the process ends.
fn lead(socket: &Path, port: u16) {
    let listener = UnixListener::bind(socket).expect("a socket");
    thread::spawn(move || {
        for near in listener.incoming().flatten() {
            // A client whose connection breaks sees that itself.
            thread::spawn(move || drop(join(&near, port)));
        }
    });
}

fn join(near: &UnixStream, port: u16) -> io::Result<()> {
    let far = TcpStream::connect(("127.0.0.1", port))?;
    let (near_end, far_end) = (near.try_clone()?, far.try_clone()?);
    thread::spawn(move || {
        let _ = io::copy(&mut &near_end, &mut &far_end);
        // A client that has closed its connection hears nothing more.
        let _ = far_end.shutdown(Shutdown::Both);
    });
    let copied = io::copy(&mut &far, &mut &*near);
    let _ = near.shutdown(Shutdown::Both);
    copied.map(drop)
}

#[test]
fn an_application_sees_the_same_over_http_in_every_mode() {
    let instance = hosting();
    instance.ends(0, &["start"]);
    let (port, token, socket) = (instance.port(), instance.token(), instance.dir().join("http.sock"));
    lead(&socket, port);
    let socket = socket.to_str().expect("a path that is text");
    sees_the_same(async |server, mode| {
        let url = format!("http://127.0.0.1:{port}/mcp/{server}");
        let client = UnixSocketHttpClient::new(socket, &url);
        let config = StreamableHttpClientTransportConfig::with_uri(url).auth_header(token.clone());
        look(StreamableHttpClientTransport::with_client(client, config), mode).await
    });
}

//! The same server over Streamable HTTP with TLS, and a client that times calls of it.
//!
//! `--https` prints the port, and then, for each line on stdin, how many requests there were. Every path is a server without
//! sessions and without an event stream. `--time-https PORT CALLS BYTES` prints the microseconds of each call of `echo` with so
//! long a message, on one connection.

use std::io::{self, BufRead as _, BufReader, Read as _, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use exai_test::http::Request;
use exai_test::tls::{self, TlsStream};
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};

const PROTOCOL: &str = "http/1.1";

/// Appends the answer to a request to a text; nothing where there is none.
pub(crate) type Answer = fn(request: &[u8], modern: bool, text: &mut Vec<u8>);

/// Serves until stdin ends.
pub(crate) fn serve(answer: Answer) -> io::Result<()> {
    let count = Arc::new(AtomicU64::new(0));
    let counting = Arc::clone(&count);
    let address = tls::serve(&[PROTOCOL], move |stream| {
        // The client may go.
        let _ = serve_connection(stream, answer, &counting);
    });
    let mut output = io::stdout().lock();
    writeln!(output, "{}", address.port())?;
    output.flush()?;
    for line in io::stdin().lock().lines() {
        line?;
        writeln!(output, "{}", count.load(Ordering::SeqCst))?;
        output.flush()?;
    }
    Ok(())
}

fn serve_connection(stream: TlsStream, answer: Answer, count: &AtomicU64) -> io::Result<()> {
    stream.sock.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    let mut text = Vec::new();
    while let Some(request) = Request::read(&mut stream)? {
        count.fetch_add(1, Ordering::SeqCst);
        text.clear();
        answer(&request.body, false, &mut text);
        let head = match (&*request.method, text.is_empty()) {
            ("POST", false) => "200 OK\r\nContent-Type: application/json",
            ("POST", true) => "202 Accepted",
            _ => "405 Method Not Allowed",
        };
        let head = format!("HTTP/1.1 {head}\r\nContent-Length: {}\r\n\r\n", text.len());
        text.splice(..0, head.into_bytes());
        stream.get_mut().write_all(&text)?;
        stream.get_mut().flush()?;
    }
    Ok(())
}

/// Times calls and prints how long each took.
pub(crate) fn time_calls(port: &str, calls: &str, bytes: &str) -> io::Result<()> {
    let read = |text: &str| text.parse::<usize>().map_err(io::Error::other);
    let (calls, message) = (read(calls)?, "x".repeat(read(bytes)?));
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"echo","arguments":{{"message":"{message}"}}}}}}"#
    );
    let request = format!(
        "POST /mcp HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n\
         Accept: application/json, text/event-stream\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let socket = TcpStream::connect(format!("127.0.0.1:{port}"))?;
    socket.set_nodelay(true)?;
    let name = ServerName::try_from("127.0.0.1").map_err(io::Error::other)?;
    let connection =
        ClientConnection::new(tls::client_config(&[PROTOCOL]), name).map_err(io::Error::other)?;
    let mut stream = BufReader::new(StreamOwned::new(connection, socket));
    let mut output = io::stdout().lock();
    // The first calls do not count.
    for number in 0..calls + calls / 10 {
        let begun = Instant::now();
        stream.get_mut().write_all(request.as_bytes())?;
        stream.get_mut().flush()?;
        let answer = read_body(&mut stream)?;
        let took = begun.elapsed();
        if !answer.windows(message.len()).any(|part| part == message.as_bytes()) {
            return Err(io::Error::other("the answer does not hold the message"));
        }
        if number >= calls / 10 {
            writeln!(output, "{}", took.as_secs_f64() * 1e6)?;
        }
    }
    Ok(())
}

/// The body of the next answer.
fn read_body(stream: &mut impl io::BufRead) -> io::Result<Vec<u8>> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        stream.read_line(&mut line)?;
        if line.trim_end().is_empty() {
            break;
        }
        if let Some(said) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = said.trim().parse().map_err(io::Error::other)?;
        }
    }
    let mut body = Vec::new();
    stream.take(length).read_to_end(&mut body)?;
    Ok(body)
}

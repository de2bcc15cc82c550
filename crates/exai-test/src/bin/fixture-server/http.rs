//! Streamable HTTP instead of stdio, on a given port, with one thread per connection. Switches choose which
//! peculiarities of real servers, with which exai must cope, this server imitates.

use std::fmt::Write as _;
use std::io::{self, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, ExitCode};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use exai_test::http::Request;

use crate::options::Options;
use crate::server::{Server, exit};
use crate::wire::Message;
use crate::{methods, misbehave};

/// Starts a copy of this process that listens instead of this one, and waits until the copy ends.
pub(crate) fn parent(options: &Options) -> Option<ExitCode> {
    if !options.http_child {
        return None;
    }
    let program = std::env::current_exe().expect("a running program has a path");
    let arguments = std::env::args().skip(1).filter(|argument| argument != "--http-child");
    let status = Command::new(program).args(arguments).status().expect("the fixture can start itself");
    Some(ExitCode::from(u8::try_from(status.code().unwrap_or(1)).unwrap_or(1)))
}

/// Serves until the process ends.
pub(crate) fn serve(server: &Server, port: u16) -> ExitCode {
    let listener = match TcpListener::bind(("127.0.0.1", port)) {
        Ok(listener) => listener,
        Err(error) => {
            let _ = writeln!(io::stderr(), "fixture cannot listen on {port}: {error}");
            return ExitCode::FAILURE;
        }
    };
    let _ = writeln!(io::stdout(), "fixture listens on {port}");
    // `deaf` needs an `accept` that does not block: only then does this thread notice that it must stop listening.
    let deaf = server.options.http_break.as_deref() == Some("deaf");
    listener.set_nonblocking(deaf).expect("a socket");
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(false).expect("a socket");
                let server = server.clone();
                thread::spawn(move || connection(&server, stream));
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if server.routes.inner().broke {
                    break;
                }
                thread::sleep(Duration::from_millis(2));
            }
            Err(_) => return ExitCode::FAILURE,
        }
    }
    drop(listener);
    thread::sleep(misbehave::LONGEST_LIFE);
    ExitCode::SUCCESS
}

fn connection(server: &Server, stream: TcpStream) {
    let Ok(output) = stream.try_clone() else { return };
    let mut output = output;
    let mut input = BufReader::new(stream);
    while let Ok(Some(request)) = Request::read(&mut input) {
        if answer(server, &request, &mut output).is_err() {
            return;
        }
    }
}

fn text(request: &Request) -> String {
    String::from_utf8_lossy(&request.body).into_owned()
}

fn answer(server: &Server, request: &Request, output: &mut TcpStream) -> io::Result<()> {
    let options = &server.options;
    if let Some(location) = options.http_redirect.as_deref().filter(|location| **location != request.path) {
        let head =
            format!("HTTP/1.1 307 Temporary Redirect\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n");
        return output.write_all(head.as_bytes());
    }
    if let Some((name, value)) = options.http_require.as_deref().and_then(|text| text.split_once('='))
        && request.header(&name.to_ascii_lowercase()) != Some(value)
    {
        return plain(output, "401 Unauthorized", "who are you?");
    }
    let message = Message::parse(&text(request));
    let method = message.as_ref().and_then(|message| message.method.clone());
    if method.as_deref() != Some("initialize") {
        let routes = server.routes.inner();
        let known = request.header("mcp-session-id").map(str::to_owned);
        let current = routes.session.clone();
        drop(routes);
        match known {
            None => return plain(output, "400 Bad Request", "no session"),
            known if known != current => return plain(output, "404 Not Found", "no such session"),
            _ if request.header("mcp-protocol-version").is_none() => {
                return plain(output, "400 Bad Request", "no protocol version");
            }
            _ => {}
        }
    }
    match request.method.as_str() {
        "POST" => post(server, request, method.as_deref(), message, output),
        "GET" => get(server, request, output),
        "DELETE" => {
            server.routes.inner().session = None;
            let _ = writeln!(io::stderr(), "fixture session ended");
            plain(output, "200 OK", "")
        }
        _ => plain(output, "405 Method Not Allowed", ""),
    }
}

fn post(
    server: &Server,
    request: &Request,
    method: Option<&str>,
    message: Option<Message>,
    output: &mut TcpStream,
) -> io::Result<()> {
    let options = &server.options;
    let accept = request.header("accept").unwrap_or_default();
    if !accept.contains("application/json") || !accept.contains("text/event-stream") {
        return plain(output, "406 Not Acceptable", "accept both");
    }
    let mut session = String::new();
    {
        let mut routes = server.routes.inner();
        routes.posts += 1;
        if method == Some("initialize") {
            routes.sessions += 1;
            let id = format!("session-{}-{}", std::process::id(), routes.sessions);
            session = format!("Mcp-Session-Id: {id}\r\n");
            routes.session = Some(id);
        } else if options.http_forget_after.is_some_and(|most| routes.posts > most) {
            routes.session = None;
            return plain(output, "404 Not Found", "no such session");
        }
    }
    let Some(message) = message else { return plain(output, "400 Bad Request", "no message") };
    let (Some(id), Some(_)) = (message.id, message.method) else {
        methods::handle(server, &text(request));
        return plain(output, "202 Accepted", "");
    };
    let (sender, lines) = channel();
    server.routes.inner().waiting.push((id.clone(), options.http_sse, sender));
    methods::handle(server, &text(request));
    if !options.http_sse {
        let line = lines.recv().map_err(io::Error::other)?;
        // Some real servers write their answers with line breaks.
        let pretty = line.replacen(',', ",\n ", 1);
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n{session}Content-Length: {}\r\n\r\n",
            pretty.len()
        );
        return output.write_all((head + &pretty).as_bytes());
    }
    stream_head(output, &session)?;
    if options.http_poll && method != Some("initialize") {
        server.routes.inner().broken_off.insert(id.clone(), lines);
        chunk(output, &format!("id: {id}\nretry: 20\ndata:\n\n"))?;
        return chunk(output, "");
    }
    if method == Some("tools/call")
        && let Some(how) = &options.http_break
    {
        // The call has been executed and its answer exists, but the client never gets it.
        let _ = lines.recv();
        chunk(output, &format!("id: {id}\nretry: 20\ndata:\n\n"))?;
        server.routes.inner().broke = true;
        if how == "exit" {
            exit(9);
        }
        if how == "deaf" {
            // The client must see the end of the stream only after the listener has been closed.
            thread::sleep(Duration::from_millis(20));
        }
        return Err(io::ErrorKind::ConnectionAborted.into());
    }
    until_answered(output, &lines)?;
    chunk(output, "")
}

fn until_answered(output: &mut TcpStream, lines: &Receiver<String>) -> io::Result<()> {
    for line in lines {
        chunk(output, &format!(": a comment\r\nevent: message\r\ndata: {line}\r\n\r\n"))?;
        if Message::parse(&line).is_none_or(|message| message.method.is_none()) {
            break;
        }
    }
    Ok(())
}

fn get(server: &Server, request: &Request, output: &mut TcpStream) -> io::Result<()> {
    match server.options.http_break.as_deref().filter(|_| server.routes.inner().broke) {
        Some("hang-up") => return Err(io::ErrorKind::ConnectionAborted.into()),
        Some("refuse") => return plain(output, "503 Service Unavailable", "not now"),
        _ => {}
    }
    if let Some(file) = &server.options.http_no_rest {
        misbehave::note(file);
        stream_head(output, "")?;
        chunk(output, ": nothing\nretry: 0\ndata:\n\n")?;
        return chunk(output, "");
    }
    if let Some(after) = request.header("last-event-id") {
        let lines = server.routes.inner().broken_off.remove(after);
        let Some(lines) = lines else { return plain(output, "400 Bad Request", "no such event") };
        stream_head(output, "")?;
        until_answered(output, &lines)?;
        return chunk(output, "");
    }
    if server.options.http_no_get {
        return plain(output, "405 Method Not Allowed", "");
    }
    let (sender, lines) = channel();
    server.routes.inner().stream = Some(sender);
    stream_head(output, "")?;
    for line in lines {
        chunk(output, &format!("data: {line}\n\n"))?;
    }
    chunk(output, "")
}

fn stream_head(output: &mut TcpStream, session: &str) -> io::Result<()> {
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n{session}Transfer-Encoding: chunked\r\n\r\n"
    );
    output.write_all(head.as_bytes())
}

fn chunk(output: &mut TcpStream, text: &str) -> io::Result<()> {
    let mut bytes = String::new();
    let _ = write!(bytes, "{:x}\r\n{text}\r\n", text.len());
    output.write_all(bytes.as_bytes())
}

fn plain(output: &mut TcpStream, status: &str, text: &str) -> io::Result<()> {
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{text}",
        text.len()
    );
    output.write_all(head.as_bytes())
}

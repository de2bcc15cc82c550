//! Streamable HTTP of both eras in front of one stdio MCP server, so that judges that speak HTTP alone can judge a stdio
//! server, or `exai shim`.
//!
//! A legacy session is a process of its own. All modern requests go to one process, as the specification means it:
//! their ids and progress tokens are replaced on the way and put back. What HTTP itself demands (headers, status codes,
//! who may come in) is checked here. Everything else is the server's to say.

mod answer;
mod child;
mod legacy;
mod modern;
mod rules;

use std::io::{self, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use answer::Response;
use exai_test::http::Request;
use legacy::Sessions;
use modern::Modern;
use serde_json::Value;

const USAGE: &str = "\
usage: stdio-bridge [--port N] COMMAND [ARG…]

Listens on a free port of 127.0.0.1, says so on stdout, and starts COMMAND when it is needed. Ends when its stdin ends,
and after 15 minutes. With --port it takes that port, and its stdin says nothing.";

/// The bridge lives no longer, so that a killed test leaves no process behind for ever.
const LONGEST_LIFE: Duration = Duration::from_mins(15);

struct Bridge {
    sessions: Sessions,
    modern: Modern,
}

fn main() -> ExitCode {
    let mut command: Vec<String> = std::env::args().skip(1).collect();
    let port: u16 = match command.first() {
        Some(first) if first == "--port" => {
            let port = command.drain(..2.min(command.len())).nth(1);
            port.and_then(|port| port.parse().ok()).unwrap_or(0)
        }
        Some(_) | None => 0,
    };
    if command.first().is_none_or(|first| first.starts_with('-')) {
        // If stderr is closed, this cannot be said anywhere else.
        let _ = writeln!(io::stderr(), "{USAGE}");
        return ExitCode::from(2);
    }
    let listener = match TcpListener::bind(("127.0.0.1", port)) {
        Ok(listener) => listener,
        Err(error) => {
            let _ = writeln!(io::stderr(), "stdio-bridge cannot listen: {error}");
            return ExitCode::FAILURE;
        }
    };
    let taken = listener.local_addr().map_or(0, |address| address.port());
    let _ = writeln!(io::stdout(), "http://127.0.0.1:{taken}/mcp");
    let bridge = Arc::new(Bridge { sessions: Sessions::new(&command), modern: Modern::new(&command) });
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let bridge = Arc::clone(&bridge);
            // A client whose connection breaks sees that itself.
            thread::spawn(move || drop(serve(&bridge, &stream)));
        }
    });
    thread::spawn(|| {
        thread::sleep(LONGEST_LIFE);
        exit();
    });
    if port != 0 {
        thread::sleep(LONGEST_LIFE);
    }
    let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
    ExitCode::SUCCESS
}

/// Ends the process now. The servers see the end of their stdin.
#[expect(clippy::disallowed_methods, reason = "no thread of the bridge holds anything that must be put away")]
fn exit() -> ! {
    std::process::exit(1)
}

/// Answers one request. Each connection has one, so its end says that the client has left.
fn serve(bridge: &Bridge, stream: &TcpStream) -> io::Result<()> {
    let Some(request) = Request::read(&mut BufReader::new(stream))? else { return Ok(()) };
    let response = Response::new(stream);
    if let Err(refusal) = rules::check_access(&request) {
        return response.refuse(&refusal);
    }
    let message: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    match request.method.as_str() {
        "POST" => match rules::check_post(&request, &message) {
            Err(refusal) => response.refuse(&refusal),
            Ok(()) if rules::is_modern(&request, &message) => {
                bridge.modern.post(&request, message, &response)
            }
            Ok(()) => bridge.sessions.post(&request, &message, &response),
        },
        "GET" => bridge.sessions.get(&request, &response),
        "DELETE" => bridge.sessions.delete(&request, &response),
        _ => response.refuse(&rules::Refusal::plain(405, "POST, GET or DELETE")),
    }
}

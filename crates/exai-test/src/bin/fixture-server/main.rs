//! An MCP server for tests: legacy protocol and, with `--dual`, MCP 2026-07-28 too; newline-delimited JSON on stdio,
//! ready at once.
//!
//! The tools that a test calls (`tools.rs`) and the switches that make the server misbehave (`options.rs`) choose what
//! it does. It shares no code with the product, so that a fault cannot hide on both sides. It writes its answers as
//! text with unusual but valid JSON (`1.0`, `1e2`, unknown keys), so that a test sees whether exai passes them byte for
//! byte.
//!
//! One thread reads and one thread holds the timers. No call has a thread, so 100,000 delayed calls are possible.

mod answer;
mod http;
mod methods;
mod misbehave;
mod options;
mod output;
mod prompts;
mod resources;
mod routes;
mod server;
mod timer;
mod tool_list;
mod tools;
mod wire;

use std::io::{self, BufRead, Write};
use std::process::ExitCode;

use options::Options;
use server::Server;

fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(problem) => {
            // If stderr is closed, the problem cannot be reported anywhere else.
            let _ = writeln!(io::stderr(), "fixture-server: {problem}\n\n{}", options::USAGE);
            return ExitCode::from(2);
        }
    };
    if let Some(code) = misbehave::at_start(&options) {
        return code;
    }
    if let Some(code) = http::parent(&options) {
        return code;
    }
    let port = options.http;
    let server = Server::start(options);
    if let Some(port) = port {
        return http::serve(&server, port);
    }
    read_until_end(&server);
    misbehave::at_end(&server.options);
    ExitCode::SUCCESS
}

/// Handles one line after the other. A line that is no message gets the error that JSON-RPC asks for.
fn read_until_end(server: &Server) {
    let mut input = io::stdin().lock();
    let mut line = Vec::new();
    while let Ok(1..) = input.read_until(b'\n', &mut line) {
        let text = String::from_utf8_lossy(&line);
        if !text.trim().is_empty() {
            methods::handle(server, text.trim());
        }
        line.clear();
    }
}

//! The MCP server that the official conformance suite judges, over stdio: all tools, prompts and resources that the
//! suite calls, in the legacy era (2025-11-25), the modern era (2026-07-28), or both.
//!
//! It exists beside `fixture-server`, which shows what exai does to single bytes: this one shows whether whole
//! conversations of both eras come through. A tool is written once for both eras. What it asks its client is a real
//! request in the legacy era (`Call::ask` waits), and an `input_required` result in the modern one (`Call::ask` ends the
//! call, and the retry finds the answer).

mod asking_tools;
mod call;
mod content;
mod legacy;
mod message;
mod methods;
mod modern;
mod options;
mod output;
mod prompts;
mod resources;
mod seal;
mod server;
mod tools;

use std::fs::File;
use std::io::{self, BufRead, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use message::Message;
use options::{Era, Options};
use server::Server;

/// The process lives no longer, so that a killed test leaves no process behind for ever.
const LONGEST_LIFE: Duration = Duration::from_mins(15);

fn main() -> ExitCode {
    let options = match Options::parse(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(problem) => {
            // If stderr is closed, the problem cannot be reported anywhere else.
            let _ = writeln!(io::stderr(), "suite-server: {problem}\n\n{}", options::USAGE);
            return ExitCode::from(2);
        }
    };
    thread::spawn(|| {
        thread::sleep(LONGEST_LIFE);
        output::exit(1);
    });
    let server = Arc::new(Server::new(options));
    for line in io::stdin().lock().lines().map_while(Result::ok).filter(|line| !line.trim().is_empty()) {
        note(server.options.received.as_deref(), &line);
        hear(&server, &line);
    }
    ExitCode::SUCCESS
}

fn hear(server: &Arc<Server>, line: &str) {
    let Some(message) = Message::parse(line) else {
        return output::send(&message::error(&serde_json::Value::Null, -32700, "no JSON object", None));
    };
    match server.era_of(&message) {
        Era::Legacy => legacy::hear(server, message),
        _ => modern::hear(server, message),
    }
}

/// Appends what came to the file of `--received`, with the number of this process.
fn note(file: Option<&str>, line: &str) {
    let Some(path) = file else { return };
    let text = format!("{} {line}\n", std::process::id());
    let mut file = File::options().append(true).create(true).open(path).expect("BUG: --received FILE opens");
    file.write_all(text.as_bytes()).expect("BUG: --received FILE can be written");
}

//! The client that the official conformance suite judges: an exai daemon whose one server is the suite's, and a client of
//! that daemon that asks for what each scenario wants to see. Where the server wants a sign-in, the client's user signs in.
//!
//! The suite says by environment variables which scenario it plays, in which revision, and what the scenario adds. Client
//! and daemon speak the era of that revision, so what arrives at the suite has passed through all of exai.

mod client;
mod common;
mod home;
mod plays;
mod sign_ins;

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use client::Client;
use common::{Era, Outcome};
use home::{Endpoint, with_daemon};
use serde_json::Value;

const USAGE: &str = "\
usage: suite-client URL

Plays the client's part of MCP_CONFORMANCE_SCENARIO at the server at URL, in the revision that
MCP_CONFORMANCE_PROTOCOL_VERSION names and with the JSON of MCP_CONFORMANCE_CONTEXT, through an exai daemon of its own.";

/// How long a play may take. Together with the end of the daemon it is less than the 30 s after which the suite ends this
/// process, and with it whoever would stop the daemon.
const LONGEST_PLAY: Duration = Duration::from_secs(20);

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            // If stderr is closed, the problem cannot be reported anywhere else.
            let _ = writeln!(io::stderr(), "suite-client: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Outcome {
    let url = std::env::args().next_back().filter(|argument| argument.contains("://")).ok_or(USAGE)?;
    let scenario = variable("MCP_CONFORMANCE_SCENARIO").ok_or(USAGE)?;
    let era = match &*variable("MCP_CONFORMANCE_PROTOCOL_VERSION").ok_or(USAGE)? {
        "2026-07-28" => Era::Modern,
        _ => Era::Legacy,
    };
    let context = variable("MCP_CONFORMANCE_CONTEXT").map_or(Ok(Value::Null), |text| {
        serde_json::from_str(&text).map_err(|error| format!("the context is no JSON: {error}"))
    })?;
    // Looked for first, so that a scenario that cannot be played costs no daemon.
    let (endpoint, play) = match scenario.strip_prefix("auth/") {
        Some(name) => (Endpoint::All, sign_ins::find(name)),
        None => (Endpoint::Server, plays::find(&scenario)),
    };
    let play = play.ok_or_else(|| format!("there is no play for {scenario}"))?;
    let end = Instant::now() + LONGEST_PLAY;
    with_daemon(&url, &sign_ins::configure(&scenario, &context), era, |home| {
        let mut client = Client::start(home.shim(endpoint), era, end)?;
        play(&mut client, &context)?;
        client.finish()
    })
}

#[expect(clippy::disallowed_methods, reason = "the suite speaks by variables of its own")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

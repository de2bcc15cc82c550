//! The built-in server: it tells agents what runs and why. It is an ordinary MCP server without a process.

use std::process::Command;
use std::time::Duration;

use bytes::Bytes;
use exai_mux::policy::{Policy, Share, ToolFilter};
use exai_mux::{Era, InstanceId};
use exai_proto::documents::{Check, CheckStatus, Doctor};
use exai_proto::{Id, Kind, Message, Segments, answer, json};
use exai_supervisor::leftovers;
use exai_supervisor::outbox::Unsent;
use serde_json::json;
use tokio::sync::mpsc;

use crate::observe::facts::{BUILTIN_NAME, Facts};
use crate::upstream::event::ServerEvent;
use crate::upstream::running::{Stop, Upstream};

pub(crate) fn policy() -> Policy {
    Policy {
        name: BUILTIN_NAME.into(),
        revision: 0,
        share: Share::Shared,
        start_timeout: Duration::from_secs(10),
        call_timeout: Duration::from_mins(1),
        idle_stop: Duration::from_hours(24),
        eager: false,
        tools: ToolFilter::default(),
        one_at_a_time: false,
        crash_limit: 5,
        trusted: true,
        era: Some(Era::Legacy),
        // It asks nobody, so nothing is lost.
        bridge: true,
    }
}

/// The built-in server as the hub sees it. Each message that it is sent becomes an event for the hub, which alone knows the
/// answers.
#[derive(Debug)]
pub(crate) struct BuiltinUpstream {
    instance: InstanceId,
    events: mpsc::Sender<(InstanceId, ServerEvent)>,
}

impl BuiltinUpstream {
    pub(crate) fn new(instance: InstanceId, events: mpsc::Sender<(InstanceId, ServerEvent)>) -> Self {
        BuiltinUpstream { instance, events }
    }
}

impl Upstream for BuiltinUpstream {
    fn send(&self, message: Segments, _number: Option<u64>) -> Result<(), Unsent> {
        let queued = message.len();
        let asked = ServerEvent::BuiltinAsked(message.into_whole());
        self.events.try_send((self.instance, asked)).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Unsent::Full { queued },
            mpsc::error::TrySendError::Closed(_) => Unsent::Closed,
        })
    }

    fn stop(&self, _grace: Duration) -> Stop {
        Stop::Done
    }
}

/// Answers one message. `None` for a message that needs no answer. May block for some milliseconds.
pub(crate) fn answer(bytes: &Bytes, facts: &Facts) -> Option<Bytes> {
    let message = Message::parse(bytes.clone()).ok()?;
    let Kind::Request { id, method, params } = message.kind() else { return None };
    let own = Id::from_json(message.at(id));
    let result = match message.str_at(method) {
        "initialize" => json!({
            "protocolVersion": exai_proto::version::NEWEST_LEGACY,
            "capabilities": {"tools": {}},
            "serverInfo": {"name": BUILTIN_NAME, "version": env!("CARGO_PKG_VERSION")},
            "instructions": "exai hosts the MCP servers of this machine. `status` says what runs and whether \
                it is well; `servers` says what is configured; `ps` says what each process is; `doctor` finds \
                what is wrong.",
        }),
        "ping" => json!({}),
        "tools/list" => json!({"tools": [
            tool("status", "Status of exai", "The exai daemon, its clients, servers and processes, and what is wrong with them"),
            tool("servers", "Configured servers", "The MCP servers that exai is configured to host, and the state of each"),
            tool("ps", "Processes of exai", "Every process of exai and of the servers it hosts: what it is, how that is known, and whether there are as many as there should be"),
            tool("doctor", "Check-up of exai", "Looks for what is wrong with exai on this machine and says how to put it right; takes some seconds and changes nothing"),
        ]}),
        "tools/call" => {
            let name = params.clone().and_then(|params| json::find(message.bytes(), params, "name"));
            let name = name.and_then(|name| json::string(message.bytes(), name)).unwrap_or_default();
            match &*name {
                "status" => {
                    let document = facts.clone().document();
                    // An agent reads on when the first lines say that something is wrong.
                    let told = document.findings.iter().filter(|finding| finding.severity != "info");
                    let told = told.map(|finding| format!("\n{}: {}", finding.severity, finding.detail));
                    let elsewhere = document.elsewhere.iter().map(|sentence| format!("\n{sentence}"));
                    let verdict = document.verdict.clone() + &told.chain(elsewhere).collect::<String>();
                    called(&verdict, serde_json::to_value(document).unwrap_or_default())
                }
                "servers" => {
                    let document = facts.list();
                    let names: Vec<&str> = document.servers.iter().map(|server| &*server.name).collect();
                    let text = format!("{} servers: {}", names.len(), names.join(", "));
                    called(&text, serde_json::to_value(&document).unwrap_or_default())
                }
                "ps" => {
                    let document = facts.ps();
                    let text = format!("{} processes, {} expected", document.actual, document.expected);
                    called(&text, serde_json::to_value(&document).unwrap_or_default())
                }
                "doctor" => doctor(facts),
                other => return Some(answer::error(&own, -32602, &format!("Unknown tool: {other}"))),
            }
        }
        other => return Some(answer::error(&own, -32601, &format!("Method not found: {other}"))),
    };
    Some(answer::result(&own, result.to_string().as_bytes()))
}

fn tool(name: &str, title: &str, description: &str) -> serde_json::Value {
    json!({
        "name": name,
        "title": title,
        "description": description,
        "inputSchema": {"type": "object", "properties": {}, "additionalProperties": false},
        "annotations": {"readOnlyHint": true, "openWorldHint": false},
    })
}

/// Runs `exai doctor` for this state directory: it sees from outside what the daemon cannot see.
fn doctor(facts: &Facts) -> serde_json::Value {
    let looked = exai_os::tree::own_program().and_then(|program| {
        let mut command = Command::new(program);
        command.args(["doctor", "--json"]);
        command.env(exai_config::environment::HOME.name, &facts.daemon.home);
        // The mark keeps the process from being taken for an orphan of a server's tree.
        command.env(leftovers::ENV_MARKER, leftovers::env_marker(&facts.daemon.instance, "doctor"));
        exai_os::process::output(&mut command)
    });
    let document = looked.map_err(|error| error.to_string()).and_then(|output| {
        serde_json::from_slice::<Doctor>(&output.stdout).map_err(|error| error.to_string())
    });
    match document {
        Ok(document) => {
            let is_finding = |check: &&Check| matches!(check.status, CheckStatus::Warn | CheckStatus::Fail);
            let text = match document.checks.iter().filter(is_finding).count() {
                0 => "no problems found".to_owned(),
                1 => "1 finding".to_owned(),
                number => format!("{number} findings"),
            };
            called(&text, serde_json::to_value(&document).unwrap_or_default())
        }
        Err(reason) => json!({
            "content": [{"type": "text", "text": format!("`exai doctor` could not be run: {reason}")}],
            "isError": true,
        }),
    }
}

fn called(sentence: &str, document: serde_json::Value) -> serde_json::Value {
    json!({
        "content": [{"type": "text", "text": format!("{sentence}\n\n{document:#}")}],
        "structuredContent": document,
    })
}

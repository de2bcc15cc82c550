//! Agents, which are MCP clients that have a model call tools: Claude Code and Copilot CLI, as their users have them.
//!
//! They need no account and no network here: the model is a [`ModelEndpoint`]. Like the SDKs they are installed by
//! `cargo xtask peers`, on Linux alone.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;

use exai_os::process::{self, Identity, Kill};
use serde_json::{Map, Value, json};

use crate::model_endpoint::ModelEndpoint;
use crate::peers;

/// The variables that every agent has. At the port of the proxy nobody listens, so that a request which would leave the
/// machine fails at once.
const ENVIRONMENT: [(&str, &str); 7] = [
    ("PATH", "/usr/local/bin:/usr/bin:/bin"),
    ("HTTP_PROXY", "http://127.0.0.1:9"),
    ("HTTPS_PROXY", "http://127.0.0.1:9"),
    ("NO_PROXY", "127.0.0.1,localhost"),
    ("TERM", "dumb"),
    ("NO_COLOR", "1"),
    ("CI", "1"),
];

/// A program that is an MCP client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Agent {
    /// It asks its model in the Anthropic Messages API.
    ClaudeCode,
    /// It asks its model in chat completions.
    Copilot,
}

/// How an agent reaches an MCP server.
#[derive(Debug)]
pub enum Entry {
    /// It starts this command. Only the program, the arguments and the variables count.
    Stdio(Command),
    /// It connects over Streamable HTTP.
    Http {
        /// The endpoint.
        url: String,
        /// What it brings as a bearer.
        token: String,
    },
}

impl Agent {
    /// The name that it tells to MCP servers.
    pub fn client_name(self) -> &'static str {
        match self {
            Agent::ClaudeCode => "claude-code",
            Agent::Copilot => "copilot-cli",
        }
    }

    /// The name under which its model sees a tool of the server with this name in its configuration.
    pub fn tool_name(self, server: &str, tool: &str) -> String {
        match self {
            Agent::ClaudeCode => format!("mcp__{server}__{tool}"),
            Agent::Copilot => format!("{server}-{tool}"),
        }
    }

    /// Starts it in `home`, an empty directory, with these servers, and has it ask this model.
    ///
    /// # Panics
    /// When it is not installed, or does not start.
    pub fn start(self, home: &Path, entries: &[(&str, &Entry)], model: &ModelEndpoint) -> RunningAgent {
        self.configure(home, entries);
        let mut command = self.command(entries);
        // What the environment of the tests holds for an agent is not for this one.
        command.env_clear().envs(ENVIRONMENT).envs(self.environment(model)).env("HOME", home);
        // A file needs nobody who reads it, however long the program goes on.
        let said = home.join("said");
        let output = File::create(&said).expect("a file for the output");
        let errors = output.try_clone().expect("another handle of it");
        command.current_dir(home).stdin(Stdio::null()).stdout(output).stderr(errors);
        let child = command.spawn().unwrap_or_else(|error| panic!("{self:?} does not start: {error}"));
        RunningAgent { child, said }
    }

    fn configure(self, home: &Path, entries: &[(&str, &Entry)]) {
        let servers: Map<String, Value> =
            entries.iter().map(|(name, entry)| ((*name).to_owned(), self.entry(entry))).collect();
        let (file, document) = match self {
            Agent::ClaudeCode => {
                (".claude.json", json!({"hasCompletedOnboarding": true, "mcpServers": servers}))
            }
            Agent::Copilot => (".copilot/mcp-config.json", json!({"mcpServers": servers})),
        };
        let path = home.join(file);
        fs::create_dir_all(path.parent().expect("it is in a directory")).expect("a directory");
        fs::write(path, document.to_string()).expect("its configuration is written");
    }

    fn entry(self, entry: &Entry) -> Value {
        let text = |text: &std::ffi::OsStr| text.to_string_lossy().into_owned();
        let mut fields = match entry {
            Entry::Stdio(command) => {
                let args: Vec<String> = command.get_args().map(text).collect();
                let env: Map<String, Value> = command
                    .get_envs()
                    .filter_map(|(name, value)| Some((text(name), json!(text(value?)))))
                    .collect();
                json!({"type": "stdio", "command": text(command.get_program()), "args": args, "env": env})
            }
            Entry::Http { url, token } => {
                json!({"type": "http", "url": url, "headers": {"Authorization": format!("Bearer {token}")}})
            }
        };
        if self == Agent::Copilot {
            fields["tools"] = json!(["*"]);
        }
        fields
    }

    /// The program with its arguments: one task, and every tool of the servers is allowed.
    fn command(self, entries: &[(&str, &Entry)]) -> Command {
        let arch = if cfg!(target_arch = "aarch64") { "arm64" } else { "x64" };
        match self {
            Agent::ClaudeCode => {
                let program = format!("node_modules/@anthropic-ai/claude-code-linux-{arch}/claude");
                let mut command = Command::new(peers::installed(&program));
                let allowed: Vec<String> = entries.iter().map(|(name, _)| format!("mcp__{name}")).collect();
                command.args(["-p", "go", "--allowedTools", &allowed.join(",")]);
                command
            }
            Agent::Copilot => {
                let program = format!("node_modules/@github/copilot-linux-{arch}/copilot");
                let mut command = Command::new(peers::installed(&program));
                command.args(["-p", "go", "--allow-all-tools", "--no-auto-update"]);
                command
            }
        }
    }

    /// The variables that give it this model, and keep it from everything else.
    fn environment(self, model: &ModelEndpoint) -> Vec<(&'static str, String)> {
        let one = || "1".to_owned();
        match self {
            Agent::ClaudeCode => vec![
                ("ANTHROPIC_BASE_URL", model.origin()),
                ("ANTHROPIC_API_KEY", "none".to_owned()),
                ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", one()),
                ("DISABLE_AUTOUPDATER", one()),
                // Otherwise it hides many tools behind a search.
                ("ENABLE_TOOL_SEARCH", "false".to_owned()),
            ],
            Agent::Copilot => vec![
                ("COPILOT_OFFLINE", "true".to_owned()),
                ("COPILOT_PROVIDER_BASE_URL", model.base_url()),
                ("COPILOT_PROVIDER_API_KEY", "none".to_owned()),
                ("COPILOT_MODEL", "planned".to_owned()),
            ],
        }
    }
}

/// An agent at work. Dropping it kills it, with every process below it, and shows what it has printed if the test fails.
#[derive(Debug)]
pub struct RunningAgent {
    child: Child,
    said: PathBuf,
}

impl RunningAgent {
    /// How it has ended; `None` while it works.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("it can be waited for")
    }

    fn said(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.said).unwrap_or_default()).into_owned()
    }
}

impl Drop for RunningAgent {
    #[expect(clippy::print_stderr, reason = "it says why a test has failed")]
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("the agent has said: {}", self.said());
        }
        if self.ended().is_some() {
            return;
        }
        // Once it is gone, nobody can tell whose children these were.
        let below = processes_below(self.child.id());
        // It may end by itself meanwhile, and so may they.
        let _ = self.child.kill();
        let _ = self.child.wait();
        for one in below {
            let _ = process::kill_verified(&one, Kill::Force);
        }
    }
}

fn processes_below(pid: u32) -> Vec<Identity> {
    let boot = process::current().expect("this process").boot;
    let table = process::snapshot().expect("the process table");
    process::descendants(&table, pid).iter().map(|one| one.identity(&boot)).collect()
}

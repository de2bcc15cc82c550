//! The official conformance suite of MCP as a judge, and the bridge that brings it to a stdio server.
//!
//! Like the SDKs it is installed by `cargo xtask peers`.

use std::fmt;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::peers;
use crate::program;

/// How many characters of each complaint are shown: some hold whole messages.
const LONGEST_REASON: usize = 300;

/// What a revision of the protocol requires of a server, as the suite has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Requirements {
    /// 2025-11-25, the last revision of the legacy era: 30 scenarios.
    Legacy,
    /// 2026-07-28, the first of the modern era: 37 scenarios.
    Modern,
}

impl Requirements {
    fn revision(self) -> &'static str {
        match self {
            Requirements::Legacy => "2025-11-25",
            Requirements::Modern => "2026-07-28",
        }
    }

    /// How many scenarios are required. A run that knows fewer has not judged everything.
    pub fn count(self) -> usize {
        match self {
            Requirements::Legacy => 30,
            Requirements::Modern => 37,
        }
    }
}

/// What the suite has found.
#[derive(Debug)]
pub struct Verdict {
    requirements: Requirements,
    /// How many of the required scenarios have passed.
    pub passed: usize,
    /// The required scenarios that have failed, and what was wrong.
    pub failed: Vec<String>,
    /// The suite's own judgement, and what it said.
    ended_well: bool,
    output: String,
}

impl Verdict {
    /// Whether every required scenario has passed.
    pub fn is_good(&self) -> bool {
        self.ended_well && self.failed.is_empty() && self.passed == self.requirements.count()
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (revision, count) = (self.requirements.revision(), self.requirements.count());
        writeln!(to, "{} of {count} required scenarios of {revision} passed", self.passed)?;
        self.failed.iter().try_for_each(|failed| writeln!(to, "  {failed}"))?;
        if self.passed + self.failed.len() != count {
            writeln!(to, "the suite has not judged everything:\n{}", self.output)?;
        }
        Ok(())
    }
}

/// Has the suite judge the server at `url`. It writes its checks into `dir`, which must be empty.
///
/// # Panics
/// When the suite is not installed.
pub fn judge(url: &str, requirements: Requirements, dir: &Path) -> Verdict {
    let mut command = peers::node("@modelcontextprotocol/conformance/dist/index.js");
    command.args(["server", "--url", url, "--requirements", requirements.revision(), "-o"]).arg(dir);
    let output = command.stdin(Stdio::null()).output().expect("the suite starts");
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    let mut verdict = Verdict {
        requirements,
        passed: 0,
        failed: Vec::new(),
        ended_well: output.status.success(),
        output: text,
    };
    // Below the summary follows a list of the scenarios that are not required, which are in the summary, too.
    let (_, summary) = verdict.output.split_once("=== SUMMARY ===").unwrap_or_default();
    let (summary, rest) = summary.split_once("Not scored").unwrap_or((summary, ""));
    for line in summary.lines() {
        let Some((mark, scenario)) = line.split_once(' ') else { continue };
        let scenario = scenario.split(':').next().unwrap_or_default();
        match mark {
            _ if rest.contains(&format!(" {scenario} (")) => {}
            "✓" => verdict.passed += 1,
            "✗" => verdict.failed.push(format!("{scenario}: {}", complaints(dir, scenario))),
            _ => {}
        }
    }
    verdict
}

/// What was wrong in a scenario.
fn complaints(dir: &Path, scenario: &str) -> String {
    let start = format!("server-{scenario}-2");
    let is_of_scenario =
        |path: &Path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&start));
    let folders = dir.read_dir().into_iter().flatten().flatten().map(|entry| entry.path());
    let checks = folders.filter(|path| is_of_scenario(path)).filter_map(|folder| {
        let text = std::fs::read(folder.join("checks.json")).ok()?;
        serde_json::from_slice::<Vec<Value>>(&text).ok()
    });
    let wrong = checks.flatten().filter(|check| check["status"] == "FAILURE").map(|check| {
        let why: String =
            check["errorMessage"].as_str().unwrap_or("?").chars().take(LONGEST_REASON).collect();
        format!("{} ({why})", check["id"].as_str().unwrap_or("?"))
    });
    wrong.collect::<Vec<_>>().join("; ")
}

/// A bridge from HTTP to a stdio server. It ends when this is dropped.
#[derive(Debug)]
pub struct Bridge {
    process: Child,
    url: String,
}

impl Bridge {
    /// Starts a bridge to the server that `server` would start. Of the command only the program, the arguments and the
    /// environment count.
    ///
    /// # Panics
    /// When the bridge is not built, or does not start.
    pub fn start(server: &Command) -> Self {
        let mut command = Command::new(program("stdio-bridge"));
        command.arg(server.get_program()).args(server.get_args());
        for (name, value) in server.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        let mut process =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the bridge starts");
        let mut url = String::new();
        let output = process.stdout.take().expect("stdout is a pipe");
        BufReader::new(output).read_line(&mut url).expect("the bridge says where it listens");
        Bridge { process, url: url.trim_end().to_owned() }
    }

    /// The URL of the MCP endpoint.
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        // Its end closes the stdin of its servers, by which they know that they shall end.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

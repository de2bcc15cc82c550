//! The suite as the servers of a client.

use std::fs;
use std::path::Path;

use super::checks::{complaints, folder_of, read_checks, shortened, suite};
use super::verdict::{Requirements, Verdict};
use crate::peers;

/// What the suite says of a client that has failed. In scenarios that are to end with an error, it lets that pass; our
/// client fails only when something was wrong.
const CLIENT_FAILED: &str = "Client exited with code";

/// Which of the scenarios for clients are played.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scenarios {
    /// Those in which nobody signs in.
    WithoutSignIn,
    /// All that are required.
    All,
}

impl Scenarios {
    /// How many there are. A run that knows fewer has not judged everything.
    pub fn count(self, requirements: Requirements) -> usize {
        match (self, requirements) {
            (Scenarios::WithoutSignIn, Requirements::Legacy) => 4,
            (Scenarios::WithoutSignIn, Requirements::Modern) => 7,
            (Scenarios::All, Requirements::Legacy) => 18,
            (Scenarios::All, Requirements::Modern) => 32,
        }
    }

    fn hold(self, scenario: &str) -> bool {
        match self {
            Scenarios::WithoutSignIn => !scenario.starts_with("auth/"),
            Scenarios::All => true,
        }
    }
}

/// Has the suite judge the program `client`, which is told the URL of a server, one scenario after the other: together
/// they would share two cores with a daemon each, and only alone the suite counts warnings and the end of the client.
/// It writes its checks into `dir`, which must be empty; the client has its temporary files there.
///
/// # Panics
/// When the suite is not installed.
pub fn judge_client(client: &Path, requirements: Requirements, scenarios: Scenarios, dir: &Path) -> Verdict {
    let mut verdict = Verdict::new(requirements, scenarios.count(requirements));
    verdict.ended_well = true;
    for scenario in required(requirements).iter().filter(|scenario| scenarios.hold(scenario)) {
        match play(client, requirements, scenario, dir) {
            Ok(()) => verdict.passed += 1,
            Err(problem) => verdict.failed.push(format!("{scenario}: {problem}")),
        }
    }
    verdict
}

/// The scenarios for clients that the suite requires, as its own list has them.
fn required(requirements: Requirements) -> Vec<String> {
    let path = format!("@modelcontextprotocol/conformance/requirements/{}.yaml", requirements.revision());
    let text = fs::read_to_string(peers::module(&path)).expect("the list of the suite");
    let below = text.lines().skip_while(|line| *line != "client:").skip(1);
    below.map_while(|line| line.strip_prefix("  - ")).map(|scenario| scenario.trim().to_owned()).collect()
}

/// Plays one scenario. An error says what was wrong.
fn play(client: &Path, requirements: Requirements, scenario: &str, dir: &Path) -> Result<(), String> {
    let mut command = suite("client", dir);
    // The suite gives this to a shell.
    command.args(["--command", &format!("\"{}\"", client.display()), "--scenario", scenario]);
    command.args(["--spec-version", requirements.revision()]).env("TMPDIR", dir);
    let output = command.output().expect("the suite starts");
    let folder = folder_of(dir, scenario);
    let checks = folder.as_deref().map_or(Vec::new(), read_checks);
    // With a client that does nothing, and says that this is well, the suite may have nothing to complain of.
    let has_seen_something = checks.iter().any(|check| check["status"] == "SUCCESS");
    let client_failed = String::from_utf8_lossy(&output.stderr).contains(CLIENT_FAILED);
    if output.status.success() && !client_failed {
        return if has_seen_something { Ok(()) } else { Err("the suite has seen nothing".to_owned()) };
    }
    let client = folder.map(|folder| fs::read_to_string(folder.join("stderr.txt")).unwrap_or_default());
    let last_line = client.and_then(|said| said.lines().last().map(shortened)).unwrap_or_default();
    let parts = [complaints(&checks), last_line];
    let parts: Vec<&str> = parts.iter().map(|part| &**part).filter(|part| !part.is_empty()).collect();
    if parts.is_empty() {
        // It has not come to checks, or the client was ended.
        return Err(String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned());
    }
    Err(parts.join("; "))
}

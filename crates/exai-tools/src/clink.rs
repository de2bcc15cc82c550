//! The command lines of other agents (`clink`): run once, without a terminal, in the directory of the client that asks.

mod agent;
mod error;

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use exai_config::environment;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;

use crate::threads::Thread;
use crate::threads::history;

pub(crate) use agent::{Agent, Report};
pub(crate) use error::ClinkError;

/// An agent may work for a while, and not for ever.
const TIMEOUT: Duration = Duration::from_mins(15);
/// What an agent may say, in bytes; it is stopped if it says more.
const MAX_OUTPUT: u64 = 4 << 20;
/// How much of its stderr an error repeats, in bytes.
const MAX_STDERR: u64 = 64 << 10;

/// How much of an earlier conversation an agent is told, in tokens.
const HISTORY_TOKENS: usize = 20_000;

/// What an agent is told: its role, what was said before, the task, and the files that it should read by itself.
pub(crate) fn task(role: Option<&str>, prompt: &str, files: &[&str], thread: Option<&Thread>) -> String {
    let mut parts = Vec::new();
    parts.extend(role.map(|role| format!("Your role: {role}")));
    let history = thread.map(|thread| history::build(thread, HISTORY_TOKENS)).unwrap_or_default();
    let said: Vec<&str> = history.messages.iter().map(|message| message.text.as_str()).collect();
    if !said.is_empty() {
        parts.push(format!("What was said before:\n\n{}", said.join("\n\n---\n\n")));
    }
    parts.push(prompt.to_owned());
    if !files.is_empty() {
        parts.push(format!("Read these files first:\n{}", files.join("\n")));
    }
    parts.join("\n\n")
}

/// Runs an agent with a prompt. The agent is ended when the future is dropped.
pub(crate) async fn run(agent: Agent, prompt: &str, directory: &Path) -> Result<Report, ClinkError> {
    let program = find(agent, directory)?;
    let mut command = Command::new(&program);
    command.args(agent.arguments()).current_dir(directory).kill_on_drop(true);
    // Some colour what a person does not read.
    command.env("NO_COLOR", "1");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let start_error = |error| ClinkError::Start { agent, program: program.clone(), error };
    let mut child = command.spawn().map_err(start_error)?;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let prompt = prompt.as_bytes().to_vec();
    let feed = async move {
        // An agent that does not read its prompt fails by itself, and says why.
        if let Some(mut stdin) = stdin {
            let _ = stdin.write_all(&prompt).await;
        }
    };
    let works = async {
        let ((), output, complaints) = tokio::join!(feed, read(stdout, MAX_OUTPUT), read(stderr, MAX_STDERR));
        (child.wait().await, output, complaints)
    };
    let (status, output, complaints) = tokio::time::timeout(TIMEOUT, works)
        .await
        .map_err(|_| ClinkError::TimedOut { agent, after: TIMEOUT })?;
    if output.len() as u64 > MAX_OUTPUT {
        return Err(ClinkError::TooMuch { agent, limit: MAX_OUTPUT });
    }
    let status = status.map_err(start_error)?;
    let failed = || ClinkError::Failed {
        agent,
        code: status.code(),
        said: last_words(if complaints.is_empty() { &output } else { &complaints }),
    };
    let report = agent.read_report(&String::from_utf8_lossy(&output)).ok_or_else(failed)?;
    if status.success() { Ok(report) } else { Err(failed()) }
}

fn find(agent: Agent, directory: &Path) -> Result<PathBuf, ClinkError> {
    let vars = environment::of_this_process();
    exai_os::search::resolve(agent.program(), directory, &vars).map_err(|_| ClinkError::NotFound { agent })
}

/// Reads all of a stream, or one byte more than `limit`: then the agent cannot write on, and is ended.
async fn read(stream: Option<impl AsyncRead + Unpin>, limit: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(stream) = stream {
        // What was read before an error counts.
        let _ = stream.take(limit + 1).read_to_end(&mut bytes).await;
    }
    bytes
}

/// The last 500 characters, on one line, without control characters.
fn last_words(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let line: Vec<&str> =
        text.split(|char: char| char.is_control() || char == ' ').filter(|word| !word.is_empty()).collect();
    let line = line.join(" ");
    let skipped = line.chars().count().saturating_sub(500);
    line.chars().skip(skipped).collect()
}

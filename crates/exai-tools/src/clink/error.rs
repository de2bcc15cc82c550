//! Why the command line of an agent gave no answer.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::Agent;
use crate::explain::Explain;

/// Why the command line of an agent gave no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClinkError {
    /// It is not installed, or not where servers look.
    #[error("there is no `{}` on the PATH of the tools server", .agent.program())]
    NotFound { agent: Agent },
    /// It could not be run.
    #[error("cannot run {}: {error}", .program.display())]
    Start { agent: Agent, program: PathBuf, error: io::Error },
    /// It ended without an answer.
    #[error("`{}` ended {} without an answer: {said}", .agent.program(), ended(*.code))]
    Failed { agent: Agent, code: Option<i32>, said: String },
    /// It worked for too long.
    #[error("`{}` was ended: it had no answer after {} minutes", .agent.program(), .after.as_secs() / 60)]
    TimedOut { agent: Agent, after: Duration },
    /// It said too much.
    #[error("`{}` was ended: it said more than {} MiB", .agent.program(), limit >> 20)]
    TooMuch { agent: Agent, limit: u64 },
    /// Nobody knows where it should work.
    #[error("this client has told no directory for the agent to work in")]
    NoDirectory,
}

impl ClinkError {
    /// Whether the agent may have asked its model.
    pub(crate) fn may_have_cost(&self) -> bool {
        match self {
            ClinkError::NotFound { .. } | ClinkError::Start { .. } | ClinkError::NoDirectory => false,
            ClinkError::Failed { .. } | ClinkError::TimedOut { .. } | ClinkError::TooMuch { .. } => true,
        }
    }
}

fn ended(code: Option<i32>) -> String {
    code.map_or_else(|| "by a signal".to_owned(), |code| format!("with code {code}"))
}

impl Explain for ClinkError {
    fn code(&self) -> &'static str {
        match self {
            ClinkError::NotFound { .. } => "agent_not_found",
            ClinkError::Start { .. } | ClinkError::Failed { .. } => "agent_failed",
            ClinkError::TimedOut { .. } => "timed_out",
            ClinkError::TooMuch { .. } => "too_large",
            ClinkError::NoDirectory => "no_directory",
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            ClinkError::NotFound { agent } => Some(format!(
                "install `{0}`, or make `{0}` known to the login shell, and run `exai restart ai`",
                agent.program()
            )),
            ClinkError::Failed { agent, .. } | ClinkError::Start { agent, .. } => Some(format!(
                "run `{}` once in a terminal, in the same directory: it may want a login, or your trust in the directory",
                agent.program()
            )),
            ClinkError::TimedOut { .. } | ClinkError::TooMuch { .. } => Some("give it a smaller task".into()),
            ClinkError::NoDirectory => Some("let the client run `exai shim`, or tell roots".into()),
        }
    }
}

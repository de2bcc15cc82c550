//! A server that speaks over its stdin and stdout.

use std::time::Duration;

use bytes::Bytes;
use exai_config::Via;
use exai_proto::Segments;
use exai_supervisor::outbox::Unsent;
use exai_supervisor::{Ended, Job};

use crate::upstream::running::{Stop, Upstream};
use crate::upstream::server_output;
use crate::upstream::ssh::{self, Contact};

/// A process tree with its stdio.
#[derive(Debug)]
pub(crate) struct StdioUpstream {
    job: Job,
    /// The machine that the job leads to.
    via: Option<Via>,
    /// The first line on stdout that is no message, until the server has said a message.
    first_line: Option<String>,
    has_spoken: bool,
}

impl StdioUpstream {
    pub(crate) fn new(job: Job, via: Option<Via>) -> Self {
        StdioUpstream { job, via, first_line: None, has_spoken: false }
    }
}

impl Upstream for StdioUpstream {
    fn send(&self, message: Segments, _number: Option<u64>) -> Result<(), Unsent> {
        self.job.send(message)
    }

    fn stop(&self, grace: Duration) -> Stop {
        self.job.stop(grace);
        Stop::Begun
    }

    fn root_pid(&self) -> Option<u32> {
        Some(self.job.root().pid)
    }

    fn stderr_tail(&self) -> String {
        self.job.stderr_tail()
    }

    fn note_message(&mut self) {
        self.has_spoken = true;
        self.first_line = None;
    }

    fn print(&mut self, line: &Bytes) {
        if !self.has_spoken && self.first_line.is_none() {
            self.first_line = Some(server_output::visible(line));
        }
        self.job.print(line);
    }

    fn explain(&self, reason: String) -> String {
        match &self.first_line {
            Some(line) => {
                format!("{reason}; it has said no message of MCP, and printed on stdout: \"{line}\"")
            }
            None => reason,
        }
    }

    fn explain_end(&self, ended: &Ended) -> String {
        let contact = if self.has_spoken { Contact::Once } else { Contact::Never };
        let explain = |via| ssh::explain_end(via, ended.exit, &ended.stderr_tail, contact);
        self.explain(self.via.as_ref().and_then(explain).unwrap_or_else(|| ended.reason.clone()))
    }
}

//! A server that runs, however it is spoken to.

use std::time::Duration;

use bytes::Bytes;
use exai_proto::Segments;
use exai_supervisor::Job;
use exai_supervisor::outbox::Unsent;

use crate::upstream::http::HttpUpstream;
use crate::upstream::server_output;

/// Its processes, and the way to it.
#[derive(Debug)]
pub(crate) struct Running {
    job: Job,
    /// For a server that is reached by URL. Otherwise its stdio is the way.
    http: Option<HttpUpstream>,
    /// The first line it printed where only messages may be, until it has said a message.
    first_line: Option<String>,
    has_spoken: bool,
}

impl Running {
    pub(crate) fn new(job: Job, http: Option<HttpUpstream>) -> Self {
        Running { job, http, first_line: None, has_spoken: false }
    }

    /// The process that was started.
    pub(crate) fn root_pid(&self) -> u32 {
        self.job.root().pid
    }

    /// The last lines it wrote for people.
    pub(crate) fn stderr_tail(&self) -> String {
        self.job.stderr_tail()
    }

    /// It has said a message of MCP.
    pub(crate) fn has_spoken(&mut self) {
        self.has_spoken = true;
        self.first_line = None;
    }

    /// It has printed a line for people on stdout: it goes where stderr goes.
    pub(crate) fn print(&mut self, line: &Bytes) {
        if !self.has_spoken && self.first_line.is_none() {
            self.first_line = Some(server_output::visible(line));
        }
        self.job.print(line);
    }

    /// Whether it can be spoken to as soon as it runs.
    pub(crate) fn is_up(&self) -> bool {
        self.http.is_none()
    }

    /// Queues a message; a request has a number.
    pub(crate) fn send(&self, message: Segments, number: Option<u64>) -> Result<(), Unsent> {
        match &self.http {
            Some(http) => http.send(message, number),
            None => self.job.send(message),
        }
    }

    /// Begins to stop it; each step may take `grace`. A session is ended before; [`Running::no_session`] says when that is done.
    pub(crate) fn stop(&self, grace: Duration) {
        match &self.http {
            Some(http) => http.close(),
            None => self.job.stop(grace),
        }
    }

    /// There is no session (any more) that would have to be ended before the processes.
    pub(crate) fn no_session(&mut self) {
        self.http = None;
    }

    /// Why it failed, with what is known better here.
    pub(crate) fn explained(&self, reason: String) -> String {
        let waits_for = self.http.as_ref().and_then(HttpUpstream::waits_for);
        match (waits_for, &self.first_line) {
            (Some(waits_for), _) => format!("{reason}; it {waits_for}"),
            (None, Some(line)) => {
                format!("{reason}; it has said no message of MCP, and printed on stdout: \"{line}\"")
            }
            (None, None) => reason,
        }
    }
}

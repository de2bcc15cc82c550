//! A server that the daemon starts and that opens a port of its own.

use std::time::Duration;

use bytes::Bytes;
use exai_proto::Segments;
use exai_supervisor::Job;
use exai_supervisor::outbox::Unsent;

use crate::upstream::http::HttpUpstream;
use crate::upstream::running::{Stop, Upstream};

/// A process tree, and the session with it over HTTP.
#[derive(Debug)]
pub(crate) struct ListeningUpstream {
    job: Job,
    /// `None` once the session has ended.
    http: Option<HttpUpstream>,
}

impl ListeningUpstream {
    pub(crate) fn new(job: Job, http: HttpUpstream) -> Self {
        ListeningUpstream { job, http: Some(http) }
    }
}

impl Upstream for ListeningUpstream {
    fn send(&self, message: Segments, number: Option<u64>) -> Result<(), Unsent> {
        self.http.as_ref().map_or(Err(Unsent::Closed), |http| http.send(message, number))
    }

    /// The session ends first, then the processes: the hub calls this again when the session has ended.
    fn stop(&self, grace: Duration) -> Stop {
        match &self.http {
            Some(http) => http.close(),
            None => self.job.stop(grace),
        }
        Stop::Begun
    }

    fn is_up(&self) -> bool {
        false
    }

    fn root_pid(&self) -> Option<u32> {
        Some(self.job.root().pid)
    }

    fn stderr_tail(&self) -> String {
        self.job.stderr_tail()
    }

    fn print(&mut self, line: &Bytes) {
        self.job.print(line);
    }

    fn forget_session(&mut self) {
        self.http = None;
    }

    fn explain(&self, reason: String) -> String {
        match self.http.as_ref().and_then(HttpUpstream::waits_for) {
            Some(waits_for) => format!("{reason}; it {waits_for}"),
            None => reason,
        }
    }
}

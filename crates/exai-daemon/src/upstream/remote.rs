//! A server that runs elsewhere, reached by URL.

use std::time::Duration;

use exai_mux::See;
use exai_proto::Segments;
use exai_supervisor::outbox::Unsent;

use crate::upstream::http::HttpUpstream;
use crate::upstream::running::{Stop, Upstream};

/// The conversation with such a server. There is no process.
#[derive(Debug)]
pub(crate) struct RemoteUpstream {
    /// `None` once the conversation has ended.
    http: Option<HttpUpstream>,
}

impl RemoteUpstream {
    pub(crate) fn new(http: HttpUpstream) -> Self {
        RemoteUpstream { http: Some(http) }
    }
}

impl Upstream for RemoteUpstream {
    fn send(&self, message: Segments, number: Option<u64>) -> Result<(), Unsent> {
        self.http.as_ref().map_or(Err(Unsent::Closed), |http| http.send(message, number))
    }

    /// A session of the legacy era is ended first. The hub calls this again when it has ended.
    fn stop(&self, _grace: Duration) -> Stop {
        match &self.http {
            Some(http) => {
                http.close();
                Stop::Begun
            }
            None => Stop::Done,
        }
    }

    fn is_up(&self) -> bool {
        false
    }

    fn where_to_look(&self) -> See {
        See::Nobody
    }

    fn forget_session(&mut self) {
        self.http = None;
    }
}

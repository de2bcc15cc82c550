//! The open HTTP sessions.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use exai_mux::{ClientId, Endpoint};
use exai_os::clock;
use exai_os::process::ProcessInfo;

use crate::client::http_streams::HttpSession;
use crate::client::session_process::{self, Caller};
use crate::limits::MAX_HTTP_SESSIONS;

/// The open sessions, by their secret ids. An id does not authenticate a client: each request needs the token as well.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sessions {
    open: Arc<Mutex<ById>>,
}

pub(crate) type ById = HashMap<String, (Arc<HttpSession>, Endpoint)>;

/// There is no room for another session, since each has a stream open.
#[derive(Debug)]
pub(crate) struct Full;

impl Sessions {
    pub(crate) fn open_sessions(&self) -> MutexGuard<'_, ById> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes the sessions that the hub has closed.
    pub(crate) fn forget_closed(&self) {
        self.open_sessions().retain(|_, (session, _)| !session.is_closed());
    }

    /// Finds out which process owns each session, and ends the sessions whose process is gone. Returns the clients of the
    /// ended sessions. Takes milliseconds if there are new connections.
    pub(crate) fn end_orphaned_sessions(&self, table: &[ProcessInfo]) -> Vec<ClientId> {
        let all: Vec<Arc<HttpSession>> =
            self.open_sessions().values().map(|(session, _)| session.clone()).collect();
        // This uses only what was known before the table was read.
        let orphaned: Vec<ClientId> = all
            .iter()
            .filter(|session| session.end_if_orphaned(table))
            .map(|session| session.client)
            .collect();
        if !orphaned.is_empty() {
            self.forget_closed();
        }
        let callers: Vec<Arc<Caller>> = all.iter().flat_map(|session| session.recent_callers()).collect();
        session_process::identify_callers(&callers, table);
        for session in &all {
            session.update_usage(table, clock::now());
        }
        orphaned
    }

    pub(crate) fn has_room(&self) -> bool {
        let open = self.open_sessions();
        open.len() < MAX_HTTP_SESSIONS || find_longest_unused(&open).is_some()
    }

    /// Inserts a session. If there are too many, the session without a stream that was unused for longest is closed, and
    /// its client is returned: many clients never end their sessions.
    pub(crate) fn insert_session(
        &self,
        id: String,
        session: Arc<HttpSession>,
        endpoint: Endpoint,
    ) -> Result<Option<ClientId>, Full> {
        let mut open = self.open_sessions();
        let mut evicted = None;
        if open.len() >= MAX_HTTP_SESSIONS {
            let unused = find_longest_unused(&open).ok_or(Full)?;
            if let Some((session, _)) = open.remove(&unused) {
                session.close(false);
                evicted = Some(session.client);
            }
        }
        open.insert(id, (session, endpoint));
        Ok(evicted)
    }
}

fn find_longest_unused(open: &ById) -> Option<String> {
    let unused = open.iter().filter_map(|(id, (session, _))| Some((session.idle_since()?, id)));
    unused.min().map(|(_, id)| id.clone())
}

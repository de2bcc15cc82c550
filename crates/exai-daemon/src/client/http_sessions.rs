//! The open HTTP sessions.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use exai_mux::{ClientId, Endpoint};
use exai_os::clock;
use exai_os::process::ProcessInfo;

use crate::client::http_streams::HttpSession;
use crate::client::session_usage::{self, Caller};
use crate::limits::MAX_HTTP_SESSIONS;

/// The open sessions, by their secret ids. An id is no proof of who one is: the token is asked for besides.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sessions {
    open: Arc<Mutex<ById>>,
}

pub(crate) type ById = HashMap<String, (Arc<HttpSession>, Endpoint)>;

/// There are as many sessions as there may be, and each is being used.
#[derive(Debug)]
pub(crate) struct Full;

impl Sessions {
    pub(crate) fn open(&self) -> MutexGuard<'_, ById> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The hub closes sessions; here they are forgotten.
    pub(crate) fn forget_closed(&self) {
        self.open().retain(|_, (session, _)| !session.is_closed());
    }

    /// Finds out whose sessions these are, and ends those whose process is gone; returns their clients. Takes milliseconds
    /// where there are new connections.
    pub(crate) fn look(&self, table: &[ProcessInfo]) -> Vec<ClientId> {
        let all: Vec<Arc<HttpSession>> = self.open().values().map(|(session, _)| session.clone()).collect();
        // What was learned before the table was read.
        let orphaned: Vec<ClientId> = all
            .iter()
            .filter(|session| session.end_if_orphaned(table))
            .map(|session| session.client)
            .collect();
        if !orphaned.is_empty() {
            self.forget_closed();
        }
        let callers: Vec<Arc<Caller>> = all.iter().flat_map(|session| session.callers()).collect();
        session_usage::ask_who(&callers, table);
        for session in &all {
            session.learn(table, clock::now());
        }
        orphaned
    }

    pub(crate) fn has_room(&self) -> bool {
        let open = self.open();
        open.len() < MAX_HTTP_SESSIONS || longest_unused(&open).is_some()
    }

    /// One more session. If there are too many, the one that has not been used for longest and has no stream gives way,
    /// and its client is returned: many clients never end theirs.
    pub(crate) fn take_in(
        &self,
        id: String,
        session: Arc<HttpSession>,
        endpoint: Endpoint,
    ) -> Result<Option<ClientId>, Full> {
        let mut open = self.open();
        let mut evicted = None;
        if open.len() >= MAX_HTTP_SESSIONS {
            let unused = longest_unused(&open).ok_or(Full)?;
            if let Some((session, _)) = open.remove(&unused) {
                session.close(false);
                evicted = Some(session.client);
            }
        }
        open.insert(id, (session, endpoint));
        Ok(evicted)
    }
}

fn longest_unused(open: &ById) -> Option<String> {
    let unused = open.iter().filter_map(|(id, (session, _))| Some((session.idle_since()?, id)));
    unused.min().map(|(_, id)| id.clone())
}

//! What the daemon knows of one sign-in: one for each place, however many servers and instances use it.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use exai_auth::SignIn;

use super::network::Network;

/// Why a sign-in begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// A person asks for it, or the server takes no token that there is.
    Wanted,
    /// The server takes the token, and wants more scopes. What was asked for in vain is not asked for again, or a client that
    /// opens every page would do so for ever (MCP 2025-11-25, authorization, scope challenge handling).
    ScopesMissing,
}

/// A sign-in, and what the daemon knows of it besides.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) sign_in: Arc<SignIn>,
    /// The servers that have asked for it: each of them hears when somebody has signed in or out.
    servers: Mutex<BTreeSet<Arc<str>>>,
    /// Those of them that refuse requests until somebody signs in.
    refusing: Mutex<BTreeSet<Arc<str>>>,
    /// Whether there are any: each request asks.
    is_refused: AtomicBool,
    /// The way to the network, as the server has it.
    pub(super) network: Arc<Network>,
    /// Held while a sign-in is prepared: who comes second finds the page of the first, or hears of its failure.
    pub(super) preparing: tokio::sync::Mutex<Option<FailedToBegin>>,
}

/// How the last sign-in could not begin.
#[derive(Debug)]
pub(super) struct FailedToBegin {
    pub(super) at: Instant,
    pub(super) cause: Cause,
    pub(super) why: String,
}

impl Known {
    pub(super) fn new(sign_in: Arc<SignIn>, network: Arc<Network>) -> Self {
        Known {
            sign_in,
            servers: Mutex::default(),
            refusing: Mutex::default(),
            is_refused: AtomicBool::new(false),
            network,
            preparing: tokio::sync::Mutex::default(),
        }
    }

    pub(super) fn servers(&self) -> MutexGuard<'_, BTreeSet<Arc<str>>> {
        self.servers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn list_servers(&self) -> Vec<Arc<str>> {
        self.servers().iter().cloned().collect()
    }

    fn refusing(&self) -> MutexGuard<'_, BTreeSet<Arc<str>>> {
        self.refusing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that the server refuses requests until somebody signs in. Returns whether that is news.
    pub(super) fn note_ended(&self, server: &Arc<str>) -> bool {
        let mut refusing = self.refusing();
        self.is_refused.store(true, Ordering::SeqCst);
        refusing.insert(server.clone())
    }

    /// Notes that the server has taken a request. Returns whether that is news.
    pub(super) fn note_taken(&self, server: &Arc<str>) -> bool {
        if !self.is_refused.load(Ordering::Relaxed) {
            return false;
        }
        let mut refusing = self.refusing();
        let is_news = refusing.remove(server);
        self.is_refused.store(!refusing.is_empty(), Ordering::SeqCst);
        is_news
    }
}

//! Which servers elsewhere speak the HTTP+SSE transport, as far as this daemon has found out.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::server_url::ServerUrl;
use crate::limits::MAX_KNOWN_SSE_SERVERS;

/// The URLs at which that transport is spoken. Clones share it. A new session at one of them begins with the event stream.
#[derive(Debug, Default, Clone)]
pub(super) struct SseServers(Arc<Mutex<HashSet<ServerUrl>>>);

impl SseServers {
    fn known(&self) -> MutexGuard<'_, HashSet<ServerUrl>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn knows(&self, place: &ServerUrl) -> bool {
        self.known().contains(place)
    }

    /// Beyond the bound a server is asked each time.
    pub(super) fn remember(&self, place: &ServerUrl) {
        let mut known = self.known();
        if known.len() < MAX_KNOWN_SSE_SERVERS {
            known.insert(place.clone());
        }
    }

    pub(super) fn forget(&self, place: &ServerUrl) {
        self.known().remove(place);
    }
}

//! The sign-ins that wait for a browser.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use exai_auth::{AuthHttp, PendingSignIn, Place, Scopes};
use exai_config::SignInConfig;
use exai_os::clock;
use tokio::sync::watch;

use super::known::Known;
use crate::limits::{MAX_PENDING_SIGN_INS, SIGN_IN_PAGE_TIMEOUT};

/// What becomes of a sign-in: `None` until then, then the error.
type Outcome = watch::Receiver<Option<Result<(), String>>>;

/// What is needed to finish a sign-in that waits.
pub(super) struct Waiting {
    pub(super) http: AuthHttp,
    pub(super) server: Arc<str>,
    pub(super) known: Arc<Known>,
}

/// A sign-in that waits.
pub(super) struct Pending {
    pub(super) sign_in: PendingSignIn,
    pub(super) waiting: Waiting,
    pub(super) outcome: watch::Sender<Option<Result<(), String>>>,
    page: Arc<str>,
    /// How the server was configured when it began, and what it wanted.
    config: SignInConfig,
    wanted: Scopes,
    begun: Instant,
}

/// A sign-in that waits for a person.
#[derive(Debug, Clone)]
pub(crate) struct Begun {
    /// The page to open.
    pub(crate) page: Arc<str>,
    /// Until when it is good.
    until: Instant,
    /// What becomes of it.
    outcome: Outcome,
}

/// All sign-ins that wait, by their state: what the browser brings back.
#[derive(Default)]
pub(super) struct PendingTable(Mutex<HashMap<String, Pending>>);

impl std::fmt::Debug for PendingTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("PendingTable").field(&self.table().len()).finish()
    }
}

impl PendingTable {
    /// The table without what is too old.
    fn table(&self) -> MutexGuard<'_, HashMap<String, Pending>> {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = clock::now();
        table.retain(|_, pending| now.saturating_duration_since(pending.begun) < SIGN_IN_PAGE_TIMEOUT);
        table
    }

    /// The sign-in that waits for this place, if it asks for all that is wanted now.
    pub(super) fn find(&self, place: &Place, config: &SignInConfig, wanted: &Scopes) -> Option<Begun> {
        let table = self.table();
        let fits = |pending: &&Pending| {
            pending.waiting.known.sign_in.place() == place
                && pending.config == *config
                && wanted.is_within(&pending.wanted)
        };
        // A page that is almost over would be of no use.
        let half = |pending: &&Pending| clock::now() < pending.begun + SIGN_IN_PAGE_TIMEOUT / 2;
        let pending = table.values().filter(fits).find(half)?;
        let until = pending.begun + SIGN_IN_PAGE_TIMEOUT;
        Some(Begun { page: pending.page.clone(), until, outcome: pending.outcome.subscribe() })
    }

    /// Adds a sign-in. If there are too many, the oldest ends.
    pub(super) fn add(
        &self,
        sign_in: PendingSignIn,
        waiting: Waiting,
        config: SignInConfig,
        wanted: Scopes,
    ) -> Begun {
        let mut table = self.table();
        if table.len() >= MAX_PENDING_SIGN_INS {
            let oldest =
                table.iter().min_by_key(|(_, pending)| pending.begun).map(|(state, _)| state.clone());
            oldest.and_then(|oldest| table.remove(&oldest));
        }
        let (outcome, waits) = watch::channel(None);
        let page: Arc<str> = sign_in.address.as_str().into();
        let state = sign_in.state.clone();
        let begun = clock::now();
        let pending = Pending { sign_in, waiting, outcome, page: page.clone(), config, wanted, begun };
        table.insert(state, pending);
        Begun { page, until: begun + SIGN_IN_PAGE_TIMEOUT, outcome: waits }
    }

    /// Ends those of this place.
    pub(super) fn forget(&self, place: &Place) {
        self.table().retain(|_, pending| pending.waiting.known.sign_in.place() != place);
    }

    /// Takes the sign-in with this state: it is good for one return.
    pub(super) fn take(&self, state: &str) -> Option<Pending> {
        self.table().remove(state)
    }
}

impl Begun {
    /// How long the page is still good.
    pub(crate) fn lasts(&self) -> Duration {
        self.until.saturating_duration_since(clock::now())
    }

    /// Waits until the sign-in is finished, as long as the page is good.
    pub(crate) async fn finished(mut self) -> Result<(), String> {
        let limit = self.lasts();
        let over = || Err("nobody has signed in within the time that a page is good for".to_owned());
        match tokio::time::timeout(limit, self.outcome.wait_for(Option::is_some)).await {
            Ok(Ok(outcome)) => outcome.clone().unwrap_or_else(over),
            // Its place was given to a newer one.
            Ok(Err(_)) | Err(_) => over(),
        }
    }
}

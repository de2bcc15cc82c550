//! What is known of a sign-in, in memory and on disk, and what changes both.

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use exai_config::Secret;
use tokio::sync::watch;

use crate::challenge::Challenge;
use crate::http::place;
use crate::identity::Identity;
use crate::keys::NoKey;
use crate::record::{Place, Record};
use crate::records::Records;
use crate::renewal::RENEWAL_TIMEOUT;
use crate::scopes::Scopes;

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) place: Place,
    records: Records,
    state: Mutex<State>,
    /// Held from before a file is read or written until the state says the same, so that what is on disk and what is in
    /// memory change in one order. Whoever needs the lock of a record, too, takes that first.
    files: Mutex<()>,
    /// Changes with each new sign-in.
    pub(super) adopted: watch::Sender<()>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) record: Option<Record>,
    /// Why what is on disk cannot be read, if that is so: then nothing is known of it.
    pub(super) unread: Option<NoKey>,
    /// What the server said when it last refused a request.
    pub(super) challenge: Option<Challenge>,
    /// The scopes that it has said to need.
    pub(super) needed: Scopes,
    /// How many tokens in a row it has refused that were new.
    pub(super) refused_renewals: u32,
    /// How the last renewal failed, if it did.
    pub(super) failure: Option<Failure>,
    /// When somebody has signed in, until the server has taken a token of that.
    pub(super) unproven_since: Option<Instant>,
    /// What was registered for a page from which nobody has come back yet.
    pub(super) registration: Option<Registration>,
}

#[derive(Debug)]
pub(super) struct Registration {
    pub(super) at: Instant,
    pub(super) identity: Identity,
}

#[derive(Debug)]
pub(super) struct Failure {
    pub(super) at: Instant,
    pub(super) why: String,
}

/// What blocks. The lock of a record keeps a renewal from writing what it began with over what is newer.
impl Shared {
    /// Reads what is on disk.
    pub(super) fn open(records: Records, place: Place) -> io::Result<Self> {
        let state = match records.find(&place) {
            Ok(record) => State { record, ..State::default() },
            Err(error) => match NoKey::of(&error) {
                Some(no_key) => State { unread: Some(no_key.clone()), ..State::default() },
                None => return Err(error),
            },
        };
        let state = Mutex::new(state);
        Ok(Shared { place, records, state, files: Mutex::default(), adopted: watch::Sender::default() })
    }

    /// Tries once more to read what could not be read.
    pub(super) fn read_again(&self) -> io::Result<()> {
        let _files = self.files();
        if self.state().unread.is_none() {
            return Ok(());
        }
        let found = self.records.find(&self.place);
        let mut state = self.state();
        match found {
            Ok(record) => {
                state.record = record;
                state.unread = None;
                Ok(())
            }
            Err(error) => {
                if let Some(no_key) = NoKey::of(&error) {
                    state.unread = Some(no_key.clone());
                }
                Err(error)
            }
        }
    }

    /// Reads the record anew, which a renewal has changed.
    pub(super) fn reload(&self, id: &str) -> io::Result<()> {
        let _files = self.files();
        let record = self.records.read(id)?;
        let mut state = self.state();
        // Meanwhile somebody may have signed in at another authorization server.
        if state.record.as_ref().is_some_and(|now| now.id() == id) {
            if record.as_ref().is_none_or(|record| record.tokens.is_none()) {
                // What a token lacked that is no more.
                if let Some(challenge) = &mut state.challenge {
                    challenge.error = None;
                }
            }
            state.record = record;
        }
        Ok(())
    }

    pub(super) fn adopt(&self, record: Record) -> io::Result<()> {
        let id = record.id();
        self.records.keep_key();
        self.with_lock(&id, || {
            self.records.write(&record)?;
            let unproven_since = Some(Instant::now());
            *self.state() = State { record: Some(record), unproven_since, ..State::default() };
            Ok(())
        })?;
        self.adopted.send_replace(());
        if let Err(error) = self.remove_others(&id) {
            tracing::warn!(server = place(&self.place.server), %error, "an earlier sign-in cannot be removed");
        }
        Ok(())
    }

    /// Removes the records of other authorization servers than the one of the record `id`. Where the server has moved, what
    /// the earlier one gave is of no use.
    fn remove_others(&self, id: &str) -> io::Result<()> {
        let of_place = self.records.of_place(&self.place)?.into_iter().map(|known| known.id());
        for other in of_place.filter(|known| known != id) {
            self.with_lock(&other, || self.records.remove(&other))?;
        }
        Ok(())
    }

    pub(super) fn sign_out(&self) -> io::Result<bool> {
        self.read_again()?;
        let Some(record) = self.state().record.clone().filter(|record| record.tokens.is_some()) else {
            return Ok(false);
        };
        let id = record.id();
        self.with_lock(&id, || {
            // A renewal may have changed it meanwhile.
            let mut record = self.records.read(&id).ok().flatten().unwrap_or(record);
            record.tokens = None;
            self.records.write(&record)?;
            self.state().record = Some(record);
            Ok(())
        })?;
        self.remove_others(&id)?;
        Ok(true)
    }

    pub(super) fn forget_registration(&self) -> io::Result<()> {
        self.state().registration = None;
        self.change(|record| record.identity.note_unknown())
    }

    pub(super) fn note_secret(&self, client_id: &str, secret: Option<&Secret>) -> io::Result<()> {
        let is_newer = |record: &Record| record.identity.has_other_secret(client_id, secret);
        if !self.state().record.as_ref().is_some_and(is_newer) {
            return Ok(());
        }
        self.change(|record| record.identity.client_secret = secret.cloned())
    }

    /// Changes the record, if there is one.
    fn change(&self, change: impl FnOnce(&mut Record)) -> io::Result<()> {
        let Some(record) = self.state().record.clone() else { return Ok(()) };
        let id = record.id();
        self.with_lock(&id, || {
            // A renewal may have changed it meanwhile.
            let mut record = self.records.read(&id)?.unwrap_or(record);
            change(&mut record);
            self.records.write(&record)?;
            self.state().record = Some(record);
            Ok(())
        })
    }

    /// Does something to the files of a record that no renewal and nobody else may disturb.
    fn with_lock<T>(&self, id: &str, work: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        let Some(_lock) = self.records.lock(id, Instant::now() + RENEWAL_TIMEOUT)? else {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "another process renews this sign-in"));
        };
        let _files = self.files();
        work()
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn files(&self) -> MutexGuard<'_, ()> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Whether this is the present access token.
    pub(super) fn holds(&self, token: &Secret) -> bool {
        let tokens = self.record.as_ref().and_then(|record| record.tokens.as_ref());
        tokens.is_some_and(|tokens| tokens.access_token == *token)
    }

    pub(super) fn has_failed_within(&self, time: Duration) -> bool {
        self.failure.as_ref().is_some_and(|failure| failure.at.elapsed() < time)
    }
}

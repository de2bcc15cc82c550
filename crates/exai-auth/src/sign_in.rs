//! The sign-in at one server as one account: whoever sends a request asks it for the token.

mod shared;

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, MutexGuard};
use std::time::{Duration, Instant};

use exai_config::Secret;
use shared::{Failure, Registration, Shared, State};
use tokio::sync::watch;

use crate::challenge::Challenge;
use crate::identity::{Identity, Registered};
use crate::keys::NoKey;
use crate::record::{Place, Record, Tokens};
use crate::records::Records;
use crate::renewal::Renewal;
use crate::scopes::Scopes;

/// A token with less than this left, or half of its lifetime, is not sent: the way to the server takes time, and clocks
/// differ.
const SPENT_SECONDS: u64 = 5;
/// A token with less than this left, or a fifth of its lifetime, is renewed while it is still good.
const EARLY_SECONDS: u64 = 300;
/// After so many new tokens that the server took none of, no further one is asked for.
const MAX_REFUSED_RENEWALS: u32 = 3;
/// Whoever needs a token so soon after a renewal has failed hears of that failure.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);
/// So soon after a renewal has failed, a token that is still good is not renewed.
const EARLY_RETRY_INTERVAL: Duration = Duration::from_secs(30);
/// So soon after a sign-in no other one is asked for, should the server take no token of it: a browser that needs no person to
/// sign in would be sent there again and again.
const UNPROVEN_TIME: Duration = Duration::from_mins(5);
/// How long a registration is used for further pages if nobody comes back from the first. Later nobody may have come back
/// because the authorization server has forgotten it, and says so on its page alone.
const REGISTRATION_TIME: Duration = Duration::from_hours(24);

/// Replaces access tokens; see [`crate::renew`].
pub trait Renew: fmt::Debug + Send + Sync {
    /// Replaces the access token `old` of the record `id`, which is on disk when the future ends. A renewal that has begun
    /// goes on when the future is dropped.
    fn renew(&self, id: String, old: Secret) -> Pin<Box<dyn Future<Output = Renewal> + Send>>;
}

/// The sign-in at one server as one account. All clients and instances of the server share it.
#[derive(Debug)]
pub struct SignIn {
    shared: Arc<Shared>,
    renewer: Arc<dyn Renew>,
    /// Held by the one renewal.
    renewing: tokio::sync::Mutex<()>,
}

/// Why a token is renewed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    /// The server has refused it.
    Refused,
    /// It ends.
    Ending,
}

/// How it stands with the sign-in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Nobody has signed in, or somebody has signed out, or the sign-in was ended.
    SignedOut,
    /// Nobody knows, since what is on disk is sealed and there is no key.
    Unread(NoKey),
    /// Somebody has. The token may have to be renewed before it is used.
    SignedIn {
        /// The authorization server.
        issuer: String,
        /// What it has allowed.
        scopes: Scopes,
        /// When the present token ends, in seconds since 1970.
        expires_at: Option<u64>,
        /// Whether it can be renewed without a person.
        is_renewable: bool,
    },
}

/// What follows from a refusal of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// There is another token now: the request may be sent again, once.
    Again,
    /// A person must sign in.
    SignInNeeded,
    /// A person must sign in again, since the server needs a scope that the token lacks.
    ScopesNeeded(Scopes),
    /// The token could not be renewed now. A later try may succeed.
    Unavailable(String),
    /// Somebody has just signed in, and the server takes no token of that.
    NewTokenRefused,
}

impl SignIn {
    /// Opens the sign-in, with what is on disk. Blocks.
    ///
    /// # Errors
    /// When the records cannot be read: that does not mean that nobody is signed in. One that is sealed and has no key now is
    /// no error here, so that somebody can sign in anew.
    pub fn open(records: Records, place: Place, renewer: Arc<dyn Renew>) -> io::Result<Self> {
        let shared = Arc::new(Shared::open(records, place)?);
        Ok(SignIn { shared, renewer, renewing: tokio::sync::Mutex::default() })
    }

    /// For which server, and as whom.
    pub fn place(&self) -> &Place {
        &self.shared.place
    }

    /// The record, if there is one.
    pub fn record(&self) -> Option<Record> {
        self.state().record.clone()
    }

    /// Who we are to the authorization server as far as we know: what was registered last.
    pub fn identity(&self) -> Option<Identity> {
        let state = self.state();
        let fresh = state.registration.as_ref().filter(|known| known.at.elapsed() < REGISTRATION_TIME);
        let kept = || state.record.as_ref().map(|record| record.identity.clone());
        fresh.map(|known| known.identity.clone()).or_else(kept)
    }

    /// Notes who we are to the authorization server in a sign-in that begins. It is kept on disk when that succeeds.
    pub fn note_identity(&self, identity: &Identity) {
        let mut state = self.state();
        let is_known = state.registration.as_ref().is_some_and(|known| known.identity == *identity);
        if identity.registered == Registered::Dynamically && !is_known {
            state.registration = Some(Registration { at: Instant::now(), identity: identity.clone() });
        }
    }

    /// Takes the secret of the configuration, which may have changed since somebody signed in as this client. Blocks.
    ///
    /// # Errors
    /// When the record cannot be read or written.
    pub fn note_secret(&self, client_id: &str, secret: Option<&Secret>) -> io::Result<()> {
        self.shared.note_secret(client_id, secret)
    }

    /// What the server said when it last refused a request, if it did, and all scopes that are needed or were asked for before.
    pub fn wish(&self) -> (Option<Challenge>, Scopes) {
        let state = self.state();
        let mut scopes = state.needed.clone();
        if let Some(record) = &state.record {
            scopes.extend(&record.asked);
        }
        (state.challenge.clone(), scopes)
    }

    /// How it stands.
    pub fn standing(&self) -> Standing {
        let state = self.state();
        if let Some(no_key) = &state.unread {
            return Standing::Unread(no_key.clone());
        }
        let signed_in = state.record.as_ref().and_then(|record| Some((record, record.tokens.as_ref()?)));
        signed_in.map_or(Standing::SignedOut, |(record, tokens)| Standing::SignedIn {
            issuer: record.issuer.clone(),
            scopes: tokens.scopes.clone(),
            expires_at: tokens.expires_at,
            is_renewable: tokens.refresh_token.is_some(),
        })
    }

    /// The token to send now; `None` when there is none. Renews one that is spent, and begins to renew one that soon will be.
    ///
    /// # Errors
    /// When the sign-in cannot be read now. It is tried anew each time.
    pub async fn token(
        self: &Arc<Self>,
        spawn: impl FnOnce(Pin<Box<dyn Future<Output = ()> + Send>>),
    ) -> io::Result<Option<Secret>> {
        if self.state().unread.is_some() {
            self.read_again().await?;
        }
        Ok(self.present_token(spawn).await)
    }

    async fn present_token(
        self: &Arc<Self>,
        spawn: impl FnOnce(Pin<Box<dyn Future<Output = ()> + Send>>),
    ) -> Option<Secret> {
        let tokens = self.tokens()?;
        if tokens.refresh_token.is_none() || !is_due(&tokens) {
            return Some(tokens.access_token);
        }
        if tokens.ends_within(spent_seconds(&tokens)) {
            self.renew(&tokens.access_token, Cause::Ending).await;
            return Some(self.tokens()?.access_token);
        }
        let has_just_failed = self.state().has_failed_within(EARLY_RETRY_INTERVAL);
        if !has_just_failed && self.renewing.try_lock().is_ok() {
            let (this, old) = (Arc::clone(self), tokens.access_token.clone());
            spawn(Box::pin(async move {
                this.renew(&old, Cause::Ending).await;
            }));
        }
        Some(tokens.access_token)
    }

    /// Notes that the server has taken a token.
    pub fn note_accepted(&self, token: &Secret) {
        let mut state = self.state();
        if (state.refused_renewals > 0 || state.unproven_since.is_some()) && state.holds(token) {
            state.refused_renewals = 0;
            state.unproven_since = None;
        }
    }

    /// What follows from the server's refusal (HTTP 401, or 403 for a scope) of a request that was sent with `used`.
    pub async fn refused(&self, used: Option<&Secret>, challenge: Challenge) -> Refusal {
        let (lacks_scope, scopes) = (challenge.lacks_scope(), challenge.scopes.clone().unwrap_or_default());
        let old = {
            let mut state = self.state();
            state.needed.extend(&scopes);
            state.challenge = Some(challenge);
            let tokens = state.record.as_ref().and_then(|record| record.tokens.clone());
            let Some(tokens) = tokens else { return Refusal::SignInNeeded };
            let is_other = used != Some(&tokens.access_token);
            if lacks_scope && !(is_other && scopes.is_within(&tokens.scopes)) {
                return Refusal::ScopesNeeded(scopes);
            }
            if is_other {
                return Refusal::Again;
            }
            tokens.access_token
        };
        match self.renew(&old, Cause::Refused).await {
            Renewal::Renewed => Refusal::Again,
            Renewal::SignedOut(_) => Refusal::SignInNeeded,
            Renewal::NotRenewable => {
                let since = self.state().unproven_since;
                let has_just_signed_in = since.is_some_and(|since| since.elapsed() < UNPROVEN_TIME);
                if has_just_signed_in { Refusal::NewTokenRefused } else { Refusal::SignInNeeded }
            }
            Renewal::Failed(why) => Refusal::Unavailable(why),
        }
    }

    /// Replaces the token `old`, unless another renewal has: all who ask at the same time share one, and its failure.
    async fn renew(&self, old: &Secret, cause: Cause) -> Renewal {
        let asked_at = Instant::now();
        let _renewing = self.renewing.lock().await;
        let id = {
            let state = self.state();
            let id = match &state.record {
                Some(record) if state.holds(old) => record.id(),
                Some(Record { tokens: Some(_), .. }) => return Renewal::Renewed,
                Some(_) | None => return Renewal::NotRenewable,
            };
            if cause == Cause::Refused && state.refused_renewals >= MAX_REFUSED_RENEWALS {
                return Renewal::NotRenewable;
            }
            let shared = |failure: &&Failure| failure.at >= asked_at || failure.at.elapsed() < RETRY_INTERVAL;
            if let Some(failure) = state.failure.as_ref().filter(shared) {
                return Renewal::Failed(failure.why.clone());
            }
            id
        };
        let renewal = self.renewer.renew(id.clone(), old.clone()).await;
        let server = &self.shared.place.server;
        match &renewal {
            Renewal::Failed(why) => tracing::warn!(%server, why, "a sign-in could not be renewed"),
            Renewal::SignedOut(why) => tracing::warn!(%server, why, "a sign-in has ended"),
            Renewal::Renewed | Renewal::NotRenewable => {}
        }
        let renewal = match self.reload(id).await {
            Ok(()) => renewal,
            Err(error) => Renewal::Failed(format!("the renewed sign-in cannot be read: {error}")),
        };
        let mut state = self.state();
        state.failure = None;
        match &renewal {
            Renewal::Renewed if cause == Cause::Refused => state.refused_renewals += 1,
            Renewal::Failed(why) => state.failure = Some(Failure { at: Instant::now(), why: why.clone() }),
            Renewal::Renewed | Renewal::SignedOut(_) | Renewal::NotRenewable => {}
        }
        renewal
    }

    /// Reads again what could not be read. One at a time: each may wait for a keyring, in a thread of its own.
    async fn read_again(&self) -> io::Result<()> {
        let _renewing = self.renewing.lock().await;
        if self.state().unread.is_none() {
            return Ok(());
        }
        let shared = Arc::clone(&self.shared);
        let read = tokio::task::spawn_blocking(move || shared.read_again()).await;
        read.map_err(io::Error::other)?
    }

    async fn reload(&self, id: String) -> io::Result<()> {
        let shared = Arc::clone(&self.shared);
        let read = tokio::task::spawn_blocking(move || shared.reload(&id)).await;
        read.map_err(io::Error::other)?
    }

    /// Notices each new sign-in from here on.
    pub fn watch(&self) -> watch::Receiver<()> {
        self.shared.adopted.subscribe()
    }

    /// Keeps a new sign-in, in place of an earlier one. Blocks, also for a renewal that has begun.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn adopt(&self, record: Record) -> io::Result<()> {
        self.shared.adopt(record)
    }

    /// Forgets the tokens. `false` when there were none. Blocks, also for a renewal that has begun.
    ///
    /// # Errors
    /// When the record cannot be written: the tokens are still there.
    pub fn sign_out(&self) -> io::Result<bool> {
        self.shared.sign_out()
    }

    /// Forgets who we are to the authorization server, if we have registered there ourselves: the next sign-in registers
    /// anew. For a server that has said that it does not know us, or that has shown a browser such a page, so that nobody has
    /// come back. Blocks, also for a renewal that has begun.
    ///
    /// # Errors
    /// When the record cannot be read or written.
    pub fn forget_registration(&self) -> io::Result<()> {
        self.shared.forget_registration()
    }

    fn tokens(&self) -> Option<Tokens> {
        self.state().record.as_ref()?.tokens.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state()
    }
}

/// With how little left a token is not sent any more.
fn spent_seconds(tokens: &Tokens) -> u64 {
    tokens.lifetime().map_or(0, |lifetime| (lifetime / 2).min(SPENT_SECONDS))
}

/// Whether a token is to be renewed.
fn is_due(tokens: &Tokens) -> bool {
    let early = tokens.lifetime().map_or(0, |lifetime| (lifetime / 5).min(EARLY_SECONDS));
    tokens.ends_within(early.max(spent_seconds(tokens)))
}

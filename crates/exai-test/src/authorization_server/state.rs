//! What the server remembers, and what all endpoints share.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use super::options::{Options, Resource};
use super::seen::{Seen, TokenRequest};
use super::settings::{Fault, Settings};

/// How many requests for tokens are kept.
const MOST_REQUESTS: usize = 10_000;

/// What all endpoints share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) options: Options,
    /// `http://127.0.0.1:PORT`. The first request can only come when it is known.
    pub(super) origin: OnceLock<String>,
    state: Mutex<State>,
    changed: Condvar,
}

/// What the server remembers.
#[derive(Debug)]
pub(super) struct State {
    pub(super) settings: Settings,
    pub(super) issuer_path: String,
    pub(super) clients: HashMap<String, Client>,
    pub(super) grants: Vec<Grant>,
    pub(super) codes: HashMap<String, Code>,
    pub(super) access_tokens: HashMap<String, AccessToken>,
    pub(super) refresh_tokens: HashMap<String, RefreshToken>,
    /// Authorization pages that wait for a button, by their tickets.
    pub(super) open_pages: HashMap<String, Asked>,
    pub(super) devices: HashMap<String, Device>,
    pub(super) seen: Seen,
    pub(super) requests: VecDeque<TokenRequest>,
    pub(super) faults: VecDeque<Fault>,
    pub(super) holds_tokens: bool,
    pub(super) is_over: bool,
    seed: u64,
    secrets: u64,
}

/// A registered client.
#[derive(Debug, Clone)]
pub(super) struct Client {
    pub(super) id: String,
    pub(super) secret: Option<String>,
    /// How it shows who it is: the names that the metadata use.
    pub(super) methods: Vec<String>,
    /// Where its users may be sent back to; `None` for everywhere on this machine.
    pub(super) redirect_uris: Option<Vec<String>>,
    pub(super) grant_types: Vec<String>,
}

/// What an authorization page asks for.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) client: String,
    pub(super) redirect_uri: String,
    pub(super) state: String,
    pub(super) challenge: String,
    pub(super) resource: String,
    pub(super) scopes: Vec<String>,
}

/// What an account has allowed a client. Its tokens are good as long as it is.
#[derive(Debug, Clone)]
pub(super) struct Grant {
    pub(super) client: String,
    pub(super) account: String,
    pub(super) resource: String,
    pub(super) scopes: Vec<String>,
    pub(super) is_revoked: bool,
}

#[derive(Debug)]
pub(super) struct Code {
    pub(super) grant: usize,
    pub(super) challenge: String,
    pub(super) redirect_uri: String,
    pub(super) ends: Instant,
    pub(super) is_used: bool,
}

#[derive(Debug)]
pub(super) struct AccessToken {
    pub(super) grant: usize,
    pub(super) scopes: Vec<String>,
    pub(super) ends: Instant,
}

#[derive(Debug)]
pub(super) struct RefreshToken {
    pub(super) grant: usize,
    pub(super) is_used: bool,
}

/// A device flow.
#[derive(Debug)]
pub(super) struct Device {
    pub(super) client: String,
    pub(super) resource: String,
    pub(super) scopes: Vec<String>,
    pub(super) user_code: String,
    /// What was pressed at its page.
    pub(super) is_allowed: Option<bool>,
    pub(super) pending: u32,
    pub(super) slow_downs: u32,
    pub(super) interval: Duration,
    pub(super) last_poll: Option<Instant>,
    pub(super) ends: Instant,
}

impl State {
    fn new(options: &Options) -> Self {
        let clients = options.clients.iter().map(|known| {
            let methods = if known.secret.is_some() {
                vec!["client_secret_basic".to_owned(), "client_secret_post".to_owned()]
            } else {
                vec!["none".to_owned()]
            };
            let (id, secret) = (known.id.clone(), known.secret.clone());
            let grant_types = all_grant_types();
            (known.id.clone(), Client { id, secret, methods, redirect_uris: None, grant_types })
        });
        State {
            settings: options.settings.clone(),
            issuer_path: options.issuer_path.clone(),
            clients: clients.collect(),
            grants: Vec::new(),
            codes: HashMap::new(),
            access_tokens: HashMap::new(),
            refresh_tokens: HashMap::new(),
            open_pages: HashMap::new(),
            devices: HashMap::new(),
            seen: Seen::default(),
            requests: VecDeque::new(),
            faults: VecDeque::new(),
            holds_tokens: false,
            is_over: false,
            seed: RandomState::new().hash_one(0),
            secrets: 0,
        }
    }

    /// Makes a text that no server has made before.
    pub(super) fn mint(&mut self, kind: &str) -> String {
        self.secrets += 1;
        let number = [self.seed.to_be_bytes(), self.secrets.to_be_bytes()].concat();
        format!("{kind}-{}", challenge_of(&number))
    }

    /// Keeps a grant, and says its number. The scopes are those that the settings allow.
    pub(super) fn grant(&mut self, client: &str, resource: &str, scopes: &[String]) -> usize {
        let most = self.settings.most_scopes.as_ref();
        let scopes = scopes.iter().filter(|scope| most.is_none_or(|most| most.contains(scope)));
        let (client, account) = (client.to_owned(), self.settings.account.clone());
        let (resource, scopes) = (resource.to_owned(), scopes.cloned().collect());
        self.grants.push(Grant { client, account, resource, scopes, is_revoked: false });
        self.grants.len() - 1
    }

    pub(super) fn record(&mut self, request: TokenRequest) {
        self.seen.token_requests += 1;
        if self.requests.len() == MOST_REQUESTS {
            self.requests.pop_front();
        }
        self.requests.push_back(request);
    }
}

impl Shared {
    pub(super) fn new(options: Options) -> Self {
        let state = Mutex::new(State::new(&options));
        Shared { options, origin: OnceLock::new(), state, changed: Condvar::new() }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state, and wakes who waits for that.
    pub(super) fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state());
        self.changed.notify_all();
    }

    /// Waits while `goes_on` holds, `limit` at most, and no longer than the server lives.
    pub(super) fn wait(&self, limit: Duration, goes_on: impl Fn(&State) -> bool) -> MutexGuard<'_, State> {
        let waits = |state: &mut State| !state.is_over && goes_on(state);
        let waited = self.changed.wait_timeout_while(self.state(), limit, waits);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    pub(super) fn origin(&self) -> &str {
        self.origin.get().map_or("", |origin| origin)
    }

    pub(super) fn url_of(&self, resource: &Resource) -> String {
        format!("{}{}", self.origin(), resource.path)
    }

    /// The resource with this URL.
    pub(super) fn resource(&self, url: &str) -> Option<&Resource> {
        self.options.resources.iter().find(|resource| self.url_of(resource) == url)
    }
}

/// The code challenge that belongs to a verifier, by S256.
pub(super) fn challenge_of(verifier: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier))
}

/// The grant type of the device flow.
pub(super) const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// Every grant type that the server knows.
pub(super) fn all_grant_types() -> Vec<String> {
    ["authorization_code", "refresh_token", DEVICE_CODE].map(str::to_owned).to_vec()
}

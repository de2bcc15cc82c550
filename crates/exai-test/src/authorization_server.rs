//! An OAuth 2.1 authorization server, and MCP servers behind it, which judge a client: whatever OAuth 2.1 and the
//! authorization of MCP 2026-07-28 forbid is refused, and everything is counted.
//!
//! Some of what it refuses other servers let pass: a code without `redirect_uri`, a request without `state` or `resource`, a
//! redirect URI at another port than the registered one, a grant type that the client has not registered.

mod answer;
mod authorize;
mod browser;
mod clients;
mod device;
mod form;
mod forward;
mod loopback;
mod mcp;
mod metadata;
mod options;
mod resource;
mod rules;
mod seen;
mod settings;
mod state;
mod token;

use std::sync::Arc;
use std::time::Instant;

pub use browser::{Page, follow, follow_without};
pub use options::{Challenge, Discovery, KnownClient, Options, Place, Resource};
pub use seen::{Seen, TokenRequest};
pub use settings::{Consent, DevicePlan, Fault, Iss, RefreshTokens, Registration, Settings};

use crate::http::Request;
use crate::scripted_http::{Reply, ScriptedHttp};
use answer::Answer;
use state::Shared;

/// The server. It works until it is dropped.
#[derive(Debug)]
pub struct AuthorizationServer {
    http: ScriptedHttp,
    shared: Arc<Shared>,
}

impl AuthorizationServer {
    /// Listens on a free port of this machine.
    ///
    /// # Panics
    /// When no port is free.
    pub fn start(options: Options) -> Self {
        let shared = Arc::new(Shared::new(options));
        let answering = Arc::clone(&shared);
        let http = ScriptedHttp::start_streaming(move |request| answer_request(&answering, request));
        shared.origin.get_or_init(|| http.url(""));
        AuthorizationServer { http, shared }
    }

    /// The URL of a path, such as that of a resource.
    pub fn url(&self, path: &str) -> String {
        self.http.url(path)
    }

    /// The issuer.
    pub fn issuer(&self) -> String {
        metadata::issuer(&self.shared, &self.shared.state())
    }

    /// What the server has seen so far.
    pub fn seen(&self) -> Seen {
        self.shared.state().seen
    }

    /// The last requests for tokens, the latest last.
    pub fn token_requests(&self) -> Vec<TokenRequest> {
        self.shared.state().requests.iter().cloned().collect()
    }

    /// All requests of HTTP so far.
    pub fn http_requests(&self) -> Vec<Request> {
        self.http.requests()
    }

    /// Has this account sign in at the browser from now on.
    pub fn sign_in_as(&self, account: &str) {
        self.change(|settings| account.clone_into(&mut settings.account));
    }

    /// Changes how the server behaves from now on.
    pub fn change(&self, change: impl FnOnce(&mut Settings)) {
        self.shared.change(|state| change(&mut state.settings));
    }

    /// Ends every access token. Refresh tokens stay good.
    pub fn expire_access_tokens(&self) {
        let now = Instant::now();
        self.shared.change(|state| state.access_tokens.values_mut().for_each(|token| token.ends = now));
    }

    /// Ends every device flow that has no token yet.
    pub fn expire_device_codes(&self) {
        let now = Instant::now();
        self.shared.change(|state| state.devices.values_mut().for_each(|device| device.ends = now));
    }

    /// Revokes every grant, with all its tokens.
    pub fn revoke_all(&self) {
        self.shared.change(|state| state.grants.iter_mut().for_each(|grant| grant.is_revoked = true));
    }

    /// Becomes another issuer, below another path, which knows no client and no token of the old one.
    pub fn move_issuer(&self, path: &str) {
        self.revoke_all();
        self.shared.change(|state| {
            path.clone_into(&mut state.issuer_path);
            state.clients.clear();
            state.open_pages.clear();
            state.devices.clear();
        });
    }

    /// Has the next `count` requests for tokens go wrong, after those that shall do so already.
    pub fn fail_tokens(&self, count: usize, fault: Fault) {
        self.shared.change(|state| state.faults.extend(std::iter::repeat_n(fault, count)));
    }

    /// Holds back token responses from now on. What they tell has happened: codes and refresh tokens are used.
    /// [`Seen::held`] says how many wait. None waits longer than two minutes.
    pub fn hold_tokens(&self) {
        self.shared.change(|state| state.holds_tokens = true);
    }

    /// Sends the token responses that were held back, and holds back no more.
    pub fn release_tokens(&self) {
        self.shared.change(|state| state.holds_tokens = false);
    }
}

impl Drop for AuthorizationServer {
    fn drop(&mut self) {
        self.shared.change(|state| state.is_over = true);
    }
}

fn answer_request(shared: &Shared, request: &Request) -> Reply {
    let (path, _) = form::split_query(&request.path);
    if let Some(resource) = shared.options.resources.iter().find(|resource| resource.path == path) {
        return resource::answer(shared, resource, request);
    }
    let is_get = request.method == "GET";
    let (document, endpoint, metadata) = {
        let state = shared.state();
        let document = metadata::find(shared, &state, path).filter(|_| is_get);
        (
            document,
            path.strip_prefix(&state.issuer_path).map(str::to_owned),
            metadata::of_server(shared, &state),
        )
    };
    let is_announced = |name: &str| !metadata[name].is_null();
    let answer = match (document, endpoint.as_deref()) {
        (Some(document), _) => Some(document),
        (None, Some("/authorize")) => Some(authorize::show(shared, request)),
        (None, Some("/consent")) => Some(authorize::consent(shared, request)),
        (None, Some("/token")) => token::answer(shared, request),
        (None, Some("/register")) if is_announced("registration_endpoint") => {
            Some(clients::register(shared, request))
        }
        (None, Some("/device_authorization")) if is_announced("device_authorization_endpoint") => {
            Some(device::begin(shared, request))
        }
        (None, Some("/device")) => Some(device::page(shared, request)),
        _ => Some(Answer::plain(404, "nothing here")),
    };
    Reply::Whole(answer.map(|answer| answer.bytes()).unwrap_or_default())
}

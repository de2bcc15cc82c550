//! Sign-ins: what the command line asks for, and the callback that a browser comes back to.
//!
//! Nobody shows the token at the callback: what lets a request in is the state that it brings, which is random, known to the
//! browser that was sent to sign in, and good for one use.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{RawQuery, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use exai_auth::{Keeping, Kept, Returned, SignInError};
use exai_config::{Home, ServerConfig, ServerKind};
use exai_mux::account;
use exai_proto::documents::{SCHEMA, SignInDocument, SignInDocuments};
use exai_proto::limits;
use exai_proto::link::FromDaemon;
use tokio::sync::mpsc;

use crate::core::event::{HubEvent, HubGone, HubHandle, Question};
use crate::front::state::AppState;
use crate::upstream::sign_ins::adoption::Adopted;
use crate::upstream::sign_ins::{Cause, ServerSignIn, SignIns};

/// What orders about sign-ins need.
#[derive(Clone)]
pub(crate) struct SignInDesk {
    pub(crate) sign_ins: SignIns,
    pub(crate) hub: HubHandle,
    pub(crate) home: Home,
    pub(crate) replies: mpsc::Sender<FromDaemon>,
}

impl SignInDesk {
    /// Begins a sign-in. The reply says what a person is to do; another one follows when that is done.
    pub(crate) async fn begin(
        &self,
        server: &str,
        account: Option<&str>,
        has_code: bool,
    ) -> Result<FromDaemon, HubGone> {
        let (found, config) = match self.find(server, account).await? {
            Ok(found) => found,
            Err(reason) => return Ok(FromDaemon::Error { reason }),
        };
        let begun = if has_code {
            self.begin_with_code(found, config).await
        } else {
            self.begin_in_browser(found, config).await
        };
        Ok(begun.unwrap_or_else(|reason| FromDaemon::Error { reason: failed(server, &reason) }))
    }

    async fn begin_in_browser(
        &self,
        server: ServerSignIn,
        config: ServerConfig,
    ) -> Result<FromDaemon, String> {
        let (begun, kept) = tokio::join!(server.begin(Cause::Wanted), self.find_kept(&server, config));
        let begun = begun?;
        let (page, lasts_s) = (begun.page.to_string(), begun.lasts().as_secs());
        self.reply_later(&server, begun.finished());
        Ok(FromDaemon::SignInBegun { page, code: None, lasts_s, kept })
    }

    async fn begin_with_code(
        &self,
        server: ServerSignIn,
        config: ServerConfig,
    ) -> Result<FromDaemon, String> {
        let begun = server.begin_device().await?;
        let (page, code) = (begun.device.page().to_owned(), Some(begun.device.code()));
        let lasts_s = begun.device.lasts().as_secs();
        let kept = self.find_kept(&server, config).await;
        let (waiting, hub) = (server.clone(), self.hub.clone());
        self.reply_later(&server, async move {
            waiting.finish_device(begun).await?;
            // A hub that has ended ignores it.
            let _ = hub.send(HubEvent::SignedIn { servers: waiting.list_servers() }).await;
            Ok(())
        });
        Ok(FromDaemon::SignInBegun { page, code, lasts_s, kept })
    }

    /// The file in which mcp-remote has kept a sign-in at the server.
    async fn find_kept(&self, server: &ServerSignIn, config: ServerConfig) -> Option<String> {
        let entry = self.sign_ins.read_entry(config, self.home.clone()).await.ok()?;
        server.find_kept(entry).await
    }

    /// Replies when a sign-in has ended, unless the one who asked is gone.
    fn reply_later(
        &self,
        server: &ServerSignIn,
        ending: impl Future<Output = Result<(), String>> + Send + 'static,
    ) {
        let (replies, name, sign_ins) = (self.replies.clone(), server.server.clone(), self.sign_ins.clone());
        server.spawn(async move {
            let ended = tokio::select! {
                ended = ending => ended,
                () = replies.closed() => return,
            };
            let reply = match ended {
                Ok(()) => tell_signed_in(&sign_ins, &name).await,
                Err(reason) => FromDaemon::Error { reason: failed(&name, &reason) },
            };
            // The one who asked may be gone by now.
            let _ = replies.send(reply).await;
        });
    }

    /// Takes what a person has copied from the address bar of a browser that could not come back.
    pub(crate) async fn take_pasted(&self, text: &str) -> FromDaemon {
        let Some(returned) = Returned::read_pasted(text) else {
            let reason = "this is no address that a browser comes back to: it holds no `state`".to_owned();
            return FromDaemon::Error { reason };
        };
        match finish(&self.sign_ins, &self.hub, returned).await {
            Ok(server) => tell_signed_in(&self.sign_ins, &server).await,
            Err(error) => FromDaemon::Error { reason: format!("the sign-in failed: {error}") },
        }
    }

    /// Takes over what mcp-remote has kept of a sign-in at a server.
    pub(crate) async fn adopt(&self, server: &str, account: Option<&str>) -> Result<FromDaemon, HubGone> {
        let (found, config) = match self.find(server, account).await? {
            Ok(found) => found,
            Err(reason) => return Ok(FromDaemon::Error { reason }),
        };
        // It goes on when nobody waits for it any more: a refresh token may be spent by then.
        let (adopting, all) = (found.clone(), self.sign_ins.clone());
        let (hub, home) = (self.hub.clone(), self.home.clone());
        let adopted = self.sign_ins.spawn(async move {
            let adopted = adopting.adopt(all.read_entry(config, home).await?).await?;
            // A hub that has ended ignores it.
            let _ = hub.send(HubEvent::SignedIn { servers: adopting.list_servers() }).await;
            Ok(adopted)
        });
        let name = found.server.to_string();
        Ok(match adopted.await.unwrap_or_else(|panic| Err(format!("BUG: {panic}"))) {
            Ok(Adopted { file, renewed, note }) => {
                let plain_why = ask_plain_why(&self.sign_ins).await;
                FromDaemon::SignInAdopted { server: name, file, renewed, note, plain_why }
            }
            Err(reason) => FromDaemon::Error {
                reason: format!("the sign-in of mcp-remote at \"{name}\" was not taken over: {reason}"),
            },
        })
    }

    /// Says what a sign-in at a server would need.
    pub(crate) async fn plan(&self, server: &str) -> Result<FromDaemon, HubGone> {
        let name = limits::cut(server, limits::NAME_CHARS);
        let config =
            match self.hub.ask(|reply| Question::ServerConfig { server: name.clone(), reply }).await? {
                Ok(config) => config,
                Err(reason) => return Ok(FromDaemon::Error { reason }),
            };
        let place = match check_kind(&name, &config).and_then(|()| find_place(&name, &config, None)) {
            Ok(place) => place,
            Err(reason) => return Ok(FromDaemon::Error { reason }),
        };
        let planned = self.sign_ins.plan(&place, config, self.home.clone()).await;
        Ok(planned.map_or_else(|reason| FromDaemon::Error { reason }, |plan| FromDaemon::SignInPlan { plan }))
    }

    /// Forgets the tokens for a server, or for an address.
    pub(crate) async fn sign_out(&self, server: &str, account: Option<&str>) -> Result<FromDaemon, HubGone> {
        if server.contains("://") {
            return self.sign_out_of(server, account).await;
        }
        let found = match self.find(server, account).await? {
            Ok((found, _)) => found,
            Err(reason) => return Ok(FromDaemon::Error { reason }),
        };
        let was_signed_in = match found.sign_out().await {
            Ok(was_signed_in) => was_signed_in,
            Err(reason) => return Ok(FromDaemon::Error { reason }),
        };
        self.end_after_sign_out(was_signed_in, found.list_servers()).await
    }

    /// Ends what the instances of these servers have open, if that was opened with a token.
    async fn end_after_sign_out(
        &self,
        was_signed_in: bool,
        servers: Vec<Arc<str>>,
    ) -> Result<FromDaemon, HubGone> {
        for server in servers.into_iter().filter(|_| was_signed_in) {
            let server = server.to_string();
            // A server that has gone meanwhile has none.
            let _ = self.hub.ask(|reply| Question::RestartServer { server, reply }).await?;
        }
        Ok(FromDaemon::SignedOut { was_signed_in })
    }

    async fn sign_out_of(&self, url: &str, account: Option<&str>) -> Result<FromDaemon, HubGone> {
        let (all, url, account) = (self.sign_ins.clone(), url.to_owned(), account.map(ToOwned::to_owned));
        let done = tokio::task::spawn_blocking(move || all.sign_out_of(&url, account.as_deref())).await;
        match done.unwrap_or_else(|panic| Err(format!("BUG: {panic}"))) {
            Ok((was_signed_in, servers)) => self.end_after_sign_out(was_signed_in, servers).await,
            Err(reason) => Ok(FromDaemon::Error { reason }),
        }
    }

    /// All sign-ins that are kept.
    pub(crate) async fn list(&self) -> FromDaemon {
        let sign_ins = self.sign_ins.clone();
        let read = tokio::task::spawn_blocking(move || Ok((sign_ins.survey()?, sign_ins.keeping()))).await;
        match read.map_err(std::io::Error::other).flatten() {
            Ok((survey, keeping)) => {
                let mut sign_ins: Vec<SignInDocument> = survey.kept.iter().map(write_document).collect();
                sign_ins.sort_by(|one, other| (&one.url, &one.account).cmp(&(&other.url, &other.account)));
                let plain_why = find_plain_why(keeping);
                FromDaemon::SignIns {
                    sign_ins: SignInDocuments {
                        schema: SCHEMA,
                        sign_ins,
                        sealed: plain_why.is_none(),
                        plain_why,
                        unread: survey.unread.iter().map(ToString::to_string).collect(),
                    },
                }
            }
            Err(error) => FromDaemon::Error { reason: format!("the sign-ins cannot be read: {error}") },
        }
    }

    /// The sign-in of a configured server, or of one of its accounts, and how the server is configured.
    async fn find(
        &self,
        server: &str,
        account: Option<&str>,
    ) -> Result<Result<(ServerSignIn, ServerConfig), String>, HubGone> {
        let name = limits::cut(server, limits::NAME_CHARS);
        let config =
            match self.hub.ask(|reply| Question::ServerConfig { server: name.clone(), reply }).await? {
                Ok(config) => config,
                Err(reason) => return Ok(Err(reason)),
            };
        let place = match check_kind(&name, &config).and_then(|()| find_place(&name, &config, account)) {
            Ok(place) => place,
            Err(reason) => return Ok(Err(reason)),
        };
        let found = self.sign_ins.of_configured(&place, config.clone(), self.home.clone()).await;
        Ok(found.map(|found| (found, config)))
    }
}

/// Whether somebody may sign in at a server of this kind. The error is a sentence.
fn check_kind(name: &str, config: &ServerConfig) -> Result<(), String> {
    let url = config.url.as_deref().unwrap_or_default();
    let refuse = |why: &str| Err(format!("nobody signs in at \"{name}\": {why}"));
    if config.via.is_some() {
        return Err(format!("\"{name}\" is reached over ssh: sign in on that machine"));
    }
    if config.kind() != ServerKind::Remote {
        return Err(format!("\"{name}\" runs on this machine: nobody signs in there"));
    }
    if config.has_authorization() {
        return refuse("the `Authorization` of its `headers` is sent instead");
    }
    if url.starts_with("ws://") || url.starts_with("wss://") {
        return refuse("it is reached by WebSocket; use its `headers`");
    }
    Ok(())
}

/// The name under which the account of a server is known. The error is a sentence.
fn find_place(server: &str, config: &ServerConfig, account: Option<&str>) -> Result<Arc<str>, String> {
    let known = || config.accounts.names().collect::<Vec<_>>().join(", ");
    match account {
        None if config.accounts.is_empty() => Ok(server.into()),
        None => Err(format!("\"{server}\" has several accounts: say --account with one of {}", known())),
        Some(_) if config.accounts.is_empty() => {
            Err(format!("\"{server}\" has no accounts: [servers.{server}.accounts] names them"))
        }
        Some(account) if config.accounts.names().any(|known| known == account) => {
            Ok(account::join(server, account).into())
        }
        Some(account) => Err(format!("\"{server}\" has no account {account:?}, but {}", known())),
    }
}

fn failed(server: &str, reason: &str) -> String {
    format!("the sign-in at \"{server}\" failed: {reason}")
}

/// Finishes a sign-in, whether or not anybody waits for the answer any more.
async fn finish(sign_ins: &SignIns, hub: &HubHandle, returned: Returned) -> Result<Arc<str>, SignInError> {
    let (all, hub) = (sign_ins.clone(), hub.clone());
    let finishing = sign_ins.spawn(async move {
        let hear = async |servers| {
            // A hub that has ended ignores it.
            let _ = hub.send(HubEvent::SignedIn { servers }).await;
        };
        all.take_return(returned, hear).await
    });
    finishing.await.unwrap_or_else(|panic| Err(std::io::Error::other(panic).into()))
}

/// The reply that somebody has signed in.
async fn tell_signed_in(sign_ins: &SignIns, server: &str) -> FromDaemon {
    FromDaemon::SignedIn { server: server.to_owned(), plain_why: ask_plain_why(sign_ins).await }
}

/// Why sign-ins are kept in plain files now, if they are.
async fn ask_plain_why(sign_ins: &SignIns) -> Option<String> {
    let sign_ins = sign_ins.clone();
    let keeping = tokio::task::spawn_blocking(move || sign_ins.keeping()).await;
    keeping.ok().and_then(find_plain_why)
}

fn find_plain_why(keeping: Keeping) -> Option<String> {
    match keeping {
        Keeping::Sealed => None,
        Keeping::Plain { why } => Some(why),
    }
}

fn write_document(Kept { record, is_sealed }: &Kept) -> SignInDocument {
    let tokens = record.tokens.as_ref();
    SignInDocument {
        url: record.place.shown_server(),
        account: Some(record.place.account.clone()).filter(|account| !account.is_empty()),
        issuer: record.issuer.clone(),
        signed_in: tokens.is_some(),
        scopes: tokens.map(|tokens| tokens.scopes.iter().map(str::to_owned).collect()).unwrap_or_default(),
        expires_at: tokens.and_then(|tokens| tokens.expires_at).and_then(|at| {
            jiff::Timestamp::from_second(i64::try_from(at).ok()?).ok().map(|at| at.to_string())
        }),
        renews: tokens.is_some_and(|tokens| tokens.refresh_token.is_some()),
        sealed: *is_sealed,
    }
}

/// `GET /oauth/callback`: a browser comes back.
pub(crate) async fn take_callback(State(state): State<AppState>, RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_default();
    if query.len() > MAX_QUERY_BYTES {
        return page(StatusCode::URI_TOO_LONG, "This address is too long.");
    }
    let Some(returned) = Returned::read(&query) else {
        return page(
            StatusCode::BAD_REQUEST,
            "This address holds no sign-in. Begin another one: exai login NAME",
        );
    };
    match tokio::time::timeout(FINISH_TIMEOUT, finish(&state.sign_ins, &state.hub, returned)).await {
        Ok(Ok(server)) => {
            tracing::info!(%server, "somebody has signed in");
            let (name, account) = account::split(&server);
            let whom = account.map_or_else(
                || "all clients of exai".to_owned(),
                |account| format!("the clients of exai that use the account {account}"),
            );
            page(
                StatusCode::OK,
                &format!("You are signed in at {name}, for {whom}. You can close this page."),
            )
        }
        Ok(Err(error)) => {
            tracing::warn!(%error, "a sign-in failed");
            page(StatusCode::BAD_REQUEST, &format!("The sign-in failed: {error}."))
        }
        Err(_) => page(
            StatusCode::GATEWAY_TIMEOUT,
            "The authorization server takes too long. Look at: exai login --list",
        ),
    }
}

/// The longest query of the callback.
const MAX_QUERY_BYTES: usize = 16 * 1024;
/// How long a browser waits.
const FINISH_TIMEOUT: Duration = Duration::from_mins(1);

/// A page that says one thing, loads nothing, and is kept nowhere.
fn page(status: StatusCode, text: &str) -> Response {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let html = format!(
        "<!doctype html><html lang=en><meta charset=utf-8><title>exai</title>\
         <body style=\"font:1.2em system-ui;margin:3em\"><p>{text}</p></body></html>\n"
    );
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
        ),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (status, headers, html).into_response()
}

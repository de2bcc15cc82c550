//! Sign-ins that the npm package mcp-remote has kept, taken over once.

use std::ffi::OsString;
use std::path::PathBuf;

use exai_auth::{
    AuthHttp, CONFIG_DIR, Challenge, McpRemoteSignIn, Record, Refusal, Standing, USUAL_DIR, discover, probe,
};
use exai_os::account::{self, find_variable};

use super::entry::Entry;
use super::{ServerSignIn, settle};

/// A sign-in that was taken over.
#[derive(Debug)]
pub(crate) struct Adopted {
    /// The file that the tokens come from.
    pub(crate) file: String,
    /// Whether they were renewed.
    pub(crate) renewed: bool,
    /// Why not, or when they end, as a sentence.
    pub(crate) note: Option<String>,
}

impl ServerSignIn {
    /// The file in which mcp-remote has kept a sign-in at this server; `None` if somebody may be signed in here, or what is kept
    /// cannot be read.
    pub(crate) async fn find_kept(&self, entry: Entry) -> Option<String> {
        if self.sign_in.standing() != Standing::SignedOut {
            return None;
        }
        let kept = self.read_kept(&entry).await.ok()??;
        Some(kept.file.display().to_string())
    }

    /// Takes over what mcp-remote has kept. The error is a sentence.
    pub(crate) async fn adopt(&self, entry: Entry) -> Result<Adopted, String> {
        let _preparing = self.known.preparing.lock().await;
        match self.sign_in.standing() {
            Standing::SignedOut => {}
            Standing::SignedIn { issuer, .. } => {
                return Err(format!(
                    "somebody is signed in here already, by {issuer}; `exai logout` ends that first"
                ));
            }
            Standing::Unread(why) => {
                return Err(format!(
                    "somebody may be signed in here already, which cannot be read: {why}; `{}` signs in anew",
                    exai_mux::account::login_command(&self.server)
                ));
            }
        }
        let Some(kept) = self.read_kept(&entry).await? else {
            return Err(
                "it has kept none for the URL of this server, or none that is still of use".to_owned()
            );
        };
        let server = &self.sign_in.place().server;
        let http = self.known.network.open(server).await.map_err(|error| error.to_string())?;
        let challenge = self.find_challenge(&http, &entry).await;
        let (file, is_renewable, expires_at) =
            (kept.file.display().to_string(), kept.is_renewable(), kept.expires_at());
        let record = {
            let discovered = discover(&http, server, &challenge).await.map_err(|error| error.to_string())?;
            let place = self.sign_in.place().clone();
            kept.into_record(place, &discovered, self.client(), self.limit().as_ref())
                .map_err(|error| error.to_string())?
        };
        let token = record.tokens.as_ref().map(|tokens| tokens.access_token.clone());
        let earlier = self.sign_in.record();
        self.keep(record).await?;
        if !is_renewable {
            let end = expires_at.and_then(|end| jiff::Timestamp::from_second(i64::try_from(end).ok()?).ok());
            let end =
                end.map_or_else(|| "until the server refuses it".to_owned(), |end| format!("until {end}"));
            let note = Some(format!("mcp-remote has kept no refresh token, so the sign-in is good {end}"));
            return Ok(Adopted { file, renewed: false, note });
        }
        match self.sign_in.refused(token.as_ref(), Challenge { error: None, ..challenge }).await {
            Refusal::Again => Ok(Adopted { file, renewed: true, note: None }),
            Refusal::Unavailable(why) => {
                let note = format!("its token could not be renewed yet, and is tried again later: {why}");
                Ok(Adopted { file, renewed: false, note: Some(note) })
            }
            Refusal::SignInNeeded | Refusal::ScopesNeeded(_) | Refusal::NewTokenRefused => {
                // What exai has registered itself is still good.
                if let Some(earlier) = earlier {
                    self.keep(earlier).await?;
                }
                Err(format!(
                    "the authorization server does not take the refresh token in {file} any more; `{}` signs in anew",
                    exai_mux::account::login_command(&self.server)
                ))
            }
        }
    }

    async fn keep(&self, record: Record) -> Result<(), String> {
        settle(&self.sign_in, Ok(record)).await.map_err(|error| error.to_string())
    }

    async fn read_kept(&self, entry: &Entry) -> Result<Option<McpRemoteSignIn>, String> {
        let vars = self.known.network.vars().await;
        let Some(directory) = directory(&vars) else { return Ok(None) };
        let (url, headers) = (entry.url.clone(), entry.headers.clone());
        let reading = tokio::task::spawn_blocking(move || McpRemoteSignIn::find(&directory, &url, &headers));
        let read = reading.await.map_err(|panic| format!("BUG: {panic}"))?;
        read.map_err(|error| error.to_string())
    }

    /// What the server says about signing in: what it has said, or else says now.
    async fn find_challenge(&self, http: &AuthHttp, entry: &Entry) -> Challenge {
        let (known, _) = self.sign_in.wish();
        if let Some(known) = known {
            return known;
        }
        let asked = probe(http, &self.sign_in.place().server, &entry.headers).await;
        // Without a word of it the usual places are looked at.
        asked.ok().flatten().unwrap_or_default()
    }
}

/// Where mcp-remote keeps what it knows, in this environment.
fn directory(vars: &[(OsString, OsString)]) -> Option<PathBuf> {
    match find_variable(vars, CONFIG_DIR).filter(|named| !named.is_empty()) {
        Some(named) => Some(PathBuf::from(named)),
        None => Some(account::current().ok()?.home.join(USUAL_DIR)),
    }
}

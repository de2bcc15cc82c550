//! The control messages of the link: what shims and the command line ask of the daemon.

use std::time::Duration;

use axum::body::Bytes;
use exai_config::Home;
use exai_proto::limits;
use exai_proto::link::{FromDaemon, ToDaemon};
use tokio::sync::mpsc;

use crate::core::event::{HubEvent, HubGone, HubHandle, Question};
use crate::core::stopping::ReplaceAnswer;
use crate::front::sign_in::SignInDesk;
use crate::observe::facts::Facts;
use crate::state::admission::Admission;
use crate::upstream::sign_ins::SignIns;

/// The part of a peer's name for something that is kept and shown. No server has so long a name.
pub(crate) fn named(name: &str) -> String {
    limits::cut(name, limits::NAME_CHARS)
}

/// Why a message was not understood, cut to a bound: the reason may repeat the message.
pub(crate) fn because(error: &serde_json::Error) -> String {
    limits::cut(&error.to_string(), 1000)
}

/// A control message as text. A text that is too long for a frame would break the link: the peer gets an error instead.
pub(crate) fn text(control: &FromDaemon) -> Bytes {
    let text = serde_json::to_string(control).unwrap_or_default();
    if text.len() <= limits::MESSAGE_BYTES {
        return text.into();
    }
    let reason = format!("the answer has {} bytes, and the link carries 32 MiB", text.len());
    serde_json::to_string(&FromDaemon::Error { reason }).unwrap_or_default().into()
}

/// What control messages need.
pub(crate) struct Controls {
    pub(crate) hub: HubHandle,
    pub(crate) admission: Admission,
    pub(crate) home: Home,
    pub(crate) replies: mpsc::Sender<FromDaemon>,
    pub(crate) sign_ins: SignIns,
}

impl Controls {
    fn sign_in_desk(&self) -> SignInDesk {
        let (sign_ins, hub) = (self.sign_ins.clone(), self.hub.clone());
        SignInDesk { sign_ins, hub, home: self.home.clone(), replies: self.replies.clone() }
    }
}

/// Carries out a control message.
pub(crate) async fn control(controls: &Controls, text: &str) -> Result<(), HubGone> {
    let hub = &controls.hub;
    let reply = match serde_json::from_str(text) {
        Ok(ToDaemon::Hello(_)) => FromDaemon::Error { reason: "hello was said already".to_owned() },
        Ok(ToDaemon::Status) => {
            make_document(hub, |facts| FromDaemon::Status { status: Box::new(facts.document()) }).await?
        }
        Ok(ToDaemon::Ps) => make_document(hub, |facts| FromDaemon::Ps { ps: Box::new(facts.ps()) }).await?,
        Ok(ToDaemon::Servers { client }) => {
            let client = client.as_deref().map(named);
            let list = move |facts: Facts| FromDaemon::Servers { servers: facts.list_for(client.as_deref()) };
            make_document(hub, list).await?
        }
        Ok(ToDaemon::Reload { start }) => match hub.ask(Question::Reload).await? {
            Ok(()) => {
                if let Some(server) = start {
                    hub.send(HubEvent::Warm { server }).await?;
                }
                FromDaemon::Reloaded
            }
            Err(reason) => FromDaemon::Error { reason },
        },
        Ok(ToDaemon::RestartServer { server }) => {
            let server = named(&server);
            match hub.ask(|reply| Question::RestartServer { server, reply }).await? {
                Ok(instances) => FromDaemon::Restarted { instances },
                Err(reason) => FromDaemon::Error { reason },
            }
        }
        Ok(ToDaemon::Stop { timeout_ms, reason }) => {
            let grace = Duration::from_millis(timeout_ms.min(3_600_000));
            if let Err(error) = exai_os::failpoint::reach("daemon.stop-asked") {
                let refusal = FromDaemon::Error { reason: error.to_string() };
                return controls.replies.send(refusal).await.map_err(|_| HubGone);
            }
            return hub.send(HubEvent::Stop { grace, reason }).await;
        }
        Ok(ToDaemon::RotateToken) => {
            let (token, home) = (controls.admission.own.clone(), controls.home.clone());
            match tokio::task::spawn_blocking(move || token.rotate(&home)).await {
                Ok(Ok(())) => {
                    tracing::info!("there is a new token; the old one is refused from now on");
                    FromDaemon::Rotated
                }
                Ok(Err(error)) => {
                    FromDaemon::Error { reason: format!("the token cannot be written: {error}") }
                }
                Err(panic) => FromDaemon::Error { reason: format!("BUG: {panic}") },
            }
        }
        Ok(ToDaemon::ReloadTokens) => reload_tokens(controls).await?,
        Ok(ToDaemon::SignIn { server, account, with_code }) => {
            controls.sign_in_desk().begin(&server, account.as_deref(), with_code).await?
        }
        Ok(ToDaemon::AdoptSignIn { server, account }) => {
            controls.sign_in_desk().adopt(&server, account.as_deref()).await?
        }
        Ok(ToDaemon::SignInPasted { text }) => controls.sign_in_desk().take_pasted(&text).await,
        Ok(ToDaemon::SignInPlan { server }) => controls.sign_in_desk().plan(&server).await?,
        Ok(ToDaemon::SignOut { server, account }) => {
            controls.sign_in_desk().sign_out(&server, account.as_deref()).await?
        }
        Ok(ToDaemon::SignIns) => controls.sign_in_desk().list().await,
        Ok(ToDaemon::Why { server }) => {
            let server = named(&server);
            match hub.ask(|reply| Question::Why { server, reply }).await? {
                Ok(why) => FromDaemon::Why { why },
                Err(reason) => FromDaemon::Error { reason },
            }
        }
        Ok(ToDaemon::Replace { build }) => {
            let build = named(&build);
            match hub.ask(|reply| Question::MakeRoom { build, reply }).await? {
                // The answer is the bye of the link.
                ReplaceAnswer::Made => return Ok(()),
                ReplaceAnswer::Busy { calls } => FromDaemon::Busy { calls },
                ReplaceAnswer::Refused { reason } => FromDaemon::Error { reason },
            }
        }
        Err(error) => FromDaemon::Error {
            reason: format!("not a control message of this version: {}", because(&error)),
        },
    };
    controls.replies.send(reply).await.map_err(|_| HubGone)
}

/// Reads the tokens that have names again, and disconnects the clients whose token is gone.
async fn reload_tokens(controls: &Controls) -> Result<FromDaemon, HubGone> {
    let named = controls.admission.named.clone();
    let read = tokio::task::spawn_blocking(move || named.read_again()).await;
    // Whatever was read: a file that is wrong lets nobody in.
    let ended = controls.hub.ask(Question::EndRevoked).await?;
    Ok(match read {
        Ok(Ok(())) => FromDaemon::TokensReloaded { ended },
        Ok(Err(reason)) => FromDaemon::Error { reason },
        Err(panic) => FromDaemon::Error { reason: format!("BUG: {panic}") },
    })
}

/// Makes a document of what the hub knows now. That reads the process table and takes milliseconds, so it happens on a
/// thread that may block.
async fn make_document(
    hub: &HubHandle,
    make: impl FnOnce(Facts) -> FromDaemon + Send + 'static,
) -> Result<FromDaemon, HubGone> {
    let facts = hub.ask(Question::Facts).await?;
    let document = tokio::task::spawn_blocking(move || make(facts)).await;
    Ok(document.unwrap_or_else(|panic| FromDaemon::Error { reason: format!("BUG: {panic}") }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_no_frame_can_carry_is_an_error_that_says_so() {
        let short = text(&FromDaemon::Error { reason: "no".to_owned() });
        assert_eq!(short, r#"{"type":"error","reason":"no"}"#);
        let long = text(&FromDaemon::Error { reason: "x".repeat(limits::MESSAGE_BYTES) });
        let long = std::str::from_utf8(&long).expect("text");
        assert!(long.contains("and the link carries 32 MiB") && long.len() < 200, "{long}");
    }
}

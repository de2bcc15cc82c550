//! The shims' and the command line's link: see [`exai_proto::link`] for what goes over it.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Extension, Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use exai_config::Home;
use exai_mux::Endpoint;
use exai_os::build;
use exai_proto::link::{FromDaemon, Hello, Role, SUBPROTOCOL, ServedHome, ToDaemon, Versions};
use exai_proto::{limits, version};
use tokio::io::AsyncRead;
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::core::hub::{Gone, HubEvent, HubHandle, Question};
use crate::core::stopping::Room;
use crate::front::access::{self, From};
use crate::front::frames::{Broken, Frame, FrameReader, Opcode};
use crate::front::listener::{Place, Rooms};
use crate::front::socket::{self, Speech};
use crate::front::upgrade::{Socket, Upgrade};
use crate::limits::HELLO_TIMEOUT;
use crate::observe::status::ClientFacts;
use crate::state::token::Token;

/// `GET /shim`.
pub(crate) async fn open(
    State(rooms): State<Rooms>,
    Extension(from): Extension<From>,
    Extension(place): Extension<Place>,
    mut request: Request,
) -> Response {
    let From::Local(peer) = from else {
        return access::refuse(StatusCode::NOT_FOUND, "the link is on the local socket only");
    };
    let (upgrade, response) = match Upgrade::of(&mut request, SUBPROTOCOL) {
        Ok(accepted) => accepted,
        Err(refusal) => return *refusal,
    };
    rooms.tasks.clone().spawn(async move {
        if let Some(socket) = upgrade.socket(rooms.intake.clone()).await {
            // A link that ends has told its story in the log already.
            let _ = serve(socket, rooms, peer.pid).await;
        }
        drop(place);
    });
    response
}

async fn serve(mut socket: Socket, rooms: Rooms, kernel_pid: Option<u32>) -> Result<(), Gone> {
    let hello = match timeout(HELLO_TIMEOUT, first(&mut socket.reader)).await {
        Ok(Ok(hello)) => hello,
        Ok(Err(reason)) => return refuse(socket, reason).await,
        Err(_) => return refuse(socket, "no hello within 5 s".to_owned()).await,
    };
    let ours = build::link_versions().map_or(Versions::OURS, |(min, max)| Versions { min, max });
    let Some(version) = hello.versions.common(ours) else {
        return refuse(socket, strangers(&named(&hello.build), build::version())).await;
    };
    let greeting = FromDaemon::Hello {
        version,
        build: build::version().to_owned(),
        instance: rooms.about.instance.clone(),
        pid: rooms.about.pid,
        // Asked each time: the directory may be moved or made anew under its daemon.
        home: Some(served_home(&rooms.home)),
    };
    let facts = ClientFacts {
        transport: "shim",
        label: hello.label.as_deref().map(named),
        shim_pid: Some(kernel_pid.unwrap_or(hello.pid)),
        connected_at: jiff::Timestamp::now(),
        shown: hello.role == Role::Shim,
    };
    let endpoint = match &hello.server {
        Some(server) => Endpoint::One(named(server).into()),
        None => Endpoint::All,
    };
    socket::serve(socket, rooms, endpoint, facts, Speech::Link, Some(greeting)).await
}

/// What a peer calls something, as much of it as is kept and shown. No server has so long a name.
fn named(name: &str) -> String {
    limits::cut(name, limits::NAME_CHARS)
}

/// Why words were not understood: it may repeat them.
fn because(error: &serde_json::Error) -> String {
    limits::cut(&error.to_string(), 1000)
}

fn served_home(home: &Home) -> ServedHome {
    let (path, id) = exai_os::private::directory_identity(home.path());
    ServedHome { path, id }
}

/// The hello, or why there is none.
async fn first<S: AsyncRead + Unpin>(reader: &mut FrameReader<S>) -> Result<Hello, String> {
    match reader.next().await {
        Ok(Frame::Message { text: true, bytes, .. }) => match serde_json::from_slice(&bytes) {
            Ok(ToDaemon::Hello(hello)) => Ok(hello),
            Ok(_) => Err("the first frame must be hello".to_owned()),
            Err(error) => Err(format!("the first frame must be hello: {}", because(&error))),
        },
        Ok(_) => Err("the first frame must be hello".to_owned()),
        Err(Broken::Lost(error)) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            Err("closed before hello".to_owned())
        }
        Err(error) => Err(error.to_string()),
    }
}

/// No version of the link that both speak: what to do about it. Their words are all that the peer understands of us.
fn strangers(theirs: &str, ours: &str) -> String {
    let cure = if version::is_newer(theirs, ours) {
        "`exai restart` replaces the daemon"
    } else {
        "restart the client, so that it runs the exai that is installed now"
    };
    format!("exai {theirs} and the daemon, exai {ours}, have no version of the link in common: {cure}")
}

async fn refuse(mut socket: Socket, reason: String) -> Result<(), Gone> {
    tracing::warn!(reason, "a link was refused");
    // The peer may be gone already, or not read.
    let _ = timeout(Duration::from_secs(1), async {
        socket.writer.feed(Opcode::Text, text(&FromDaemon::Refused { reason })).await?;
        socket.writer.close(None).await
    })
    .await;
    Ok(())
}

/// A control message as text. What is too long for a frame would break the link: its peer is told so instead.
pub(crate) fn text(control: &FromDaemon) -> Bytes {
    let text = serde_json::to_string(control).unwrap_or_default();
    if text.len() <= limits::MESSAGE_BYTES {
        return text.into();
    }
    let reason = format!("the answer has {} bytes, and the link carries 32 MiB", text.len());
    serde_json::to_string(&FromDaemon::Error { reason }).unwrap_or_default().into()
}

/// What answers control messages.
pub(crate) struct Controls {
    pub(crate) hub: HubHandle,
    pub(crate) token: Token,
    pub(crate) home: Home,
    pub(crate) replies: mpsc::Sender<FromDaemon>,
}

/// Carries a control message out.
pub(crate) async fn control(controls: &Controls, text: &str) -> Result<(), Gone> {
    let hub = &controls.hub;
    let reply = match serde_json::from_str(text) {
        Ok(ToDaemon::Hello(_)) => FromDaemon::Error { reason: "hello was said already".to_owned() },
        Ok(ToDaemon::Status) => FromDaemon::Status { status: Box::new(hub.ask(Question::Status).await?) },
        Ok(ToDaemon::Ps) => FromDaemon::Ps { ps: Box::new(hub.ask(Question::Ps).await?) },
        Ok(ToDaemon::Servers) => FromDaemon::Servers { servers: hub.ask(Question::Servers).await? },
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
                return controls.replies.send(refusal).await.map_err(|_| Gone);
            }
            return hub.send(HubEvent::Stop { grace, reason }).await;
        }
        Ok(ToDaemon::RotateToken) => {
            let (token, home) = (controls.token.clone(), controls.home.clone());
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
                // Its answer is the bye.
                Room::Made => return Ok(()),
                Room::Busy { calls } => FromDaemon::Busy { calls },
                Room::Refused { reason } => FromDaemon::Error { reason },
            }
        }
        Err(error) => FromDaemon::Error {
            reason: format!("not a control message of this version: {}", because(&error)),
        },
    };
    controls.replies.send(reply).await.map_err(|_| Gone)
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

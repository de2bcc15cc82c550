//! The link of shims and the command line. [`exai_proto::link`] documents its messages.

use std::io;
use std::path::Path;

use axum::extract::{Extension, Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use exai_config::Home;
use exai_mux::Endpoint;
use exai_os::{build, process_facts};
use exai_proto::link::{FromDaemon, Hello, Role, SUBPROTOCOL, ServedHome, ToDaemon, Versions};
use exai_proto::{limits, version};
use tokio::io::AsyncRead;
use tokio::time::timeout;

use crate::core::event::HubGone;
use crate::front::access::{self, PeerOrigin};
use crate::front::control::{because, named, text};
use crate::front::endpoint::wanted_servers;
use crate::front::frame::{Broken, Frame, Opcode, code};
use crate::front::frame_reader::FrameReader;
use crate::front::framing::Framing;
use crate::front::state::{AppState, ConnectionPermit};
use crate::front::upgrade::{Socket, Upgrade};
use crate::front::websocket_connection;
use crate::limits::{CLOSE_TIMEOUT, HELLO_TIMEOUT};
use crate::observe::facts::ClientFacts;
use crate::state::holder::Holder;

/// `GET /shim`.
pub(crate) async fn open(
    State(state): State<AppState>,
    Extension(from): Extension<PeerOrigin>,
    Extension(permit): Extension<ConnectionPermit>,
    mut request: Request,
) -> Response {
    let PeerOrigin::Local(peer) = from else {
        return access::refuse(StatusCode::NOT_FOUND, "the link is on the local socket only");
    };
    let (upgrade, response) = match Upgrade::of(&mut request, Some(SUBPROTOCOL)) {
        Ok(accepted) => accepted,
        Err(refusal) => return *refusal,
    };
    state.tasks.clone().spawn(async move {
        if let Some(socket) = upgrade.socket(state.input_budget.clone()).await {
            // The reason why a link ended is in the log already.
            let _ = serve_link(socket, state, peer.pid).await;
        }
        drop(permit);
    });
    response
}

async fn serve_link(mut socket: Socket, state: AppState, kernel_pid: Option<u32>) -> Result<(), HubGone> {
    let hello = match timeout(HELLO_TIMEOUT, first(&mut socket.reader)).await {
        Ok(Ok(hello)) => hello,
        Ok(Err(NoHello::Other(reason))) => return refuse(socket, reason).await,
        Ok(Err(NoHello::Broken(why))) => return drop_link(socket, why).await,
        Err(_) => return drop_link(socket, Some((code::POLICY, "no hello within 5 s"))).await,
    };
    let ours = build::link_versions().map_or(Versions::OURS, |(min, max)| Versions { min, max });
    let Some(version) = hello.versions.common(ours) else {
        return refuse(socket, strangers(&named(&hello.build), build::version())).await;
    };
    let greeting = FromDaemon::Hello {
        version,
        build: build::version().to_owned(),
        instance: state.about.instance.clone(),
        pid: state.about.pid,
        // Asked for each link: the directory may be moved or replaced under a running daemon.
        home: Some(served_home(&state.home)),
    };
    let facts = ClientFacts {
        transport: "shim",
        label: hello.label.as_deref().map(named),
        shim_pid: Some(kernel_pid.unwrap_or(hello.pid)),
        directory: verified_directory(hello.directory.as_deref(), kernel_pid).map(Into::into),
        connected_at: jiff::Timestamp::now(),
        holder: Holder::Account,
        shown: hello.role == Role::Shim,
        stateless: false,
    };
    let endpoint = match &hello.server {
        _ if !hello.servers.is_empty() => match wanted_servers(hello.servers.iter().map(String::as_str)) {
            Ok(several) => several,
            Err(reason) => return refuse(socket, reason).await,
        },
        Some(server) => Endpoint::One(named(server).into()),
        None => Endpoint::All,
    };
    websocket_connection::serve_connection(socket, state, endpoint, facts, Framing::Link, Some(greeting))
        .await
}

/// The directory in which a peer has been started, by its own word, if the system does not contradict. Where the system
/// does not tell (Windows) the word of the peer counts, which is of the same account.
fn verified_directory(said: Option<&str>, kernel_pid: Option<u32>) -> Option<&str> {
    let said = said.filter(|said| said.len() <= limits::PATH_BYTES && Path::new(said).is_absolute())?;
    let is_true = match process_facts::works_in(kernel_pid?, Path::new(said)) {
        Ok(same) => same,
        Err(error) => error.kind() == io::ErrorKind::Unsupported,
    };
    is_true.then_some(said)
}

fn served_home(home: &Home) -> ServedHome {
    let (path, id) = exai_os::private::directory_identity(home.path());
    ServedHome { path, id }
}

/// Why a peer has not introduced itself.
enum NoHello {
    /// The peer has said something else, which it would say again.
    Other(String),
    /// The link is lost or damaged. That is no word about the peer, so the peer is not refused: a shim that is refused
    /// gives up the requests that wait for a link.
    Broken(Option<(u16, &'static str)>),
}

/// The hello of the peer, or why there is none.
async fn first<S: AsyncRead + Unpin>(reader: &mut FrameReader<S>) -> Result<Hello, NoHello> {
    let other = |detail: String| NoHello::Other(format!("the first frame must be hello{detail}"));
    match reader.next().await {
        Ok(Frame::Message { text: true, bytes, .. }) => match serde_json::from_slice(&bytes) {
            Ok(ToDaemon::Hello(hello)) => Ok(hello),
            Ok(_) => Err(other(String::new())),
            Err(error) => Err(other(format!(": {}", because(&error)))),
        },
        Ok(Frame::Close(_)) | Err(Broken::Lost(_)) => Err(NoHello::Broken(None)),
        Ok(_) => Err(other(String::new())),
        Err(Broken::Refused(code, why)) => Err(NoHello::Broken(Some((code, why)))),
    }
}

/// What to do when both sides speak no common version of the link. The peer understands nothing but this text.
fn strangers(theirs: &str, ours: &str) -> String {
    let cure = if version::is_newer(theirs, ours) {
        "`exai restart` replaces the daemon"
    } else {
        "restart the client, so that it runs the exai that is installed now"
    };
    format!("exai {theirs} and the daemon, exai {ours}, have no version of the link in common: {cure}")
}

async fn refuse(mut socket: Socket, reason: String) -> Result<(), HubGone> {
    tracing::warn!(reason, "a link was refused");
    // The peer may be gone already, or may not read.
    let _ = timeout(CLOSE_TIMEOUT, async {
        socket.writer.feed(Opcode::Text, text(&FromDaemon::Refused { reason })).await?;
        socket.writer.close(None).await
    })
    .await;
    Ok(())
}

async fn drop_link(mut socket: Socket, why: Option<(u16, &str)>) -> Result<(), HubGone> {
    tracing::debug!(?why, "a link broke before hello");
    // The peer may be gone already, or may not read.
    let _ = timeout(CLOSE_TIMEOUT, socket.writer.close(why)).await;
    Ok(())
}

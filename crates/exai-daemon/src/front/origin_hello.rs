//! The origin's wire on `/`: how a WebSocket begins there.
//!
//! The upgrade needs no token. The first frame must be a hello that shows it, within [`ORIGIN_HELLO_TIMEOUT`]; until then
//! the connection is one of those that have not shown the token, and its frames are short.

use axum::extract::Request;
use axum::response::Response;
use exai_mux::Endpoint;
use tokio::time::timeout;

use crate::front::frame::{Broken, Frame, Opcode, code};
use crate::front::framing::Framing;
use crate::front::origin_wire::op::{self, FirstOp};
use crate::front::origin_wire::{OriginWire, reply};
use crate::front::state::{AppState, ConnectionPermit, Disconnect};
use crate::front::unauthenticated::Unauthenticated;
use crate::front::upgrade::{Socket, Upgrade};
use crate::front::websocket_connection;
use crate::limits::{CLOSE_TIMEOUT, MAX_INPUT_BYTES, ORIGIN_HELLO_TIMEOUT, UNBUDGETED_BYTES};
use crate::observe::facts::ClientFacts;
use crate::state::admission::Admission;
use crate::state::holder::Holder;
use crate::state::token::random_hex;

/// Why a client is not let in, with the code of the close frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refusal {
    /// The first frame is no JSON object, or is too long.
    Invalid,
    /// The first frame is another op.
    Missing,
    /// No first frame came, or the client has gone.
    Silent,
    /// The token is missing or wrong.
    Unauthorized,
    /// The client has broken the protocol of WebSocket, or has closed the connection.
    Broken(Option<(u16, &'static str)>),
}

impl Refusal {
    /// The error that the client is told in a frame, if any.
    fn error(self) -> Option<&'static str> {
        match self {
            Refusal::Invalid => Some("invalid_hello"),
            Refusal::Missing => Some("missing_hello"),
            Refusal::Unauthorized => Some("unauthorized"),
            Refusal::Silent | Refusal::Broken(_) => None,
        }
    }

    /// The code and the reason of the close frame.
    fn close(self) -> Option<(u16, &'static str)> {
        match self {
            Refusal::Invalid => Some((4000, "invalid hello")),
            Refusal::Missing => Some((4001, "missing hello")),
            Refusal::Silent => Some((4002, "hello timeout or disconnect")),
            Refusal::Unauthorized => Some((4003, "unauthorized")),
            Refusal::Broken(why) => why,
        }
    }
}

/// Opens a WebSocket on `/`.
pub(crate) fn open(state: AppState, mut request: Request) -> Response {
    let disconnect = Disconnect::of(request.extensions());
    let permit = request.extensions_mut().remove::<ConnectionPermit>();
    let unauthenticated = request.extensions_mut().remove::<Unauthenticated>();
    let (upgrade, response) = match Upgrade::of(&mut request, None) {
        Ok(accepted) => accepted,
        Err(refusal) => return *refusal,
    };
    state.tasks.clone().spawn(async move {
        let greeted = async {
            let socket = upgrade.socket(state.input_budget.clone()).await?;
            greet(socket, &state.admission).await
        };
        let greeted = tokio::select! {
            greeted = greeted => greeted,
            // Others need the place, or the daemon ends.
            () = disconnect.0.cancelled() => None,
        };
        let Some((socket, holder)) = greeted else { return };
        if let Some(unauthenticated) = unauthenticated {
            unauthenticated.admit();
        }
        let facts = ClientFacts {
            transport: "origin",
            label: None,
            shim_pid: None,
            directory: None,
            connected_at: jiff::Timestamp::now(),
            holder,
            shown: true,
            stateless: false,
        };
        let framing = Framing::Origin(OriginWire::default());
        // The reason why the connection ended is in the log already.
        let _ =
            websocket_connection::serve_connection(socket, state, Endpoint::All, facts, framing, None).await;
        drop(permit);
    });
    response
}

/// Waits for hello and answers it. Returns the WebSocket if the client may come in, and whose token it has shown.
async fn greet(mut socket: Socket, admission: &Admission) -> Option<(Socket, Holder)> {
    socket.reader.set_longest(UNBUDGETED_BYTES);
    let refusal = match timeout(ORIGIN_HELLO_TIMEOUT, hear_hello(&mut socket, admission)).await {
        Ok(Ok(holder)) => {
            socket.reader.set_longest(MAX_INPUT_BYTES);
            return Some((socket, holder));
        }
        Ok(Err(refusal)) => refusal,
        Err(_) => Refusal::Silent,
    };
    tracing::debug!(?refusal, "a client of the origin's wire was not let in");
    let Socket { mut reader, mut writer } = socket;
    // The peer may be gone already, or may not read.
    let _ = timeout(CLOSE_TIMEOUT, async {
        if let Some(error) = refusal.error() {
            writer.feed(Opcode::Text, reply::no_welcome(error)).await?;
        }
        writer.close(refusal.close()).await
    })
    .await;
    reader.drain(CLOSE_TIMEOUT).await;
    None
}

async fn hear_hello(socket: &mut Socket, admission: &Admission) -> Result<Holder, Refusal> {
    let first = loop {
        match socket.reader.next().await {
            Ok(Frame::Message { bytes, .. }) => break op::read_first(&bytes),
            Ok(Frame::Ping(of)) => {
                let pong = async {
                    socket.writer.feed(Opcode::Pong, of).await?;
                    socket.writer.flush().await
                };
                pong.await.map_err(|_| Refusal::Silent)?;
            }
            Ok(Frame::Pong(_)) => {}
            Ok(Frame::Close(code)) => return Err(Refusal::Broken(code.map(|code| (code, "")))),
            Err(Broken::Refused(code::TOO_LONG, _)) => return Err(Refusal::Invalid),
            Err(Broken::Refused(code, why)) => return Err(Refusal::Broken(Some((code, why)))),
            Err(Broken::Lost(_)) => return Err(Refusal::Silent),
        }
    };
    let holder = match first {
        FirstOp::Hello { token: shown } => admission.find_holder(&shown).ok_or(Refusal::Unauthorized)?,
        FirstOp::Other => return Err(Refusal::Missing),
        FirstOp::Invalid => return Err(Refusal::Invalid),
    };
    let welcome = async {
        socket.writer.feed(Opcode::Text, reply::welcome(&random_hex::<16>())).await?;
        socket.writer.flush().await
    };
    welcome.await.map_err(|_| Refusal::Silent)?;
    Ok(holder)
}

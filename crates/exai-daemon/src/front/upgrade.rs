//! Upgrades an HTTP/1.1 request to a WebSocket (RFC 6455, section 4.2).

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use tokio::io::{ReadHalf, WriteHalf};

use crate::client::input_budget::InputBudget;
use crate::front::frame_reader::FrameReader;
use crate::front::frame_writer::FrameWriter;
use crate::websocket_key;

type Stream = TokioIo<Upgraded>;

/// Both directions of an open WebSocket.
#[derive(Debug)]
pub struct Socket {
    /// Reads from the peer.
    pub reader: FrameReader<ReadHalf<Stream>>,
    /// Writes to the peer.
    pub writer: FrameWriter<WriteHalf<Stream>>,
}

/// A request that becomes a WebSocket once its response was sent.
#[derive(Debug)]
pub struct Upgrade(OnUpgrade);

impl Upgrade {
    /// Checks a request, and makes the response that belongs to the upgrade. Of the subprotocols that the client offers
    /// only `protocol` is taken, if there is one.
    pub fn of(
        request: &mut Request,
        protocol: Option<&'static str>,
    ) -> Result<(Self, Response), Box<Response>> {
        let refuse =
            |status: StatusCode, why: &'static str| Box::new((status, format!("{why}\n")).into_response());
        if request.method() != Method::GET {
            return Err(refuse(StatusCode::METHOD_NOT_ALLOWED, "a WebSocket begins with a GET"));
        }
        let headers = request.headers();
        if !says(headers, header::CONNECTION, "upgrade") || !says(headers, header::UPGRADE, "websocket") {
            return Err(refuse(StatusCode::BAD_REQUEST, "this path is for WebSockets"));
        }
        if !says(headers, header::SEC_WEBSOCKET_VERSION, "13") {
            let mut response = refuse(StatusCode::UPGRADE_REQUIRED, "only version 13 of WebSocket is spoken");
            response.headers_mut().insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
            return Err(response);
        }
        let Some(accept) = headers.get(header::SEC_WEBSOCKET_KEY).and_then(websocket_key::answer) else {
            return Err(refuse(StatusCode::BAD_REQUEST, "the Sec-WebSocket-Key header is missing"));
        };
        let protocol = protocol.filter(|name| says(headers, header::SEC_WEBSOCKET_PROTOCOL, name));
        let Some(upgrade) = request.extensions_mut().remove::<OnUpgrade>() else {
            return Err(refuse(StatusCode::UPGRADE_REQUIRED, "this connection cannot become a WebSocket"));
        };
        let mut response = StatusCode::SWITCHING_PROTOCOLS.into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
        if let Some(protocol) = protocol {
            headers.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(protocol));
        }
        Ok((Upgrade(upgrade), response))
    }

    /// The WebSocket, once the response was sent. `None` when the peer has gone before.
    pub async fn socket(self, input_budget: InputBudget) -> Option<Socket> {
        let (read, write) = tokio::io::split(TokioIo::new(self.0.await.ok()?));
        Some(Socket { reader: FrameReader::new(read, input_budget), writer: FrameWriter::new(write) })
    }
}

/// Whether a header that is a list contains this word.
fn says(headers: &HeaderMap, name: header::HeaderName, word: &str) -> bool {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|one| one.trim().eq_ignore_ascii_case(word))
}

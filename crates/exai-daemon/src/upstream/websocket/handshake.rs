//! Opens a WebSocket (RFC 6455, section 4.1).

use base64::prelude::{BASE64_STANDARD, Engine};
use bytes::Bytes;
use exai_net::Connector;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::upgrade::Upgraded;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::time::timeout;

use crate::limits::{MAX_ERROR_BODY_BYTES, REMOTE_CONNECT_TIMEOUT};
use crate::upstream::http::target::HttpTarget;
use crate::upstream::http::{REDIRECTS_AWAY, ask_for_sign_in, explanation, write_causes};
use crate::websocket_key;

const PROTOCOL: HeaderValue = HeaderValue::from_static("mcp");
const UNUSABLE: &str = "could not be started: its `url` cannot be used";

/// Opens a WebSocket to a server elsewhere. The error is a sentence that reads after "the server".
pub(super) async fn open(target: &HttpTarget, connector: &Connector) -> Result<TokioIo<Upgraded>, String> {
    let (uri, _) = target.request_head().ok_or(UNUSABLE)?;
    let stream = connector.open(&uri).await.map_err(|obstacle| format!("cannot be reached: {obstacle}"))?;
    open_on(stream.into_inner(), target).await
}

/// Opens a WebSocket on this connection to the server.
pub(super) async fn open_on(
    stream: impl hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
    target: &HttpTarget,
) -> Result<TokioIo<Upgraded>, String> {
    let (uri, headers) = target.request_head().ok_or(UNUSABLE)?;
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let shaking = shake_hands(stream, path, headers);
    let late = |_| Err(format!("opened no WebSocket within {} s", REMOTE_CONNECT_TIMEOUT.as_secs()));
    timeout(REMOTE_CONNECT_TIMEOUT, shaking).await.unwrap_or_else(late)
}

async fn shake_hands(
    stream: impl hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
    path: &str,
    headers: HeaderMap,
) -> Result<TokioIo<Upgraded>, String> {
    let lost = |error: hyper::Error| format!("opened no WebSocket: {}", write_causes(&error));
    let mut key = [0; 16];
    getrandom::fill(&mut key).map_err(|error| format!("could not be started: no random bytes: {error}"))?;
    let key = HeaderValue::from_str(&BASE64_STANDARD.encode(key)).map_err(|error| error.to_string())?;
    let mut request = Request::new(Empty::<Bytes>::new());
    *request.uri_mut() = path.parse().map_err(|_| UNUSABLE)?;
    *request.headers_mut() = headers;
    for (name, value) in [
        (header::CONNECTION, HeaderValue::from_static("Upgrade")),
        (header::UPGRADE, HeaderValue::from_static("websocket")),
        (header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13")),
        (header::SEC_WEBSOCKET_PROTOCOL, PROTOCOL),
        (header::SEC_WEBSOCKET_KEY, key.clone()),
    ] {
        request.headers_mut().insert(name, value);
    }
    let (mut sender, connection) = http1::handshake(stream).await.map_err(lost)?;
    let exchange = async {
        let response = sender.send_request(request).await.map_err(lost)?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Err(describe_refusal(response).await);
        }
        check_acceptance(response.headers(), &key)?;
        hyper::upgrade::on(response).await.map(TokioIo::new).map_err(lost)
    };
    let run_connection = async {
        // What breaks it also ends the exchange.
        let _ = connection.with_upgrades().await;
        std::future::pending().await
    };
    tokio::select! {
        outcome = exchange => outcome,
        outcome = run_connection => outcome,
    }
}

/// Checks the answer of a server that agrees. It need not name the subprotocol, and many do not, but must name no other one.
fn check_acceptance(headers: &HeaderMap, key: &HeaderValue) -> Result<(), String> {
    if headers.get(header::SEC_WEBSOCKET_ACCEPT) != websocket_key::answer(key).as_ref() {
        return Err("opened no WebSocket: its answer does not belong to the question".to_owned());
    }
    match headers.get(header::SEC_WEBSOCKET_PROTOCOL) {
        Some(other) if other != PROTOCOL => {
            Err("speaks another protocol than `mcp` on its WebSocket".to_owned())
        }
        Some(_) | None => Ok(()),
    }
}

/// Says what a server has answered that opens no WebSocket.
async fn describe_refusal(response: Response<Incoming>) -> String {
    let status = response.status();
    // A redirect could carry the headers to somebody else.
    if status.is_redirection() {
        return REDIRECTS_AWAY.to_owned();
    }
    let body = Limited::new(response.into_body(), MAX_ERROR_BODY_BYTES).collect().await;
    let body = body.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    match status {
        StatusCode::UNAUTHORIZED => ask_for_sign_in(&body),
        _ => format!("opened no WebSocket: it answered HTTP {status}{}", explanation(&body)),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufReader, Write as _};

    use exai_net::CERTIFICATES;
    use exai_supervisor::Line;
    use exai_test::{http, tls};

    use super::super::connection;
    use super::*;
    use crate::upstream::http::remote_client::RemoteClients;

    #[tokio::test]
    async fn a_server_with_tls_is_spoken_to_if_it_is_trusted() {
        let dir = tempfile::tempdir().unwrap();
        let roots = dir.path().join("roots.pem");
        std::fs::write(&roots, tls::CA).unwrap();
        let address = tls::serve(&["http/1.1"], |stream| {
            let mut stream = BufReader::new(stream);
            let Ok(Some(request)) = http::Request::read(&mut stream) else { return };
            let key = HeaderValue::from_str(request.header("sec-websocket-key").unwrap()).unwrap();
            let answer = websocket_key::answer(&key).unwrap();
            let head = format!(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Accept: {}\r\nSec-WebSocket-Protocol: mcp\r\n\r\n",
                answer.to_str().unwrap()
            );
            // The first frame may arrive together with the head.
            let all = [head.as_bytes(), &[0x81, 2], b"{}"].concat();
            stream.get_mut().write_all(&all).and_then(|()| stream.get_mut().flush()).unwrap();
            // Holds the connection until the client has gone.
            let _ = http::Request::read(&mut stream);
        });
        let target = HttpTarget::web_socket(&format!("wss://{address}/mcp"), &[]).unwrap().unwrap();
        let clients = RemoteClients::default();
        let refused = open(&target, clients.get(&[]).unwrap().connector()).await.unwrap_err();
        assert!(refused.starts_with("cannot be reached: no trusted TLS connection"), "{refused}");
        let trusting = clients.get(&[(CERTIFICATES.into(), roots.into())]).unwrap();
        let (mut reader, _writer) =
            connection::begin(open(&target, trusting.connector()).await.unwrap()).await;
        assert_eq!(reader.next().await, Ok(Line::Whole(Bytes::from_static(b"{}"))));
    }

    #[test]
    fn only_an_answer_to_this_question_opens_a_socket() {
        let key = HeaderValue::from_static("dGhlIHNhbXBsZSBub25jZQ==");
        let check = |accept: &'static str, protocol: Option<&'static str>| {
            let mut headers = HeaderMap::new();
            headers.insert(header::SEC_WEBSOCKET_ACCEPT, HeaderValue::from_static(accept));
            if let Some(protocol) = protocol {
                headers.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(protocol));
            }
            check_acceptance(&headers, &key)
        };
        let right = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
        assert_eq!((check(right, Some("mcp")), check(right, None)), (Ok(()), Ok(())));
        assert!(check(right, Some("chat")).unwrap_err().contains("another protocol"));
        assert!(check("AAAAAAAAAAAAAAAAAAAAAAAAAAA=", None).unwrap_err().contains("opened no WebSocket"));
    }
}

//! Sends every message back over the WebSocket stack of the daemon, so that Autobahn|Testsuite can judge the stack.
//! CONTRIBUTING.md says how.

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use axum::routing::any;
use exai_daemon::frame::{Broken, Frame, Opcode};
use exai_daemon::input_budget::InputBudget;
use exai_daemon::upgrade::{Socket, Upgrade};

#[expect(clippy::disallowed_methods, reason = "a connection ends with its peer, or with the program")]
async fn echo(mut request: Request) -> Response {
    match Upgrade::of(&mut request, Some("echo")) {
        Ok((upgrade, response)) => {
            tokio::spawn(async move {
                if let Some(socket) = upgrade.socket(InputBudget::default()).await {
                    // A connection that ends is no error here.
                    let _ = serve(socket).await;
                }
            });
            response
        }
        Err(response) => *response,
    }
}

async fn serve(Socket { mut reader, mut writer }: Socket) -> std::io::Result<()> {
    loop {
        match reader.next().await {
            Ok(Frame::Message { text: true, bytes, .. }) if std::str::from_utf8(&bytes).is_err() => {
                return writer.close(Some((1007, "text that is not UTF-8"))).await;
            }
            Ok(Frame::Message { text, bytes, .. }) => {
                writer.feed(if text { Opcode::Text } else { Opcode::Binary }, bytes).await?;
            }
            Ok(Frame::Ping(bytes)) => writer.feed(Opcode::Pong, bytes).await?,
            Ok(Frame::Pong(_)) => {}
            Ok(Frame::Close(code)) => return writer.close(code.map(|code| (code, ""))).await,
            Err(Broken::Refused(code, why)) => return writer.close(Some((code, why))).await,
            Err(Broken::Lost(error)) => return Err(error),
        }
        writer.flush().await?;
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:9001").await?;
    axum::serve(listener, Router::new().route("/", any(echo))).await
}

//! How requests reach a server with a URL.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, Uri};

use super::answer::Answer;
use super::connect::{Failed, OwnTree};
use super::connection_pool::ConnectionPool;
use super::remote_client::RemoteClient;
use super::server_url::ServerUrl;
use super::sse_servers::SseServers;

/// How requests reach a server.
#[derive(Debug)]
pub(super) enum HttpClient {
    /// The daemon has started the server, and speaks to processes of its tree alone.
    Own { tree: Arc<OwnTree>, pool: Arc<ConnectionPool> },
    /// The server is elsewhere, and whoever its URL leads to is the server.
    Remote(RemoteClient),
}

impl HttpClient {
    /// Speaks to the processes of a server's own tree.
    pub(super) fn own(tree: Arc<OwnTree>) -> Self {
        HttpClient::Own { pool: ConnectionPool::new(tree.clone()), tree }
    }

    /// The URI of a request for this path.
    pub(super) fn uri(&self, place: &ServerUrl, path: &str) -> Option<Uri> {
        match self {
            // On a connection to that server only the path is said.
            HttpClient::Own { .. } => path.parse().ok(),
            HttpClient::Remote(_) => place.absolute(path),
        }
    }

    /// Which servers are known to speak the HTTP+SSE transport; `None` where that transport is not spoken.
    pub(super) fn sse_servers(&self) -> Option<&SseServers> {
        match self {
            HttpClient::Own { .. } => None,
            HttpClient::Remote(client) => Some(&client.sse_servers),
        }
    }

    /// Closes connections that nobody has used for too long.
    pub(super) fn tidy(&self) {
        match self {
            HttpClient::Own { pool, .. } => pool.tidy(),
            // It has a clock of its own.
            HttpClient::Remote(_) => {}
        }
    }

    /// Sends a request and waits for the head of its answer.
    pub(super) async fn send(&self, request: Request<Full<Bytes>>) -> Result<Answer, Failed> {
        match self {
            HttpClient::Own { pool, .. } => {
                let (response, lent) = pool.send(request).await?;
                Ok(Answer::new(response, Some(lent)))
            }
            HttpClient::Remote(client) => Ok(Answer::new(client.send(request).await?, None)),
        }
    }

    /// Whether the server may still be spoken to. The error is why it cannot be used any more, and reads after "the server".
    pub(super) async fn check(&self) -> Result<(), String> {
        match self {
            HttpClient::Own { tree, .. } => tree.check().await,
            // A network that is away comes back.
            HttpClient::Remote(_) => Ok(()),
        }
    }
}

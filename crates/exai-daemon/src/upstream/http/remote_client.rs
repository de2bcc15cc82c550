//! The connections to servers that run elsewhere.

use std::ffi::OsString;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use exai_net::{CERTIFICATES, Connector, Obstacle, Proxies, Security, Tls};
use exai_os::account::find_variable;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::{Request, Response};
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::connect::{Failed, write_causes};
use super::server_url::ServerUrl;
use super::sse_servers::SseServers;
use crate::limits::{
    MAX_IDLE_CONNECTIONS, MAX_REMOTE_CLIENTS, REMOTE_CONNECT_TIMEOUT, REMOTE_IDLE_TIMEOUT,
    REMOTE_PING_INTERVAL, REMOTE_PING_TIMEOUT,
};

/// Sends requests to servers elsewhere. Clones share their connections: where HTTP/2 is spoken, all clients of a server use
/// one.
#[derive(Debug, Clone)]
pub(crate) struct RemoteClient {
    connections: Arc<Connections>,
    pub(super) sse_servers: SseServers,
}

#[derive(Debug)]
struct Connections {
    http: legacy::Client<Connector, Full<Bytes>>,
    connector: Connector,
}

impl RemoteClient {
    fn new(tls: Tls, proxies: Proxies, sse_servers: SseServers) -> Self {
        let connector = Connector::new(Security::Http2(tls), REMOTE_CONNECT_TIMEOUT, proxies);
        let http = legacy::Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(REMOTE_IDLE_TIMEOUT)
            .pool_max_idle_per_host(MAX_IDLE_CONNECTIONS)
            // A machine that was asleep finds its connections dead, and nothing else says so.
            .http2_keep_alive_interval(REMOTE_PING_INTERVAL)
            .http2_keep_alive_timeout(REMOTE_PING_TIMEOUT)
            .build(connector.clone());
        RemoteClient { connections: Arc::new(Connections { http, connector }), sse_servers }
    }

    /// What makes connections that are not shared.
    pub(in crate::upstream) fn connector(&self) -> &Connector {
        &self.connections.connector
    }

    /// Sends a request and waits for the head of its answer. A request that was certainly not read, because the server was
    /// just closing the connection, is sent again.
    pub(super) async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Failed> {
        match self.connections.http.request(request).await {
            Ok(response) => Ok(response),
            Err(error) if error.is_connect() => {
                Err(Failed::Unsent(format!("cannot be reached: {}", Obstacle::of(&error))))
            }
            Err(error) => Err(Failed::Lost(write_causes(&error))),
        }
    }
}

/// Makes the clients that servers elsewhere share: one for each set of proxies and certificates that their environments name.
#[derive(Debug, Default, Clone)]
pub(crate) struct RemoteClients {
    /// The one that was used last is the last.
    shared: Arc<Mutex<Vec<Shared>>>,
    /// It outlives a client: what a server speaks does not depend on the way to it.
    sse_servers: SseServers,
}

#[derive(Debug)]
struct Shared {
    proxies: Proxies,
    certificates: Option<OsString>,
    client: RemoteClient,
}

impl RemoteClients {
    /// The client for servers that are started in this environment. Blocks the first time, since it reads certificates. The
    /// error reads after "the server".
    pub(crate) fn get(&self, vars: &[(OsString, OsString)]) -> Result<RemoteClient, String> {
        let proxies = Proxies::of(vars);
        let certificates = find_variable(vars, CERTIFICATES).map(ToOwned::to_owned);
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let is_it = |known: &Shared| (&known.proxies, &known.certificates) == (&proxies, &certificates);
        let known = if let Some(place) = shared.iter().position(is_it) {
            shared.remove(place)
        } else {
            let tls = Tls::of(vars).map_err(|error| format!("could not be started: {error}"))?;
            let client = RemoteClient::new(tls, proxies.clone(), self.sse_servers.clone());
            Shared { proxies, certificates, client }
        };
        let client = known.client.clone();
        shared.push(known);
        let surplus = shared.len().saturating_sub(MAX_REMOTE_CLIENTS);
        shared.drain(..surplus);
        Ok(client)
    }

    /// Whether the server with this URL is known to speak the HTTP+SSE transport.
    pub(crate) fn speaks_sse(&self, url: &str) -> bool {
        ServerUrl::parse_remote(url).is_ok_and(|place| self.sse_servers.knows(&place))
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufReader, Write as _};

    use exai_test::http;
    use exai_test::scripted_http::document;
    use exai_test::tls;

    use super::super::answer::Answer;
    use super::*;

    #[tokio::test]
    async fn a_server_with_tls_is_spoken_to_and_the_client_is_made_anew_when_others_are_trusted() {
        let dir = tempfile::tempdir().unwrap();
        let roots = dir.path().join("roots.pem");
        std::fs::write(&roots, tls::CA).unwrap();
        let address = tls::serve(&["http/1.1"], |stream| {
            let mut stream = BufReader::new(stream);
            while let Ok(Some(request)) = http::Request::read(&mut stream) {
                let answer = document(200, "", &request.path);
                if stream.get_mut().write_all(&answer).and_then(|()| stream.get_mut().flush()).is_err() {
                    break;
                }
            }
        });
        let clients = RemoteClients::default();
        let ask = async |vars: &[(OsString, OsString)]| {
            let mut request = Request::new(Full::new(Bytes::new()));
            *request.uri_mut() = format!("https://{address}/mcp").parse().unwrap();
            let response = clients.get(vars).unwrap().send(request).await?;
            let (body, _) = Answer::new(response, None).all(100).await.unwrap();
            Ok::<_, Failed>(String::from_utf8(body).unwrap())
        };
        let trusting = [(CERTIFICATES.into(), roots.into())];
        assert_eq!(ask(&trusting).await, Ok("/mcp".to_owned()));
        assert!(matches!(ask(&[]).await, Err(Failed::Unsent(reason)) if reason.contains("TLS")));
        assert_eq!(ask(&trusting).await, Ok("/mcp".to_owned()));
    }
}

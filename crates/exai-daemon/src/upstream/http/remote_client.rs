//! The connections to servers that run elsewhere.

use std::ffi::OsString;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use exai_net::{Connector, Obstacle, Proxies, Security, Tls};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::{Request, Response};
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::connect::{Failed, write_causes};
use crate::limits::{
    MAX_IDLE_CONNECTIONS, REMOTE_CONNECT_TIMEOUT, REMOTE_IDLE_TIMEOUT, REMOTE_PING_INTERVAL,
    REMOTE_PING_TIMEOUT,
};

/// Sends requests to servers elsewhere. Clones share their connections: where HTTP/2 is spoken, all clients of a server use
/// one.
#[derive(Debug, Clone)]
pub(crate) struct RemoteClient(Arc<legacy::Client<Connector, Full<Bytes>>>);

impl RemoteClient {
    fn new(tls: Tls, proxies: Proxies) -> Self {
        let client = legacy::Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(REMOTE_IDLE_TIMEOUT)
            .pool_max_idle_per_host(MAX_IDLE_CONNECTIONS)
            // A machine that was asleep finds its connections dead, and nothing else says so.
            .http2_keep_alive_interval(REMOTE_PING_INTERVAL)
            .http2_keep_alive_timeout(REMOTE_PING_TIMEOUT)
            .build(Connector::new(Security::Http2(tls), REMOTE_CONNECT_TIMEOUT, proxies));
        RemoteClient(Arc::new(client))
    }

    /// Sends a request and waits for the head of its answer. A request that was certainly not read, because the server was
    /// just closing the connection, is sent again.
    pub(super) async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Failed> {
        match self.0.request(request).await {
            Ok(response) => Ok(response),
            Err(error) if error.is_connect() => {
                Err(Failed::Unsent(format!("cannot be reached: {}", Obstacle::of(&error))))
            }
            Err(error) => Err(Failed::Lost(write_causes(&error))),
        }
    }
}

/// Makes the client that all servers elsewhere share: at its first use, and when the environment names other proxies.
#[derive(Debug, Default, Clone)]
pub(crate) struct RemoteClients(Arc<Mutex<Option<Shared>>>);

#[derive(Debug)]
struct Shared {
    tls: Tls,
    proxies: Proxies,
    client: RemoteClient,
}

impl RemoteClients {
    /// The client for servers that are started in this environment. Blocks the first time, since it reads the certificates of
    /// the system. The error reads after "the server".
    pub(crate) fn get(&self, vars: &[(OsString, OsString)]) -> Result<RemoteClient, String> {
        let proxies = Proxies::of(vars);
        let mut shared = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let tls = match &*shared {
            Some(known) if known.proxies == proxies => return Ok(known.client.clone()),
            Some(known) => known.tls.clone(),
            None => Tls::with_system_roots().map_err(|error| format!("could not be started: {error}"))?,
        };
        let client = RemoteClient::new(tls.clone(), proxies.clone());
        *shared = Some(Shared { tls, proxies, client: client.clone() });
        Ok(client)
    }
}

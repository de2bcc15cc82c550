//! Connections for HTTP clients, and plain streams.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::Uri;
use hyper_rustls::MaybeHttpsStream;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tower_service::Service;

use crate::obstacle::Obstacle;
use crate::proxies::Proxies;
use crate::route::Route;
use crate::tls::{Security, Tls};

/// Why there is no connection; [`Obstacle::of`] reads it.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// A connection for hyper. It says whether HTTP/2 was agreed on.
pub type HttpStream = MaybeHttpsStream<TokioIo<TcpStream>>;

/// A connection for anything else, which reads and writes as those of tokio do.
pub type Stream = TokioIo<HttpStream>;

/// Makes connections to `http` and `https` addresses. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Connector {
    route: Route,
    security: Security,
    timeout: Duration,
}

impl Connector {
    /// Makes nothing yet. `timeout` is for the whole way to a connection: finding the address, TCP, the proxy, TLS.
    pub fn new(security: Security, timeout: Duration, proxies: Proxies) -> Self {
        Connector { route: Route::new(proxies), security, timeout }
    }

    /// Makes no connections to addresses of this machine and of private networks: for addresses that a server on the
    /// Internet has named. What a proxy reaches is the business of the proxy, but for an address that is said outright.
    #[must_use]
    pub fn avoiding_private_networks(mut self) -> Self {
        self.route.avoid_private_networks();
        self
    }

    /// Opens a stream to an address, which may also be a `ws` or a `wss` one. HTTP/2 is never offered.
    ///
    /// # Errors
    /// What stands in the way, [`Obstacle::TooSlow`] after the time of this connector.
    pub async fn open(&self, to: &Uri) -> Result<Stream, Obstacle> {
        let tls = match &self.security {
            Security::Plain => None,
            Security::Http1(tls) | Security::Http2(tls) => Some(&tls.http1),
        };
        let stream = self.clone().connect(to.clone(), tls.cloned()).await;
        stream.map(TokioIo::new).map_err(|failure| Obstacle::of(&*failure))
    }

    async fn connect(self, to: Uri, tls: Option<Arc<ClientConfig>>) -> Result<HttpStream, Failure> {
        let timeout = self.timeout;
        let connecting = async {
            match to.scheme_str() {
                Some("http" | "ws") => Ok(MaybeHttpsStream::Http(self.route.reach(&to).await?)),
                Some("https" | "wss") => {
                    let tls = tls.ok_or("this connection was to be plain, and the address wants TLS")?;
                    let name = server_name(&to)?;
                    let reached = self.route.reach(&to).await?;
                    let secured = TlsConnector::from(tls).connect(name, TokioIo::new(reached)).await?;
                    Ok(secured.into())
                }
                _ => Err(format!("`{to}` is no http or https address").into()),
            }
        };
        tokio::time::timeout(timeout, connecting)
            .await
            .unwrap_or_else(|_| Err(Obstacle::TooSlow(timeout).into()))
    }
}

fn server_name(to: &Uri) -> Result<ServerName<'static>, Failure> {
    let host = to.host().unwrap_or_default().trim_matches(['[', ']']);
    Ok(ServerName::try_from(host.to_owned())?)
}

impl Service<Uri> for Connector {
    type Response = HttpStream;
    type Error = Failure;
    type Future = Pin<Box<dyn Future<Output = Result<HttpStream, Failure>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let tls = match &self.security {
            Security::Plain => None,
            Security::Http1(Tls { http1: config, .. }) | Security::Http2(Tls { http2: config, .. }) => {
                Some(Arc::clone(config))
            }
        };
        Box::pin(self.clone().connect(to, tls))
    }
}

#[cfg(test)]
mod tests;

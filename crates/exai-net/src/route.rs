//! The way to a host, below TLS.

use std::future::poll_fn;
use std::net::IpAddr;
use std::time::Duration;

use hyper::Uri;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::{SocksV5, Tunnel};
use hyper_util::client::proxy::matcher::Intercept;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower_service::Service;

use crate::obstacle::{Obstacle, root_cause};
use crate::private_network::is_private;
use crate::proxies::Proxies;

/// After how long a silent connection is asked whether the other side is still there, and how often again.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(20);
const KEEPALIVE_RETRIES: u32 = 3;

/// Why a host is not reached.
type Failure = Box<dyn std::error::Error + Send + Sync>;
type Reached = TokioIo<TcpStream>;
type TunnelError = <Tunnel<HttpConnector> as Service<Uri>>::Error;
type SocksError = <SocksV5<HttpConnector> as Service<Uri>>::Error;

/// The proxy of the environment makes no connection. It has no cause, since that would be taken for one of the other side.
#[derive(Debug, thiserror::Error)]
#[error("the proxy {address} of the environment: {why}")]
struct ProxyFailure {
    address: String,
    why: String,
}

/// The way to any host.
#[derive(Debug, Clone)]
pub(crate) struct Route {
    tcp: HttpConnector,
    proxies: Proxies,
    avoids_private_networks: bool,
}

impl Route {
    pub(crate) fn new(proxies: Proxies) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        // A stream that only the other side writes to would outlive a network that is gone, or a machine that was asleep.
        tcp.set_keepalive(Some(KEEPALIVE_INTERVAL));
        tcp.set_keepalive_interval(Some(KEEPALIVE_INTERVAL));
        tcp.set_keepalive_retries(Some(KEEPALIVE_RETRIES));
        Route { tcp, proxies, avoids_private_networks: false }
    }

    /// See [`Connector::avoiding_private_networks`](crate::Connector::avoiding_private_networks).
    pub(crate) fn avoid_private_networks(&mut self) {
        self.avoids_private_networks = true;
    }

    /// Reaches the host of an address, directly or through a proxy.
    pub(crate) async fn reach(&self, to: &Uri) -> Result<Reached, Failure> {
        let to = with_port(to)?;
        if self.avoids_private_networks
            && let Some(ip) = to.host().and_then(|host| host.trim_matches(['[', ']']).parse().ok())
        {
            refuse_private(ip)?;
        }
        match self.proxies.find(&to) {
            None => {
                let reached = call(self.tcp.clone(), to).await?;
                // Only the address that was reached tells: a name may mean another one each time.
                if self.avoids_private_networks {
                    refuse_private(reached.inner().peer_addr()?.ip())?;
                }
                Ok(reached)
            }
            Some(proxy) => Ok(self.reach_through(&proxy, to).await?),
        }
    }

    async fn reach_through(&self, proxy: &Intercept, to: Uri) -> Result<Reached, ProxyFailure> {
        let uri = proxy.uri();
        // Not the whole authority: of a password with an `@` the matcher leaves a part there.
        let host = uri.host().unwrap_or_default();
        let port = uri.port_u16();
        let address = port.map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        let target = to.authority().map(ToString::to_string).unwrap_or_default();
        let reached = match uri.scheme_str() {
            Some("http") => {
                let mut tunnel = Tunnel::new(uri.clone(), self.tcp.clone());
                if let Some(login) = proxy.basic_auth() {
                    tunnel = tunnel.with_auth(login.clone());
                }
                let has_login = proxy.basic_auth().is_some();
                call(tunnel, to).await.map_err(|error| explain_tunnel(&error, has_login, &target))
            }
            Some("socks5" | "socks5h") => match replace_authority("http", host, port.unwrap_or(SOCKS_PORT)) {
                Ok(at) => {
                    let mut socks = SocksV5::new(at, self.tcp.clone());
                    if let Some((user, password)) = proxy.raw_auth() {
                        socks = socks.with_auth(user.to_owned(), password.to_owned());
                    }
                    call(socks, to).await.map_err(|error| explain_socks(&error))
                }
                Err(error) => Err(error.to_string()),
            },
            _ => Err("only a proxy with http:// or socks5:// can be used".to_owned()),
        };
        reached.map_err(|why| ProxyFailure { address, why })
    }
}

fn refuse_private(ip: IpAddr) -> Result<(), Failure> {
    if is_private(ip) { Err(Obstacle::PrivateNetwork(ip).into()) } else { Ok(()) }
}

/// The port of a SOCKS proxy that names none.
const SOCKS_PORT: u16 = 1080;

/// The address with the scheme that decides about the proxy, and with its port: proxies would take 443 for any other.
fn with_port(to: &Uri) -> Result<Uri, hyper::http::Error> {
    let (scheme, usual) = match to.scheme_str() {
        Some("https" | "wss") => ("https", 443),
        _ => ("http", 80),
    };
    replace_authority(scheme, to.host().unwrap_or_default(), to.port_u16().unwrap_or(usual))
}

fn replace_authority(scheme: &str, host: &str, port: u16) -> Result<Uri, hyper::http::Error> {
    Uri::builder().scheme(scheme).authority(format!("{host}:{port}")).path_and_query("/").build()
}

async fn call<S: Service<Uri>>(mut service: S, to: Uri) -> Result<S::Response, S::Error> {
    poll_fn(|context| service.poll_ready(context)).await?;
    service.call(to).await
}

fn explain_tunnel(error: &TunnelError, has_login: bool, target: &str) -> String {
    match error {
        TunnelError::ProxyAuthRequired if has_login => "it refuses the name and password (407)".to_owned(),
        TunnelError::ProxyAuthRequired => "it wants a name and a password (407)".to_owned(),
        TunnelError::TunnelUnsuccessful => format!("it refuses a tunnel to {target}"),
        _ => root_cause(error),
    }
}

fn explain_socks(error: &SocksError) -> String {
    match error {
        SocksError::Inner(cause) => root_cause(cause),
        SocksError::Io(cause) => root_cause(cause),
        _ => error.to_string(),
    }
}

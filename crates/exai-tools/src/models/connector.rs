//! Connections to endpoints: TCP or a tunnel through a proxy, TLS on top, all within one time.
//!
//! The proxy is that of `HTTPS_PROXY` or `ALL_PROXY`, unless `NO_PROXY` names the host; it must be an `http://` one. An
//! endpoint with a plain `http://` address is on this machine or near, and is reached directly.

use std::error::Error as _;
use std::ffi::{OsStr, OsString};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use exai_os::account::find_variable;
use hyper::Uri;
use hyper_rustls::{ConfigBuilderExt as _, HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::client::proxy::matcher::Matcher;
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tower_service::Service;

/// Why there is no connection.
pub(super) type Failure = Box<dyn std::error::Error + Send + Sync>;
type Connecting<S> = Pin<Box<dyn Future<Output = Result<S, Failure>> + Send>>;

/// The connection was not made within this time.
#[derive(Debug, thiserror::Error)]
#[error("no connection within {} s", .0.as_secs())]
pub(super) struct TooSlow(pub(super) Duration);

/// The proxy of the environment makes no connection. It has no cause, since that would be taken for one of the endpoint.
#[derive(Debug, thiserror::Error)]
#[error("the proxy {address} of the environment: {why}")]
struct ProxyFailure {
    address: String,
    why: String,
}

/// Makes the connections to one provider.
#[derive(Debug, Clone)]
pub(super) struct Connector {
    secure: HttpsConnector<Route>,
    timeout: Duration,
}

impl Connector {
    /// For a provider at an `https` or an `http` address. Reads the certificates of the system in the first case.
    pub(super) fn new(is_https: bool, timeout: Duration, proxy: Arc<Matcher>) -> Result<Self, rustls::Error> {
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_nodelay(true);
        Ok(Connector { secure: HttpsConnector::from((Route { http, proxy }, tls(is_https)?)), timeout })
    }
}

fn tls(is_used: bool) -> Result<ClientConfig, rustls::Error> {
    let cryptography = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(cryptography).with_safe_default_protocol_versions()?;
    let verified = if is_used {
        config.try_with_platform_verifier()?
    } else {
        // Trusts nobody. The connector of an `http` address has no use for it.
        config.with_root_certificates(RootCertStore::empty())
    };
    Ok(verified.with_no_client_auth())
}

/// The proxies that the environment names.
pub(super) fn proxies(vars: &[(OsString, OsString)]) -> Matcher {
    let value = |names: [&str; 2]| {
        let find =
            |name: &&str| find_variable(vars, name).and_then(OsStr::to_str).filter(|text| !text.is_empty());
        names.iter().find_map(find).unwrap_or_default().to_owned()
    };
    Matcher::builder()
        .all(value(["ALL_PROXY", "all_proxy"]))
        .https(value(["HTTPS_PROXY", "https_proxy"]))
        .no(value(["NO_PROXY", "no_proxy"]))
        .build()
}

impl Service<Uri> for Connector {
    type Response = MaybeHttpsStream<TokioIo<TcpStream>>;
    type Error = Failure;
    type Future = Connecting<Self::Response>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        self.secure.poll_ready(context)
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let timeout = self.timeout;
        let connecting = self.secure.call(to);
        Box::pin(async move {
            tokio::time::timeout(timeout, connecting).await.unwrap_or_else(|_| Err(TooSlow(timeout).into()))
        })
    }
}

/// The way to a host, below TLS.
#[derive(Debug, Clone)]
struct Route {
    http: HttpConnector,
    proxy: Arc<Matcher>,
}

impl Service<Uri> for Route {
    type Response = TokioIo<TcpStream>;
    type Error = Failure;
    type Future = Connecting<Self::Response>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        self.http.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, to: Uri) -> Self::Future {
        let proxy =
            (to.scheme_str() == Some("https") && !is_loopback(&to)).then(|| self.proxy.intercept(&to));
        let Some(proxy) = proxy.flatten() else {
            let connecting = self.http.call(to);
            return Box::pin(async move { Ok(connecting.await?) });
        };
        let address = proxy.uri().authority().map(ToString::to_string).unwrap_or_default();
        if proxy.uri().scheme_str() != Some("http") {
            let why = "only a proxy with http:// can be used".to_owned();
            return Box::pin(async { Err(ProxyFailure { address, why }.into()) });
        }
        let mut tunnel = Tunnel::new(proxy.uri().clone(), self.http.clone());
        if let Some(login) = proxy.basic_auth() {
            tunnel = tunnel.with_auth(login.clone());
        }
        let connecting = tunnel.call(to);
        Box::pin(async move {
            connecting.await.map_err(|error| {
                let deepest =
                    std::iter::successors(error.source(), |cause: &&(dyn std::error::Error + 'static)| {
                        (*cause).source()
                    })
                    .last();
                let why = deepest.map_or_else(|| error.to_string(), ToString::to_string);
                ProxyFailure { address, why }.into()
            })
        })
    }
}

fn is_loopback(uri: &Uri) -> bool {
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_proxies_of_the_environment_are_known() {
        let vars = [
            ("ALL_PROXY", ""),
            ("https_proxy", "http://u:p@proxy.example:3128"),
            ("NO_PROXY", "near.example"),
        ];
        let proxies = proxies(&vars.map(|(name, value)| (name.into(), value.into())));
        let proxy = proxies.intercept(&"https://far.example/v1".parse().unwrap()).unwrap();
        assert_eq!(proxy.uri().to_string(), "http://proxy.example:3128/");
        assert!(proxy.basic_auth().is_some());
        assert!(proxies.intercept(&"https://x.near.example/v1".parse().unwrap()).is_none());
    }

    #[test]
    fn this_machine_is_known() {
        for (url, expected) in [
            ("https://127.0.0.1:8/", true),
            ("https://[::1]/", true),
            ("https://localhost/", true),
            ("https://localhost.example/", false),
            ("https://10.0.0.1/", false),
        ] {
            assert_eq!(is_loopback(&url.parse().unwrap()), expected, "{url}");
        }
    }
}

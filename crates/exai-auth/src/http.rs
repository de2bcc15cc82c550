//! Requests to those who take part in a sign-in.

use std::ffi::OsString;
use std::net::IpAddr;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use exai_net::{Connector, Obstacle, Proxies, Security, Tls, TlsUnavailable, is_private};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{ACCEPT, CONTENT_TYPE, HOST, HeaderMap, USER_AGENT};
use hyper::{Request, Response, StatusCode};
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use serde::de::DeserializeOwned;
use tokio::time::timeout;
use url::{Host, Url};

use crate::answer::put_right;
use crate::error::SignInError;

/// How long one request may take, with its answer.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest answer.
const MAX_BODY_BYTES: usize = 1024 * 1024;
/// How many characters of what a server says are shown.
const MAX_SHOWN_CHARS: usize = 200;

/// Asks authorization servers. Cheap to clone. Redirects are not followed: a request with a secret must not go on to another
/// place.
#[derive(Debug, Clone)]
pub struct AuthHttp {
    anywhere: legacy::Client<Connector, Full<Bytes>>,
    public: legacy::Client<Connector, Full<Bytes>>,
    reach: Reach,
    request_timeout: Duration,
}

/// Where requests may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// Also to this machine, and there without TLS: the address of the server says outright that it is there.
    Machine,
    /// Also to private networks, with TLS: the server itself is there, as far as its name tells, which may tell something else
    /// the next time.
    Private,
    /// To addresses of the Internet alone.
    Public,
}

/// Why a request for a token has no answer that could be read; the error of [`oauth2`].
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(crate) struct HttpFailure(pub(crate) SignInError);

impl AuthHttp {
    /// Connections are made as this environment says. Reads certificates from files, so it blocks.
    ///
    /// # Errors
    /// When TLS cannot be used.
    pub fn of(vars: &[(OsString, OsString)]) -> Result<Self, TlsUnavailable> {
        Ok(Self::new(Tls::of(vars)?, Proxies::of(vars)))
    }

    /// Connections are made as `proxies` and `tls` say.
    pub fn new(tls: Tls, proxies: Proxies) -> Self {
        let connector = Connector::new(Security::Http2(tls), CONNECT_TIMEOUT, proxies);
        let client = |connector| {
            legacy::Client::builder(TokioExecutor::new())
                .timer(TokioTimer::new())
                .pool_timer(TokioTimer::new())
                // Hours lie between two requests.
                .pool_idle_timeout(Duration::from_secs(2))
                .build(connector)
        };
        AuthHttp {
            public: client(connector.clone().avoiding_private_networks()),
            anywhere: client(connector),
            reach: Reach::Public,
            request_timeout: REQUEST_TIMEOUT,
        }
    }

    /// The same with another time for one request and its answer.
    #[must_use]
    pub fn with_request_timeout(self, request_timeout: Duration) -> Self {
        AuthHttp { request_timeout, ..self }
    }

    /// The same for what has to do with this server: where it is on this machine or in a private network itself, what it
    /// names may be there, too.
    pub async fn for_server(&self, server: &Url) -> Self {
        let reach = match is_in_private_network(server).await {
            true if is_this_machine(server) => Reach::Machine,
            true => Reach::Private,
            false => Reach::Public,
        };
        AuthHttp { reach, ..self.clone() }
    }

    /// Refuses a server to which a token would go where others could read it.
    pub(crate) fn check_server(&self, server: &Url) -> Result<(), SignInError> {
        if server.scheme() == "https" || self.reach == Reach::Machine {
            return Ok(());
        }
        let text =
            format!("{} is reached without TLS, and others could read the token on its way", place(server));
        Err(SignInError::Untrustworthy(text))
    }

    /// An address that the network has named, if it may be used: `https`, or `http` on this machine, where the server may be
    /// there. `what` says what is to be there.
    pub(crate) fn check(&self, address: &str, what: &str) -> Result<Url, SignInError> {
        let wrong =
            |why: &str| Err(SignInError::Untrustworthy(format!("{what} is at `{}`, {why}", shown(address))));
        let Ok(url) = Url::parse(address) else { return wrong("which is no address") };
        let is_secure = url.scheme() == "https";
        let is_local = url.scheme() == "http" && self.reach == Reach::Machine && is_this_machine(&url);
        if !is_secure && !is_local {
            return wrong("which is no address with https");
        }
        if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
            return wrong("which has a name, a password or a fragment in it");
        }
        // The connector refuses these, too, but a browser that is sent there does not.
        if self.reach == Reach::Public && says_private_network(&url) {
            return wrong("which is in a private network, and the server is not");
        }
        Ok(url)
    }

    /// A JSON document; `None` when there is none (a status from 400 to 499).
    pub(crate) async fn get<T: DeserializeOwned>(&self, url: &Url) -> Result<Option<T>, SignInError> {
        let request = Request::get(url.as_str()).body(Vec::new());
        let answer = self.send(request.map_err(|error| broken(url, error.to_string()))?).await?;
        if answer.status().is_client_error() {
            return Ok(None);
        }
        if answer.status() != StatusCode::OK {
            return Err(broken(url, answer.status().to_string()));
        }
        serde_json::from_slice(answer.body())
            .map(Some)
            .map_err(|error| broken(url, format!("no such document: {}", shown(&error.to_string()))))
    }

    /// Posts a JSON document, and reads the answer whatever its status.
    pub(crate) async fn post(
        &self,
        url: &Url,
        body: &serde_json::Value,
    ) -> Result<Response<Vec<u8>>, SignInError> {
        let request = Request::post(url.as_str())
            .header(CONTENT_TYPE, "application/json")
            .body(body.to_string().into());
        self.send(request.map_err(|error| broken(url, error.to_string()))?).await
    }

    /// Sends a request of [`oauth2`]. What another try could change is an error.
    async fn exchange(&self, request: oauth2::HttpRequest) -> Result<oauth2::HttpResponse, HttpFailure> {
        let url = Url::parse(&request.uri().to_string()).ok();
        let sent = request.body().clone();
        let answer = put_right(&sent, self.send(request).await.map_err(HttpFailure)?);
        let status = answer.status();
        let is_answer = status == StatusCode::OK
            || status.is_client_error() && serde_json::from_slice::<serde_json::Value>(answer.body()).is_ok();
        if status == StatusCode::TOO_MANY_REQUESTS || !is_answer {
            let place = url.as_ref().map(place).unwrap_or_default();
            return Err(HttpFailure(SignInError::Broken { place, answer: status.to_string() }));
        }
        Ok(answer)
    }

    async fn send(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, SignInError> {
        let url = address_of(&request)?;
        let whole = async {
            let (head, body) = self.open(&url, request).await?.into_parts();
            let body = Limited::new(body, MAX_BODY_BYTES).collect().await;
            let body = body.map_err(|error| broken(&url, shown(&error.to_string())))?.to_bytes();
            Ok(Response::from_parts(head, body.to_vec()))
        };
        self.within_time(&url, whole).await
    }

    /// Sends a request, and waits for the head of its answer alone: what follows may be a stream without an end.
    pub(crate) async fn send_for_head(
        &self,
        request: Request<Vec<u8>>,
    ) -> Result<(StatusCode, HeaderMap), SignInError> {
        let url = address_of(&request)?;
        let (head, _) = self.within_time(&url, self.open(&url, request)).await?.into_parts();
        Ok((head.status, head.headers))
    }

    /// Sends a request, and returns the head of the answer.
    async fn open(&self, url: &Url, request: Request<Vec<u8>>) -> Result<Response<Incoming>, SignInError> {
        let client = match self.reach {
            Reach::Machine | Reach::Private => &self.anywhere,
            Reach::Public => &self.public,
        };
        let mut request = request.map(|body| Full::from(Bytes::from(body)));
        let headers = request.headers_mut();
        let agent = concat!("exai/", env!("CARGO_PKG_VERSION"));
        headers.entry(USER_AGENT).or_insert(hyper::header::HeaderValue::from_static(agent));
        headers.entry(ACCEPT).or_insert(hyper::header::HeaderValue::from_static("application/json"));
        headers.remove(HOST);
        let unreachable = |why: String| SignInError::Unreachable { place: place(url), why };
        client.request(request).await.map_err(|error| unreachable(Obstacle::of(&error).to_string()))
    }

    async fn within_time<T>(
        &self,
        url: &Url,
        asking: impl Future<Output = Result<T, SignInError>>,
    ) -> Result<T, SignInError> {
        let Ok(answer) = timeout(self.request_timeout, asking).await else {
            let why = format!("no answer within {} s", self.request_timeout.as_secs());
            return Err(SignInError::Unreachable { place: place(url), why });
        };
        answer
    }
}

/// The client of [`oauth2`].
pub(crate) struct Exchange<'a>(pub(crate) &'a AuthHttp);

impl<'c> oauth2::AsyncHttpClient<'c> for Exchange<'_> {
    type Error = HttpFailure;
    // Named, since the compiler cannot prove of a closure that its future may change threads.
    type Future = Pin<Box<dyn Future<Output = Result<oauth2::HttpResponse, HttpFailure>> + Send + 'c>>;

    fn call(&'c self, request: oauth2::HttpRequest) -> Self::Future {
        Box::pin(self.0.exchange(request))
    }
}

/// Whether the host of a server is on this machine or in a private network.
async fn is_in_private_network(server: &Url) -> bool {
    let at = match server.host() {
        None => return false,
        Some(Host::Ipv4(ip)) => return is_private(IpAddr::V4(ip)),
        Some(Host::Ipv6(ip)) => return is_private(IpAddr::V6(ip)),
        Some(Host::Domain(name)) => (name, server.port_or_known_default().unwrap_or(443)),
    };
    match timeout(CONNECT_TIMEOUT, tokio::net::lookup_host(at)).await {
        // Whoever has a public address as well could name a private one to get around the rules.
        Ok(Ok(found)) => {
            let found: Vec<_> = found.collect();
            !found.is_empty() && found.iter().all(|address| is_private(address.ip()))
        }
        // A proxy may know it.
        Ok(Err(_)) | Err(_) => false,
    }
}

/// Whether an address says outright that it is on this machine or in a private network.
fn says_private_network(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => is_private(IpAddr::V4(ip)),
        Some(Host::Ipv6(ip)) => is_private(IpAddr::V6(ip)),
        Some(Host::Domain(name)) => {
            let name = name.trim_end_matches('.');
            name == "localhost" || name.ends_with(".localhost")
        }
        None => false,
    }
}

fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

fn address_of(request: &Request<Vec<u8>>) -> Result<Url, SignInError> {
    Url::parse(&request.uri().to_string())
        .map_err(|_| SignInError::Untrustworthy("an address cannot be read".to_owned()))
}

fn broken(url: &Url, answer: String) -> SignInError {
    SignInError::Broken { place: place(url), answer }
}

/// The host and port of an address, for people.
pub(crate) fn place(url: &Url) -> String {
    url.origin().ascii_serialization()
}

/// The beginning of a text of the network, without what moves the cursor.
pub(crate) fn shown(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(MAX_SHOWN_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use exai_net::TlsUnavailable;

    use super::*;

    fn http(reach: Reach) -> Result<AuthHttp, TlsUnavailable> {
        let dir = tempfile::tempdir().unwrap();
        let trusted = dir.path().join("ca.pem");
        std::fs::write(&trusted, exai_test::tls::CA).unwrap();
        let tls = Tls::of(&[("SSL_CERT_FILE".into(), trusted.into())])?;
        Ok(AuthHttp { reach, ..AuthHttp::new(tls, Proxies::none()) })
    }

    #[test]
    fn what_the_network_names_is_a_web_address_of_the_internet() {
        let (public, anywhere) = (http(Reach::Public).unwrap(), http(Reach::Machine).unwrap());
        for (address, is_public, is_anywhere) in [
            ("https://a.example/x?y", true, true),
            ("https://8.8.8.8/", true, true),
            ("https://10.1.2.3/", false, true),
            ("https://0x7f.1/", false, true),
            ("https://[::1]/", false, true),
            ("https://[::ffff:192.168.0.1]/", false, true),
            ("https://169.254.169.254/latest", false, true),
            ("https://localhost/", false, true),
            ("https://a.localhost./", false, true),
            ("http://127.0.0.1:80/", false, true),
            ("http://localhost/", false, true),
            ("http://a.example/", false, false),
            ("http://10.1.2.3/", false, false),
            ("http://localhost.evil.example/", false, false),
            ("https://me@a.example/", false, false),
            ("https://:x@a.example/", false, false),
            ("https://a.example/#x", false, false),
            ("javascript:alert(1)", false, false),
            ("file:///etc/passwd", false, false),
            ("data:text/html,x", false, false),
            ("//a.example/", false, false),
            ("", false, false),
        ] {
            assert_eq!(public.check(address, "it").is_ok(), is_public, "{address}");
            assert_eq!(anywhere.check(address, "it").is_ok(), is_anywhere, "{address}");
        }
        let error = public.check("javascript:\u{1b}[2J", "it").unwrap_err().to_string();
        assert!(!error.chars().any(char::is_control), "{error:?}");
    }

    #[tokio::test]
    async fn a_server_of_the_internet_cannot_have_its_private_network_asked() {
        let server = exai_test::scripted_http::ScriptedHttp::start(|_| {
            exai_test::scripted_http::document(200, "", "{}")
        });
        let at = Url::parse(&server.url("/")).unwrap();
        let public = http(Reach::Public).unwrap();
        let refused = public.get::<serde_json::Value>(&at).await.unwrap_err();
        assert!(matches!(refused, SignInError::Unreachable { .. }), "{refused:?}");
        assert!(server.requests().is_empty());
        let own = public.for_server(&at).await;
        assert!(own.get::<serde_json::Value>(&at).await.unwrap().is_some());
        assert_eq!(own.for_server(&Url::parse("https://8.8.8.8/").unwrap()).await.reach, Reach::Public);
    }

    #[test]
    fn no_token_is_asked_for_where_others_could_read_it() {
        let url = |text: &str| Url::parse(text).unwrap();
        let (public, machine) = (http(Reach::Public).unwrap(), http(Reach::Machine).unwrap());
        let private = http(Reach::Private).unwrap();
        for (http, server, is_fine) in [
            (&public, "https://a.example/mcp", true),
            (&public, "http://a.example/mcp", false),
            (&private, "https://nas.local/mcp", true),
            (&private, "http://nas.local/mcp", false),
            (&machine, "http://127.0.0.1:1/mcp", true),
        ] {
            assert_eq!(http.check_server(&url(server)).is_ok(), is_fine, "{server}");
        }
    }
}

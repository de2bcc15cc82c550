//! One request to one endpoint, up to the head of its answer.

use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use exai_config::provider::Credentials;
use exai_net::{Connector, Obstacle, root_cause};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, USER_AGENT,
};
use hyper::{Method, Request, Response, Uri};
use hyper_util::client::legacy::connect::capture_connection;
use hyper_util::client::legacy::{self, Client};
use jiff::Timestamp;
use jiff::fmt::rfc2822;

use super::fault::{Fault, Wait};
use super::foreign_text::Cleaner;
use super::limits::{ERROR_BODY_TIMEOUT, MAX_ERROR_BYTES};
use super::refusal::Refusal;

/// What is sent, as often as it takes.
#[derive(Debug)]
pub(super) struct Outgoing {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
}

impl Outgoing {
    /// A POST of JSON, or a GET if there is no body. `path` begins with a slash and follows `base_url`.
    pub(super) fn new(
        base_url: &str,
        path: &str,
        credentials: &Credentials,
        body: Option<Bytes>,
    ) -> Result<Self, Fault> {
        let misconfigured = |why: String| Fault::Misconfigured { why };
        let uri = format!("{base_url}{path}");
        let uri: Uri =
            uri.parse().map_err(|error| misconfigured(format!("`base_url` is no address: {error}")))?;
        let mut headers = HeaderMap::new();
        let accepted = HeaderValue::from_static("application/json, text/event-stream");
        headers.insert(ACCEPT, accepted);
        headers.insert(USER_AGENT, HeaderValue::from_static(concat!("exai/", env!("CARGO_PKG_VERSION"))));
        if body.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        let secret = |text: &str, what: &str| {
            let mut value = HeaderValue::from_str(text)
                .map_err(|_| misconfigured(format!("{what} has characters that a header cannot have")))?;
            value.set_sensitive(true);
            Ok(value)
        };
        if let Some(key) = &credentials.key {
            headers.insert(AUTHORIZATION, secret(&format!("Bearer {}", key.expose()), "the key")?);
        }
        for (name, value) in &credentials.headers {
            let known = HeaderName::from_bytes(name.as_bytes())
                .map_err(|_| misconfigured(format!("{name:?} cannot be the name of a header")))?;
            headers.insert(known, secret(value.expose(), &format!("the header {name}"))?);
        }
        let method = if body.is_some() { Method::POST } else { Method::GET };
        Ok(Outgoing { method, uri, headers, body: body.unwrap_or_default() })
    }

    fn address(&self) -> String {
        let port =
            self.uri.port_u16().unwrap_or(if self.uri.scheme_str() == Some("http") { 80 } else { 443 });
        format!("{}:{port}", self.uri.host().unwrap_or_default())
    }
}

/// What an attempt knows even if it is ended from outside.
#[derive(Debug, Default)]
pub(super) struct Sent {
    /// Whether the request may have reached the endpoint, so that the model may be at work.
    pub(super) is_sent: bool,
}

/// Sends the request and waits for the head of an answer that is a success. No redirect is followed: the key would go
/// along. The connector bounds how long connecting takes, and `idle` how long the endpoint may then be silent.
pub(super) async fn exchange(
    client: &Client<Connector, Full<Bytes>>,
    outgoing: &Outgoing,
    idle: Duration,
    cleaner: &Cleaner,
    sent: &mut Sent,
) -> Result<Response<Incoming>, Fault> {
    let mut request = Request::new(Full::new(outgoing.body.clone()));
    *request.method_mut() = outgoing.method.clone();
    *request.uri_mut() = outgoing.uri.clone();
    *request.headers_mut() = outgoing.headers.clone();
    let mut connection = capture_connection(&mut request);
    let mut responding = pin!(client.request(request));
    let early = tokio::select! {
        biased;
        response = &mut responding => Some(response),
        _ = connection.wait_for_connection_metadata() => None,
    };
    sent.is_sent = connection.connection_metadata().is_some();
    let response = match early {
        Some(response) => response,
        None => match tokio::time::timeout(idle, responding).await {
            Ok(response) => response,
            Err(_) => return Err(Fault::TimedOut { wait: Wait::Silence, after: idle }),
        },
    };
    let response = response.map_err(|error| {
        sent.is_sent &= !error.is_connect();
        explain(&error, outgoing, cleaner)
    })?;
    if response.status().is_success() {
        return Ok(response);
    }
    let refusal = refuse(response, cleaner).await;
    // A gateway that gave up waiting says nothing of the model behind it.
    sent.is_sent = matches!(refusal, Fault::Failing { status: 504 | 524, .. });
    Err(refusal)
}

async fn refuse(response: Response<Incoming>, cleaner: &Cleaner) -> Fault {
    let status = response.status().as_u16();
    let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| wait_of(value.to_str().ok()?));
    let mut body = response.into_body();
    let mut bytes = Vec::new();
    // An endpoint that does not end its error is not waited for long: what has come says enough.
    let reading = async {
        while let Some(Ok(frame)) = body.frame().await {
            bytes.extend_from_slice(frame.data_ref().map_or(&[], |data| &data[..]));
            if bytes.len() >= MAX_ERROR_BYTES {
                bytes.truncate(MAX_ERROR_BYTES);
                break;
            }
        }
    };
    let _ = tokio::time::timeout(ERROR_BODY_TIMEOUT, reading).await;
    Refusal { status, body: &bytes, retry_after }.explain(cleaner)
}

/// The value of `Retry-After`: seconds, or a date.
fn wait_of(value: &str) -> Option<Duration> {
    if let Ok(seconds) = value.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = rfc2822::parse(value.trim()).ok()?.timestamp();
    let wait = date.duration_since(Timestamp::now());
    Some(Duration::try_from(wait).unwrap_or_default())
}

fn explain(error: &legacy::Error, outgoing: &Outgoing, cleaner: &Cleaner) -> Fault {
    if !error.is_connect() {
        return Fault::Lost { why: cleaner.clean(&root_cause(error)) };
    }
    let address = outgoing.address();
    match Obstacle::of(error) {
        Obstacle::TooSlow(after) => Fault::TimedOut { wait: Wait::Connect, after },
        Obstacle::Tls(why) => Fault::Tls { address, why: cleaner.clean(&why) },
        Obstacle::NoAddress => Fault::NoAddress { host: outgoing.uri.host().unwrap_or_default().to_owned() },
        Obstacle::Refused => Fault::Refused { address },
        obstacle @ (Obstacle::PrivateNetwork(_) | Obstacle::Other(_)) => {
            Fault::Unreachable { address, why: cleaner.clean(&obstacle.to_string()) }
        }
    }
}

#[cfg(test)]
mod tests {
    use exai_config::Secret;

    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        assert_eq!(wait_of("2"), Some(Duration::from_secs(2)));
        assert_eq!(wait_of("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
        assert!(wait_of("Wed, 21 Oct 2099 07:28:00 GMT").unwrap() > Duration::from_secs(1_000_000));
        assert_eq!(wait_of("soon"), None);
    }

    #[test]
    fn credentials_that_no_header_can_hold_are_refused_without_being_shown() {
        let credentials = Credentials { key: Some(Secret::new("sk-\nsecret")), headers: Vec::new() };
        let fault = Outgoing::new("https://x/v1", "/models", &credentials, None).unwrap_err();
        assert_eq!(fault.to_string(), "the key has characters that a header cannot have");
        let credentials = Credentials { key: Some(Secret::new("sk-secret")), headers: Vec::new() };
        let outgoing = Outgoing::new("https://x/v1", "/models", &credentials, None).unwrap();
        assert_eq!(outgoing.address(), "x:443");
        assert!(!format!("{outgoing:?}").contains("sk-secret"));
    }
}

//! Access control. Loopback is no border: web pages and other accounts reach it, too.
//!
//! On the local socket the kernel decides: the peer must be this account. On TCP, in this order and before a body is read:
//! `Host` must name this machine (and so must the host in the request's target, if there is one), `Origin` must be absent
//! or this daemon's, the token must be shown as `Bearer` or as the password of `Basic` (some WebSocket clients can send
//! nothing else), and a POST must be `application/json`. Only `/healthz` and `/oauth/callback` need no token, and a WebSocket on `/` shows it in
//! its first message. There are no CORS headers.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::AsHeaderName;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::prelude::{BASE64_STANDARD, Engine};
use exai_os::local::Peer;

use crate::client::session_process::Caller;
use crate::front::unauthenticated::Unauthenticated;
use crate::state::token::Token;

/// Where a request came from.
#[derive(Debug, Clone)]
pub(crate) enum PeerOrigin {
    Local(Peer),
    Tcp(Arc<Caller>),
}

/// What a route asks of requests over TCP, beside a `Host` and an `Origin` that are this daemon's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Nothing more: the answer is for everybody on this machine.
    Open,
    /// The token.
    Token,
    /// The token, unless the request begins a WebSocket: the client shows the token in its first message there.
    TokenOrHello,
}

impl Access {
    /// Whether this request must show the token.
    fn needs_token(self, request: &Request) -> bool {
        match self {
            Access::Open => false,
            Access::Token => true,
            Access::TokenOrHello => !request.headers().contains_key(header::UPGRADE),
        }
    }
}

/// What the check of a route needs.
#[derive(Clone)]
pub(crate) struct Gate {
    pub(crate) access: Access,
    pub(crate) token: Token,
}

/// Lets a request pass to its route, or answers why not.
pub(crate) async fn check(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    let needs_token = gate.access.needs_token(&request);
    let verdict = match request.extensions().get::<PeerOrigin>() {
        Some(PeerOrigin::Local(peer)) if peer.same_user => Ok(()),
        Some(PeerOrigin::Local(_)) => Err((StatusCode::FORBIDDEN, "this daemon serves its own account only")),
        Some(PeerOrigin::Tcp(caller)) => {
            let token = Some(&gate.token).filter(|_| needs_token);
            judge(&request, caller.connection.here.port(), token)
        }
        None => Err((StatusCode::FORBIDDEN, "BUG: a request without an origin")),
    };
    match verdict {
        Ok(()) => {
            // A request that needs no token proves nothing about its connection.
            let unauthenticated = request.extensions().get::<Unauthenticated>();
            if let Some(unauthenticated) = unauthenticated.filter(|_| needs_token) {
                unauthenticated.admit();
            }
            next.run(request).await
        }
        Err((status, reason)) => refuse(status, reason),
    }
}

pub(crate) fn refuse(status: StatusCode, reason: &str) -> Response {
    let mut response = (status, format!("{reason}\n")).into_response();
    if status == StatusCode::UNAUTHORIZED {
        let challenge = header::HeaderValue::from_static("Bearer");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
    }
    response
}

/// Whether a request over TCP may come in. `token` is what it must show.
fn judge(
    request: &axum::http::Request<Body>,
    port: u16,
    token: Option<&Token>,
) -> Result<(), (StatusCode, &'static str)> {
    let headers = request.headers();
    if !only(headers, header::HOST).is_some_and(|host| is_ours(host, port)) {
        return Err((
            StatusCode::FORBIDDEN,
            "the Host header must be 127.0.0.1, localhost or [::1] with the port",
        ));
    }
    // The absolute form of a target is for proxies, and overrides `Host`: RFC 9112, 3.2.2.
    if !request.uri().authority().is_none_or(|authority| is_ours(authority.as_str(), port)) {
        return Err((
            StatusCode::FORBIDDEN,
            "the host of the request's target must be 127.0.0.1, localhost or [::1] with the port; exai is no proxy",
        ));
    }
    if headers.contains_key(header::ORIGIN) {
        let origin = only(headers, header::ORIGIN).and_then(|origin| origin.strip_prefix("http://"));
        if !origin.is_some_and(|host| is_ours(host, port)) {
            return Err((StatusCode::FORBIDDEN, "requests from this Origin are not served"));
        }
    }
    let Some(token) = token else { return Ok(()) };
    if !shows(headers, token) {
        return Err((
            StatusCode::UNAUTHORIZED,
            "the token is missing or wrong; it is in the file `token` of the state directory",
        ));
    }
    if request.method() == Method::POST {
        let kind = only(headers, header::CONTENT_TYPE).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/json") {
            return Err((StatusCode::UNSUPPORTED_MEDIA_TYPE, "the Content-Type must be application/json"));
        }
    }
    Ok(())
}

/// The value of a header that is present exactly once.
pub(crate) fn only(headers: &HeaderMap, name: impl AsHeaderName) -> Option<&str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    if values.next().is_some() { None } else { value.to_str().ok() }
}

fn is_ours(host: &str, port: u16) -> bool {
    ["127.0.0.1", "localhost", "[::1]"].iter().any(|name| {
        host.strip_prefix(name)
            .and_then(|rest| rest.strip_prefix(':'))
            .is_some_and(|given| given == port.to_string())
    })
}

fn shows(headers: &HeaderMap, token: &Token) -> bool {
    let Some((scheme, value)) = only(headers, header::AUTHORIZATION).and_then(|value| value.split_once(' '))
    else {
        return false;
    };
    let value = value.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return token.matches(value);
    }
    scheme.eq_ignore_ascii_case("basic")
        && BASE64_STANDARD
            .decode(value)
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .is_some_and(|text| text.split_once(':').is_some_and(|(_, password)| token.matches(password)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_that_are_ours() {
        for host in ["127.0.0.1:8079", "localhost:8079", "[::1]:8079"] {
            assert!(is_ours(host, 8079), "{host}");
        }
        for host in
            ["127.0.0.1", "127.0.0.1:80790", "127.evil.com:8079", "localhost.:8079", "[::1]", "evil:8079", ""]
        {
            assert!(!is_ours(host, 8079), "{host}");
        }
    }
}

//! Access control. Loopback is no border: web pages and other accounts reach it, too.
//!
//! On the local socket the kernel decides: the peer must be this account. On TCP, in this order and before a body is read:
//! `Host`, target and `Origin` must be names of the daemon (`arrival.rs`), the token must be shown as `Bearer` or as the
//! password of `Basic` (some WebSocket clients can send nothing else), and a POST must be `application/json`. Only
//! `/healthz` and `/oauth/callback` need no token, and a WebSocket on `/` shows it in its first message; through a proxy
//! there is nothing without the token. There are no CORS headers.

use std::borrow::Cow;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::prelude::{BASE64_STANDARD, Engine};
use exai_os::local::Peer;

use crate::client::session_process::Caller;
use crate::front::arrival::{Arrival, find_arrival, only};
use crate::front::unauthenticated::Unauthenticated;
use crate::state::admission::Admission;
use crate::state::holder::Holder;

/// Where a request came from.
#[derive(Debug, Clone)]
pub(crate) enum PeerOrigin {
    Local(Peer),
    Tcp(Arc<Caller>),
}

/// What a route asks of requests over TCP, beside names that are this daemon's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// Nothing more: the answer is for everybody on this machine. Through a proxy the token.
    Open,
    /// That it comes from this machine: through a proxy there is nothing.
    Here,
    /// The token.
    Token,
    /// The token, unless the request begins a WebSocket: the client shows the token in its first message there. Through a
    /// proxy the token in any case.
    TokenOrHello,
}

/// What a request must show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Demand {
    Nothing,
    Token,
}

impl Access {
    /// What this request must show; `None` if there is nothing for it at this path.
    fn demand(self, arrival: Arrival, request: &Request) -> Option<Demand> {
        match (self, arrival) {
            (Access::Open | Access::Here, Arrival::Here) => Some(Demand::Nothing),
            (Access::Here, Arrival::ThroughProxy) => None,
            (Access::TokenOrHello, Arrival::Here) if request.headers().contains_key(header::UPGRADE) => {
                Some(Demand::Nothing)
            }
            (Access::Open | Access::Token | Access::TokenOrHello, _) => Some(Demand::Token),
        }
    }
}

/// What the check of a route needs.
#[derive(Clone)]
pub(crate) struct Gate {
    pub(crate) access: Access,
    pub(crate) admission: Admission,
}

/// Who has sent a request that was let in: on the local socket, or with a token.
#[derive(Debug, Clone)]
pub(crate) struct Visitor {
    pub(crate) holder: Holder,
    pub(crate) arrival: Arrival,
}

/// Why a request is not let in.
type Refusal = (StatusCode, Cow<'static, str>);

/// Lets a request pass to its route, or answers why not.
pub(crate) async fn check(State(gate): State<Gate>, mut request: Request, next: Next) -> Response {
    let verdict = match request.extensions().get::<PeerOrigin>() {
        Some(PeerOrigin::Local(peer)) if peer.same_user => {
            Ok(Some(Visitor { holder: Holder::Account, arrival: Arrival::Here }))
        }
        Some(PeerOrigin::Local(_)) => {
            Err((StatusCode::FORBIDDEN, "this daemon serves its own account only".into()))
        }
        Some(PeerOrigin::Tcp(caller)) => judge(&request, caller.connection.here.port(), &gate),
        None => Err((StatusCode::FORBIDDEN, "BUG: a request without an origin".into())),
    };
    match verdict {
        Ok(Some(visitor)) => {
            if let Some(unauthenticated) = request.extensions().get::<Unauthenticated>() {
                unauthenticated.admit();
            }
            request.extensions_mut().insert(visitor);
            next.run(request).await
        }
        // A request that needs no token proves nothing about its connection.
        Ok(None) => next.run(request).await,
        Err((status, reason)) => refuse(status, &reason),
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

/// Whether a request over TCP may come in, and who has sent it if it had to show a token.
fn judge(request: &Request, port: u16, gate: &Gate) -> Result<Option<Visitor>, Refusal> {
    let headers = request.headers();
    let arrival = find_arrival(headers, request.uri(), port, &gate.admission.hosts())
        .map_err(|sentence| (StatusCode::FORBIDDEN, sentence.into()))?;
    let nothing = "there is nothing at this path for who comes through a proxy";
    match gate.access.demand(arrival, request).ok_or((StatusCode::NOT_FOUND, nothing.into()))? {
        Demand::Nothing => return Ok(None),
        Demand::Token => {}
    }
    let Some(holder) = find_holder(headers, &gate.admission) else {
        let sentence = "the token is missing or wrong; it is in the file `token` of the state directory, or is one that \
                        `exai token add` has made";
        return Err((StatusCode::UNAUTHORIZED, sentence.into()));
    };
    if request.method() == Method::POST {
        let kind = only(headers, header::CONTENT_TYPE).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/json") {
            let sentence = "the Content-Type must be application/json";
            return Err((StatusCode::UNSUPPORTED_MEDIA_TYPE, sentence.into()));
        }
    }
    Ok(Some(Visitor { holder, arrival }))
}

/// Who shows a token in these headers.
fn find_holder(headers: &HeaderMap, admission: &Admission) -> Option<Holder> {
    let (scheme, value) = only(headers, header::AUTHORIZATION)?.split_once(' ')?;
    let value = value.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return admission.find_holder(value);
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(BASE64_STANDARD.decode(value).ok()?).ok()?;
    admission.find_holder(text.split_once(':')?.1)
}

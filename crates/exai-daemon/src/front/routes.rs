//! The endpoints: which path leads where.
//!
//! | path | local socket | TCP |
//! |---|---|---|
//! | `/shim` | the link | – |
//! | `/mcp`, `/mcp/NAME` | WebSocket, Streamable HTTP | WebSocket, Streamable HTTP |
//! | `/` | the origin's wire | the origin's wire, with the token in its hello |
//! | `/healthz` | `ok` | `ok`, without a token |
//! | `/oauth/callback` | the end of a sign-in | the end of a sign-in, without a token |
//!
//! Through a proxy nothing is without the token, and no sign-in ends.
//!
//! `/mcp?server=a&server=b` is these servers alone, united as all are.
//!
//! A slash at the end of the paths of `/mcp` changes nothing.

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use exai_mux::Endpoint;
use exai_proto::limits;

use crate::front::access::{Access, Gate};
use crate::front::http_client::ConnectionClients;
use crate::front::state::{AppState, RequestConnection};
use crate::front::{access, body, endpoint, http, link, origin_hello, sign_in, websocket};
use crate::upstream::sign_ins;

/// The endpoints, each with the access that it asks for. A path that leads nowhere asks for the token.
pub(crate) fn app(state: &AppState) -> Router {
    let open = Router::new().route("/healthz", get(async || "ok\n"));
    let here = Router::new().route(sign_ins::CALLBACK, get(sign_in::take_callback));
    let protected = Router::new()
        .route(exai_proto::link::PATH, get(link::open))
        .route("/mcp", any(all))
        .route("/mcp/", any(all))
        .route("/mcp/{server}", any(one))
        .route("/mcp/{server}/", any(one))
        .fallback(nothing_here);
    let root = Router::new().route("/", any(root));
    let guarded = |routes: Router<AppState>, access| {
        let gate = Gate { access, admission: state.admission.clone() };
        routes.layer(axum::middleware::from_fn_with_state(gate, access::check))
    };
    guarded(open, Access::Open)
        .merge(guarded(here, Access::Here))
        .merge(guarded(protected, Access::Token))
        .merge(guarded(root, Access::TokenOrHello))
        .with_state(state.clone())
}

async fn nothing_here() -> Response {
    let text = "there is nothing at this path: all servers are at /mcp, one server is at /mcp/NAME";
    access::refuse(StatusCode::NOT_FOUND, text)
}

/// `/`: an upgrade goes to the origin's wire.
async fn root(State(state): State<AppState>, request: Request) -> Response {
    if request.headers().contains_key(header::UPGRADE) {
        return origin_hello::open(state, request);
    }
    nothing_here().await
}

async fn all(State(state): State<AppState>, request: Request) -> Response {
    match endpoint::of_query(request.uri().query()) {
        Ok(endpoint) => mcp(state, endpoint, request).await,
        Err(reason) => access::refuse(StatusCode::BAD_REQUEST, &reason),
    }
}

async fn one(State(state): State<AppState>, Path(server): Path<String>, request: Request) -> Response {
    let server = limits::cut(&server, limits::NAME_CHARS);
    mcp(state, Endpoint::One(server.into()), request).await
}

/// WebSocket and Streamable HTTP share a path: an upgrade goes to the former, every other request to the latter.
async fn mcp(state: AppState, endpoint: Endpoint, request: Request) -> Response {
    let Some(connection) = RequestConnection::of(request.extensions()) else {
        return access::refuse(StatusCode::FORBIDDEN, "BUG: a request that nobody has let in");
    };
    if request.headers().contains_key(header::UPGRADE) {
        return websocket::open(state, endpoint, connection.holder, request);
    }
    let (parts, body) = request.into_parts();
    let headers = parts.headers;
    match parts.method {
        Method::POST => match body::read(&state.input_budget, body).await {
            Ok(body) => {
                let clients = parts.extensions.get::<ConnectionClients>().cloned().unwrap_or_default();
                http::handle_post(state, endpoint, headers, (connection, clients), body).await
            }
            Err(unread) => unread.into_response(),
        },
        Method::GET => http::handle_get(&state, &endpoint, &headers, connection),
        Method::DELETE => http::handle_delete(state, endpoint, headers, connection).await,
        _ => {
            let text = "MCP needs POST, GET or DELETE\n";
            (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "GET, POST, DELETE")], text).into_response()
        }
    }
}

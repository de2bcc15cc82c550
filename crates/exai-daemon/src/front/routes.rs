//! The endpoints: which path leads where.
//!
//! | path | local socket | TCP |
//! |---|---|---|
//! | `/shim` | the link | – |
//! | `/mcp`, `/mcp/NAME` | WebSocket, Streamable HTTP | WebSocket, Streamable HTTP |
//! | `/healthz` | `ok` | `ok`, without a token |
//!
//! A slash at the end of the paths of `/mcp` changes nothing.

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use exai_mux::Endpoint;
use exai_proto::limits;

use crate::front::state::{AppState, RequestConnection};
use crate::front::{access, body, http, link, websocket};

/// The endpoints, behind the access check.
pub(crate) fn app(rooms: &AppState) -> Router {
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route(exai_proto::link::PATH, get(link::open))
        .route("/mcp", any(all))
        .route("/mcp/", any(all))
        .route("/mcp/{server}", any(one))
        .route("/mcp/{server}/", any(one))
        .fallback(nothing_here)
        .layer(axum::middleware::from_fn_with_state(rooms.token.clone(), access::check))
        .with_state(rooms.clone())
}

async fn nothing_here() -> Response {
    let text = "there is nothing at this path: all servers are at /mcp, one server is at /mcp/NAME";
    access::refuse(StatusCode::NOT_FOUND, text)
}

async fn all(State(rooms): State<AppState>, request: Request) -> Response {
    mcp(rooms, Endpoint::All, request).await
}

async fn one(State(rooms): State<AppState>, Path(server): Path<String>, request: Request) -> Response {
    let server = limits::cut(&server, limits::NAME_CHARS);
    mcp(rooms, Endpoint::One(server.into()), request).await
}

/// WebSocket and Streamable HTTP share a path: an upgrade goes to the former, every other request to the latter.
async fn mcp(rooms: AppState, endpoint: Endpoint, request: Request) -> Response {
    if request.headers().contains_key(header::UPGRADE) {
        return websocket::open(rooms, endpoint, request);
    }
    let (parts, body) = request.into_parts();
    let headers = parts.headers;
    let line = RequestConnection::of(&parts.extensions);
    match parts.method {
        Method::POST => match body::read(&rooms.intake, body).await {
            Ok(body) => http::post(rooms, endpoint, headers, line, body).await,
            Err(unread) => unread.into_response(),
        },
        Method::GET => http::get(&rooms, &endpoint, &headers, line),
        Method::DELETE => http::delete(rooms, endpoint, headers, line).await,
        _ => {
            let text = "MCP needs POST, GET or DELETE\n";
            (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "GET, POST, DELETE")], text).into_response()
        }
    }
}

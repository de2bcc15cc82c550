//! Where clients come in: sockets, access control, and the protocols.

pub(crate) mod access;
pub(crate) mod arrival;
pub(crate) mod body;
pub(crate) mod control;
pub(crate) mod endpoint;
pub mod frame;
pub(crate) mod frame_reader;
pub(crate) mod frame_writer;
pub(crate) mod framing;
pub(crate) mod http;
pub(crate) mod http_answers;
pub(crate) mod http_client;
pub(crate) mod http_modern;
pub(crate) mod link;
pub(crate) mod listener;
pub(crate) mod modern_headers;
pub(crate) mod origin_hello;
pub(crate) mod origin_ops;
pub(crate) mod origin_wire;
pub(crate) mod routes;
pub(crate) mod sign_in;
pub(crate) mod state;
pub(crate) mod unauthenticated;
pub mod upgrade;
pub(crate) mod websocket;
pub(crate) mod websocket_connection;

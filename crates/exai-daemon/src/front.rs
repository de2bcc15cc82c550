//! Where clients come in: sockets, access control, and the three protocols.

pub(crate) mod access;
pub(crate) mod body;
pub(crate) mod control;
pub mod frame;
pub(crate) mod frame_reader;
pub(crate) mod frame_writer;
pub(crate) mod http;
pub(crate) mod link;
pub(crate) mod listener;
pub(crate) mod routes;
pub(crate) mod state;
pub(crate) mod unauthenticated;
pub mod upgrade;
pub(crate) mod websocket;
pub(crate) mod websocket_connection;

//! Support for tests: fixture servers, a model endpoint, an authorization server, waiting for conditions, faulty
//! connections, the official SDKs and the conformance suite as judges, agents as clients.
//!
//! This crate is only ever a development dependency. The product contains nothing of it.

pub mod agents;
pub mod authorization_server;
mod eventually;
mod free_port;
pub mod http;
mod llama_server;
pub mod mcp_remote;
pub mod model_endpoint;
pub mod peers;
mod programs;
pub mod proxy;
mod random;
pub mod scripted_http;
pub mod secret_service;
pub mod suite;
pub mod tls;
mod with_token;

pub use eventually::eventually;
pub use free_port::free_port;
pub use llama_server::LlamaServer;
pub use programs::{asleep, program, sleeper};
pub use random::{Random, scaled};
pub use with_token::with_token;

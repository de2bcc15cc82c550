//! The authorization server refuses what it must, and nothing else, so that it can judge clients.

mod authorizing;
mod client;
mod devices;
mod discovery;
mod resources;
mod tokens;

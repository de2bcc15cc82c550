//! Real daemons, real servers, real shims, through the fixed interfaces only.

#![expect(clippy::print_stderr, reason = "a test that fails shows the daemon's log")]

mod add;
mod alone;
#[cfg(target_os = "linux")]
mod apart;
mod bad_input;
mod broken_streams;
mod chaos;
mod choices;
mod cleanup;
mod commands;
mod config;
mod containment;
mod counters;
mod crashing;
mod crowd;
mod daemon_log;
mod descriptors;
mod discovery;
mod doctor;
mod draining;
mod elsewhere;
mod endure;
mod faults;
mod faulty;
mod foreign;
mod hold;
mod hostile;
mod http;
mod import;
mod install;
mod leaving;
mod lifecycle;
mod listening;
mod malformed;
mod matrix;
mod modern_http;
mod named_questions;
mod named_tokens;
mod names;
mod neighbours;
mod origin_wire;
mod peers;
mod proxied;
mod questions;
mod recipients;
mod reconnect;
#[cfg(windows)]
mod registry;
mod remote;
mod remote_websocket;
mod rmcp_client;
mod routing;
mod secret;
mod secrets;
mod selftest;
mod sharing;
mod sign_in;
mod silent;
#[cfg(unix)]
mod skin;
mod slow;
mod sse;
#[cfg(unix)]
mod ssh;
mod support;
#[cfg(unix)]
mod terminal;
mod threads;
mod token;
mod tools_server;
mod unfinished;
mod upgrade;
mod url;
mod user_home;
mod visible;
mod watching;
mod ways;
mod websocket;
mod well_known;
mod wire;

//! Real daemons, real servers, real shims, through the fixed interfaces only.

#![expect(clippy::print_stderr, reason = "a test that fails shows the daemon's log")]

mod add;
mod alone;
#[cfg(target_os = "linux")]
mod apart;
mod bad_input;
mod broken_streams;
mod chaos;
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
mod install;
mod leaving;
mod lifecycle;
mod listening;
mod malformed;
mod names;
mod neighbours;
mod peers;
mod questions;
mod recipients;
mod reconnect;
#[cfg(windows)]
mod registry;
mod routing;
mod secret;
mod secrets;
mod selftest;
mod sharing;
mod silent;
#[cfg(unix)]
mod skin;
mod slow;
mod support;
mod token;
mod unfinished;
mod upgrade;
mod url;
mod visible;
mod watching;
mod ways;
mod websocket;
mod wire;

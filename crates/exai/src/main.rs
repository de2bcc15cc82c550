//! `exai`: one daemon per user that hosts every MCP server once, and a stdio shim per client.

mod bundle_files;
mod cli;
mod client_config;
mod commands;
mod error;
mod limits;
mod printer;
mod run;
mod short_forms;
mod time_span;
mod visible;

use std::process::ExitCode;

fn main() -> ExitCode {
    run::run()
}

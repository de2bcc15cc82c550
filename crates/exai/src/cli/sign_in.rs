//! The arguments of the commands about sign-ins.

use clap::{ArgGroup, Args};

/// `exai login`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("what").required(true).args(["server", "list"]))]
pub(crate) struct LoginArgs {
    /// The server
    pub(crate) server: Option<String>,
    /// The account, where the server has several
    #[arg(long, conflicts_with = "list")]
    pub(crate) account: Option<String>,
    /// Paste the address that the browser ends at: for machines whose browser is on another one
    #[arg(long, conflicts_with = "device")]
    pub(crate) paste: bool,
    /// Type a code on a page that any machine can open, where the server has such a page
    #[arg(long)]
    pub(crate) device: bool,
    /// Open no browser: only say which page to open
    #[arg(long, conflicts_with_all = ["paste", "device"])]
    pub(crate) no_browser: bool,
    /// Take over the sign-in that another program has kept at this server, once: the npm package mcp-remote
    #[arg(long, value_name = "PROGRAM", value_parser = ["mcp-remote"], conflicts_with_all = ["paste", "device", "no_browser"])]
    pub(crate) from: Option<String>,
    /// List the sign-ins
    #[arg(long, conflicts_with_all = ["paste", "device", "no_browser", "from"])]
    pub(crate) list: bool,
    /// Print a JSON document
    #[arg(long, requires = "list")]
    pub(crate) json: bool,
}

/// `exai logout`.
#[derive(Debug, Args)]
pub(crate) struct LogoutArgs {
    /// The server, or an address that `exai login --list` shows
    pub(crate) server: String,
    /// The account, where the server has several
    #[arg(long)]
    pub(crate) account: Option<String>,
}

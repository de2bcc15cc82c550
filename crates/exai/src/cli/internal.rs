//! The arguments of the commands that exai starts itself.

use clap::Args;

/// `exai guard`.
#[derive(Debug, PartialEq, Eq, Args)]
pub(crate) struct GuardArgs {
    /// The daemon's nonce: whose guard this is, for whoever lists processes
    pub(crate) instance: String,
    /// The tree, as in `exai status`
    pub(crate) of: String,
    /// The socket to the daemon
    #[arg(long)]
    pub(crate) control: String,
}

/// `exai outside`.
#[derive(Debug, Args)]
pub(crate) struct OutsideArgs {
    /// The pipe, or the socket, of whoever wants the daemon to be started
    pub(crate) pipe: Option<String>,
}

/// `exai renew-sign-in`.
#[derive(Debug, Args)]
pub(crate) struct RenewSignInArgs {
    /// The record
    pub(crate) id: String,
    /// Which token is to be replaced
    pub(crate) fingerprint: String,
}

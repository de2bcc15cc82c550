//! `exai logout`

use std::time::Instant;

use exai_proto::exit;
use exai_proto::link::{FromDaemon, ToDaemon};

use super::{ask_until, connector, join_or_start, unexpected};
use crate::cli::LogoutArgs;
use crate::error::Error;
use crate::limits::SIGN_OUT_TIMEOUT;
use crate::printer::Printer;

pub(crate) fn run(args: &LogoutArgs, printer: &Printer) -> Result<u8, Error> {
    let mut link = join_or_start(&connector()?, printer)?;
    let order = ToDaemon::SignOut { server: args.server.clone(), account: args.account.clone() };
    let FromDaemon::SignedOut { was_signed_in } =
        ask_until(&mut link, &order, Instant::now() + SIGN_OUT_TIMEOUT)?
    else {
        return Err(unexpected("sign_out"));
    };
    let text = if was_signed_in { "signed out at" } else { "nobody was signed in at" };
    let account = args.account.as_ref().map(|account| format!("@{account}")).unwrap_or_default();
    printer.line(&format!("{text} {}{account}", args.server))?;
    Ok(exit::DONE)
}

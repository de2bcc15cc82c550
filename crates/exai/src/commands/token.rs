//! `exai token`: the tokens that WebSocket and HTTP clients show. `rotate` makes the account's own one another one.

mod named;

use std::time::Instant;

use exai_client::DaemonConnector;
use exai_client::limits::START_TIMEOUT;
use exai_os::lock;
use exai_proto::exit;
use exai_proto::link::{FromDaemon, ToDaemon};

use super::{ask, connector, join, unexpected};
use crate::cli::{TokenAction, TokenArgs};
use crate::error::Error;
use crate::limits::OLD_TOKEN_TIMEOUT;
use crate::printer::Printer;

pub(crate) fn run(args: &TokenArgs, printer: &Printer) -> Result<u8, Error> {
    match &args.action {
        TokenAction::Add { name } => named::add(name, printer),
        TokenAction::Remove { name } => named::remove(name, printer),
        TokenAction::List(args) => named::list(args, printer),
        TokenAction::Rotate => rotate(printer),
    }
}

fn rotate(printer: &Printer) -> Result<u8, Error> {
    let connector = connector()?;
    for note in connector.home().prepare()? {
        printer.warn(&note.to_string());
    }
    if !ask_daemon(&connector)? {
        // No process may start a daemon in between. A daemon that was started meanwhile is asked.
        let _starting = connector.spawn_lock(Instant::now() + START_TIMEOUT)?;
        if !ask_daemon(&connector)? {
            write(&connector)?;
        }
    }
    let path = connector.home().token();
    printer
        .line(&format!("the token in {} is a new one; the old one is refused from now on", path.display()))?;
    printer.line("connected clients stay connected; shims need no token")?;
    Ok(exit::DONE)
}

/// Returns whether a daemon has done it.
fn ask_daemon(connector: &DaemonConnector) -> Result<bool, Error> {
    let Some(mut link) = join(connector)? else { return Ok(false) };
    match ask(&mut link, &ToDaemon::RotateToken)? {
        FromDaemon::Rotated => Ok(true),
        _ => Err(unexpected("rotate_token")),
    }
}

/// Writes the file that a daemon would write. The lock keeps a daemon in the foreground from starting meanwhile.
fn write(connector: &DaemonConnector) -> Result<(), Error> {
    let home = connector.home();
    let failed =
        |error: std::io::Error| Error::failed(format!("cannot write {}: {error}", home.token().display()));
    let lock = lock::lock_until(&home.instance_lock(), Instant::now() + OLD_TOKEN_TIMEOUT).map_err(failed)?;
    let _alone = lock.ok_or_else(|| {
        Error::failed("a daemon holds the lock and does not answer").hint("`exai status` says what is there")
    })?;
    exai_daemon::rotate_token(home).map_err(failed)
}

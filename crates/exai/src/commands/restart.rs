//! `exai restart [SERVER]`

use std::time::{Duration, Instant};

use exai_client::limits::START_TIMEOUT;
use exai_client::stop;
use exai_proto::exit;
use exai_proto::link::{ByeReason, FromDaemon, ToDaemon};

use super::{ask, connector, count, join, unexpected};
use crate::cli::RestartArgs;
use crate::error::Error;
use crate::limits::STOP_GRACE_S;
use crate::printer::Printer;

pub(crate) fn run(args: RestartArgs, printer: &Printer) -> Result<u8, Error> {
    match args.server {
        Some(server) => restart_server(server, printer),
        None => restart_daemon(printer),
    }
}

fn restart_daemon(printer: &Printer) -> Result<u8, Error> {
    let connector = connector()?;
    let grace = Duration::from_secs(STOP_GRACE_S);
    // A working daemon must not be ended for a new one that could not start.
    exai_config::load(connector.home())?;
    connector.may_start()?;
    // No other process may start a daemon in between.
    let starting = connector.spawn_lock(Instant::now() + START_TIMEOUT)?;
    printer.progress("stopping the daemon…");
    match stop::stop(&connector, grace, ByeReason::Restart)? {
        Some(ended) => {
            super::stop::tell(&ended, printer)?;
            super::stop::prove_that_nothing_is_left(connector.home())?;
        }
        None => printer.line("no exai daemon was running")?,
    }
    printer.progress("starting the daemon…");
    let link = connector.start_or_join(&starting, Instant::now() + START_TIMEOUT)?;
    printer.headline(&format!("exai is running (pid {})", link.daemon().pid))?;
    Ok(exit::DONE)
}

fn restart_server(server: String, printer: &Printer) -> Result<u8, Error> {
    let connector = connector()?;
    let Some(mut link) = join(&connector)? else {
        printer.line("no exai daemon runs, so no server does")?;
        return Ok(exit::DONE);
    };
    match ask(&mut link, &ToDaemon::RestartServer { server: server.clone() })? {
        FromDaemon::Restarted { instances: 0 } => {
            printer.line(&format!("{server} was not running; the next request starts it"))?;
        }
        FromDaemon::Restarted { instances } => {
            printer.line(&format!(
                "stopped {} of {server}; the next request starts it",
                count(instances, "instance")
            ))?;
        }
        _ => return Err(unexpected("restart_server")),
    }
    Ok(exit::DONE)
}

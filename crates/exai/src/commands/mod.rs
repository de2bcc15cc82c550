//! One file per command. Each returns its exit code.

pub(crate) mod add;
pub(crate) mod call;
pub(crate) mod cleanup;
pub(crate) mod clients;
pub(crate) mod doctor;
pub(crate) mod guard;
pub(crate) mod import;
pub(crate) mod install;
pub(crate) mod list;
pub(crate) mod login;
pub(crate) mod logout;
pub(crate) mod logs;
pub(crate) mod outside;
pub(crate) mod ps;
pub(crate) mod remove;
pub(crate) mod renew_sign_in;
pub(crate) mod restart;
pub(crate) mod restore;
pub(crate) mod secret;
pub(crate) mod selftest;
pub(crate) mod serve;
pub(crate) mod shim;
pub(crate) mod start;
pub(crate) mod status;
pub(crate) mod stop;
pub(crate) mod threads;
pub(crate) mod token;
pub(crate) mod tools;
pub(crate) mod tools_server;
pub(crate) mod uninstall;
pub(crate) mod why;

mod ask;
mod foreign_json;
mod talk;

use std::time::Instant;

use exai_client::limits::START_TIMEOUT;
use exai_client::{ConnectError, DaemonConnector, Link};
use exai_config::Home;
use exai_proto::link::{FromDaemon, Role, ToDaemon};

use crate::error::Error;
use crate::limits::ANSWER_TIMEOUT;
use crate::printer::Printer;

/// The connector for a command.
fn connector() -> Result<DaemonConnector, Error> {
    Ok(DaemonConnector::new(Home::locate()?, exai_client::hello(Role::Command)))
}

/// Joins the daemon, starting it where none lives.
fn join_or_start(connector: &DaemonConnector, printer: &Printer) -> Result<Link, Error> {
    match connector.try_connect() {
        Some(link) => Ok(link),
        None => start(connector, printer),
    }
}

/// Starts the daemon that does not answer, or joins it where it does after all.
fn start(connector: &DaemonConnector, printer: &Printer) -> Result<Link, Error> {
    printer.progress("starting the daemon…");
    for note in connector.home().prepare()? {
        printer.warn(&note.to_string());
    }
    let link = connector.connect_or_start(Instant::now() + START_TIMEOUT)?;
    printer.clear_progress();
    Ok(link)
}

/// Joins the daemon if there is one.
fn join(connector: &DaemonConnector) -> Result<Option<Link>, Error> {
    match connector.connect(Instant::now() + ANSWER_TIMEOUT) {
        Ok(link) => Ok(Some(link)),
        Err(ConnectError::NotRunning { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Asks the daemon something; its refusal is an error.
fn ask(link: &mut Link, question: &ToDaemon) -> Result<FromDaemon, Error> {
    ask_until(link, question, Instant::now() + ANSWER_TIMEOUT)
}

/// The same for what the daemon itself must ask others for.
fn ask_until(link: &mut Link, question: &ToDaemon, deadline: Instant) -> Result<FromDaemon, Error> {
    match link.ask(question, deadline)? {
        FromDaemon::Error { reason } => Err(Error::failed(reason)),
        FromDaemon::Bye { .. } => Err(Error::failed("the daemon is stopping")),
        answer => Ok(answer),
    }
}

/// An answer that does not belong to the question.
fn unexpected(question: &str) -> Error {
    Error::failed(format!("the daemon answered something else to `{question}`"))
        .hint("it may be of another version: `exai restart`")
}

/// Lets a running daemon load a changed configuration and start a new server in it. Returns whether there is such a
/// daemon.
fn reload(connector: &DaemonConnector, start: Option<&str>) -> Result<bool, Error> {
    let Some(mut link) = join(connector)? else { return Ok(false) };
    match ask(&mut link, &ToDaemon::Reload { start: start.map(ToOwned::to_owned) })? {
        FromDaemon::Reloaded => Ok(true),
        _ => Err(unexpected("reload")),
    }
}

/// `1 client`, `2 clients`, `3 processes`.
fn count(number: usize, noun: &str) -> String {
    let ending = if noun.ends_with('s') { "es" } else { "s" };
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}{ending}") }
}

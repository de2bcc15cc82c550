//! A conversation of the command line with one server, through the daemon as for any client.

use std::time::Duration;

use bytes::Bytes;
use exai_client::mcp_client::{Answer, Conversation};
use exai_client::{DaemonConnector, LinkError};
use exai_config::Home;
use exai_proto::link::{Hello, Role};

use super::{foreign_json, join_or_start};
use crate::error::Error;
use crate::printer::Printer;

/// A conversation with one server.
pub(super) struct Talk {
    conversation: Conversation,
    server: String,
}

/// How a question ended: the result, or the error object, as JSON text.
pub(super) type Reply = Result<Bytes, Bytes>;

impl Talk {
    /// Begins a conversation, as this client if one is named, and starts daemon and server where needed. Once the daemon is there, the whole
    /// conversation may take this long.
    pub(super) fn begin(
        (server, client): (&str, Option<&str>),
        patience: Option<Duration>,
        printer: &Printer,
    ) -> Result<Result<Self, Bytes>, Error> {
        let hello = Hello {
            server: Some(server.to_owned()),
            label: client.map(ToOwned::to_owned),
            ..exai_client::hello(Role::Command)
        };
        let connector = DaemonConnector::new(Home::locate()?, hello);
        let link = join_or_start(&connector, printer)?;
        let begun = Conversation::begin(link, patience, |waited| waiting(server, waited, printer));
        let begun = begun.map_err(|error| failed(server, error))?;
        printer.clear_progress();
        Ok(begun.map(|conversation| Talk { conversation, server: server.to_owned() }))
    }

    /// Asks something.
    pub(super) fn ask(&mut self, method: &str, params: &str, printer: &Printer) -> Result<Reply, Error> {
        let server = &self.server;
        let answer = self.conversation.request(method, params, |waited| waiting(server, waited, printer));
        let answer = answer.map_err(|error| failed(server, error))?;
        printer.clear_progress();
        Ok(match answer {
            Answer::Result(result) => Ok(result),
            Answer::Error(error) => Err(error),
        })
    }
}

fn failed(server: &str, error: LinkError) -> Error {
    match error {
        LinkError::TimedOut => {
            Error::failed(format!("it has not answered in time; `exai tools {server}` waits for it"))
        }
        error => error.into(),
    }
}

fn waiting(server: &str, waited: Duration, printer: &Printer) {
    printer.progress(&format!("waiting for server {server} ({} s)…", waited.as_secs()));
}

/// An error object as a sentence, with its hint.
pub(super) fn sentence(error: &[u8]) -> Error {
    let value: serde_json::Value = foreign_json::read(error).unwrap_or_default();
    let message = value["message"].as_str().unwrap_or("an error without a message");
    let mut what = match value["code"].as_i64() {
        Some(code) => format!("{message} ({code})"),
        None => message.to_owned(),
    };
    if let Some(tail) = value["data"]["stderrTail"].as_str().filter(|tail| !tail.trim().is_empty()) {
        what.push_str("\nthe end of the server's stderr:");
        for line in tail.lines() {
            what.push_str("\n  ");
            what.push_str(line);
        }
    }
    match value["data"]["hint"].as_str() {
        Some(hint) => Error::failed(what).hint(hint),
        None => Error::failed(what),
    }
}

//! The errors with which exai itself answers clients, and their texts.

use std::sync::Arc;

use exai_proto::Id;
use exai_proto::answer::{Failure, FailureData, Source};

use crate::router::event_context::EventContext;
use crate::router::on_success::{OnSuccess, called_tool};
use crate::types::account::{self, Account};
use crate::types::event::Down;
use crate::types::ids::ClientId;

impl EventContext<'_> {
    /// -31006 for servers that are not configured, or that the client may not see.
    pub(crate) fn unknown_server<'a>(
        &mut self,
        client: ClientId,
        id: &Id,
        names: &[&str],
        known: impl Iterator<Item = &'a Arc<str>>,
    ) {
        let known: Vec<&str> = known.map(|name| &**name).collect();
        let message = format!(
            "no server is called \"{}\"; configured are: {}",
            names.join("\" or \""),
            known.join(", ")
        );
        let data = FailureData {
            server: if let [only] = names { Some(only) } else { None },
            hint: Some("exai add NAME -- COMMAND"),
            ..FailureData::new(Source::Daemon, Failure::ServerUnavailable)
        };
        self.fail(client, id, &message, &data);
    }

    /// -31006 for a server of which no account is for the client.
    pub(crate) fn no_account<'a>(
        &mut self,
        client: ClientId,
        id: &Id,
        server: &str,
        accounts: impl Iterator<Item = &'a Account>,
    ) {
        let names: Vec<&str> = accounts.map(|account| &*account.name).collect();
        let message = format!(
            "server \"{server}\" has the accounts {}, and by the rules in the configuration none of them is for this \
             client",
            names.join(", ")
        );
        let hint = format!("exai why {server}");
        let data = FailureData {
            server: Some(server),
            hint: Some(&hint),
            ..FailureData::new(Source::Daemon, Failure::ServerUnavailable)
        };
        self.fail(client, id, &message, &data);
    }

    /// -32602 for a tool or prompt that there is not, or that the client may not see. The client must not be able to
    /// tell which.
    pub(crate) fn unknown_name(&mut self, client: ClientId, id: &Id, name: &str, is_aggregated: bool) {
        let text = if is_aggregated {
            format!("Unknown tool or prompt: {name} (names are SERVER__NAME)")
        } else {
            format!("Unknown tool: {name}")
        };
        self.refuse(client, id, -32602, &text);
    }

    /// -31006 for a server that does not run and cannot be started now.
    pub(crate) fn unavailable(&mut self, client: ClientId, id: &Id, server: &str, why: &Down) {
        let hint = why.command(server);
        let data = FailureData {
            server: Some(account::split(server).0),
            hint: hint.as_deref(),
            stderr_tail: Some(&*why.stderr_tail).filter(|tail| !tail.is_empty()),
            ..FailureData::new(Source::Daemon, Failure::ServerUnavailable)
        };
        self.fail(client, id, &format!("server \"{server}\" is not available: it {}", why.reason), &data);
    }

    /// -31003 for what is more than a bound allows.
    pub(crate) fn overloaded(&mut self, client: ClientId, id: &Id, server: Option<&str>, what: &str) {
        let data = FailureData { server, ..FailureData::new(Source::Daemon, Failure::Overloaded) };
        self.fail(client, id, &format!("overloaded: {what}; nothing was sent"), &data);
    }

    /// The error for a request that a server had got and not answered when it ended.
    pub(crate) fn crashed(
        &mut self,
        client: ClientId,
        id: &Id,
        server: &str,
        on_success: &OnSuccess,
        why: &Down,
    ) {
        let hint = why.command(server);
        let data = FailureData {
            server: Some(account::split(server).0),
            tool: called_tool(on_success),
            hint: hint.as_deref(),
            stderr_tail: Some(&*why.stderr_tail).filter(|tail| !tail.is_empty()),
            ..FailureData::new(Source::Daemon, Failure::ServerCrashed)
        };
        let text = format!(
            "server \"{server}\" {} before it answered; the request may or may not have been carried out",
            why.reason
        );
        self.fail(client, id, &text, &data);
    }

    /// -31004 for a request that a server has not answered in time.
    pub(crate) fn timed_out(&mut self, client: ClientId, id: &Id, server: &str, on_success: &OnSuccess) {
        let data = FailureData {
            server: Some(account::split(server).0),
            tool: called_tool(on_success),
            ..FailureData::new(Source::Daemon, Failure::TimedOut)
        };
        let text = format!(
            "server \"{server}\" did not answer in time; the request was cancelled and may have been carried out"
        );
        self.fail(client, id, &text, &data);
    }
}

//! What the router knows of one client. A client changes itself alone: attaching it to an instance, or asking it a
//! question, is up to the handlers.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::types::client_context::ClientContext;
use crate::types::ids::{Endpoint, InstanceId};
use crate::types::log_level::LogLevel;

#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) endpoint: Endpoint,
    pub(crate) session: Session,
    pub(crate) level: Option<LogLevel>,
    /// The instances this client uses, by server.
    pub(crate) attached: Vec<(Arc<str>, InstanceId)>,
    /// The resources that the client has subscribed to, by server. A subscription outlives the instance.
    pub(crate) subscriptions: BTreeSet<(Arc<str>, String)>,
    pub(crate) calls: u64,
    /// The repeatable tools that the link of the client was last told of.
    pub(crate) repeatable: BTreeSet<String>,
}

#[derive(Debug)]
pub(crate) enum Session {
    /// The client has not sent `initialize` yet.
    New,
    /// The client has sent `initialize`.
    Open(Arc<ClientContext>),
}

impl Client {
    pub(crate) fn new(endpoint: Endpoint) -> Self {
        Client {
            endpoint,
            session: Session::New,
            level: None,
            attached: Vec::new(),
            subscriptions: BTreeSet::new(),
            calls: 0,
            repeatable: BTreeSet::new(),
        }
    }

    pub(crate) fn instance_of(&self, server: &str) -> Option<InstanceId> {
        self.attached.iter().find(|(name, _)| &**name == server).map(|(_, instance)| *instance)
    }

    pub(crate) fn detach(&mut self, instance: InstanceId) {
        self.attached.retain(|(_, attached)| *attached != instance);
    }

    /// What the client says of itself. `None` before the session is open.
    pub(crate) fn context(&self) -> Option<&Arc<ClientContext>> {
        match &self.session {
            Session::New => None,
            Session::Open(context) => Some(context),
        }
    }

    /// Whether a log message of this level should reach the client. A client that has set no level gets all messages:
    /// without `logging/setLevel` the server decides.
    pub(crate) fn wants(&self, level: Option<LogLevel>) -> bool {
        match (self.level, level) {
            (Some(wanted), Some(level)) => level >= wanted,
            (None, _) | (_, None) => true,
        }
    }
}

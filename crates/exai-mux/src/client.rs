//! What the router knows of one client.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use exai_proto::{Message, json, limits};

use crate::types::capability::{Ask, normalise_capabilities, parse_capabilities};
use crate::types::ids::{Endpoint, InstanceId};
use crate::types::log_level::LogLevel;

#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) endpoint: Endpoint,
    pub(crate) session: Session,
    pub(crate) level: Option<LogLevel>,
    /// The instances this client uses, by server.
    pub(crate) attached: Vec<(Arc<str>, InstanceId)>,
    /// Resources it wants to hear of, by server: they outlive an instance.
    pub(crate) subscriptions: BTreeSet<(Arc<str>, String)>,
    pub(crate) in_flight: u32,
    pub(crate) calls: u64,
    /// What its link was told of tools that may be repeated.
    pub(crate) repeatable: BTreeSet<String>,
}

#[derive(Debug)]
pub(crate) enum Session {
    /// Nothing said yet.
    New,
    /// `initialize` was received.
    Open(InitializeParams),
}

/// What a client said in `initialize`.
#[derive(Debug, Clone)]
pub(crate) struct InitializeParams {
    pub(crate) version: String,
    pub(crate) capabilities: Arc<str>,
    /// The same one by one.
    pub(crate) can: BTreeMap<Ask, String>,
    pub(crate) name: Option<String>,
    pub(crate) build: Option<String>,
}

impl Client {
    pub(crate) fn new(endpoint: Endpoint) -> Self {
        Client {
            endpoint,
            session: Session::New,
            level: None,
            attached: Vec::new(),
            subscriptions: BTreeSet::new(),
            in_flight: 0,
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

    pub(crate) fn initialize_params(&self) -> Option<&InitializeParams> {
        match &self.session {
            Session::New => None,
            Session::Open(initialize_params) => Some(initialize_params),
        }
    }

    /// Whether a log message of this level should reach the client. One that never asked gets all: without
    /// `logging/setLevel` the server decides.
    pub(crate) fn wants(&self, level: Option<LogLevel>) -> bool {
        match (self.level, level) {
            (Some(wanted), Some(level)) => level >= wanted,
            (None, _) | (_, None) => true,
        }
    }
}

impl InitializeParams {
    /// Reads the parameters of `initialize`.
    pub(crate) fn of(message: &Message, params: std::ops::Range<usize>) -> Option<Self> {
        let text = message.bytes();
        let member = |path: &[&str]| {
            let place = json::find_path(text, params.clone(), path)?;
            json::string(text, place)
        };
        let cut = |name: std::borrow::Cow<'_, str>| limits::cut(&name, limits::NAME_CHARS);
        let capabilities = json::find(text, params.clone(), "capabilities");
        let declared = normalise_capabilities(capabilities.map_or(&b"{}"[..], |place| &text[place]));
        Some(InitializeParams {
            version: cut(member(&["protocolVersion"])?),
            can: parse_capabilities(&declared),
            capabilities: declared.into(),
            name: member(&["clientInfo", "name"]).map(cut),
            build: member(&["clientInfo", "version"]).map(cut),
        })
    }
}

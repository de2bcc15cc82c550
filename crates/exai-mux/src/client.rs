//! What the router knows of one client. A client changes itself alone: attaching it to an instance, or asking it a
//! question, is up to the handlers.

pub(crate) mod listen;

use std::collections::BTreeSet;
use std::sync::Arc;

use exai_proto::Id;

use crate::client::listen::Listen;

use crate::limits::MAX_CLIENT_INFO_BYTES;
use crate::types::account::ChosenAccounts;
use crate::types::choice::{Choice, ClientName};
use crate::types::client_context::ClientContext;
use crate::types::era::Era;
use crate::types::ids::{Endpoint, InstanceId};
use crate::types::log_level::LogLevel;

#[derive(Debug)]
pub(crate) struct Client {
    /// What the client has connected to, as it said it.
    pub(crate) wanted: Endpoint,
    /// The same, with the accounts of the client in the place of their servers.
    pub(crate) endpoint: Endpoint,
    /// Whether the program behind the client may go on over another connection: see [`crate::Event::Opened`].
    pub(crate) stateless: bool,
    pub(crate) name: ClientName,
    /// The directory in which the client works, if it is known for certain.
    pub(crate) directory: Option<Arc<str>>,
    /// What the configuration lets the client see; `None` for everything.
    pub(crate) choice: Option<Arc<Choice>>,
    /// The accounts that the client uses, and those that are not for it.
    pub(crate) accounts: ChosenAccounts,
    pub(crate) session: Session,
    /// What the last request of the modern era said of the client, with the bytes that said it.
    pub(crate) modern: Option<(Vec<u8>, Arc<ClientContext>)>,
    /// What the client wants to hear of in the modern era.
    pub(crate) listens: Vec<Listen>,
    pub(crate) level: Option<LogLevel>,
    /// The instances this client uses. In each era it uses one of a server, but for requests of the modern era that are
    /// bridged: each of them goes to the instance that was told what it declares.
    pub(crate) attached: Vec<Attachment>,
    /// The resources that the client has subscribed to in its session, by server. A subscription outlives the
    /// instance.
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

/// An instance that a client uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Attachment {
    pub(crate) server: Arc<str>,
    /// The era in which the client speaks there.
    pub(crate) of: Era,
    pub(crate) instance: InstanceId,
}

impl Client {
    pub(crate) fn new(endpoint: Endpoint, name: ClientName, directory: Option<Arc<str>>) -> Self {
        Client {
            wanted: endpoint.clone(),
            endpoint,
            stateless: false,
            name,
            directory,
            choice: None,
            accounts: ChosenAccounts::default(),
            session: Session::New,
            modern: None,
            listens: Vec::new(),
            level: None,
            attached: Vec::new(),
            subscriptions: BTreeSet::new(),
            calls: 0,
            repeatable: BTreeSet::new(),
        }
    }

    /// The instance of a server that the client uses when it speaks in this era.
    pub(crate) fn instance_of(&self, server: &str, of: Era) -> Option<InstanceId> {
        let is_it = |one: &&Attachment| &*one.server == server && one.of == of;
        self.attached.iter().find(is_it).map(|one| one.instance)
    }

    pub(crate) fn detach(&mut self, instance: InstanceId) {
        self.attached.retain(|one| one.instance != instance);
    }

    /// What a modern request says of the client, if the last one said the same.
    pub(crate) fn known_modern_context(&self, bytes: &[&[u8]]) -> Option<Arc<ClientContext>> {
        let (known, context) = self.modern.as_ref()?;
        let is_same = known.len() == bytes.iter().map(|part| part.len() + 1).sum::<usize>()
            && bytes.iter().flat_map(|part| part.iter().chain(b"\0")).eq(known);
        is_same.then(|| context.clone())
    }

    /// Keeps what a modern request says of the client.
    pub(crate) fn set_modern_context(&mut self, bytes: &[&[u8]], context: Arc<ClientContext>) {
        // What is too long is read again with each request.
        let is_short = bytes.iter().map(|part| part.len()).sum::<usize>() <= MAX_CLIENT_INFO_BYTES;
        let bytes = bytes.iter().filter(|_| is_short).flat_map(|part| part.iter().chain(b"\0")).copied();
        self.modern = Some((bytes.collect(), context));
    }

    /// What the client says of itself in an era. `None` before it has said anything in that era.
    pub(crate) fn context_in(&self, era: Era) -> Option<&Arc<ClientContext>> {
        match era {
            Era::Legacy => self.context(),
            Era::Modern => self.modern.as_ref().map(|(_, context)| context),
        }
    }

    /// What the client says of itself, in whatever era. `None` before it has said anything.
    pub(crate) fn any_context(&self) -> Option<&Arc<ClientContext>> {
        self.context().or(self.context_in(Era::Modern))
    }

    /// Whether the client wants to be told of changes: it has a session, or listens.
    pub(crate) fn may_be_told(&self) -> bool {
        self.context().is_some() || !self.listens.is_empty()
    }

    /// The resources of a server that the client wants to hear of in an era.
    pub(crate) fn subscribed_uris<'a>(&'a self, server: &'a str, era: Era) -> Vec<&'a str> {
        match era {
            Era::Legacy => {
                let of_server = self.subscriptions.iter().filter(|(name, _)| **name == *server);
                of_server.map(|(_, uri)| &**uri).collect()
            }
            Era::Modern => {
                let all = self.listens.iter().flat_map(|listen| &listen.resources);
                all.filter(|(name, _)| **name == *server).map(|(_, uri)| &**uri).collect()
            }
        }
    }

    /// Whether the client waits for what a server tells, so that the server must run.
    pub(crate) fn awaits_news(&self, server: &str, era: Era) -> bool {
        // On an endpoint of several servers, lists alone are no reason to run them all.
        let is_own = matches!(&self.endpoint, Endpoint::One(own) if **own == *server);
        let needs_own = |listen: &Listen| listen.relayed.is_some() || !listen.lists.is_empty();
        !self.subscribed_uris(server, era).is_empty()
            || era == Era::Modern && is_own && self.listens.iter().any(needs_own)
    }

    /// Takes an open `subscriptions/listen`.
    pub(crate) fn take_listen(&mut self, id: &Id) -> Option<Listen> {
        let at = self.listens.iter().position(|listen| listen.id == *id)?;
        Some(self.listens.remove(at))
    }

    /// The label that the client's shim says.
    pub(crate) fn label(&self) -> Option<&str> {
        match &self.name {
            ClientName::Label(label) => Some(label),
            ClientName::Program | ClientName::Nameless => None,
        }
    }

    /// The name by which the configuration knows the client. `None` if there is none (yet).
    pub(crate) fn known_name(&self) -> Option<&str> {
        match &self.name {
            ClientName::Label(label) => Some(label),
            ClientName::Program => self.any_context()?.name.as_deref(),
            ClientName::Nameless => None,
        }
    }

    /// Takes other accounts, and connects the client to them.
    pub(crate) fn set_accounts(&mut self, accounts: ChosenAccounts) {
        if accounts != self.accounts {
            self.endpoint = accounts.resolve_endpoint(&self.wanted);
            self.accounts = accounts;
        }
    }

    /// Whether the configuration lets the client use a server.
    pub(crate) fn chooses_server(&self, server: &str) -> bool {
        self.choice.as_ref().is_none_or(|choice| choice.has_server(server))
    }

    /// Whether the client may see a server: the server is a part of what the client connects to, and is chosen.
    pub(crate) fn sees_server(&self, server: &str) -> bool {
        self.endpoint.has_server(server) && self.chooses_server(server) && !self.accounts.excludes(server)
    }

    /// Whether the client may see and call a tool of a server that it sees.
    pub(crate) fn sees_tool(&self, server: &str, tool: &str) -> bool {
        self.choice.as_ref().is_none_or(|choice| choice.allows_tool(server, tool))
    }

    /// Whether the client may call some tools of a server and others not.
    pub(crate) fn filters_tools(&self) -> bool {
        self.choice.as_ref().is_some_and(|choice| !choice.tools.is_open())
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

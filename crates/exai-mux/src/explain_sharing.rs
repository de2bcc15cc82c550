//! Says in words why the clients of a server share its processes as they do.

use std::fmt::Write as _;

use exai_proto::{limits, version};

use crate::client::Client;
use crate::instance::Instance;
use crate::limits::MAX_SHOWN_DECLARATION_CHARS;
use crate::router::Router;
use crate::server::Server;
use crate::types::capability::ClientCapability;
use crate::types::choice::ClientName;
use crate::types::era::{ERAS, Era};
use crate::types::ids::ClientId;
use crate::types::policy::Share;

impl Router {
    /// Explains the sharing of a server, one statement in each text. `None` for a server that is not configured.
    pub fn explain_sharing(&self, server: &str) -> Option<Vec<String>> {
        let server = self.servers.get(server)?;
        let mut sentences = vec![rule(server)];
        let mut instances = self.instances.of_server(&server.policy.name);
        instances.sort_by_key(|(_, instance)| instance.number);
        if instances.is_empty() {
            sentences.push("it does not run; the next call starts it".to_owned());
        }
        sentences.extend(instances.into_iter().map(|(_, instance)| self.of_instance(server, instance)));
        sentences.extend(explain_eras(server));
        Some(sentences)
    }

    /// Explains which client uses which account of a server, and by which rule, one client in each text. Empty for a server
    /// without accounts.
    pub fn explain_accounts(&self, server: &str) -> Vec<String> {
        let names: Vec<&str> = self.accounts.of_server(server).map(|account| &*account.name).collect();
        if names.is_empty() {
            return Vec::new();
        }
        let mut sentences =
            vec![format!("it has the accounts {}; a client uses the first that suits it", names.join(", "))];
        for id in self.clients.ids() {
            let Some(client) = self.clients.get(id) else { continue };
            let is_client = client.name != ClientName::Nameless;
            if !is_client || !client.wanted.has_server(server) || !client.chooses_server(server) {
                continue;
            }
            let who = match client.known_name() {
                Some(name) => format!("{id} ({name})"),
                None => id.to_string(),
            };
            let found = self.accounts.find(server, client.known_name(), client.directory.as_deref());
            sentences.push(match found {
                Some((account, rule)) => format!("{who} uses the account {}: {rule}", account.name),
                None => format!("{who} may use none of them: no rule suits it"),
            });
        }
        sentences
    }

    fn all_declare(&self, clients: &[ClientId], declared: &str) -> bool {
        let mut all = clients.iter().filter_map(|client| self.clients.context(*client));
        !clients.is_empty() && all.all(|said| *said.capabilities == *declared)
    }

    fn of_instance(&self, server: &Server, instance: &Instance) -> String {
        let mut clients = instance.clients.clone();
        clients.sort();
        let users: Vec<String> = clients.iter().map(|id| named(*id, self.clients.get(*id))).collect();
        let mut said = match &users[..] {
            [] => format!("{} is used by nobody at the moment", instance.label()),
            [only] if instance.key.client.is_some() => format!("{} is {only}'s own", instance.label()),
            users => format!("{} is used by {}", instance.label(), users.join(", ")),
        };
        if instance.retiring {
            said.push_str(
                "; it was started before the configuration was changed, and ends with what it has begun",
            );
            return said;
        }
        if let Some(client) = instance.key.client.and_then(|client| self.clients.get(client))
            && server.policy.share == Share::Auto
        {
            let can = client.context().into_iter().flat_map(|said| said.can.keys());
            let asked = can.copied().filter(|ask| server.behaviour.observed().asks.contains(ask));
            let _ = write!(said, ": the server asks for {}, and this client can be asked", list(asked));
        } else if server.policy.share == Share::Auto && self.all_declare(&clients, &instance.key.capabilities)
        {
            let _ = match &*instance.key.capabilities {
                "{}" => write!(said, ": they declare nothing that a server could use"),
                declared => {
                    write!(said, ": they declare {}", limits::cut(declared, MAX_SHOWN_DECLARATION_CHARS))
                }
            };
        }
        if instance.fair_queue.is_exclusive() {
            said.push_str(
                "; it is given the requests of one client at a time, because it has asked for something while several \
                 clients waited for it, and nobody could know whom it meant",
            );
        }
        said
    }
}

/// Which eras the server speaks, why that is known, and what it means for clients of each.
fn explain_eras(server: &Server) -> Vec<String> {
    let mut sentences = Vec::new();
    if let Some(pinned) = server.eras.pinned {
        let revision = match pinned {
            Era::Legacy => version::NEWEST_LEGACY,
            Era::Modern => version::MODERN,
        };
        sentences.push(format!("it is spoken to in MCP {revision} ({pinned} era) alone"));
    }
    for era in ERAS.into_iter().filter(|_| server.eras.pinned.is_none()) {
        let Some(verdict) = server.eras.verdict(era) else { continue };
        let why = limits::cut(&verdict.why, MAX_SHOWN_DECLARATION_CHARS);
        let speaks = if verdict.speaks { "speaks" } else { "does not speak" };
        let revision = match era {
            Era::Legacy => format!("MCP up to {}", version::NEWEST_LEGACY),
            Era::Modern => format!("MCP {}", version::MODERN),
        };
        sentences.push(format!("it {speaks} {revision} ({era} era): it {why}"));
    }
    match (server.eras.speaks(Era::Legacy), server.eras.speaks(Era::Modern)) {
        (Some(true), Some(true)) if server.policy.share == Share::Session => {
            sentences.push("clients of each era are served in their own".to_owned());
        }
        (Some(true), Some(true)) => {
            sentences.push("a process for each era in use serves the clients of that era".to_owned());
        }
        (Some(false), Some(true)) => sentences.push(format!(
            "clients of older revisions are served all the same: exai translates between them and {}",
            version::MODERN
        )),
        (_, Some(false)) if server.policy.bridge => sentences.push(format!(
            "clients of {} are served all the same (bridge = true): exai translates",
            version::MODERN
        )),
        (_, Some(false)) => sentences.push(format!(
            "clients that also speak an older revision than {} are told to do so; `bridge = true` serves the others",
            version::MODERN
        )),
        (_, Some(true) | None) => {}
    }
    sentences
}

fn rule(server: &Server) -> String {
    let observed = server.behaviour.observed();
    match server.policy.share {
        _ if server.policy.one_at_a_time => {
            "it has a port of its own, so one process serves all clients, and is told of no capabilities".to_owned()
        }
        Share::Shared => "share = \"shared\": one process serves all clients, and is told of no capabilities".to_owned(),
        Share::Session => "it is reached by URL: each client has a session of its own in the legacy era, and all share in \
             the modern one, which has no sessions"
            .to_owned(),
        Share::Client => "share = \"client\": each client has a process of its own".to_owned(),
        Share::Auto if !observed.asks.is_empty() => format!(
            "share = \"auto\": it was seen to ask for {}; a client that can be asked has a process of its own, the \
             others share",
            list(observed.asks.iter().copied())
        ),
        Share::Auto if observed.same_for_all && !observed.silent.is_empty() => format!(
            "share = \"auto\": it offered the same whatever its clients could do, and asked for nothing though it was told \
             of {}; such clients share one process",
            list(observed.silent.keys().copied())
        ),
        Share::Auto => {
            "share = \"auto\": clients that declare the same of what a server could use share a process; whether \
             that matters to this server is not known yet"
                .to_owned()
        }
    }
}

fn list(asks: impl Iterator<Item = ClientCapability>) -> String {
    asks.map(ClientCapability::name).collect::<Vec<_>>().join(" and ")
}

pub(crate) fn named(id: ClientId, client: Option<&Client>) -> String {
    match client.and_then(|client| client.any_context()?.name.clone()) {
        Some(name) => format!("{id} ({name})"),
        None => id.to_string(),
    }
}

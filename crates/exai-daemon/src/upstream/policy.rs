//! What the configuration means for the router.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use exai_config::secret_store::SecretStore;
use exai_config::{
    AccountConfig, ClientConfig, Config, EraChoice, ServerConfig, ServerKind, Share as ConfigShare,
    SignInConfig, StartPolicy,
};
use exai_mux::policy::{Policy, Share, ToolFilter};
use exai_mux::{Account, Choice, Era, account};
use exai_proto::fnv1a::Fnv1a;

use crate::limits::FOREVER;
use crate::observe::facts::BUILTIN_NAME;
use crate::upstream::builtin;

/// The policy of each server, the built-in server last.
pub(crate) fn policies(config: &Config) -> Vec<Policy> {
    let mut policies: Vec<Policy> = config
        .servers
        .iter()
        .flat_map(|(name, server)| places(name, server).into_iter().map(move |place| (place, server)))
        .map(|(name, server)| Policy {
            name,
            revision: revision(server, &config.secrets),
            share: match server.share {
                // One port means one process and one session.
                _ if server.kind() == ServerKind::Listening => Share::Shared,
                // What a session has been told is of no concern to other clients.
                ConfigShare::Auto if server.kind() == ServerKind::Remote => Share::Session,
                ConfigShare::Auto => Share::Auto,
                ConfigShare::Shared => Share::Shared,
                // Until clients' directories are known, a server per project is a server per client.
                ConfigShare::Client | ConfigShare::Project => Share::Client,
            },
            start_timeout: server.start_timeout.min(FOREVER),
            call_timeout: server.call_timeout.min(FOREVER),
            idle_stop: server.idle_stop.min(FOREVER),
            eager: server.start == StartPolicy::Eager,
            tools: filter(&server.tools),
            one_at_a_time: server.kind() == ServerKind::Listening,
            crash_limit: server.crash_limit,
            trusted: server.trusted,
            era: match server.era {
                EraChoice::Auto => None,
                EraChoice::Legacy => Some(Era::Legacy),
                EraChoice::Modern => Some(Era::Modern),
            },
            bridge: server.bridge,
        })
        .collect();
    if config.servers.get(BUILTIN_NAME).is_none() {
        policies.push(builtin::policy());
    }
    policies
}

/// The names under which the router knows a server: its own, or that of each of its accounts.
pub(crate) fn places(name: &str, server: &ServerConfig) -> Vec<Arc<str>> {
    if server.accounts.is_empty() {
        return vec![name.into()];
    }
    server.accounts.names().map(|account| account::join(name, account).into()).collect()
}

/// The configured server that the router knows under this name.
pub(crate) fn server_at<'a>(config: &'a Config, place: &str) -> Option<&'a ServerConfig> {
    config.servers.get(account::split(place).0)
}

/// The accounts of all servers.
pub(crate) fn accounts(config: &Config) -> Vec<Account> {
    let of_server = |(server, config): (&str, &ServerConfig)| -> Vec<Account> {
        let account = |(name, account): (&str, &AccountConfig)| Account {
            server: server.into(),
            name: name.into(),
            clients: account.clients.clone(),
            directories: account.directories.clone(),
        };
        config.accounts.iter().map(account).collect()
    };
    config.servers.iter().flat_map(of_server).collect()
}

/// What each client may see, by its name.
pub(crate) fn choices(config: &Config) -> Vec<(Arc<str>, Choice)> {
    let choice = |client: &ClientConfig| Choice {
        servers: client.servers.as_ref().map(|names| names.iter().map(|name| name.as_str().into()).collect()),
        tools: filter(&client.tools),
    };
    config.clients.iter().map(|(name, client)| (name.into(), choice(client))).collect()
}

fn filter(tools: &exai_config::ToolFilter) -> ToolFilter {
    ToolFilter { allow: tools.allow.clone(), deny: tools.deny.clone() }
}

/// A number that changes whenever the program would be started differently. It is the same in every build: files for the next
/// daemon carry it, and that daemon may be a newer build.
fn revision(server: &ServerConfig, secrets: &SecretStore) -> u64 {
    let mut hasher = Fnv1a::default();
    (&server.command, &server.args, &server.cwd, &server.url).hash(&mut hasher);
    if let Some(via) = &server.via {
        via.hash(&mut hasher);
    }
    server.env.iter().for_each(|pair| pair.hash(&mut hasher));
    server.headers.iter().for_each(|pair| pair.hash(&mut hasher));
    let sign_in = &server.sign_in;
    if *sign_in != SignInConfig::default() {
        (&sign_in.client_id, &sign_in.client_secret, &sign_in.scopes).hash(&mut hasher);
    }
    server.share.name().hash(&mut hasher);
    // Another value of a secret is another environment of the program.
    server.find_secrets().iter().for_each(|name| secrets.find(name).hash(&mut hasher));
    hasher.finish()
}

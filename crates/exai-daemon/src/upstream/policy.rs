//! What the configuration means for the router.

use std::hash::{Hash, Hasher};

use exai_config::secret_store::SecretStore;
use exai_config::{Config, ServerConfig, ServerKind, Share as ConfigShare, StartPolicy};
use exai_mux::policy::{Policy, Share, ToolFilter};
use exai_proto::fnv1a::Fnv1a;

use crate::limits::FOREVER;
use crate::observe::facts::BUILTIN_NAME;
use crate::upstream::builtin;

/// The policy of each server, the built-in server last.
pub(crate) fn policies(config: &Config) -> Vec<Policy> {
    let mut policies: Vec<Policy> = config
        .servers
        .iter()
        .map(|(name, server)| Policy {
            name: name.into(),
            revision: revision(server, &config.secrets),
            share: match server.share {
                // One port means one process and one session.
                _ if server.kind() == ServerKind::Listening => Share::Shared,
                ConfigShare::Auto => Share::Auto,
                ConfigShare::Shared => Share::Shared,
                // Until clients' directories are known, a server per project is a server per client.
                ConfigShare::Client | ConfigShare::Project => Share::Client,
            },
            start_timeout: server.start_timeout.min(FOREVER),
            call_timeout: server.call_timeout.min(FOREVER),
            idle_stop: server.idle_stop.min(FOREVER),
            eager: server.start == StartPolicy::Eager,
            tools: ToolFilter { allow: server.tools.allow.clone(), deny: server.tools.deny.clone() },
            one_at_a_time: server.kind() == ServerKind::Listening,
            crash_limit: server.crash_limit,
            trusted: server.trusted,
        })
        .collect();
    if config.servers.get(BUILTIN_NAME).is_none() {
        policies.push(builtin::policy());
    }
    policies
}

/// A number that changes whenever the program would be started differently. It is the same in every build: files for the next
/// daemon carry it, and that daemon may be a newer build.
fn revision(server: &ServerConfig, secrets: &SecretStore) -> u64 {
    let mut hasher = Fnv1a::default();
    (&server.command, &server.args, &server.cwd, &server.url).hash(&mut hasher);
    server.env.iter().for_each(|pair| pair.hash(&mut hasher));
    server.headers.iter().for_each(|pair| pair.hash(&mut hasher));
    server.share.name().hash(&mut hasher);
    // Another value of a secret is another environment of the program.
    server.find_secrets().iter().for_each(|name| secrets.find(name).hash(&mut hasher));
    hasher.finish()
}

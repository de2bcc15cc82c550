//! What the configuration means for the router.

use std::hash::{Hash, Hasher};

use exai_config::{Config, ServerConfig, ServerKind, Share as ConfigShare, StartPolicy};
use exai_mux::policy::{Policy, Share, ToolFilter};

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
            revision: revision(server),
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

/// FNV-1a: the same number in every build. Files for the next daemon carry it, and that daemon may be a newer build.
struct Stable(u64);

impl Hasher for Stable {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

/// A number that changes whenever the program would be started differently.
fn revision(server: &ServerConfig) -> u64 {
    let mut hasher = Stable(0xcbf2_9ce4_8422_2325);
    (&server.command, &server.args, &server.cwd, &server.url).hash(&mut hasher);
    server.env.iter().for_each(|pair| pair.hash(&mut hasher));
    server.headers.iter().for_each(|pair| pair.hash(&mut hasher));
    server.share.name().hash(&mut hasher);
    hasher.finish()
}

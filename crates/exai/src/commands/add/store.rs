//! A server as it is written into `config.toml`.

use exai_config::Secret;
use exai_config::edit::NewServer;
use exai_setup::{ServerEntry, Transport};

/// The table of a server in `config.toml`.
pub(in crate::commands) fn describe(entry: ServerEntry) -> NewServer {
    let mut server = NewServer {
        start_timeout: entry.start_timeout,
        call_timeout: entry.call_timeout,
        allowed_tools: entry.tools.allow,
        denied_tools: entry.tools.deny,
        ..NewServer::default()
    };
    match entry.transport {
        Transport::Stdio { command, args, env, cwd, .. } => {
            server.command = Some(command);
            server.args = args;
            server.env = hide(env);
            server.cwd = cwd;
        }
        Transport::Url { url, headers } => {
            server.url = Some(url);
            server.headers = hide(headers);
        }
    }
    server
}

/// Values that no error and no log shows.
pub(in crate::commands) fn hide(pairs: Vec<(String, String)>) -> Vec<(String, Secret)> {
    pairs.into_iter().map(|(key, value)| (key, Secret::new(value))).collect()
}

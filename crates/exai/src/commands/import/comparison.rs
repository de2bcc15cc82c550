//! Whether a server of a client is one that exai hosts.

use exai_config::secret_store::{SecretStore, secrets_in};
use exai_config::{Config, Home, SSH, ServerConfig, environment};
use exai_os::{account, search};
use exai_setup::import::{ServerIdentity, find_obstacle, identify, unwrap_shell};
use exai_setup::{ServerEntry, Transport};

use super::super::add::normalise::make_absolute;
use crate::error::Error;

/// The identities of the servers of `config.toml`, with their names.
pub(in crate::commands) fn identify_all(
    home: &Home,
    config: &Config,
) -> Result<Vec<(String, ServerIdentity)>, Error> {
    let secrets = SecretStore::load(home)?;
    let identify = |(name, server): (&str, &ServerConfig)| {
        (name.to_owned(), identify_configured(name, server, &secrets))
    };
    Ok(config.servers.iter().map(identify).collect())
}

/// The identity of a server of `config.toml`, with the values of its secrets, as clients have them.
fn identify_configured(name: &str, server: &ServerConfig, secrets: &SecretStore) -> ServerIdentity {
    let fill = |text: &str| {
        let mut filled = text.to_owned();
        for secret in secrets_in(text) {
            if let Some(value) = secrets.find(secret) {
                filled = filled.replace(&format!("${{secret:{secret}}}"), value.expose());
            }
        }
        filled
    };
    let (command, args) = match &server.via {
        Some(via) => (Some(SSH.to_owned()), via.ssh_args(&server.args)),
        None => (server.command.clone(), server.args.clone()),
    };
    let transport = match (&command, &server.url) {
        (None, Some(url)) => Transport::Url {
            url: url.clone(),
            headers: server.headers.iter().map(|(key, value)| (key.clone(), fill(value.expose()))).collect(),
        },
        (command, _) => Transport::Stdio {
            command: command.clone().unwrap_or_default(),
            args: args.iter().map(|arg| fill(arg)).collect(),
            env: server.env.iter().map(|(key, value)| (key.clone(), fill(value.expose()))).collect(),
            cwd: server.cwd.clone(),
            env_file: None,
        },
    };
    let program = command.as_deref().map(find_program).unwrap_or_default();
    identify(&ServerEntry::new(name, transport), &program)
}

/// Makes a server mean the same to exai as to its client. Returns its identity, too.
pub(in crate::commands) fn prepare(mut entry: ServerEntry) -> Result<(ServerEntry, ServerIdentity), String> {
    if let Some(obstacle) = find_obstacle(&entry) {
        return Err(obstacle.to_string());
    }
    unwrap_shell(&mut entry);
    let home = account::current().map_err(|error| error.to_string())?.home;
    let base = match &entry.transport {
        Transport::Stdio { cwd: Some(cwd), .. } => home.join(cwd),
        Transport::Stdio { .. } | Transport::Url { .. } => home,
    };
    make_absolute(&mut entry, &base).map_err(|error| error.what().to_owned())?;
    let program = match &entry.transport {
        Transport::Stdio { command, .. } => find_program(command),
        Transport::Url { .. } => String::new(),
    };
    let identity = identify(&entry, &program);
    Ok((entry, identity))
}

/// The program as the system finds it, or as it was written if the system does not find it.
fn find_program(command: &str) -> String {
    let Ok(here) = std::env::current_dir() else { return command.to_owned() };
    let found = search::resolve(command, &here, &environment::of_this_process());
    found.map_or_else(|_| command.to_owned(), |path| path.display().to_string())
}

//! `exai secret`

use std::collections::BTreeMap;
use std::io::{self, IsTerminal as _, Read as _};

use exai_config::limits::MAX_SECRET_BYTES;
use exai_config::secret_edit::{SecretEditError, remove_secret, set_secret};
use exai_config::secret_store::{SecretError, SecretStore, is_secret_name};
use exai_config::{Config, Secret, ServerConfig};
use exai_proto::documents::{ListedSecret, SCHEMA, Secrets};
use exai_proto::exit;

use super::{connector, reload};
use crate::cli::{JsonArgs, SecretAction, SecretArgs};
use crate::error::Error;
use crate::printer::Printer;

pub(crate) fn run(args: &SecretArgs, printer: &Printer) -> Result<u8, Error> {
    match &args.action {
        SecretAction::Set { name } => set(name, printer),
        SecretAction::Remove { name } => remove(name, printer),
        SecretAction::List(args) => list(args, printer),
    }
}

fn set(name: &str, printer: &Printer) -> Result<u8, Error> {
    if !is_secret_name(name) {
        return Err(SecretEditError::Name { name: name.to_owned() }.into());
    }
    let connector = connector()?;
    for note in connector.home().prepare()? {
        printer.warn(&note.to_string());
    }
    let value = read_value(name)?;
    if value.is_empty() {
        return Err(Error::failed("the value is empty; nothing was kept"));
    }
    let replaced = set_secret(connector.home(), name, Secret::new(value))?;
    let users = exai_config::load(connector.home()).map(|config| list_users(&config)).unwrap_or_default();
    reload(&connector, None)?;
    printer.line(&match users.get(name) {
        None if replaced => format!("{name} has another value now"),
        None => format!("{name} is kept; write ${{secret:{name}}} where it belongs"),
        Some(servers) => format!("{name} is kept; {} is given it from now on", servers.join(", ")),
    })?;
    Ok(exit::DONE)
}

/// Asks for the value on a terminal, without showing it; else reads stdin to its end. A line end behind it does not
/// belong to it.
fn read_value(name: &str) -> Result<String, Error> {
    let failed = |error: io::Error| Error::failed(format!("cannot read the value: {error}"));
    if io::stdin().is_terminal() {
        return rpassword::prompt_password(format!("value of {name} (it is not shown): ")).map_err(failed);
    }
    let mut bytes = Vec::new();
    io::stdin().take(MAX_SECRET_BYTES as u64 + 3).read_to_end(&mut bytes).map_err(failed)?;
    let text = String::from_utf8(bytes).map_err(|_| Error::failed("the value is not UTF-8 text"))?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    Ok(text.strip_suffix('\r').unwrap_or(text).to_owned())
}

fn remove(name: &str, printer: &Printer) -> Result<u8, Error> {
    let connector = connector()?;
    remove_secret(connector.home(), name)?;
    reload(&connector, None)?;
    printer.line(&format!("removed {name}"))?;
    let config = exai_config::load(connector.home())?;
    if let Some(servers) = list_users(&config).get(name) {
        let does = if servers.len() == 1 { "uses it and does" } else { "use it and do" };
        printer.warn(&format!("{} {does} not work without it", servers.join(", ")));
    }
    Ok(exit::DONE)
}

fn list(args: &JsonArgs, printer: &Printer) -> Result<u8, Error> {
    let connector = connector()?;
    let store = SecretStore::load(connector.home())?;
    let mut users = list_users(&exai_config::load(connector.home())?);
    for name in store.names() {
        users.entry(name.to_owned()).or_default();
    }
    let secrets: Vec<ListedSecret> = users
        .into_iter()
        .map(|(name, used_by)| ListedSecret { kept: store.find(&name).is_some(), name, used_by })
        .collect();
    if args.json {
        printer.json(&Secrets { schema: SCHEMA, secrets })?;
        return Ok(exit::DONE);
    }
    if secrets.is_empty() {
        printer.line("no secrets are kept; `exai secret set NAME` keeps one")?;
    }
    let row = |secret: &ListedSecret| {
        let used = if secret.used_by.is_empty() { "-".to_owned() } else { secret.used_by.join(", ") };
        let kept = if secret.kept { "kept" } else { "missing" };
        vec![secret.name.clone(), kept.to_owned(), used]
    };
    printer.table(&secrets.iter().map(row).collect::<Vec<_>>())?;
    Ok(exit::DONE)
}

/// The servers and providers that use each secret, by the name of the secret.
fn list_users(config: &Config) -> BTreeMap<String, Vec<String>> {
    let mut users: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for server in config.servers.names() {
        for secret in config.servers.get(server).into_iter().flat_map(ServerConfig::find_secrets) {
            users.entry(secret).or_default().push(server.to_owned());
        }
    }
    for provider in &config.providers {
        for secret in provider.find_secrets() {
            users.entry(secret).or_default().push(format!("provider {}", provider.name));
        }
    }
    users
}

impl From<SecretEditError> for Error {
    fn from(error: SecretEditError) -> Self {
        let what = error.to_string();
        match error {
            SecretEditError::Name { .. } | SecretEditError::TooLong => Error::usage(what),
            SecretEditError::Unknown { .. } => Error::failed(what).hint("`exai secret list`"),
            SecretEditError::Store(_) | SecretEditError::Edit(_) => Error::failed(what),
        }
    }
}

impl From<SecretError> for Error {
    fn from(error: SecretError) -> Self {
        Error::failed(error.to_string())
    }
}

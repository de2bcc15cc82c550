//! What a person has set: the configuration, the commands in it, and the environment of the commands.

use std::ffi::OsString;

use exai_config::secret_store::SecretStore;
use exai_config::{ConfigError, Home, SSH, ServerConfig, expand, last_good};
use exai_os::account::{self, EnvironmentSource};
use exai_os::platform_hints;

use super::outcome::{CheckOutcome, listed};
use super::scene::Scene;
use crate::commands::count;
use crate::time_span::span;

pub(super) fn config(scene: &Scene) -> CheckOutcome {
    match &scene.config {
        Ok(config) if !scene.home.config().exists() => CheckOutcome::pass(format!(
            "there is no config.toml: port {}, no servers",
            config.daemon.port.value
        )),
        Ok(config) => {
            let servers = count(config.servers.len(), "server");
            CheckOutcome::pass(format!("config.toml is right: port {}, {servers}", config.daemon.port.value))
        }
        Err(error) => {
            let told = scene
                .status()
                .and_then(|status| status.findings.iter().find(|finding| finding.id == "config-invalid"));
            let detail = match told {
                // The daemon itself reports which configuration it uses.
                Some(finding) => finding.detail.clone(),
                None if scene.daemon_lives() => {
                    format!("{error}; the daemon goes on with the last good configuration")
                }
                None => invalid(&scene.home, error),
            };
            CheckOutcome::fail(detail).fix("correct that place")
        }
    }
}

/// The problem of an invalid configuration, and what a daemon would start with.
pub(in crate::commands) fn invalid(home: &Home, error: &ConfigError) -> String {
    match last_good::instead(home) {
        Ok((_, instead)) => format!("{error}; a daemon starts with {instead}"),
        Err(error) => format!("{error}; no daemon starts with it"),
    }
}

/// The variables for finding commands, and a remark about them.
pub(super) fn variables() -> (Vec<(OsString, OsString)>, Option<&'static str>) {
    let cached = account::current().ok().and_then(|account| account::cached_environment(&account));
    if let Some(environment) = cached {
        return (environment.vars, None);
    }
    let note = "searched in this terminal's environment, since the account's has not been captured";
    (exai_config::environment::of_this_process(), Some(note))
}

pub(super) fn commands(scene: &Scene) -> CheckOutcome {
    let Ok(config) = &scene.config else {
        return CheckOutcome::skip("config.toml cannot be read; see `config`");
    };
    if config.servers.is_empty() {
        return CheckOutcome::skip("no servers are configured (`exai add NAME -- COMMAND` adds one)");
    }
    let (vars, note) = variables();
    let (secrets, mut faults) = match SecretStore::load(&scene.home) {
        Ok(secrets) => (secrets, Vec::new()),
        Err(error) => (SecretStore::default(), vec![error.to_string()]),
    };
    let mut mistakes: Vec<String> = Vec::new();
    for (name, server) in config.servers.iter() {
        faults.extend(
            fault(server, scene, (&vars, &secrets)).map(|fault| format!("server \"{name}\": {fault}")),
        );
        let found = server.likely_mistakes().into_iter();
        mistakes.extend(found.map(|mistake| format!("server \"{name}\": {mistake}")));
    }
    let note = note.map(|note| format!(" ({note})")).unwrap_or_default();
    if faults.is_empty() && !mistakes.is_empty() {
        return CheckOutcome::warn(listed(&mistakes)).fix("change it in config.toml");
    }
    if faults.is_empty() {
        return CheckOutcome::pass(format!(
            "the commands of {} are found{note}",
            count(config.servers.len(), "server")
        ));
    }
    faults.append(&mut mistakes);
    let detail = format!("{}{note}", listed(&faults));
    // The command may be found in another environment.
    let outcome = if note.is_empty() { CheckOutcome::fail(detail) } else { CheckOutcome::warn(detail) };
    outcome.fix(format!(
        "install the program, write its full path in config.toml, or set the variable {}",
        platform_hints::WHERE_VARIABLES_ARE_SET
    ))
}

/// Why the server would not start. Names variables and programs, never values.
fn fault(
    server: &ServerConfig,
    scene: &Scene,
    (vars, secrets): (&[(OsString, OsString)], &SecretStore),
) -> Option<String> {
    let expanded = match server.expand(vars, secrets) {
        Ok(expanded) => expanded,
        Err(expand::ExpandError::ClientCwdNotAvailable { .. }) => return None,
        Err(error) => return Some(error.to_string()),
    };
    let command = server.via.as_ref().map(|_| SSH.to_owned()).or(expanded.command)?;
    let home = account::current().map_or_else(|_| scene.home.path().to_owned(), |account| account.home);
    let cwd = expanded.cwd.map_or_else(|| home.clone(), |cwd| home.join(cwd));
    if !cwd.is_dir() {
        return Some(format!("its directory {} does not exist", cwd.display()));
    }
    // An expanded command may hold a secret; as it was written it may be shown.
    let shown = server.command.as_deref().unwrap_or(SSH);
    let found = exai_os::search::resolve(&command, &cwd, vars);
    found.err().map(|error| match error.searched {
        Some(path) => format!("there is no program `{shown}` on PATH ({path})"),
        None => format!("`{shown}` is not an executable file"),
    })
}

pub(super) fn environment(scene: &Scene) -> CheckOutcome {
    let account = match account::current() {
        Ok(account) => account,
        Err(error) => return CheckOutcome::skip(format!("there is no login shell to ask: {error}")),
    };
    let shell = account.shell.display();
    match account::cached_environment(&account).map(|environment| environment.source) {
        Some(EnvironmentSource::Cached { age }) => {
            CheckOutcome::pass(format!("servers get the environment of {shell}, captured {} ago", span(age)))
        }
        Some(EnvironmentSource::Captured) => {
            CheckOutcome::pass("servers get the environment that Windows has for this account")
        }
        Some(EnvironmentSource::Fallback { .. }) | None if !scene.daemon_lives() => {
            CheckOutcome::pass(format!("the next start asks {shell} for it (at most 2 s)"))
        }
        Some(EnvironmentSource::Fallback { .. }) | None => {
            CheckOutcome::warn(format!(
                "the environment of {shell} could not be captured, or its start files have changed since; servers may lack \
                 variables and a part of PATH"
            ))
            .fix("see `exai logs`; make the start files of your shell finish within 2 s, then `exai restart`")
        }
    }
}

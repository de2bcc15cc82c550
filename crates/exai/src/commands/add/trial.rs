//! Tries a server that was just added: starts it and asks for its tools.

use std::fs;
use std::path::{Path, PathBuf};

use exai_proto::link::{FromDaemon, ToDaemon};

use super::super::{ask, count, tools};
use crate::error::Error;
use crate::limits::TRIAL_TIMEOUT;
use crate::printer::Printer;

/// Starts the server, and says what it offers or why it does not start. The server stays added in any case. `more` is what is
/// known already of one that is elsewhere.
pub(super) fn report(name: &str, several: bool, more: &str, printer: &Printer) -> Result<(), Error> {
    printer.progress(&format!("added {name}; trying it (Ctrl-C leaves it added)…"));
    let tried = tools::count_tools(name, TRIAL_TIMEOUT);
    printer.clear_progress();
    match tried {
        Ok(tools) => {
            let has = if tools == 0 { "it runs, and has no tools".to_owned() } else { count(tools, "tool") };
            printer.line(&format!("added {name}: {has}"))?;
            if let Some(way) = describe_way(name) {
                printer.line(&format!("  {way}{more}"))?;
            }
        }
        Err(error) => {
            if let Some(login) = error.login_command() {
                printer.line(&format!("added {name}: it wants somebody to sign in first"))?;
                printer.hint(login);
                return Ok(());
            }
            let (what, hint) = error.lines().unwrap_or_default();
            printer.line(&format!("added {name}, but it does not start: {what}"))?;
            if let Some(hint) = find_cure(name, what).as_deref().or(hint) {
                printer.hint(hint);
            }
            if !several {
                printer.hint(&format!("`exai tools {name}` tries again; `exai remove {name}` takes it out"));
            }
        }
    }
    if let Some(other) = describe_other_program(name) {
        printer.note(&other);
    }
    Ok(())
}

/// How a server elsewhere is spoken to. `None` for any other server, and where the daemon does not say.
fn describe_way(name: &str) -> Option<String> {
    let mut link = super::super::connector().ok()?.try_connect()?;
    let FromDaemon::Status { status } = ask(&mut link, &ToDaemon::Status).ok()? else { return None };
    let server = status.servers.into_iter().find(|server| server.name == name)?;
    let transport = match server.transport?.as_str() {
        "http" => "Streamable HTTP",
        "sse" => "the older transport HTTP+SSE",
        "ws" => "WebSocket",
        _ => return None,
    };
    Some(format!("it speaks MCP {} over {transport}", server.era?))
}

/// What mends that which can be seen from here: an npx that wants to ask, or a program that this terminal finds and the
/// daemon does not.
fn find_cure(name: &str, what: &str) -> Option<String> {
    // npm where its setting `yes` is off; READMEs often leave `-y` out.
    if what.contains("npx canceled due to missing packages and no YES option") {
        return Some(format!(
            "npx may not install without asking on this machine: `exai add {name} --force -- npx -y …` allows it"
        ));
    }
    let Programs { command, here, login } = find_programs(name)?;
    match (here, login) {
        (Some(here), None) => Some(format!(
            "`{command}` is {} in this terminal, and is not on the PATH of your login shell: add that directory there, \
             or write the whole path as `command` of {name} in config.toml",
            here.display()
        )),
        _ => None,
    }
}

/// Says that the server does not get the program that this terminal would start.
fn describe_other_program(name: &str) -> Option<String> {
    let Programs { command, here, login } = find_programs(name)?;
    let (here, login) = (here?, login?);
    let real = |path: &Path| fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    (real(&here) != real(&login)).then(|| {
        format!(
            "`{command}` is {} for the server, as your login shell finds it, and {} in this terminal: the whole path as \
             `command` of {name} in config.toml chooses one",
            login.display(),
            here.display()
        )
    })
}

/// Where a command without a path leads.
struct Programs {
    command: String,
    /// In this terminal.
    here: Option<PathBuf>,
    /// In the login shell, whose environment the servers get.
    login: Option<PathBuf>,
}

/// `None` if the command of the server has a path, or the server a PATH of its own, or the login shell was not asked.
fn find_programs(name: &str) -> Option<Programs> {
    let home = exai_config::Home::locate().ok()?;
    let config = exai_config::load(&home).ok()?;
    let server = config.servers.get(name)?;
    let command = server.command.clone()?;
    if Path::new(&command).components().count() != 1 || server.env.contains_key("PATH") {
        return None;
    }
    let cwd = std::env::current_dir().ok()?;
    let login = exai_os::account::current().ok()?;
    let login_vars = exai_os::account::cached_environment(&login)?.vars;
    let find = |vars: &[_]| exai_os::search::resolve(&command, &cwd, vars).ok();
    let (here, login) = (find(&exai_config::environment::of_this_process()), find(&login_vars));
    Some(Programs { command, here, login })
}

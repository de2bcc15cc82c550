//! Tries a server that was just added: starts it and asks for its tools.

use std::path::Path;

use super::super::{count, tools};
use crate::error::Error;
use crate::limits::TRIAL_TIMEOUT;
use crate::printer::Printer;

/// Starts the server, and says what it offers or why it does not start. The server stays added in any case.
pub(super) fn report(name: &str, several: bool, printer: &Printer) -> Result<(), Error> {
    printer.progress(&format!("added {name}; trying it (Ctrl-C leaves it added)…"));
    let tried = tools::count_tools(name, TRIAL_TIMEOUT);
    printer.clear_progress();
    match tried {
        Ok(0) => printer.line(&format!("added {name}: it runs, and has no tools")),
        Ok(tools) => printer.line(&format!("added {name}: {}", count(tools, "tool"))),
        Err(error) => {
            let (what, hint) = error.lines().unwrap_or_default();
            printer.line(&format!("added {name}, but it does not start: {what}"))?;
            if let Some(hint) = find_cure(name).as_deref().or(hint) {
                printer.hint(hint);
            }
            if !several {
                printer.hint(&format!("`exai tools {name}` tries again; `exai remove {name}` takes it out"));
            }
            Ok(())
        }
    }
}

/// The command that mends what can be seen from here: a program that this terminal finds and the daemon does not.
fn find_cure(name: &str) -> Option<String> {
    let home = exai_config::Home::locate().ok()?;
    let config = exai_config::load(&home).ok()?;
    let command = config.servers.get(name)?.command.clone()?;
    if Path::new(&command).components().count() != 1 {
        return None;
    }
    let here = std::env::current_dir().ok()?;
    let login = exai_os::account::current().ok()?;
    let vars = exai_os::account::cached_environment(&login)?.vars;
    if exai_os::search::resolve(&command, &here, &vars).is_ok() {
        return None;
    }
    let found =
        exai_os::search::resolve(&command, &here, &exai_config::environment::of_this_process()).ok()?;
    Some(format!(
        "`{command}` is {} in this terminal, and is not on the PATH of your login shell: add that directory there, or \
         write the whole path as `command` of {name} in config.toml",
        found.display()
    ))
}

//! `exai add --tools`: the EXAI tools as a server like any other.

use std::time::Duration;

use exai_config::{Home, ai, environment};
use exai_setup::{ServerEntry, Transport};

use super::super::install;
use crate::error::Error;

/// How long a call may take without progress: a model may think long.
const CALL_TIMEOUT: Duration = Duration::from_mins(15);

/// The server of the EXAI tools, started by this exai.
pub(super) fn describe(name: Option<String>, home: &Home) -> Result<ServerEntry, Error> {
    let usual = Home::usual().is_ok_and(|usual| usual == *home);
    // Servers get the environment of the login shell, which need not name this state directory.
    let env = if usual {
        Vec::new()
    } else {
        vec![(environment::HOME.name.to_owned(), home.path().display().to_string())]
    };
    let transport = Transport::Stdio {
        command: install::own_program()?,
        args: vec![ai::SERVER_COMMAND.to_owned()],
        env,
        cwd: None,
        env_file: None,
    };
    let name = name.unwrap_or_else(|| ai::SERVER_NAME.to_owned());
    let mut entry = ServerEntry::new(name, transport);
    entry.call_timeout = Some(CALL_TIMEOUT);
    Ok(entry)
}

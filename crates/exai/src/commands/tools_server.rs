//! `exai tools-server`: the EXAI tools, an ordinary MCP server over stdio.

use exai_config::{Home, environment};
use exai_os::account::find_variable;
use exai_proto::exit;
use exai_supervisor::leftovers::ENV_MARKER;
use exai_tools::{Hosting, Options};

use crate::error::Error;

pub(crate) fn run() -> Result<u8, Error> {
    exai_os::process::name_this();
    let hosting = if find_variable(&environment::of_this_process(), ENV_MARKER).is_some() {
        Hosting::Daemon
    } else {
        Hosting::Alone(std::env::current_dir().ok())
    };
    let home = Home::locate()?;
    exai_tools::serve(Options { home, hosting }).map_err(|error| Error::failed(error.to_string()))?;
    Ok(exit::DONE)
}

//! `exai guard`: ends a server's processes when the daemon is gone. Only the daemon starts it.

use exai_proto::exit;

use crate::cli::GuardArgs;
use crate::error::Error;

pub(crate) fn run(args: &GuardArgs) -> Result<u8, Error> {
    exai_os::tree_guard::run(&args.control)
        .map_err(|error| Error::usage(format!("{}: {error}", exai_os::tree_guard::CONTROL_ARGUMENT)))?;
    Ok(exit::DONE)
}

//! `exai shim`

use std::io;

use exai_client::{Door, shim};
use exai_config::Home;
use exai_proto::exit;
use exai_proto::link::{Hello, Role};

use crate::cli::ShimArgs;
use crate::error::Error;
use crate::printer::Printer;

pub(crate) fn run(args: ShimArgs) -> Result<u8, Error> {
    let hello = Hello { server: args.server, label: args.client, ..exai_client::hello(Role::Shim) };
    let door = Door::new(Home::locate()?, hello);
    let report = |sentence: &str| Printer::new().warn(sentence);
    shim::run(door, io::stdin(), io::stdout(), report)
        .map_err(|error| Error::failed(format!("cannot start a thread: {error}")))?;
    Ok(exit::DONE)
}

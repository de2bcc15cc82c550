//! `exai remove`

use exai_config::edit;
use exai_proto::exit;

use super::{connector, reload};
use crate::cli::NameArgs;
use crate::error::Error;
use crate::printer::Printer;

pub(crate) fn run(args: &NameArgs, printer: &Printer) -> Result<u8, Error> {
    let connector = connector()?;
    edit::remove(connector.home(), &args.name)
        .map_err(|error| Error::failed(error.to_string()).hint("`exai list`"))?;
    reload(&connector, None)?;
    printer.line(&format!("removed {}", args.name))?;
    Ok(exit::DONE)
}

//! `exai add`

use exai_config::edit::{self, EditError, NewServer};
use exai_config::{Secret, ServerConfig};
use exai_proto::exit;

use super::{connector, reload};
use crate::cli::AddArgs;
use crate::error::Error;
use crate::printer::Printer;

pub(crate) fn run(args: AddArgs, printer: &Printer) -> Result<u8, Error> {
    let secrets = |pairs: Vec<(String, String)>| {
        pairs.into_iter().map(|(key, value)| (key, Secret::new(value))).collect()
    };
    let mut command = args.command.into_iter();
    let server = NewServer {
        command: command.next(),
        args: command.collect(),
        env: secrets(args.env),
        url: args.url,
        headers: secrets(args.header),
    };
    let connector = connector()?;
    for note in connector.home().prepare()? {
        printer.warn(&note.to_string());
    }
    edit::add(connector.home(), &args.name, &server, args.force).map_err(|error| match error {
        EditError::Exists { .. } => Error::failed(error.to_string()).hint("`--force` replaces it"),
        EditError::Name(_) => Error::usage(error.to_string()),
        EditError::Unknown { .. }
        | EditError::Config(_)
        | EditError::Busy { .. }
        | EditError::Lock { .. }
        | EditError::Write { .. } => Error::failed(error.to_string()),
    })?;
    let name = args.name;
    let config = exai_config::load(connector.home())?;
    for mistake in config.servers.get(&name).into_iter().flat_map(ServerConfig::likely_mistakes) {
        printer.warn(&mistake);
    }
    if reload(&connector, Some(&name))? {
        printer.line(&format!(
            "added {name}; it is live and starts (`exai tools {name}` shows what it offers)"
        ))?;
    } else {
        printer.line(&format!("added {name}; no daemon runs (`exai tools {name}` starts one)"))?;
    }
    Ok(exit::DONE)
}

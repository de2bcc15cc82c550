//! `exai why`

use exai_proto::exit;
use exai_proto::link::{FromDaemon, ToDaemon};

use super::{ask, join_or_start, unexpected};
use crate::cli::WhyArgs;
use crate::error::Error;
use crate::printer::Printer;

pub(crate) fn run(args: &WhyArgs, printer: &Printer) -> Result<u8, Error> {
    let mut link = join_or_start(&super::connector()?, printer)?;
    let FromDaemon::Why { why } = ask(&mut link, &ToDaemon::Why { server: args.server.clone() })? else {
        return Err(unexpected("why"));
    };
    if args.json.json {
        printer.json(&why)?;
    } else {
        printer.headline(&why.server)?;
        for sentence in &why.sentences {
            printer.line(&format!("  {sentence}"))?;
        }
    }
    Ok(exit::DONE)
}

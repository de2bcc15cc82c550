//! `exai outside`: starts the daemon for somebody who cannot start it outside of his own job. Started by WMI alone.

use exai_proto::exit;

use crate::cli::OutsideArgs;
use crate::error::Error;

pub(crate) fn run(args: &OutsideArgs) -> Result<u8, Error> {
    exai_os::detach::outside(&args.pipe)
        .map_err(|error| Error::failed(format!("cannot start the daemon for {}: {error}", args.pipe)))?;
    Ok(exit::DONE)
}

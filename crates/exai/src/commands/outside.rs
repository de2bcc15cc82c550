//! `exai outside PIPE`: starts the daemon for somebody who cannot start it outside of his own job or control group; started
//! by WMI or the user's service manager alone.
//! `exai outside`: says by its exit code whether who is started like this would end with a job: 0 if not, 1 if so.

use exai_os::detach::Tether;
use exai_proto::exit;

use crate::cli::OutsideArgs;
use crate::error::Error;

pub(crate) fn run(args: &OutsideArgs) -> Result<u8, Error> {
    let Some(pipe) = &args.pipe else {
        let ends = exai_os::detach::tether() == Tether::EndsWithIt;
        return Ok(if ends { exit::FAILED } else { exit::DONE });
    };
    exai_os::detach::outside(pipe)
        .map_err(|error| Error::failed(format!("cannot start the daemon for {pipe}: {error}")))?;
    Ok(exit::DONE)
}

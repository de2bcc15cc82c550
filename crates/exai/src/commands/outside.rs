//! `exai outside PIPE`: starts the daemon for a process that cannot start it outside of its own job or control group.
//! Only WMI or the user's service manager runs it. `exai outside`: tells by its exit code whether a process that is
//! started like this would end with a job: 0 if not, 1 if so.

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

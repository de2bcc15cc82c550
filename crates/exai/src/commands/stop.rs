//! `exai stop`

use std::time::Duration;

use exai_client::stop::{self, Ended};
use exai_proto::exit;
use exai_proto::link::ByeReason;

use super::{count, door};
use crate::cli::StopArgs;
use crate::error::Error;
use crate::printer::Printer;

/// For how long calls under way may go on, in seconds.
pub(crate) const GRACE_S: u64 = 10;

pub(crate) fn run(args: &StopArgs, printer: &Printer) -> Result<u8, Error> {
    let door = door()?;
    printer.progress("stopping the daemon…");
    let ended = stop::stop(&door, Duration::from_secs(args.timeout), ByeReason::Stop)?;
    printer.clear_progress();
    let Some(ended) = ended else {
        printer.line(&format!("no exai daemon runs (state directory {})", door.home().path().display()))?;
        return Ok(exit::DONE);
    };
    tell(&ended, printer)?;
    let clients = ended.status.as_ref().map_or(0, |status| status.clients.len());
    if clients > 0 {
        let stay = if clients == 1 { "stays" } else { "stay" };
        let sentence =
            format!("{} {stay} open; the next call of one starts exai again", count(clients, "client"));
        printer.line(&sentence)?;
    }
    Ok(exit::DONE)
}

/// Says what was ended.
pub(super) fn tell(ended: &Ended, printer: &Printer) -> Result<(), Error> {
    let instances =
        ended.status.iter().flat_map(|status| &status.servers).flat_map(|server| &server.instances);
    let (mut servers, mut processes) = (0, 0);
    for instance in instances {
        // The built-in server has none.
        servers += usize::from(instance.processes > 0);
        processes += instance.processes as usize;
    }
    let hosted = match servers {
        0 => String::new(),
        _ => format!(" with {} ({})", count(servers, "server"), processes_of(processes)),
    };
    let how = if ended.forced { "killed" } else { "stopped" };
    printer.headline(&format!("{how} exai (pid {}){hosted}", ended.pid))?;
    if ended.forced {
        printer.warn("it did not end by itself in time");
    }
    Ok(())
}

fn processes_of(number: usize) -> String {
    if number == 1 { "1 process".to_owned() } else { format!("{number} processes") }
}

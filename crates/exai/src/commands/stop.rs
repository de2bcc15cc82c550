//! `exai stop`

use std::time::{Duration, Instant};

use exai_client::stop::{self, Ended};
use exai_config::Home;
use exai_proto::exit;
use exai_proto::link::ByeReason;
use exai_supervisor::leftovers::{self, CleanupOutcome, LeftProcess, Verdict};

use super::{connector, count};
use crate::cli::StopArgs;
use crate::error::Error;
use crate::limits::LEFTOVERS_TIMEOUT;
use crate::printer::Printer;

pub(crate) fn run(args: &StopArgs, printer: &Printer) -> Result<u8, Error> {
    let connector = connector()?;
    printer.progress("stopping the daemon…");
    let ended = stop::stop(&connector, Duration::from_secs(args.timeout), ByeReason::Stop)?;
    printer.clear_progress();
    let Some(ended) = ended else {
        // A daemon that was killed a moment ago may still have guards at work.
        prove_that_nothing_is_left(connector.home())?;
        printer
            .line(&format!("no exai daemon runs (state directory {})", connector.home().path().display()))?;
        return Ok(exit::DONE);
    };
    tell(&ended, printer)?;
    prove_that_nothing_is_left(connector.home())?;
    let clients = ended.status.as_ref().map_or(0, |status| status.clients.len());
    if clients > 0 {
        let stay = if clients == 1 { "stays" } else { "stay" };
        let sentence =
            format!("{} {stay} open; the next call of one starts exai again", count(clients, "client"));
        printer.line(&sentence)?;
    }
    Ok(exit::DONE)
}

/// After the end of the daemon: waits until its guards have ended their trees, and ends trees that lost their guard.
/// A daemon that ended by itself has left no record of a tree, and then this costs nothing.
pub(super) fn prove_that_nothing_is_left(home: &Home) -> Result<(), Error> {
    let failed = |error| Error::failed(format!("cannot look whether servers are left: {error}"));
    let mut found = leftovers::find(&home.servers_dir(), None, exai_daemon::last_daemon(home).as_ref())
        .map_err(failed)?;
    leftovers::end(&mut found, Instant::now() + LEFTOVERS_TIMEOUT);
    let is_left = |process: &&LeftProcess| {
        matches!(
            (&process.verdict, &process.outcome),
            (Verdict::Ours { .. }, Some(CleanupOutcome::Left { .. }))
        )
    };
    let left = found.trees.iter().flat_map(|tree| tree.processes.iter().filter(is_left));
    let left: Vec<String> = left.map(|one| format!("{} (pid {})", one.name, one.identity.pid)).collect();
    if left.is_empty() {
        return Ok(());
    }
    let what = format!("the daemon has ended, and these of its processes could not be: {}", left.join(", "));
    Err(Error::failed(what).hint("`exai cleanup` says what proves that they are ours"))
}

/// Reports what was ended.
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
        _ => format!(" with {} ({})", count(servers, "server"), count(processes, "process")),
    };
    let how = if ended.forced { "killed" } else { "stopped" };
    printer.headline(&format!("{how} exai (pid {}){hosted}", ended.pid))?;
    if ended.forced {
        printer.warn("it did not end by itself in time");
    }
    Ok(())
}

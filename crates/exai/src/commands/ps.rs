//! `exai ps`

use std::collections::HashMap;
use std::time::Instant;

use exai_client::DaemonState;
use exai_client::Link;
use exai_client::limits::HELLO_TIMEOUT;
use exai_proto::documents::{Process, Ps, Role};
use exai_proto::exit;
use exai_proto::link::{FromDaemon, ToDaemon};

use super::{connector, count, unexpected};
use crate::cli::PsArgs;
use crate::error::Error;
use crate::limits::WATCH_INTERVAL;
use crate::printer::Printer;

pub(crate) fn run(args: &PsArgs, printer: &Printer) -> Result<u8, Error> {
    let connector = connector()?;
    loop {
        let mut link = match connector.observe()? {
            DaemonState::Answering(link) => *link,
            sight @ (DaemonState::Absent
            | DaemonState::Stale(_)
            | DaemonState::Starting
            | DaemonState::Stopping(_))
                if args.watch =>
            {
                printer.clear_screen()?;
                printer.headline(match sight {
                    DaemonState::Starting => "the exai daemon is starting",
                    DaemonState::Stopping(_) => "the exai daemon is stopping",
                    _ => "no exai daemon runs",
                })?;
                std::thread::sleep(WATCH_INTERVAL);
                continue;
            }
            sight => return not_answering(&sight, connector.home().path()),
        };
        if !args.watch {
            show(&processes(&mut link)?, args, printer)?;
            return Ok(exit::DONE);
        }
        // A refusal would be repeated.
        let mut asked = Ok(processes(&mut link)?);
        // Waits until the daemon is gone; another may come.
        while let Ok(ps) = asked {
            printer.clear_screen()?;
            show(&ps, args, printer)?;
            std::thread::sleep(WATCH_INTERVAL);
            asked = processes(&mut link);
        }
    }
}

fn not_answering(sight: &DaemonState, home: &std::path::Path) -> Result<u8, Error> {
    let (what, hint) = match sight {
        DaemonState::Absent | DaemonState::Stale(_) => {
            let what = format!("no exai daemon runs (state directory {})", home.display());
            return Err(Error::not_running(what).hint("`exai doctor` looks for what was left behind"));
        }
        DaemonState::Wedged { record, .. } => {
            (format!("the daemon (pid {}) does not answer", record.pid), "`exai restart` replaces it")
        }
        DaemonState::Stopping(_) => ("the daemon is stopping".to_owned(), "`exai status`"),
        DaemonState::Refusing { error, .. } => (error.to_string(), "`exai status`"),
        DaemonState::Starting | DaemonState::Answering(_) => {
            ("the daemon is starting".to_owned(), "`exai status`")
        }
    };
    Err(Error::failed(what).hint(hint))
}

fn processes(link: &mut Link) -> Result<Ps, Error> {
    match link.ask(&ToDaemon::Ps, Instant::now() + HELLO_TIMEOUT)? {
        FromDaemon::Ps { ps } => Ok(*ps),
        FromDaemon::Error { reason } => Err(Error::failed(reason)),
        _ => Err(unexpected("ps")),
    }
}

fn show(ps: &Ps, args: &PsArgs, printer: &Printer) -> Result<(), Error> {
    if args.json.json {
        return printer.json(ps);
    }
    printer.headline(&verdict(ps))?;
    for one in &ps.unexpected {
        let of = one.of.as_ref().map(|of| format!(" of {of}")).unwrap_or_default();
        printer.warn(&format!("{}{of}: pid {} {}", one.kind, one.pid, one.reason));
    }
    let depths = depths(&ps.processes);
    let mut rows =
        vec![["PID", "ROLE", "OF", "PROCESS", "MEMORY", "HOW THAT IS KNOWN"].map(str::to_owned).to_vec()];
    rows.extend(ps.processes.iter().map(|process| row(process, depths[&process.pid])));
    printer.table(&rows)?;
    if !ps.explanations.is_empty() {
        printer.line("")?;
    }
    for explanation in &ps.explanations {
        printer.line(&format!("{}: {}", explanation.of, explanation.text))?;
    }
    Ok(())
}

fn verdict(ps: &Ps) -> String {
    match ps.unexpected.len() {
        0 if ps.actual == ps.expected => format!("{} processes, as expected", ps.actual),
        0 => format!("{} of {} expected processes", ps.actual, ps.expected),
        number => {
            format!("{} processes, {} expected: {}", ps.actual, ps.expected, count(number, "finding"))
        }
    }
}

/// How deep each process is below one that is listed. Parents come before their children.
fn depths(processes: &[Process]) -> HashMap<u32, usize> {
    let mut depths: HashMap<u32, usize> = HashMap::new();
    for process in processes {
        let depth = depths.get(&process.ppid).map_or(0, |above| above + 1);
        depths.insert(process.pid, depth);
    }
    depths
}

fn row(process: &Process, depth: usize) -> Vec<String> {
    let role = match (&process.kind, process.confirmed) {
        (Some(kind), _) => format!("{} ({kind})", process.role.as_str()),
        (None, Some(false)) => format!("{}, presumed", process.role.as_str()),
        (None, _) => process.role.as_str().to_owned(),
    };
    let role =
        if process.counted || process.role == Role::Client { role } else { format!("{role}, not counted") };
    let role = match &process.era {
        Some(era) => format!("{role}, {era}"),
        None => role,
    };
    let tenths = (process.rss_bytes * 10) >> 20;
    let memory = format!("{}.{} MiB", tenths / 10, tenths % 10);
    vec![
        process.pid.to_string(),
        role,
        process.of.clone().unwrap_or_default(),
        format!("{}{}", "  ".repeat(depth), process.name),
        memory,
        process.evidence.join(", "),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: u32, parent: u32) -> Process {
        Process {
            pid,
            ppid: parent,
            role: Role::Helper,
            of: None,
            kind: None,
            name: String::new(),
            started_at: None,
            rss_bytes: 0,
            counted: true,
            confirmed: None,
            evidence: Vec::new(),
            era: None,
        }
    }

    #[test]
    fn a_process_stands_below_its_parent() {
        let depths = depths(&[process(5, 1), process(6, 5), process(7, 6), process(8, 5)]);
        assert_eq!([5, 6, 7, 8].map(|pid| depths[&pid]), [0, 1, 2, 1]);
    }
}

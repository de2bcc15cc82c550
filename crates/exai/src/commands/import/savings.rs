//! What is saved: the copies of the servers that clients run, and the one copy that exai runs.

use std::collections::BTreeSet;

use exai_client::DaemonConnector;
use exai_os::process::{self, ProcessInfo};
use exai_proto::documents::{Process, Role};
use exai_proto::link::{FromDaemon, ToDaemon};
use exai_setup::Transport;

use super::super::{ask, count, join};
use super::naming::Named;
use crate::error::Error;
use crate::printer::Printer;

/// The copies of the servers that run outside of exai.
pub(super) struct Copies {
    processes: usize,
    bytes: u64,
}

impl Copies {
    /// Counts them. A system that does not show command lines shows none.
    pub(super) fn find(named: &[Named]) -> Self {
        let table = process::snapshot().unwrap_or_default();
        let signs: Vec<Sign<'_>> = named.iter().filter_map(find_sign).collect();
        let ours = find_ours(&table);
        let mut counted: Vec<&ProcessInfo> = Vec::new();
        for one in table.iter().filter(|one| !ours.contains(&one.pid)) {
            let is_counted = |pid: u32| counted.iter().any(|known| known.pid == pid);
            if !is_counted(one.pid) && shows_a_sign(one.pid, &signs) {
                counted.push(one);
                let below = process::descendants(&table, one.pid);
                let below = below.iter().filter_map(|child| table.iter().find(|row| row.pid == child.pid));
                for child in below {
                    if !counted.iter().any(|known| known.pid == child.pid) {
                        counted.push(child);
                    }
                }
            }
        }
        Copies { processes: counted.len(), bytes: counted.iter().map(|one| one.rss_bytes).sum() }
    }

    /// Says what runs now, and what exai runs instead.
    pub(super) fn report(
        &self,
        connector: &DaemonConnector,
        named: &[Named],
        printer: &Printer,
    ) -> Result<(), Error> {
        let Some(mut link) = join(connector)? else { return Ok(()) };
        let FromDaemon::Ps { ps } = ask(&mut link, &ToDaemon::Ps)? else { return Ok(()) };
        let server_of = |one: &'_ Process| -> Option<String> {
            let (server, _) = one.of.as_deref()?.split_once('#')?;
            named.iter().any(|known| known.name == server).then(|| server.to_owned())
        };
        let ours = || ps.processes.iter().filter(|one| one.role == Role::Daemon || server_of(one).is_some());
        let servers: BTreeSet<String> = ours().filter_map(server_of).collect();
        let (processes, bytes) = (ours().count(), ours().map(|one| one.rss_bytes).sum::<u64>());
        let runs = format!(
            "exai runs {} once for all clients, in {} with its own, {} MiB",
            if servers.len() == 1 { "it".to_owned() } else { format!("{} of them, each", servers.len()) },
            count(processes, "process"),
            bytes >> 20
        );
        if self.processes == 0 {
            return printer.line(&format!("no client runs any of these servers now; {runs}"));
        }
        printer.line(&format!(
            "the clients run {} of these servers now, {} MiB; {runs}",
            count(self.processes, "process"),
            self.bytes >> 20
        ))?;
        printer.line("the clients' copies end when you start the clients anew")
    }
}

/// How a copy of a server shows itself in a command line.
struct Sign<'a> {
    /// One of these is the name of a program in it.
    programs: Vec<String>,
    /// All of these are words of it.
    words: Vec<&'a str>,
}

/// The arguments that are no options, and the program. While `npx -y PACKAGE` runs it calls itself `npm exec PACKAGE`, and
/// `uvx` is `uv tool uvx`.
fn find_sign(server: &Named) -> Option<Sign<'_>> {
    let Transport::Stdio { command, args, .. } = &server.merged.entry.transport else { return None };
    let program = stem(command);
    let also = match program.as_str() {
        "npx" => Some("npm"),
        "uvx" => Some("uv"),
        _ => None,
    };
    let words = args.iter().map(String::as_str).filter(|arg| !arg.starts_with('-')).collect();
    Some(Sign { programs: also.map(str::to_owned).into_iter().chain([program]).collect(), words })
}

/// The name of a program without its directory and extension.
fn stem(program: &str) -> String {
    let name = program.rsplit(['/', '\\']).next().unwrap_or(program).to_ascii_lowercase();
    [".exe", ".cmd"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(&name).to_owned()
}

fn shows_a_sign(pid: u32, signs: &[Sign<'_>]) -> bool {
    let Ok(arguments) = process::command_line(pid) else { return false };
    // A program may write its whole command line into one argument.
    let words: Vec<&str> = arguments.iter().flat_map(|argument| argument.split_whitespace()).collect();
    let is_shown = |sign: &Sign<'_>| {
        words.iter().any(|word| sign.programs.contains(&stem(word)))
            && sign.words.iter().all(|word| words.contains(word) || arguments.iter().any(|one| one == word))
    };
    signs.iter().any(is_shown)
}

/// This process with its ancestors, and every daemon of exai with what it runs.
fn find_ours(table: &[ProcessInfo]) -> Vec<u32> {
    let own = process::lineage(std::process::id()).unwrap_or_default().into_iter().map(|one| one.pid);
    let daemons = table.iter().filter(|one| matches!(&*one.name, "exai" | "exai.exe"));
    let trees = daemons.flat_map(|daemon| {
        let below = process::descendants(table, daemon.pid).into_iter().map(|one| one.pid);
        std::iter::once(daemon.pid).chain(below)
    });
    own.chain(trees).collect()
}

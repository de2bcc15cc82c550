//! The other daemons of this account, each of another state directory. A client that does not pass `EXAI_HOME` on
//! gets a daemon of its own that no person wanted, and finds it empty. Then it helps to hear where the servers are.
//!
//! The kernel tells which daemons there are: the processes of this account that run `exai serve`, the `EXAI_HOME`
//! that each was started with, and the lock that a living daemon holds. Where a system shows no environments (macOS)
//! only the daemon of the account's own directory is found.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;

use exai_os::ownership::{process_is_ours, runs_our_program};
use exai_os::{account, lock, process, process_facts};

use crate::limits::{ELSEWHERE_TIMEOUT, MAX_HOMES, NAMED_HOMES};
use crate::{Home, environment};

/// Where servers are hosted, in a sentence; `None` when this directory's daemon has some itself, or no other has any.
/// `servers`: how many it has.
pub fn tell(home: &Home, servers: usize) -> Option<String> {
    if servers > 0 {
        return None;
    }
    let (sender, receiver) = sync_channel(1);
    let home = home.clone();
    // The thread is left behind when it hangs; then the receiver is gone.
    std::thread::spawn(move || _ = sender.send(hosting(&home)));
    sentence(&receiver.recv_timeout(ELSEWHERE_TIMEOUT).unwrap_or_default())
}

/// The state directory of an exai process, by the environment that it was started with; `None` where the environment
/// cannot be read.
pub fn home_of(pid: u32) -> Option<PathBuf> {
    match process_facts::environment_variable(pid, environment::HOME.name).ok()? {
        Some(named) if !named.is_empty() => Some(PathBuf::from(named)).filter(|home| home.is_absolute()),
        Some(_) | None => default_home(),
    }
}

fn default_home() -> Option<PathBuf> {
    account::current().ok().map(|account| account.home.join(".exai"))
}

/// The directories of other daemons that live, each with how many servers are configured there, most first.
fn hosting(home: &Home) -> Vec<(PathBuf, usize)> {
    let me = std::process::id();
    let table = process::snapshot().unwrap_or_default();
    let daemons = table.iter().filter(|one| !one.zombie && one.pid != me && is_daemon(one.pid));
    let named = daemons.filter_map(|one| home_of(one.pid)).chain(default_home());
    let mut others: BTreeMap<PathBuf, PathBuf> =
        named.take(MAX_HOMES).filter_map(|path| Some((path.canonicalize().ok()?, path))).collect();
    others.retain(|real, _| home.path().canonicalize().ok().as_ref() != Some(real));
    let servers = |path: &Path| {
        let home = Home::at(path);
        // A process that only claims to be a daemon holds no lock.
        let lives = lock::is_held(&home.instance_lock()).unwrap_or(false);
        lives.then(|| crate::load(&home).map_or(0, |config| config.servers.len()))
    };
    let mut hosting: Vec<(PathBuf, usize)> = others
        .into_values()
        .filter_map(|path| Some((servers(&path)?, path)))
        .filter(|(servers, _)| *servers > 0)
        .map(|(servers, path)| (path, servers))
        .collect();
    hosting.sort_by_key(|(_, servers)| std::cmp::Reverse(*servers));
    hosting
}

/// Whether the first argument of the process is `serve`. False where the system does not show command lines.
pub fn serves(pid: u32) -> bool {
    process::command_line(pid).is_ok_and(|args| args.get(1).is_some_and(|verb| verb == "serve"))
}

/// Whether this is a process of this account that runs `exai serve`, of any build.
fn is_daemon(pid: u32) -> bool {
    let named = || {
        let stem =
            process::executable(pid).ok().and_then(|path| Some(path.file_stem()?.to_ascii_lowercase()));
        stem.is_some_and(|stem| stem == "exai")
    };
    serves(pid)
        && process_is_ours(pid).unwrap_or(false)
        && (named() || runs_our_program(pid).unwrap_or(false))
}

fn sentence(hosting: &[(PathBuf, usize)]) -> Option<String> {
    let (first, _) = hosting.first()?;
    let each = |(path, servers): &(PathBuf, usize)| {
        let noun = if *servers == 1 { "server" } else { "servers" };
        format!("another of this account ({}) hosts {servers} {noun}", path.display())
    };
    let named: Vec<String> = hosting.iter().take(NAMED_HOMES).map(each).collect();
    let more = match hosting.len().saturating_sub(NAMED_HOMES) {
        0 => String::new(),
        more => format!(", and {more} more host some"),
    };
    Some(format!(
        "this daemon hosts nothing, but {}{more}; a client that is to use it needs {}={} in its configuration",
        named.join(", "),
        environment::HOME.name,
        first.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sentence_names_a_few_and_what_leads_to_the_first() {
        assert_eq!(sentence(&[]), None);
        let one = [(PathBuf::from("/a"), 11)];
        let said = sentence(&one).unwrap();
        assert_eq!(
            said,
            "this daemon hosts nothing, but another of this account (/a) hosts 11 servers; a client that is to use it \
             needs EXAI_HOME=/a in its configuration"
        );
        let many: Vec<(PathBuf, usize)> =
            ["/a", "/b", "/c", "/d", "/e"].iter().map(|path| (PathBuf::from(path), 1)).collect();
        let said = sentence(&many).unwrap();
        assert!(
            said.contains("(/c) hosts 1 server, and 2 more host some;") && !said.contains("/d"),
            "{said}"
        );
    }

    #[test]
    fn who_has_servers_is_told_of_nobody() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(tell(&Home::at(dir.path()), 1), None);
    }
}

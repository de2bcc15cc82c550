use std::ffi::{OsStr, OsString};
use std::io::{self, Read as _};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};

use crate::account::Account;
use crate::process::Kill;

type Vars = Vec<(OsString, OsString)>;

const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// How long a shell that was told to end may take.
const SHELL_END_TIMEOUT: Duration = Duration::from_secs(5);

/// A start file that prints more than this is broken.
const MAX_OUTPUT_BYTES: usize = 16 << 20;

pub(crate) fn same_name(name: &OsStr, other: &str) -> bool {
    name == other
}

/// What an account has before any start file is read.
pub(crate) fn base(account: &Account) -> Vars {
    let mut vars: Vars = vec![("HOME".into(), account.home.clone().into())];
    vars.push(("USER".into(), account.name.clone().into()));
    vars.push(("LOGNAME".into(), account.name.clone().into()));
    vars.push(("SHELL".into(), account.shell.clone().into()));
    vars.push(("PATH".into(), PATH.into()));
    vars
}

/// Files whose change can change what a login shell exports. They are many, for all common shells, and
/// still not all: a start file may read any other. The cache's age limit is for those.
pub(crate) fn start_files(account: &Account) -> Vec<PathBuf> {
    const SYSTEM: [&str; 10] = [
        "environment",
        "profile",
        "profile.d",
        "bash.bashrc",
        "bashrc",
        "zshenv",
        "zprofile",
        "zsh",
        "fish/config.fish",
        "paths.d",
    ];
    const OWN: [&str; 18] = [
        ".profile",
        ".bash_profile",
        ".bash_login",
        ".bashrc",
        ".bash_aliases",
        ".zshenv",
        ".zprofile",
        ".zshrc",
        ".zlogin",
        ".config/fish/config.fish",
        ".config/fish/conf.d",
        ".config/fish/fish_variables",
        ".config/environment.d",
        ".config/nushell/env.nu",
        ".config/nushell/config.nu",
        ".login",
        ".cshrc",
        ".tcshrc",
    ];
    let system = SYSTEM.iter().map(|file| PathBuf::from("/etc").join(file));
    system.chain(OWN.iter().map(|file| account.home.join(file))).collect()
}

/// A login shell runs start files, which may take their time.
pub(crate) const ASKING_IS_QUICK: bool = false;

/// The account's cache directory, by its home and not by `XDG_CACHE_HOME`.
#[expect(clippy::unnecessary_wraps, reason = "its twin has none")]
pub(crate) fn cache_directory(account: &Account) -> Option<PathBuf> {
    let cache = if cfg!(target_os = "macos") { "Library/Caches" } else { ".cache" };
    Some(account.home.join(cache).join("exai"))
}

/// Runs the login shell and returns what it exports; the reason in words when that fails.
pub(crate) fn capture(account: &Account, session: &Vars, limit: Duration) -> Result<Vars, String> {
    let deadline = Instant::now() + limit;
    let shell = account.shell.display();
    let marker = marker();
    let mut child =
        start(account, session, &marker).map_err(|error| format!("cannot start {shell}: {error}"))?;
    let stdout = child.stdout.take().expect("BUG: stdout was asked for as a pipe");
    let output = read_between(stdout, marker.as_bytes(), deadline);
    let status = if exits_until(&mut child, deadline) { child.wait().ok() } else { None };
    if status.is_none() {
        // The answer is complete, or there will be none.
        std::thread::spawn(move || end_gently(child));
    }
    match output {
        Ok(Some(bytes)) => Ok(parse(&bytes)),
        Ok(None) => Err(format!("{shell} ended without showing its environment")),
        Err(error) if error.kind() == io::ErrorKind::TimedOut => {
            Err(format!("{shell} did not finish its start files within {:.1} s", limit.as_secs_f32()))
        }
        Err(error) => Err(format!("cannot read from {shell}: {error}")),
    }
}

/// Ends a shell that has taken too long. It is first asked to end: a start file that is killed in the middle may
/// leave a lock behind (pyenv's does, and then every shell of the account hangs for a minute). Descendants that a
/// start file put into sessions of their own (an ssh-agent) are left alone.
fn end_gently(mut child: Child) {
    for how in [Kill::Terminate, Kill::Force] {
        end_session(child.id(), how);
        if exits_until(&mut child, Instant::now() + SHELL_END_TIMEOUT) {
            break;
        }
    }
    // The shell is dead, or it cannot be killed. Then only the end of its parent can end it.
    let _ = child.try_wait();
}

/// Start files print what they like before and after: the environment stands between two of these.
fn marker() -> String {
    use std::hash::{BuildHasher as _, RandomState};
    let random = RandomState::new();
    format!("exai{:016x}{:016x}", random.hash_one(1), random.hash_one(2))
}

fn start(account: &Account, session: &Vars, marker: &str) -> io::Result<Child> {
    // Printed in halves, so that a shell which echoes its commands does not print the marker too early.
    let (left, right) = marker.split_at(8);
    let mark = format!("printf %s%s {left} {right}");
    let script = format!("{mark}; /usr/bin/env -0; {mark}");
    let mut command = Command::new(&account.shell);
    // csh takes -l only by itself; all other shells take the three together.
    let name = account.shell.file_name().unwrap_or_default();
    let options: &[&str] = if name.as_bytes().ends_with(b"csh") { &["-i"] } else { &["-i", "-l"] };
    command.args(options).arg("-c").arg(script);
    command.env_clear().envs(base(account)).envs(session.iter().cloned()).env("TERM", "dumb");
    command.current_dir(if account.home.is_dir() { account.home.as_path() } else { "/".as_ref() });
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let before_exec = || {
        // Without a session of its own an interactive shell would take the terminal of the starter.
        rustix::process::setsid()?;
        super::descriptors::close_on_exec_from_3();
        super::inherited_state::heed_hangup();
        Ok(())
    };
    // SAFETY: the closure only makes system calls: it neither allocates nor takes a lock.
    unsafe { command.pre_exec(before_exec) };
    command.spawn()
}

/// The bytes between the first marker and the second; `None` when the output ends without both. It does
/// not wait for the end of the output: background jobs of a start file may hold the pipe for ever.
fn read_between(mut stdout: ChildStdout, marker: &[u8], deadline: Instant) -> io::Result<Option<Vec<u8>>> {
    let mut output = Vec::new();
    let mut chunk = [0; 16 * 1024];
    loop {
        let mut wait = [PollFd::new(&stdout, PollFlags::IN)];
        if !super::descriptors::poll_until(&mut wait, deadline)? {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let count = stdout.read(&mut chunk)?;
        output.extend_from_slice(&chunk[..count]);
        if let Some(between) = between(&output, marker) {
            return Ok(Some(between.to_vec()));
        }
        if count == 0 {
            return Ok(None);
        }
        if output.len() > MAX_OUTPUT_BYTES {
            return Err(io::Error::other("it prints without end"));
        }
    }
}

fn between<'a>(output: &'a [u8], marker: &[u8]) -> Option<&'a [u8]> {
    let find = |text: &[u8]| text.windows(marker.len()).position(|window| window == marker);
    let start = find(output)? + marker.len();
    let length = find(&output[start..])?;
    Some(&output[start..start + length])
}

fn parse(bytes: &[u8]) -> Vars {
    let mut vars = Vars::new();
    for entry in bytes.split(|byte| *byte == 0) {
        // A name may not be empty, so the `=` is looked for behind the first byte.
        let Some(at) = entry.iter().skip(1).position(|byte| *byte == b'=') else { continue };
        let name = OsStr::from_bytes(&entry[..=at]);
        // `TERM=dumb` was ours, for the capture alone.
        if name != "TERM" && !vars.iter().any(|(known, _)| known == name) {
            vars.push((name.to_owned(), OsString::from_vec(entry[at + 2..].to_vec())));
        }
    }
    vars
}

#[cfg(target_os = "linux")]
pub(super) fn exits_until(child: &mut Child, deadline: Instant) -> bool {
    let identity = super::process::identify(child.id());
    match identity {
        Ok(Some(identity)) => super::process::wait_gone(&identity, deadline).unwrap_or(false),
        Ok(None) => true,
        Err(_) => false,
    }
}

/// Never run.
#[cfg(not(target_os = "linux"))]
fn exits_until(child: &mut Child, deadline: Instant) -> bool {
    while Instant::now() < deadline {
        if matches!(child.try_wait(), Ok(Some(_))) {
            return true;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    false
}

/// Ends every process of the session that the shell leads. The shell is our unreaped child, so its pid,
/// which is the session's id, cannot be another's. Interactive shells give each job a process group, so
/// the group alone would not do.
#[cfg(target_os = "linux")]
fn end_session(leader: u32, how: Kill) {
    // A process may fork during the search, so it is repeated until it finds none, but not for ever. A request to end
    // is sent once.
    let rounds = match how {
        Kill::Terminate => 1,
        Kill::Force => 50,
    };
    for _ in 0..rounds {
        let Ok(all) = super::process::stats() else { return };
        let members: Vec<_> =
            all.into_iter().filter(|stat| stat.session == leader && !stat.info.zombie).collect();
        if members.is_empty() {
            return;
        }
        for member in members {
            let Ok(Some(found)) = super::process::identify(member.info.pid) else { continue };
            if found.start == member.info.start {
                let _ = super::process::kill_verified(&found, how);
                let soon = Instant::now() + Duration::from_millis(20);
                let _ = super::process::wait_gone(&found, soon);
            }
        }
    }
}

/// The group alone. Never run.
#[cfg(not(target_os = "linux"))]
fn end_session(leader: u32, how: Kill) {
    if let Some(group) = rustix::process::Pid::from_raw(leader.cast_signed()) {
        let _ = rustix::process::kill_process_group(group, super::child::signal(how));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_stands_between_the_markers() {
        assert_eq!(between(b"noise M:A=1\0M: more", b"M:"), Some(&b"A=1\0"[..]));
        assert_eq!(between(b"noise M:A=1", b"M:"), None);
    }

    #[test]
    fn values_may_hold_anything_but_zero() {
        let vars = parse(b"A=1=2\0B=\nx\0TERM=dumb\0=odd=3\0A=again\0junk\0");
        let expected = [("A", "1=2"), ("B", "\nx"), ("=odd", "3")];
        assert_eq!(vars, expected.map(|(name, value)| (name.into(), value.into())));
    }
}

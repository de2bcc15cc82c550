//! Linux: /proc. See proc_pid_cgroup(5) and PR_SET_CHILD_SUBREAPER in prctl(2).

use std::fs;
use std::io::{self, Read as _};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};
use rustix::process::{Pid, WaitOptions};

use super::{descriptors, process};
use crate::detach::Bond;

/// The beginning of the names of the units in which a service manager starts daemons. These units end no daemon.
pub(super) const UNIT: &str = "exai-daemon-";
/// How long the process in between may take to end in the trial that finds the adopter.
const TRIAL_TIMEOUT: Duration = Duration::from_secs(1);
/// How many steps of a ten thousandth of a second the trial takes.
const MAX_STEPS: u32 = 10_000;

pub(crate) fn bonds() -> Vec<Bond> {
    let parent = rustix::process::getppid().map_or(0, |pid| pid.as_raw_pid().cast_unsigned());
    group().into_iter().chain(adopter(parent)).collect()
}

/// Whether a daemon that is started here would have any bonds.
pub(super) fn would_be_bound() -> bool {
    group().is_some() || try_who_adopts().is_ok_and(|parent| adopter(parent).is_some())
}

/// The parent as a bond, unless it is the system's: its first process, one of another account, or the user's service
/// manager.
fn adopter(parent: u32) -> Option<Bond> {
    let is_foreign = parent > 1 && crate::ownership::process_is_ours(parent).unwrap_or(false);
    let name = process::stat(parent).ok().flatten().filter(|_| is_foreign)?.info.name;
    let is_manager =
        || process::command_line(parent).is_ok_and(|words| words.iter().any(|word| word == "--user"));
    (name != "systemd" || !is_manager()).then_some(Bond::Adopter { pid: parent, name })
}

/// Leaves an orphan behind, which reports its new parent.
fn try_who_adopts() -> io::Result<u32> {
    let (mut said, say) = io::pipe()?;
    // SAFETY: the child makes system calls alone.
    let between = match unsafe { libc::fork() } {
        -1 => return Err(io::Error::last_os_error()),
        // SAFETY: as above, for its child as well; neither runs anything of this program any more.
        0 => unsafe {
            let between = libc::getpid();
            if libc::fork() == 0 {
                say_who_adopted(&say, between);
            }
            libc::_exit(0)
        },
        pid => pid,
    };
    drop(say);
    let _ = Pid::from_raw(between).map(|pid| rustix::process::waitpid(Some(pid), WaitOptions::empty()));
    let mut parent = [0; 4];
    if !descriptors::poll_until(&mut [PollFd::new(&said, PollFlags::IN)], Instant::now() + TRIAL_TIMEOUT)? {
        return Err(io::ErrorKind::TimedOut.into());
    }
    said.read_exact(&mut parent)?;
    Ok(u32::from_ne_bytes(parent))
}

/// Waits until the parent of this process is no longer `between`, and reports the new one. Makes only calls that are
/// allowed after a fork.
fn say_who_adopted(say: impl AsFd, between: libc::pid_t) {
    // SAFETY: plain system calls; the structure outlives its use.
    let parent = unsafe {
        // A dead process closes its descriptors before its children get another parent: only the number of the parent
        // tells.
        let step = libc::timespec { tv_sec: 0, tv_nsec: 100_000 };
        for _ in 0..MAX_STEPS {
            if libc::getppid() != between {
                break;
            }
            libc::nanosleep(&raw const step, std::ptr::null_mut());
        }
        libc::getppid()
    };
    let _ = rustix::io::write(say, &parent.to_ne_bytes());
}

fn group() -> Option<Bond> {
    let own = fs::read_to_string("/proc/self/cgroup").ok()?;
    // A process that is hidden is not in our control group: it would be seen there.
    let first = fs::read_to_string("/proc/1/cgroup").unwrap_or_default();
    let path = somebodys(&own, &first)?;
    Some(Bond::Group { path: path.to_owned(), is_unit: is_unit(path) })
}

/// The control group that these lines name, unless only the system ends it, or no program does: that of the system's
/// first process, that of a login session, which systemd leaves alone at its end (`KillUserProcesses=no`), or that of
/// a daemon.
fn somebodys<'a>(own: &'a str, first: &str) -> Option<&'a str> {
    // The hierarchy by which systemd groups processes; the others only limit resources.
    let paths =
        |lines: &'a str| ["0::", ":name=systemd:"].map(|key| path_of(lines, key)).into_iter().flatten();
    let path = paths(own).find(|path| *path != "/")?;
    let leaf = path.rsplit('/').next().unwrap_or(path);
    let session = leaf.strip_prefix("session-").and_then(|rest| rest.strip_suffix(".scope"));
    let is_harmless = session.is_some() || leaf.starts_with(UNIT);
    let is_firsts = ["0::", ":name=systemd:"].iter().any(|key| path_of(first, key) == Some(path));
    (!is_harmless && !is_firsts).then_some(path)
}

fn path_of<'a>(lines: &'a str, key: &str) -> Option<&'a str> {
    lines.lines().find_map(|line| match line.split_once(key) {
        // `0::/` at the beginning of its line, and the other one behind its number.
        Some((number, path)) if number.bytes().all(|byte| byte.is_ascii_digit()) => Some(path),
        _ => None,
    })
}

fn is_unit(path: &str) -> bool {
    matches!(path.rsplit_once('.'), Some((_, "scope" | "service")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_control_group_is_somebodys_if_it_may_end_before_the_system_does() {
        let user = "/user.slice/user-1000.slice";
        let app = format!("{user}/user@1000.service/app.slice/app-code-7.scope");
        let hybrid = format!("4:memory:{app}\n1:name=systemd:/x.service\n0::{app}\n");
        for (own, expected) in [
            (format!("0::{app}\n"), Some(&*app)),
            (hybrid, Some(&*app)),
            (format!("2:cpu,cpuacct:/\n1:name=systemd:{app}\n"), Some(&*app)),
            (format!("1:name=systemd:{app}\n0::/\n"), Some(&*app)),
            ("0::/client\n".to_owned(), Some("/client")),
            ("0::/session-migration.service\n".to_owned(), Some("/session-migration.service")),
            (format!("0::{user}/session-3.scope\n"), None),
            (format!("0::{user}/user@1000.service/app.slice/{UNIT}0f.service\n"), None),
            ("0::/init.scope\n".to_owned(), None),
            ("4:memory:/docker/7\n0::/\n".to_owned(), None),
            (String::new(), None),
        ] {
            assert_eq!(somebodys(&own, "1:name=systemd:/init.scope\n0::/init.scope\n"), expected, "{own}");
        }
        // In a container, the first process may be in the same control group as all other processes.
        assert_eq!(somebodys("0::/system.slice/docker-7.scope\n", "0::/system.slice/docker-7.scope\n"), None);
    }

    #[test]
    fn who_is_left_behind_comes_to_somebody() {
        let parent = try_who_adopts().unwrap();
        assert!(parent == 1 || process::stat(parent).unwrap().is_some(), "{parent}");
        assert_ne!(parent, std::process::id());
    }
}

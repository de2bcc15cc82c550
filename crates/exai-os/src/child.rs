//! Starting and ending the children of the supervisor.

use std::io;

use crate::process::Kill;
use crate::sys;

/// Prepares a command whose child is to be the root of a tree of its own: its own process group (pgid =
/// pid), no descriptors of ours but the three of its stdio, and the descriptor limit this process
/// started with. On Windows a new process group without a console window.
pub fn prepare(command: &mut tokio::process::Command) {
    sys::child::prepare(command);
}

/// Signals the process group of a child that was started after [`prepare`] and has NOT been reaped: as
/// long as it has not, its pid, and so its group, can be nobody else's. An empty group is fine.
///
/// On Windows this ends the process alone; trees end with their job object.
pub fn signal_tree(root_pid: u32, how: Kill) -> io::Result<()> {
    if root_pid < 2 || root_pid == std::process::id() {
        let sentence = format!("refusing to signal the group of pid {root_pid}");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, sentence));
    }
    sys::child::signal_tree(root_pid, how)
}

/// Waits until a child has exited, WITHOUT reaping it: its pid, and so its group, stay its own, and
/// [`signal_tree`] stays safe. Cancel safe; comes back at once for a child that has exited.
///
/// Windows has no zombies: there this is `wait`, after which `child.id()` is `None` and the number must not
/// be used any more. macOS looks ten times a second (never run).
pub async fn exited(child: &mut tokio::process::Child) -> io::Result<()> {
    sys::child::exited(child).await
}

/// Lets the child's stdin and stdout hold more than the usual 64 KiB, so that large messages take fewer turns
/// between the processes. Linux only, and only as far as the account's budget for pipes allows; a pipe that
/// stays as it is works too.
pub fn widen_pipes(child: &tokio::process::Child) {
    sys::child::widen_pipes(child);
}

/// Raises this process's limit of open descriptors to what it may have, at most 65,536: every client and
/// every server takes several. Children get the old limit back, since programs using `select` cannot
/// stand a higher one. Windows has no such limit.
pub fn raise_descriptor_limit() {
    sys::child::raise_descriptor_limit();
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::os::fd::AsRawFd as _;
    use std::process::Stdio;

    use tokio::io::AsyncReadExt as _;
    use tokio::process::Command;

    use super::*;

    #[tokio::test]
    async fn an_exit_is_seen_and_the_zombie_stays() {
        let mut command = Command::new("cat");
        command.stdin(Stdio::piped()).stdout(Stdio::null()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let pid = child.id().unwrap();
        let limit = std::time::Duration::from_secs(10);
        let early = tokio::time::timeout(std::time::Duration::from_millis(1), exited(&mut child)).await;
        assert!(early.is_err(), "it lives");
        drop(child.stdin.take());
        for _ in 0..2 {
            tokio::time::timeout(limit, exited(&mut child)).await.unwrap().unwrap();
            let all = crate::process::snapshot().unwrap();
            assert!(all.iter().any(|row| row.pid == pid && row.zombie));
        }
        assert!(child.wait().await.unwrap().success());
        exited(&mut child).await.unwrap();
    }

    #[tokio::test]
    async fn a_child_gets_stdio_alone_and_its_own_group() {
        let leak = std::fs::File::open("/dev/null").unwrap();
        rustix::io::fcntl_setfd(&leak, rustix::io::FdFlags::empty()).unwrap();
        assert!(leak.as_raw_fd() > 2);
        raise_descriptor_limit();
        let mut command = Command::new("sh");
        command.args(["-c", "ls /proc/$$/fd | tr '\\n' ' '; ulimit -Sn; cat; sleep 60 & wait"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        prepare(&mut command);
        let mut child = command.spawn().unwrap();
        let pid = child.id().unwrap();
        drop(child.stdin.take());
        let mut stdout = child.stdout.take().unwrap();
        let mut seen = String::new();
        while !seen.contains('\n') {
            let mut chunk = [0; 256];
            let count = stdout.read(&mut chunk).await.unwrap();
            seen.push_str(std::str::from_utf8(&chunk[..count]).unwrap());
        }
        assert!(seen.starts_with("0 1 2 "), "{seen}");
        let row = crate::process::snapshot().unwrap().into_iter().find(|row| row.pid == pid).unwrap();
        assert_eq!(row.pgid, pid);
        signal_tree(pid, Kill::Force).unwrap();
        assert!(!child.wait().await.unwrap().success());
        // `sleep` held the other copy of stdout: EOF means that the whole group is gone.
        stdout.read_to_string(&mut seen).await.unwrap();
        signal_tree(1, Kill::Force).unwrap_err();
    }
}

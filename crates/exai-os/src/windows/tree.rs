use std::io;
use std::path::PathBuf;
use std::process::Stdio as Set;
use std::time::Duration;

use tokio::process::{Child, Command};
use tokio::time::timeout;
use windows_sys::Win32::System::Threading::{CREATE_NEW_PROCESS_GROUP, CREATE_NO_WINDOW};

use crate::process::Identity;
use crate::tree::{Launch, RootExit, Stdio};

const END: Duration = Duration::from_secs(5);

/// The root alone: job objects, which reach its descendants, are not written yet.
#[derive(Debug)]
pub(crate) struct Tree {
    child: Child,
    root: Identity,
    exit: Option<RootExit>,
}

pub(crate) fn own_program() -> io::Result<PathBuf> {
    std::env::current_exe()
}

#[expect(clippy::unnecessary_wraps, reason = "its twin can fail")]
pub(crate) fn adopt_orphans() -> io::Result<()> {
    Ok(())
}

/// Handles of Rust's own are not inheritable, so a child gets no more than its stdio, except what
/// another thread makes inheritable at that very moment.
///
/// The root runs a moment before it is known.
pub(crate) fn start(
    launch: &Launch,
    known: impl FnOnce(Option<&Identity>, &Identity),
) -> io::Result<(Tree, Stdio)> {
    let mut command = Command::new(&launch.program);
    command.args(&launch.args).env_clear().envs(launch.env.iter().map(|(name, value)| (name, value)));
    command.current_dir(&launch.cwd).stdin(Set::piped()).stdout(Set::piped()).stderr(Set::piped());
    command.creation_flags(CREATE_NO_WINDOW | CREATE_NEW_PROCESS_GROUP).kill_on_drop(true);
    let mut child = command.spawn()?;
    let piped = "BUG: a standard stream was asked to be a pipe and is none";
    let stdio = Stdio {
        stdin: child.stdin.take().expect(piped),
        stdout: child.stdout.take().expect(piped),
        stderr: child.stderr.take().expect(piped),
    };
    let pid = child.id().ok_or_else(|| io::Error::other("BUG: a child just spawned has no pid"))?;
    // Its handle is open, so its number is its own even if it has ended.
    let root = crate::process::identify(pid)?.unwrap_or(Identity { boot: String::new(), pid, start: 0 });
    known(None, &root);
    Ok((Tree { child, root, exit: None }, stdio))
}

/// There are no signals here.
pub(crate) fn describe(signal: i32) -> String {
    format!("signal {signal}")
}

pub(crate) fn reap(_pid: u32) {}

impl Tree {
    pub(crate) fn root(&self) -> &Identity {
        &self.root
    }

    #[expect(clippy::unused_self, reason = "its twin has one")]
    pub(crate) fn guard(&self) -> Option<&Identity> {
        None
    }

    #[expect(clippy::unused_self, reason = "its twin can ask")]
    pub(crate) fn terminate(&mut self) {}

    pub(crate) fn kill(&mut self) {
        // Fails where it has ended already.
        let _ = self.child.start_kill();
    }

    pub(crate) async fn exited(&mut self) -> RootExit {
        if let Some(exit) = self.exit {
            return exit;
        }
        let exit = match self.child.wait().await {
            Ok(status) => RootExit::Code(status.code().unwrap_or(-1)),
            Err(_) => RootExit::Unseen,
        };
        self.exit = Some(exit);
        exit
    }

    pub(crate) async fn unguarded(&mut self) {
        std::future::pending::<()>().await;
    }

    pub(crate) async fn ended(&mut self, _members: &[Identity]) -> Vec<u32> {
        match timeout(END, self.exited()).await {
            Ok(_) => Vec::new(),
            Err(_) => vec![self.root.pid],
        }
    }
}

use std::io;
use std::os::windows::io::AsHandle as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::time::timeout;
use windows_sys::Win32::System::Threading::{
    CREATE_NEW_PROCESS_GROUP, CREATE_NO_WINDOW, PROCESS_QUERY_LIMITED_INFORMATION, PROCESS_SYNCHRONIZE,
};

use super::job::{Job, Leaving};
use super::spawn::{self, Program};
use super::stdio;
use super::wait::Signalled;
use crate::process::Identity;
use crate::tree::{Launch, RootExit, Stdio};

pub use super::stdio::{Input, Output, Output as ErrorOutput};

/// How long what was ended by force may take to be gone.
const END_TIMEOUT: Duration = Duration::from_secs(5);

/// A job, and the process that was started in it.
#[derive(Debug)]
pub(crate) struct Tree {
    job: Arc<Job>,
    root: Identity,
    root_process: Signalled,
    exit: Option<RootExit>,
}

/// Does not keep the job: that ends with its tree.
#[derive(Clone, Debug)]
pub(crate) struct Roster(Weak<Job>);

impl Roster {
    pub(crate) fn pids(&self) -> Option<Vec<u32>> {
        self.0.upgrade().map_or(Some(Vec::new()), |job| job.pids().ok())
    }
}

pub(crate) fn own_program() -> io::Result<PathBuf> {
    std::env::current_exe()
}

/// Puts this process into a job that ends with it. Each tree has one of its own within, which nothing leaves: a process
/// gets only as far as all jobs around it allow.
pub(crate) fn keep_hold() -> io::Result<()> {
    let job = Job::new(Leaving::OnRequest)?;
    job.take_in_this_process().map_err(|error| match error.kind() {
        io::ErrorKind::PermissionDenied => {
            let sentence = "the job that exai was started in allows none within (it limits what its programs may do to windows)";
            io::Error::new(io::ErrorKind::PermissionDenied, sentence)
        }
        _ => error,
    })?;
    // Its handle is to be closed by this process's end and by nothing before.
    std::mem::forget(job);
    Ok(())
}

/// The root is born in its job, and does not run before it is known.
pub(crate) fn start(
    launch: &Launch,
    known: impl FnOnce(Option<&Identity>, &Identity),
) -> io::Result<(Tree, Stdio)> {
    let job = Job::new(Leaving::Refused)?;
    let (its_stdin, stdin) = stdio::input()?;
    let (its_stdout, stdout) = stdio::output()?;
    let (its_stderr, stderr) = stdio::output()?;
    let born = spawn::start(&Program {
        file: &launch.program,
        args: &launch.args,
        env: &launch.env,
        cwd: &launch.cwd,
        stdio: [its_stdin.as_handle(), its_stdout.as_handle(), its_stderr.as_handle()],
        also: None,
        job: Some(job.as_handle()),
        flags: CREATE_NO_WINDOW | CREATE_NEW_PROCESS_GROUP,
    })
    .map_err(|error| if is_of_the_store(&launch.program) { explained(&error) } else { error })?;
    drop((its_stdin, its_stdout, its_stderr));
    // Its handle is open, so no other process has its number even if it was ended.
    let root = super::process::identity_even_dead(&born.process, born.pid)?;
    known(None, &root);
    let root_process = Signalled::new(born.run()?)?;
    Ok((Tree { job: Arc::new(job), root, root_process, exit: None }, Stdio { stdin, stdout, stderr }))
}

/// Whether Windows runs this program as one of the Microsoft Store.
fn is_of_the_store(program: &Path) -> bool {
    program.components().any(|part| part.as_os_str().eq_ignore_ascii_case("WindowsApps"))
}

/// Such programs have a job of their own, which cannot always be put into ours.
fn explained(error: &io::Error) -> io::Error {
    let sentence = format!(
        "{error}; it is a program of the Microsoft Store, which Windows keeps in a job of its own: use one that was \
         installed in another way (Python from python.org or uv), with its full path"
    );
    io::Error::new(error.kind(), sentence)
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

    pub(crate) fn roster(&self) -> Roster {
        Roster(Arc::downgrade(&self.job))
    }

    #[expect(clippy::unused_self, reason = "its twin can ask")]
    pub(crate) fn terminate(&mut self) -> bool {
        false
    }

    pub(crate) fn kill(&mut self) {
        // With all rights to an open job it cannot fail.
        let _ = self.job.terminate();
    }

    pub(crate) async fn exited(&mut self) -> RootExit {
        if let Some(exit) = self.exit {
            return exit;
        }
        self.root_process.wait().await;
        let code = spawn::exit_code(self.root_process.handle());
        let exit = code.map_or(RootExit::Unseen, |code| RootExit::Code(code.cast_signed()));
        self.exit = Some(exit);
        exit
    }

    pub(crate) async fn unguarded(&mut self) {
        std::future::pending::<()>().await;
    }

    pub(crate) async fn ended(&mut self, _members: &[Identity]) -> Vec<u32> {
        match timeout(END_TIMEOUT, self.emptied()).await {
            Ok(()) => Vec::new(),
            Err(_) => self.job.pids().unwrap_or_else(|_| vec![self.root.pid]),
        }
    }

    /// Waits until the job is empty.
    async fn emptied(&self) {
        const ACCESS: u32 = PROCESS_QUERY_LIMITED_INFORMATION | PROCESS_SYNCHRONIZE;
        loop {
            let one = match self.job.pids() {
                Ok(pids) => match pids.first() {
                    Some(one) => super::handle::open_process(*one, ACCESS),
                    None => return,
                },
                Err(error) => Err(error),
            };
            match one.map(|process| process.map(Signalled::new)) {
                Ok(Some(Ok(process))) => process.wait().await,
                // It has gone meanwhile, or cannot be waited for.
                _ => tokio::time::sleep(Duration::from_millis(5)).await,
            }
            // One that has ended may be listed for a moment more.
            tokio::task::yield_now().await;
        }
    }
}

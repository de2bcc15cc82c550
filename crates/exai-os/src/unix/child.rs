use std::sync::OnceLock;

use rustix::process::{Resource, Rlimit, Signal};

use crate::process::Kill;

const MAX_DESCRIPTORS: u64 = 65_536;

/// The usual descriptor limit. Programs that need more raise it themselves; some (select(2)) cannot work with more.
const ORDINARY_DESCRIPTORS: u64 = 1024;

/// The limit of core files before [`refuse_core_files`].
static CORE_LIMIT: OnceLock<Rlimit> = OnceLock::new();

/// Gives a child a process group of its own, no descriptors of ours but stdio, and the usual descriptor limit and
/// SIGHUP: neither those of this process nor those of its starter. It may write a core file if this process might.
pub(super) fn prepare(command: &mut tokio::process::Command) {
    command.process_group(0);
    let maximum = rustix::process::getrlimit(Resource::Nofile).maximum;
    let current = Some(maximum.map_or(ORDINARY_DESCRIPTORS, |most| most.min(ORDINARY_DESCRIPTORS)));
    let core_limit = CORE_LIMIT.get().copied();
    let before_exec = move || {
        // Within the hard limit this cannot fail; a child with another one is no reason not to start it.
        let _ = rustix::process::setrlimit(Resource::Nofile, Rlimit { current, maximum });
        if let Some(limit) = core_limit {
            let _ = rustix::process::setrlimit(Resource::Core, limit);
        }
        super::descriptors::close_on_exec_from_3();
        super::inherited_state::heed_hangup();
        Ok(())
    };
    // SAFETY: the closure only makes system calls: it neither allocates nor takes a lock.
    unsafe { command.pre_exec(before_exec) };
}

pub(super) fn signal(how: Kill) -> Signal {
    match how {
        Kill::Terminate => Signal::TERM,
        Kill::Force => Signal::KILL,
    }
}

/// A quarter of what one pipe may have without privileges: a hundred servers stay far below the account's soft limit
/// (64 MiB, pipe(7)), beyond which all new pipes of the account would be small.
#[cfg(target_os = "linux")]
const PIPE_BYTES: usize = 256 * 1024;

#[cfg(target_os = "linux")]
pub(super) fn widen_pipes(child: &tokio::process::Child) {
    if let Some(stdin) = &child.stdin {
        let _ = rustix::pipe::fcntl_setpipe_size(stdin, PIPE_BYTES);
    }
    if let Some(stdout) = &child.stdout {
        let _ = rustix::pipe::fcntl_setpipe_size(stdout, PIPE_BYTES);
    }
}

/// The kernel decides by itself.
#[cfg(not(target_os = "linux"))]
pub(super) fn widen_pipes(_child: &tokio::process::Child) {}

/// A limit of one byte. Linux ignores a limit of 0 where a program takes the core, and heeds this one (core(5)).
pub(crate) fn refuse_core_files() {
    let was = rustix::process::getrlimit(Resource::Core);
    CORE_LIMIT.get_or_init(|| was);
    let current = Some(was.maximum.map_or(1, |most| most.min(1)));
    // Within the hard limit this cannot fail.
    let _ = rustix::process::setrlimit(Resource::Core, Rlimit { current, maximum: was.maximum });
}

pub(crate) fn raise_descriptor_limit() {
    let was = rustix::process::getrlimit(Resource::Nofile);
    let wanted = was.maximum.unwrap_or(MAX_DESCRIPTORS).min(MAX_DESCRIPTORS);
    if was.current.is_some_and(|current| current < wanted) {
        // A limit that stays low shows later as "too many open files", with the number.
        let raised = Rlimit { current: Some(wanted), maximum: was.maximum };
        let _ = rustix::process::setrlimit(Resource::Nofile, raised);
    }
}

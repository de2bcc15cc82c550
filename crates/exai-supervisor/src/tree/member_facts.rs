//! What the kernel tells about each member.

use std::io;
use std::net::SocketAddr;
use std::path::Path;

use exai_os::process::{self, ProcessInfo};
use exai_os::process_facts::{End, PipeId, holds};
use exai_os::tree::Stdio;

/// The pipes between the daemon and a tree. Both ends of a pipe have the same identity, so our end is enough to know
/// it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pipes {
    /// We write to it; the tree reads.
    pub stdin: PipeId,
    /// The tree writes to it; we read.
    pub stdout: PipeId,
}

impl Pipes {
    /// The pipes of these streams. `Unsupported` where the system does not tell.
    pub fn between(stdio: &Stdio) -> io::Result<Self> {
        Ok(Self { stdin: PipeId::of(&stdio.stdin)?, stdout: PipeId::of(&stdio.stdout)? })
    }
}

/// What is known about one member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Its row of the process table.
    pub process: ProcessInfo,
    /// Its arguments, the program first; empty where the system does not tell. They may hold secrets.
    pub args: Vec<String>,
    /// The file it executes.
    pub exe: Option<String>,
    /// Whether that file belongs to a Python virtual environment: a `pyvenv.cfg` is next to it, or one folder up.
    pub in_venv: bool,
    /// Whether it can read what we write; `None` where the system does not tell.
    pub stdin: Option<bool>,
    /// Whether it can write what we read; `None` where the system does not tell.
    pub stdout: Option<bool>,
}

/// Looks at each member. This takes about ten system calls for a member that has our pipes as its stdio, and one more
/// for each descriptor of any other member. A member that ended meanwhile has no facts beyond its row of the table.
/// Without `pipes` no member is searched for them.
pub fn look(members: &[ProcessInfo], pipes: Option<Pipes>) -> Vec<Facts> {
    members.iter().map(|process| facts(process, pipes)).collect()
}

fn facts(process: &ProcessInfo, pipes: Option<Pipes>) -> Facts {
    let ends = pipes
        .and_then(|pipes| holds(process.pid, [(pipes.stdin, End::Read), (pipes.stdout, End::Write)]).ok());
    let exe = process::executable(process.pid).ok();
    Facts {
        args: process::command_line(process.pid).unwrap_or_default(),
        in_venv: exe.as_deref().is_some_and(is_in_venv),
        exe: exe.map(|exe| exe.to_string_lossy().into_owned()),
        stdin: ends.map(|[stdin, _]| stdin),
        stdout: ends.map(|[_, stdout]| stdout),
        process: process.clone(),
    }
}

fn is_in_venv(exe: &Path) -> bool {
    exe.ancestors().skip(1).take(2).any(|folder| folder.join("pyvenv.cfg").is_file())
}

/// The members that hold the socket which gets connections to `addr`. There are several when a server forked after it
/// had bound. A member that this account may not look into counts as none.
pub fn listeners(members: &[ProcessInfo], addr: SocketAddr) -> io::Result<Vec<u32>> {
    let mut found = Vec::new();
    for member in members {
        match exai_os::port::is_listening(addr, member.pid) {
            Ok(true) => found.push(member.pid),
            Ok(false) => {}
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

//! `daemon.json`: the daemon's process id and health record. Written by the lock holder only.

use std::io;

use exai_config::Home;
use exai_os::process::ProcessInfo;
use exai_proto::documents::{DaemonRecord, Identity, Launcher, SCHEMA};

use crate::status::About;

/// Writes the record.
pub(crate) fn write(home: &Home, about: &About) -> io::Result<()> {
    let identity = about.identity.clone();
    let record = DaemonRecord {
        schema: SCHEMA,
        pid: about.pid,
        instance: about.instance.clone(),
        identity: Identity { boot: identity.boot, pid: identity.pid, start: identity.start },
        started_at: about.started_at.to_string(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        exe: about.exe.clone(),
        launchers: about.launchers.clone(),
        listeners: about.bound(),
    };
    let text = serde_json::to_vec_pretty(&record).map_err(io::Error::other)?;
    exai_os::private::write_atomic(&home.daemon_record(), &text)
}

/// Removes the record, if it is this daemon's.
pub(crate) fn remove(home: &Home, about: &About) -> io::Result<()> {
    let path = home.daemon_record();
    let bytes = match exai_os::private::read(&path, 1 << 20) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let ours =
        serde_json::from_slice::<DaemonRecord>(&bytes).is_ok_and(|record| record.instance == about.instance);
    if ours { exai_os::private::remove(&path) } else { Ok(()) }
}

/// The processes above this one, nearest first, as far as they can be seen.
pub(crate) fn launchers() -> Vec<Launcher> {
    let above = exai_os::process::ancestors(std::process::id()).unwrap_or_default();
    let launcher = |process: ProcessInfo| Launcher {
        pid: process.pid,
        kind: kind_of(&process.name).to_owned(),
        name: process.name,
        alive: true,
    };
    above.into_iter().map(launcher).collect()
}

fn kind_of(name: &str) -> &'static str {
    match name.trim_end_matches(".exe") {
        "sh" | "bash" | "dash" | "zsh" | "fish" | "pwsh" | "powershell" | "cmd" => "shell",
        "exai" => "exai",
        "systemd" | "launchd" | "services" => "service manager",
        _ => "program",
    }
}

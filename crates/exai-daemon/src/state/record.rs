//! `daemon.json`: the daemon's process id and health record. Only the holder of the instance lock writes it.

use std::io;
use std::path::Path;

use exai_config::Home;
use exai_os::local::Endpoint;
use exai_os::process::{self, ProcessInfo};
use exai_proto::documents::{DaemonRecord, Identity, Launcher, SCHEMA};

use exai_supervisor::leftovers::Predecessor;

use crate::state::daemon_info::DaemonInfo;

/// Writes the record.
pub(crate) fn write_record(home: &Home, daemon_info: &DaemonInfo) -> io::Result<()> {
    let text = encode_record(daemon_info)?;
    let path = home.daemon_record();
    match exai_os::private::replace(&path, &text) {
        Err(_) if path.is_dir() => {
            clear_directory(&path)?;
            exai_os::private::replace(&path, &text)
        }
        // The old record is out of date, and takes the room that the new one needs.
        Err(error) if matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) => {
            exai_os::private::remove(&path)?;
            exai_os::private::replace(&path, &text)
        }
        result => result,
    }
}

/// Writes the record if the file differs from it. Returns whether it did.
pub(crate) fn restore_record(home: &Home, daemon_info: &DaemonInfo) -> io::Result<bool> {
    let text = encode_record(daemon_info)?;
    // Anything else in the record's place is replaced, readable or not.
    if exai_os::private::read(&home.daemon_record(), 1 << 20).is_ok_and(|found| found == text) {
        return Ok(false);
    }
    write_record(home, daemon_info).map(|()| true)
}

/// Clears a directory out of the record's place, since a file cannot replace one. A directory that is not empty is renamed.
fn clear_directory(path: &Path) -> io::Result<()> {
    if std::fs::remove_dir(path).is_ok() {
        return Ok(());
    }
    std::fs::rename(path, path.with_extension(format!("{}.aside", crate::state::token::random_hex::<4>())))
}

fn encode_record(daemon_info: &DaemonInfo) -> io::Result<Vec<u8>> {
    let identity = daemon_info.identity.clone();
    let record = DaemonRecord {
        schema: SCHEMA,
        pid: daemon_info.pid,
        instance: daemon_info.instance.clone(),
        identity: Identity { boot: identity.boot, pid: identity.pid, start: identity.start },
        started_at: daemon_info.started_at.to_string(),
        version: exai_os::build::version().to_owned(),
        exe: daemon_info.exe.clone(),
        launchers: daemon_info.launchers.clone(),
        listeners: daemon_info.bound_listeners(),
    };
    serde_json::to_vec_pretty(&record).map_err(io::Error::other)
}

/// Removes the record, if it is this daemon's.
pub(crate) fn remove_record(home: &Home, daemon_info: &DaemonInfo) -> io::Result<()> {
    let path = home.daemon_record();
    let bytes = match exai_os::private::read(&path, 1 << 20) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let ours = serde_json::from_slice::<DaemonRecord>(&bytes)
        .is_ok_and(|record| record.instance == daemon_info.instance);
    if ours { exai_os::private::remove(&path) } else { Ok(()) }
}

/// The daemon that the record names: for a process that has not written the record, the last daemon. `None` if the record
/// cannot be read, or was copied from another state directory.
pub fn last_daemon(home: &Home) -> Option<Predecessor> {
    let bytes = exai_os::private::read(&home.daemon_record(), 1 << 20).ok()?;
    let DaemonRecord { pid, instance, identity, listeners, .. } = serde_json::from_slice(&bytes).ok()?;
    let own = Endpoint::fresh(home.path(), &instance).ok()?.to_string();
    let own = own.strip_suffix(".sock").unwrap_or(&own);
    if !listeners.iter().any(|listener| listener.kind == "local" && listener.addr.starts_with(own)) {
        return None;
    }
    let identity = process::Identity { boot: identity.boot, pid: identity.pid, start: identity.start };
    (identity.pid == pid).then_some(Predecessor { instance, identity })
}

/// The process that started this one and the ancestors of that process, nearest first, as far as they can be seen. A daemon
/// is detached from its parent, so `starter` names the process that started it.
pub(crate) fn find_launchers(starter: Option<u32>) -> Vec<Launcher> {
    let above = match starter {
        Some(pid) => exai_os::process::lineage(pid),
        None => exai_os::process::ancestors(std::process::id()),
    };
    let launcher = |process: ProcessInfo| Launcher {
        pid: process.pid,
        kind: launcher_kind(&process.name).to_owned(),
        name: process.name,
        alive: true,
    };
    above.unwrap_or_default().into_iter().map(launcher).collect()
}

fn launcher_kind(name: &str) -> &'static str {
    match name.trim_end_matches(".exe") {
        "sh" | "bash" | "dash" | "zsh" | "fish" | "pwsh" | "powershell" | "cmd" => "shell",
        "exai" => "exai",
        "systemd" | "launchd" | "services" => "service manager",
        _ => "program",
    }
}

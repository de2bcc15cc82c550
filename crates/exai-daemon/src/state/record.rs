//! `daemon.json`: the daemon's process id and health record. Written by the lock holder only.

use std::io;
use std::path::Path;

use exai_config::Home;
use exai_os::local::Endpoint;
use exai_os::process::{self, ProcessInfo};
use exai_proto::documents::{DaemonRecord, Identity, Launcher, SCHEMA};

use exai_supervisor::leftovers::Predecessor;

use crate::state::daemon_info::DaemonInfo;

/// Writes the record.
pub(crate) fn write(home: &Home, about: &DaemonInfo) -> io::Result<()> {
    let text = text(about)?;
    let path = home.daemon_record();
    match exai_os::private::replace(&path, &text) {
        Err(_) if path.is_dir() => {
            make_room(&path)?;
            exai_os::private::replace(&path, &text)
        }
        // The old one says nothing any more, and takes the room that the new one needs.
        Err(error) if matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) => {
            exai_os::private::remove(&path)?;
            exai_os::private::replace(&path, &text)
        }
        result => result,
    }
}

/// Writes the record unless it is there as it should be. Returns whether it was not.
pub(crate) fn renew(home: &Home, about: &DaemonInfo) -> io::Result<bool> {
    let text = text(about)?;
    // Whatever is there instead, readable or not, is replaced.
    if exai_os::private::read(&home.daemon_record(), 1 << 20).is_ok_and(|found| found == text) {
        return Ok(false);
    }
    write(home, about).map(|()| true)
}

/// A directory in the record's place cannot be written over. One with something in it is set aside.
fn make_room(path: &Path) -> io::Result<()> {
    if std::fs::remove_dir(path).is_ok() {
        return Ok(());
    }
    std::fs::rename(path, path.with_extension(format!("{}.aside", crate::state::token::random_hex::<4>())))
}

fn text(about: &DaemonInfo) -> io::Result<Vec<u8>> {
    let identity = about.identity.clone();
    let record = DaemonRecord {
        schema: SCHEMA,
        pid: about.pid,
        instance: about.instance.clone(),
        identity: Identity { boot: identity.boot, pid: identity.pid, start: identity.start },
        started_at: about.started_at.to_string(),
        version: exai_os::build::version().to_owned(),
        exe: about.exe.clone(),
        launchers: about.launchers.clone(),
        listeners: about.bound(),
    };
    serde_json::to_vec_pretty(&record).map_err(io::Error::other)
}

/// Removes the record, if it is this daemon's.
pub(crate) fn remove(home: &Home, about: &DaemonInfo) -> io::Result<()> {
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

/// The daemon that the record names: the last one, for who has not written it. A record that was copied from another
/// state directory names none.
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

/// The process that started this one and those above it, nearest first, as far as they can be seen. Who starts a daemon
/// says so: it has no parent that could be asked.
pub(crate) fn launchers(starter: Option<u32>) -> Vec<Launcher> {
    let above = match starter {
        Some(pid) => exai_os::process::lineage(pid),
        None => exai_os::process::ancestors(std::process::id()),
    };
    let launcher = |process: ProcessInfo| Launcher {
        pid: process.pid,
        kind: kind_of(&process.name).to_owned(),
        name: process.name,
        alive: true,
    };
    above.unwrap_or_default().into_iter().map(launcher).collect()
}

fn kind_of(name: &str) -> &'static str {
    match name.trim_end_matches(".exe") {
        "sh" | "bash" | "dash" | "zsh" | "fish" | "pwsh" | "powershell" | "cmd" => "shell",
        "exai" => "exai",
        "systemd" | "launchd" | "services" => "service manager",
        _ => "program",
    }
}

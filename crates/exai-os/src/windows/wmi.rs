//! Windows' management service (WMI) starts programs as its own children: they are in no job of the process that
//! asks.

use std::io;
use std::path::Path;
use std::sync::mpsc::sync_channel;
use std::time::Instant;

use windows_sys::Win32::System::Threading::{CREATE_BREAKAWAY_FROM_JOB, DETACHED_PROCESS};
use wmi::{Variant, WMIConnection, WMIError, WMIResult};

/// Starts a program with this command line there, without a console, and says its process id.
pub(super) fn start(line: String, cwd: &Path, deadline: Instant) -> io::Result<u32> {
    let cwd = cwd.to_string_lossy().into_owned();
    let (sender, answer) = sync_channel(1);
    // COM has no deadlines. A call that never returns keeps this thread until the process ends.
    std::thread::Builder::new().name("wmi".to_owned()).spawn(move || {
        // The caller may have stopped waiting.
        let _ = sender.send(create(&line, &cwd).map_err(|error| error.to_string()));
    })?;
    let left = deadline.saturating_duration_since(Instant::now());
    let answer = answer.recv_timeout(left).map_err(|_| "it does not answer".to_owned());
    match answer.and_then(|answer| answer) {
        Ok(Created { refusal: 0, pid }) => Ok(pid),
        Ok(Created { refusal, .. }) => {
            let sentence = match refusal {
                2 => "it denies access".to_owned(),
                3 => "it lacks a privilege".to_owned(),
                number => format!("it refused with {number}"),
            };
            Err(io::Error::other(sentence))
        }
        Err(sentence) => Err(io::Error::other(sentence)),
    }
}

/// What `Win32_Process.Create` says.
struct Created {
    /// Zero when it has worked.
    refusal: u32,
    pid: u32,
}

fn create(line: &str, cwd: &str) -> WMIResult<Created> {
    let service = WMIConnection::new()?;
    // Its own job has quotas. Where it does not let processes leave, these quotas are the smaller evil.
    let created = create_with(&service, line, cwd, DETACHED_PROCESS | CREATE_BREAKAWAY_FROM_JOB)?;
    if created.refusal == 0 {
        return Ok(created);
    }
    create_with(&service, line, cwd, DETACHED_PROCESS)
}

fn create_with(service: &WMIConnection, line: &str, cwd: &str, flags: u32) -> WMIResult<Created> {
    const CLASS: &str = "Win32_Process";
    let method = service.get_object(CLASS)?.get_method("Create")?;
    let arguments = method.ok_or(WMIError::ResultEmpty)?.spawn_instance()?;
    arguments.put_property("CommandLine", line.to_owned())?;
    arguments.put_property("CurrentDirectory", cwd.to_owned())?;
    // Wine has no such class, and no service either: what it starts is a child of ours.
    if !crate::build::under_wine() {
        let startup = service.get_object("Win32_ProcessStartup")?.spawn_instance()?;
        startup.put_property("CreateFlags", flags)?;
        arguments.put_property("ProcessStartupInformation", Variant::Object(startup))?;
    }
    let out = service.exec_method(CLASS, "Create", Some(&arguments))?.ok_or(WMIError::ResultEmpty)?;
    let number = |name: &str| match out.get_property(name) {
        Ok(Variant::UI4(value)) => Some(value),
        _ => None,
    };
    // Who was refused has no process, and a process without a number cannot be.
    let refusal = number("ReturnValue").ok_or(WMIError::ResultEmpty)?;
    Ok(Created { refusal, pid: number("ProcessId").unwrap_or_default() })
}

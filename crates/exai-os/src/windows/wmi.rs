//! Windows' management service (WMI) starts programs as children of its own: they are in no job of whoever asks.

use std::io;
use std::path::Path;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use windows_sys::Win32::System::Threading::DETACHED_PROCESS;
use wmi::{Variant, WMIConnection, WMIError, WMIResult};

/// The service may have to be started itself.
const ANSWER: Duration = Duration::from_secs(10);

/// Starts a program with this command line there, without a console, and says its process id.
pub(super) fn start(line: String, cwd: &Path) -> io::Result<u32> {
    let cwd = cwd.to_string_lossy().into_owned();
    let (sender, answer) = sync_channel(1);
    // COM has no deadlines. A call that never returns keeps this thread until the process ends.
    std::thread::Builder::new().name("wmi".to_owned()).spawn(move || {
        // Nobody may wait any more.
        let _ = sender.send(create(line, cwd).map_err(|error| error.to_string()));
    })?;
    let answer = answer.recv_timeout(ANSWER).map_err(|_| "it does not answer".to_owned());
    match answer.and_then(|answer| answer) {
        Ok((0, pid)) => Ok(pid),
        Ok((refusal, _)) => Err(io::Error::other(format!("it refused with {refusal}"))),
        Err(sentence) => Err(io::Error::other(sentence)),
    }
}

/// The return value of `Win32_Process.Create`, which is zero when it has worked, and the process id.
fn create(line: String, cwd: String) -> WMIResult<(u32, u32)> {
    const CLASS: &str = "Win32_Process";
    let service = WMIConnection::new()?;
    let method = service.get_object(CLASS)?.get_method("Create")?;
    let arguments = method.ok_or(WMIError::ResultEmpty)?.spawn_instance()?;
    arguments.put_property("CommandLine", line)?;
    arguments.put_property("CurrentDirectory", cwd)?;
    // Wine has no such class, and no service either: what it starts is a child of ours.
    if let Ok(startup) = service.get_object("Win32_ProcessStartup") {
        let startup = startup.spawn_instance()?;
        startup.put_property("CreateFlags", DETACHED_PROCESS)?;
        arguments.put_property("ProcessStartupInformation", Variant::Object(startup))?;
    }
    let out = service.exec_method(CLASS, "Create", Some(&arguments))?.ok_or(WMIError::ResultEmpty)?;
    let number = |name: &str| -> WMIResult<u32> {
        match out.get_property(name)? {
            Variant::UI4(value) => Ok(value),
            // There is no process without one; a refusal has no process.
            _ => Ok(u32::MAX),
        }
    };
    Ok((number("ReturnValue")?, number("ProcessId")?))
}

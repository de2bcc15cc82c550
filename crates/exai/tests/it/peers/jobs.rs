//! The daemon outlives the program that starts it, whatever jobs the program is in. If it could not, exai does not
//! start it and says so.
//!
//! The daemon also keeps no pipe of that program open: a program that reads such a pipe to its end must come to the
//! end.
//!
//! The program is a Python script that puts itself into jobs and then calls exai, as terminals and MCP clients do.

use std::process::{Command, Stdio};

use exai_os::process::{self, Identity};
use exai_test::{eventually, program};
use serde_json::{Value, json};

use crate::support::{Instance, LIMIT, text};

/// Puts itself into one job for each argument before `--`, the outermost first, and runs the command after `--`. An
/// argument holds flags of its job. `k`: closing the job, which happens when this script ends, ends all processes in
/// it. `b`: processes may leave the job if they ask to. `s`: new processes leave the job without asking; only exai
/// itself is put into it.
const CLIENT: &str = "
import ctypes, subprocess, sys
from ctypes import wintypes
kernel = ctypes.WinDLL('kernel32', use_last_error=True)
kernel.CreateJobObjectW.restype = kernel.GetCurrentProcess.restype = wintypes.HANDLE
kernel.SetInformationJobObject.argtypes = [wintypes.HANDLE, ctypes.c_int, ctypes.c_void_p, wintypes.DWORD]
kernel.AssignProcessToJobObject.argtypes = [wintypes.HANDLE, wintypes.HANDLE]
class Limits(ctypes.Structure):
    _fields_ = [('times', ctypes.c_int64 * 2), ('flags', wintypes.DWORD), ('rest', ctypes.c_size_t * 40)]
SIZE = 144  # of JOBOBJECT_EXTENDED_LIMIT_INFORMATION
at = sys.argv.index('--')
jobs = []
for switches in sys.argv[1:at]:
    job = kernel.CreateJobObjectW(None, None)
    limits = Limits(flags=0x2000 * ('k' in switches) | 0x800 * ('b' in switches) | 0x1000 * ('s' in switches))
    assert kernel.SetInformationJobObject(job, 9, ctypes.byref(limits), SIZE), ctypes.get_last_error()
    assert kernel.AssignProcessToJobObject(job, kernel.GetCurrentProcess()), ctypes.get_last_error()
    jobs.append((switches, job))
SUSPENDED = 4
child = subprocess.Popen(sys.argv[at + 1:], stdin=subprocess.DEVNULL, creationflags=SUSPENDED)
process = wintypes.HANDLE(int(child._handle))
for switches, job in jobs:
    if 's' in switches: # it is not in there by itself
        assert kernel.AssignProcessToJobObject(job, process), ctypes.get_last_error()
ctypes.WinDLL('ntdll').NtResumeProcess(process)
sys.exit(child.wait())
";

/// Runs `exai start` by a client in such jobs, and waits for the client's end. Returns the exit code and the output.
fn started_within(instance: &Instance, jobs: &[&str]) -> (Option<i32>, String) {
    let mut client = Command::new("python");
    client.args(["-c", CLIENT]).args(jobs).arg("--").arg(program("exai")).arg("start");
    client.env("EXAI_HOME", instance.home()).stdin(Stdio::null());
    if exai_os::build::under_wine() && jobs.first().is_some_and(|outer| *outer == "k") {
        // Wine does not say whether a job ends its processes, so here exai must treat the question as failed.
        client.env("EXAI_FAILPOINTS", "daemon.job=error");
    }
    let output = client.output().expect("Python is on PATH");
    (output.status.code(), text(&[output.stdout, output.stderr].concat()))
}

/// A client whose children inherit another pipe besides their stdio. It reads both to their ends.
const LEAKING: &str = "
import os, subprocess, sys
read, write = os.pipe()
os.set_inheritable(write, True)
started = subprocess.run(sys.argv[1:], close_fds=False, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=30)
os.close(write)
assert os.read(read, 1) == b'', 'nobody writes'
sys.exit(started.returncode)
";

#[test]
fn a_client_that_leaks_a_pipe_comes_to_its_end_while_the_daemon_lives() {
    let instance = Instance::new("");
    let mut client = Command::new("python");
    client.args(["-c", LEAKING]).arg(program("exai")).arg("start");
    client.env("EXAI_HOME", instance.home()).stdin(Stdio::null());
    let mut client = client.spawn().expect("Python is on PATH");
    eventually("it has read both pipes to their ends", LIMIT, || {
        client.try_wait().expect("it can be waited for").is_some()
    });
    assert!(client.wait().expect("it has ended").success());
    instance.ends(0, &["status"]);
}

/// The daemon after its starter has ended, and the way in which it was detached.
fn survivor(instance: &Instance) -> (Identity, Value) {
    let status = instance.status();
    let pid = status["daemon"]["pid"].as_u64().unwrap_or_else(|| panic!("no daemon: {status}")) as u32;
    let identity = process::identify(pid).expect("the process table").expect("it lives");
    (identity, status["daemon"]["detached"].clone())
}

#[test]
fn a_daemon_leaves_a_job_that_lets_it_go() {
    let instance = Instance::new("");
    let (code, said) = started_within(&instance, &["kb"]);
    assert_eq!(code, Some(0), "{said}");
    let (daemon, detached) = survivor(&instance);
    // Windows itself may have put all processes into a job.
    let apart = match detached["job"].as_str() {
        Some("none") => {
            assert_eq!(detached["way"], "breakaway");
            "apart    left its starter's job; it is in "
        }
        job => {
            assert_eq!((&detached["way"], job), (&json!("wmi"), Some("within")));
            "; it is in "
        }
    };
    assert!(instance.ends(0, &["status"]).contains(apart));
    assert_eq!(survivor(&instance).0, daemon, "it is still the same");
}

#[test]
fn a_daemon_whose_starter_is_in_no_job_has_none_to_leave() {
    let instance = Instance::new("");
    let (code, said) = started_within(&instance, &[]);
    assert_eq!(code, Some(0), "{said}");
    // These are the ways without a job of the client. Windows itself may still have put all processes into a job.
    let way = survivor(&instance).1["way"].clone();
    assert!(["alone", "wmi"].iter().any(|expected| way == *expected), "{way}");
}

/// WMI starts processes outside of all jobs. Under Wine it does not, and then exai must not start the daemon.
fn gets_out_by_wmi_or_is_not_started(jobs: &[&str]) {
    let instance = Instance::new("");
    let (code, said) = started_within(&instance, jobs);
    if exai_os::build::under_wine() {
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("would end with the program that starts it"), "{said}");
        assert!(said.contains("what it starts is in a job that would end it as well"), "{said}");
        assert!(said.contains("`exai start` in the Run dialog"), "{said}");
        instance.ends(3, &["status"]);
    } else {
        assert_eq!(code, Some(0), "{said}");
        assert_eq!(survivor(&instance).1["way"], "wmi");
    }
}

#[test]
fn a_daemon_gets_out_of_a_job_that_keeps_its_processes_or_is_not_started() {
    gets_out_by_wmi_or_is_not_started(&["k"]);
}

/// Windows reports success even when a process has left only the inner job.
#[test]
fn a_job_around_the_job_is_seen() {
    gets_out_by_wmi_or_is_not_started(&["k", "kb"]);
}

/// The jobs of Claude Desktop: the outer job belongs to its package and ends no process, but the package can only be
/// updated when the job has no other process. The inner job is the one that the runtime gives to all children.
#[test]
fn leaving_a_job_within_another_is_not_enough() {
    let instance = Instance::new("");
    let (code, said) = started_within(&instance, &["", "kb"]);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(survivor(&instance).1["way"], "wmi");
}

/// WMI may still be the better way, since an outer job may exist that does not show. (Under Wine, WMI starts nothing.)
#[test]
fn a_job_that_keeps_its_processes_and_ends_nobody_does_no_harm() {
    let instance = Instance::new("");
    let (code, said) = started_within(&instance, &[""]);
    assert_eq!(code, Some(0), "{said}");
    let (_, detached) = survivor(&instance);
    assert_eq!(detached["way"], "wmi");
    assert_ne!(detached["job"], "ends-with-it");
}

/// The launchers of Python and of uv make such jobs.
#[test]
fn a_job_that_only_lets_go_who_does_not_ask_is_left() {
    let instance = Instance::new("");
    let (code, said) = started_within(&instance, &["ks"]);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(survivor(&instance).1["way"], "breakaway");
}

//! The kernel's figures about a daemon. Only Linux is asked for descriptors, threads and the peak of memory.

use exai_os::process;

use crate::support::Instance;

/// The pid of a daemon.
pub(super) struct Process(u64);

/// The resources that a daemon uses at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Uses {
    pub(super) rss_kib: u64,
    pub(super) descriptors: Option<u64>,
    pub(super) threads: Option<u64>,
}

impl Process {
    pub(super) fn of(instance: &Instance) -> Self {
        Process(instance.status()["daemon"]["pid"].as_u64().expect("a daemon"))
    }

    /// A number from the daemon's file `/proc/PID/status`.
    fn status(&self, key: &str) -> u64 {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.0)).expect("the daemon lives");
        let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
        let number = line.and_then(|line| line.split_ascii_whitespace().next()?.parse().ok());
        number.unwrap_or_else(|| panic!("no {key} in {text}"))
    }

    pub(super) fn uses(&self) -> Uses {
        if !cfg!(target_os = "linux") {
            let all = process::snapshot().expect("the process table");
            let daemon = all.iter().find(|one| u64::from(one.pid) == self.0).expect("the daemon lives");
            return Uses { rss_kib: daemon.rss_bytes / 1024, descriptors: None, threads: None };
        }
        let descriptors =
            std::fs::read_dir(format!("/proc/{}/fd", self.0)).expect("the daemon lives").count();
        Uses {
            rss_kib: self.status("VmRSS"),
            descriptors: Some(descriptors as u64),
            threads: Some(self.status("Threads")),
        }
    }

    /// The peak of resident memory, in KiB, since [`Process::forget_peak`].
    pub(super) fn peak_kib(&self) -> u64 {
        self.status("VmHWM")
    }

    pub(super) fn forget_peak(&self) {
        std::fs::write(format!("/proc/{}/clear_refs", self.0), "5").expect("it is our process");
    }
}

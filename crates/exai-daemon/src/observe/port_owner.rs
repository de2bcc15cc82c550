//! The owner of a port that the daemon wants. The owner is named and never touched.

use std::fmt;
use std::io;
use std::net::SocketAddr;

use exai_os::{port, process};

use crate::observe::redacted_command::{RedactedCommand, is_earlier_daemon};

/// The owner of the connections to an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PortOwner {
    /// No process listens there. (A port can be bound without that.)
    Nobody,
    /// A process of this account, or one that the system lets this account look into.
    Process {
        /// Its process id.
        pid: u32,
        /// Program and script, without arguments.
        name: String,
        /// Whether it is the daemon that exai replaces.
        earlier: bool,
    },
    /// A process that the system does not name to this account.
    OtherAccount,
    /// The system does not tell. The reason, in words.
    Unknown(String),
}

impl PortOwner {
    /// Asks the system. Reads the descriptors of all processes, which takes milliseconds, and more on a machine with many.
    pub fn of(addr: SocketAddr) -> PortOwner {
        match port::owner(addr) {
            Ok(Some(pid)) => PortOwner::process(pid),
            Ok(None) => PortOwner::Nobody,
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => PortOwner::OtherAccount,
            Err(error) => PortOwner::Unknown(error.to_string()),
        }
    }

    fn process(pid: u32) -> PortOwner {
        let args = process::command_line(pid).unwrap_or_default();
        let name = RedactedCommand::of(&args).map(|essence| essence.shown()).or_else(|| {
            let all = process::snapshot().unwrap_or_default();
            all.into_iter().find(|process| process.pid == pid).map(|process| process.name)
        });
        let name = name.unwrap_or_else(|| "a process".to_owned());
        PortOwner::Process { pid, name, earlier: is_earlier_daemon(&args) }
    }

    /// What a person can do about it.
    pub fn remedy(&self, port: u16) -> String {
        let end = match self {
            PortOwner::Process { earlier: true, .. } => {
                "stop the earlier daemon with its own `ws_stop` script".to_owned()
            }
            PortOwner::Process { pid, .. } => format!("end pid {pid} yourself if you do not need it"),
            PortOwner::OtherAccount => "ask the other account's owner to end its program".to_owned(),
            PortOwner::Nobody | PortOwner::Unknown(_) => match port::LISTS_RESERVED {
                Some(command) => format!(
                    "end the program that holds port {port}; if `{command}` lists it, the system keeps it for itself"
                ),
                None => format!("end the program that holds port {port}"),
            },
        };
        format!("{end}, or set another `port` in config.toml; a port that becomes free is taken within 5 s")
    }
}

impl fmt::Display for PortOwner {
    /// Completes "it is held by …".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PortOwner::Nobody => f.write_str("a program that does not listen"),
            PortOwner::Process { pid, name, earlier } => {
                write!(f, "{name} (pid {pid})")?;
                if *earlier { f.write_str(": the earlier EXAI daemon, in Python") } else { Ok(()) }
            }
            PortOwner::OtherAccount => {
                f.write_str("a process of another account, which the system does not name to this one")
            }
            PortOwner::Unknown(why) => write!(f, "a program that could not be found out ({why})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_is_named_as_far_as_can_be() {
        let python =
            PortOwner::Process { pid: 7, name: "python3 run_ws_daemon.py".to_owned(), earlier: true };
        assert_eq!(
            python.to_string(),
            "python3 run_ws_daemon.py (pid 7): the earlier EXAI daemon, in Python"
        );
        assert!(python.remedy(8079).contains("ws_stop"));
        let other = PortOwner::OtherAccount;
        assert!(other.to_string().contains("does not name") && !other.remedy(1).contains("pid"));
    }
}

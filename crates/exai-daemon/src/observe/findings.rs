//! The findings of the status document: what is wrong, as far as the daemon knows.

use std::net::SocketAddr;

use exai_mux::account;
use exai_mux::view::HealthView;
use exai_os::detach::Bond;
use exai_proto::documents::{Detached, Finding};

use crate::observe::facts::Facts;
use crate::observe::port_owner::PortOwner;
use crate::state::daemon_info::Tcp;

impl Facts {
    /// All findings.
    pub(crate) fn findings(&self) -> Vec<Finding> {
        let tcp = self.daemon.tcp();
        let missing = tcp.iter().filter_map(|tcp| match tcp {
            Tcp::Open(_) => None,
            Tcp::Missing { addr, reason } => Some(port_held(*addr, reason)),
        });
        let configured: Vec<&str> = self.servers.iter().map(|server| &*server.name).collect();
        let choices = self.config.clients.iter().flat_map(|(name, client)| {
            client.likely_mistakes(&configured).into_iter().map(move |words| Finding {
                id: "client-choice".to_owned(),
                severity: "warn".to_owned(),
                detail: format!("[clients.{name:?}] in config.toml: {words}"),
                fix: Some(format!(
                    "correct it, or add that server; `exai tools --client {name:?}` shows what it sees"
                )),
            })
        });
        let failed = self.servers.iter().filter_map(|server| {
            let why = server.health.why()?;
            let held = matches!(server.health, HealthView::Failed(_));
            let more = why.command(&server.name);
            let again =
                (held || more.is_none()).then(|| format!("exai restart {}", account::split(&server.name).0));
            let fix: Vec<String> = more.into_iter().chain(again).collect();
            let detail = format!("server \"{}\" {}", server.name, why.reason);
            let fix = Some(fix.join(", then "));
            Some(match server.health {
                HealthView::SignedOut(_) => {
                    Finding { id: "server-signed-out".to_owned(), severity: "warn".to_owned(), detail, fix }
                }
                HealthView::Well | HealthView::Resting(_) | HealthView::Failed(_) => {
                    Finding { id: "server-failed".to_owned(), severity: "error".to_owned(), detail, fix }
                }
            })
        });
        let lists = self.servers.iter().flat_map(|server| {
            server.lists.iter().map(|words| Finding {
                id: "server-list".to_owned(),
                severity: "warn".to_owned(),
                detail: format!("server \"{}\" {words}", server.name),
                fix: Some(format!("exai logs {}", account::split(&server.name).0)),
            })
        });
        let garbled = self.garbles.iter().map(|(server, garble)| Finding {
            id: "server-garbled".to_owned(),
            severity: "warn".to_owned(),
            detail: match garble.times {
                1 => format!("{} {}", garble.id, garble.first),
                times => format!("{} {} ({times} times)", garble.id, garble.first),
            },
            fix: Some(format!("exai logs {}", account::split(server).0)),
        });
        let unexpected = self.monitor.unexpected().into_iter().map(|one| Finding {
            id: format!("unexpected-{}", one.kind),
            severity: "warn".to_owned(),
            detail: format!("pid {}: {}", one.pid, one.reason),
            fix: Some("exai ps".to_owned()),
        });
        let detached = &self.daemon.detached;
        let slow = low_priority(detached, exai_os::inherited_state::niceness());
        let bonds = if detached.in_passing() { exai_os::detach::bonds() } else { Vec::new() };
        let low = low_limits(&exai_os::inspect::limits().shortages());
        let own = self.daemon.config.findings().into_iter().chain(slow).chain(low);
        let own = own.chain(bonds.into_iter().map(not_apart));
        let own = own.chain(unwritten(&self.monitor.unwritten()));
        let own = own.chain(self.daemon.admission.named.finding());
        own.chain(missing)
            .chain(failed)
            .chain(choices)
            .chain(lists)
            .chain(garbled)
            .chain(unexpected)
            .collect()
    }
}

/// The finding that records of trees cannot be written.
fn unwritten(unwritten: &[(String, String)]) -> Option<Finding> {
    let (_, error) = unwritten.first()?;
    let ids: Vec<&str> = unwritten.iter().map(|(id, _)| id.as_str()).collect();
    Some(Finding {
        id: "record-unwritten".to_owned(),
        severity: "warn".to_owned(),
        detail: format!(
            "the record of {} cannot be written ({error}); its processes are watched all the same, and it is tried again \
             every second",
            ids.join(", ")
        ),
        fix: Some(
            "make room on the disk of the state directory; `exai doctor` says how much there is".to_owned(),
        ),
    })
}

/// The finding that a daemon which was started in passing could not put back a nice value.
fn low_priority(detached: &Detached, nice: i32) -> Option<Finding> {
    (detached.in_passing() && nice > 0).then(|| Finding {
        id: "low-priority".to_owned(),
        severity: "warn".to_owned(),
        detail: format!(
            "the daemon and its servers run with the nice value {nice} of the program that happened to start the daemon, \
             and may not take a better one"
        ),
        fix: Some("exai restart".to_owned()),
    })
}

/// How to raise limits that are too low: the command first.
pub const RAISE_LIMITS: &str = "`exai restart` in an ordinary terminal; where that has no more, raise the hard limits (`ulimit -Ha` shows \
                                them, limits.conf or the service's Limit… sets them)";

/// The finding that the daemon could not raise the limits of its starter.
fn low_limits(shortages: &[String]) -> Option<Finding> {
    (!shortages.is_empty()).then(|| Finding {
        id: "low-limits".to_owned(),
        severity: "warn".to_owned(),
        detail: format!(
            "the daemon and its servers may have no more than {}: limits of the program that started the daemon, which it \
             may not raise; servers may fail",
            shortages.join(", ")
        ),
        fix: Some(RAISE_LIMITS.to_owned()),
    })
}

/// The finding that another program may end a daemon that was started in passing, together with its own processes.
fn not_apart(bond: Bond) -> Finding {
    let (is_certain, detail, fix) = match bond {
        Bond::Adopter { pid, name } => (
            true,
            format!(
                "the daemon descends from {name} (pid {pid}), which takes over what its own processes leave behind: if it \
                 ends all that descends from it, it ends the daemon and the servers of all clients"
            ),
            format!("`exai restart` in a terminal that {name} has not started"),
        ),
        Bond::Group { path, is_unit } => {
            let detail = format!(
                "the daemon is in the control group {path}, and so are its servers: {}",
                if is_unit {
                    "systemd ends such a group as a whole when it stops it"
                } else {
                    "if somebody ends that as a whole, they end as well"
                }
            );
            (
                is_unit,
                detail,
                "`exai restart` in a terminal outside of that group, or from anywhere once `systemctl --user status` \
                 answers"
                    .to_owned(),
            )
        }
    };
    Finding {
        id: "not-apart".to_owned(),
        severity: if is_certain { "warn" } else { "info" }.to_owned(),
        detail,
        fix: Some(fix),
    }
}

/// The finding that an address could not be bound, with the process that holds it. Reads all processes.
fn port_held(addr: SocketAddr, reason: &str) -> Finding {
    let holder = PortOwner::of(addr);
    let who = match &holder {
        PortOwner::Nobody => "no program listens there; it is tried again every 2 s".to_owned(),
        holder => format!("it is held by {holder}"),
    };
    Finding {
        id: "port-held".to_owned(),
        severity: "warn".to_owned(),
        detail: format!(
            "{addr} could not be bound ({reason}): {who}; shims are not affected, ws:// and http:// clients are"
        ),
        fix: Some(format!("{}; see docs/troubleshooting.md#port-held", holder.remedy(addr.port()))),
    }
}

//! Which process listens on the daemon's TCP port, as the kernel tells.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use exai_config::DEFAULT_PORT;
use exai_daemon::port_owner::PortOwner;
use exai_os::port;
use exai_proto::documents::Listener;

use super::outcome::{CheckOutcome, listed};
use super::scene::{Record, Scene};

pub(super) fn port(scene: &Scene) -> CheckOutcome {
    let wanted = scene.config.as_ref().map_or(DEFAULT_PORT, |config| config.daemon.port.value);
    match scene.daemon_pid() {
        Some(_) if scene.is_elsewhere() => super::daemon::elsewhere(),
        Some(pid) => of_daemon(scene, pid, wanted),
        None if wanted == 0 => CheckOutcome::pass("any free port will do (`port = 0`)"),
        None => without_daemon(wanted),
    }
}

fn of_daemon(scene: &Scene, pid: u32, wanted: u16) -> CheckOutcome {
    let listeners: &[Listener] =
        match (scene.status().and_then(|status| status.daemon.as_ref()), &scene.record) {
            (Some(daemon), _) => &daemon.listeners,
            (None, Record::Found(record)) => &record.listeners,
            (None, Record::Missing | Record::Broken(_)) => {
                return CheckOutcome::skip(format!(
                    "the daemon (pid {pid}) has not said where it listens; see `daemon-answers`"
                ));
            }
        };
    let tcp = listeners.iter().filter(|listener| listener.kind == "tcp");
    let bound: Vec<SocketAddr> = tcp.filter_map(|listener| listener.addr.parse().ok()).collect();
    let held: Vec<(SocketAddr, PortOwner)> =
        if wanted == 0 { Vec::new() } else { held_by_others(wanted, pid, &bound) };
    if let Some((_, holder)) = held.first() {
        let all: Vec<String> =
            held.iter().map(|(addr, holder)| format!("{addr} is held by {holder}")).collect();
        let detail = format!("{}; shims are not affected, ws:// and http:// clients are", listed(&all));
        return CheckOutcome::warn(detail).fix(holder.remedy(wanted));
    }
    let mut shown = Vec::new();
    for addr in bound {
        match port::is_listening(addr, pid) {
            Ok(true) => shown.push(format!("{addr} by pid {pid}")),
            Ok(false) => {
                let holder = PortOwner::of(addr);
                return CheckOutcome::fail(format!(
                    "the daemon claims {addr}, and the system says: {holder}"
                ))
                .fix("exai restart");
            }
            Err(error) => shown.push(format!("{addr}, unconfirmed ({error})")),
        }
    }
    if shown.is_empty() {
        return CheckOutcome::warn(
            "the daemon listens on no TCP port; shims are not affected, ws:// and http:// clients are",
        )
        .fix("look again in a few seconds: a port that becomes free is taken within 5 s");
    }
    CheckOutcome::pass(format!("bound by our daemon, by the system's word: {}", listed(&shown)))
}

/// The loopback addresses with this port that another process has bound and the daemon has not.
fn held_by_others(port: u16, daemon: u32, bound: &[SocketAddr]) -> Vec<(SocketAddr, PortOwner)> {
    let missing = loopback(port).into_iter().filter(|addr| !bound.contains(addr));
    let held = missing.map(|addr| (addr, PortOwner::of(addr)));
    held.filter(|(_, holder)| match holder {
        PortOwner::Nobody | PortOwner::Unknown(_) => false,
        PortOwner::Process { pid, .. } => *pid != daemon,
        PortOwner::OtherAccount => true,
    })
    .collect()
}

fn without_daemon(wanted: u16) -> CheckOutcome {
    let held: Vec<(SocketAddr, PortOwner)> = loopback(wanted).map(|addr| (addr, PortOwner::of(addr))).into();
    let by_somebody =
        held.iter().find(|(_, holder)| !matches!(holder, PortOwner::Nobody | PortOwner::Unknown(_)));
    match (by_somebody, held.first()) {
        (Some((addr, holder)), _) => {
            let detail =
                format!("{addr} is held by {holder}; a daemon would run without it, for shims alone");
            CheckOutcome::warn(detail).fix(holder.remedy(wanted))
        }
        (None, Some((_, PortOwner::Unknown(why)))) => {
            CheckOutcome::skip(format!("the system does not say who listens on port {wanted}: {why}"))
        }
        (None, _) => CheckOutcome::pass(format!("port {wanted} is free")),
    }
}

fn loopback(port: u16) -> [SocketAddr; 2] {
    [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)].map(|ip| SocketAddr::new(ip, port))
}

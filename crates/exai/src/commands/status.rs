//! `exai status`

use std::collections::BTreeMap;
use std::time::Instant;

use exai_client::DaemonState;
use exai_client::daemon_record::{process_lives, read_record};
use exai_client::frame::FrameError;
use exai_client::{DaemonConnector, LinkError};
use exai_config::{ServerConfig, last_good};
use exai_proto::documents::{
    Daemon, DaemonRecord, Detached, Finding, Processes, RunState, SCHEMA, Server, ServerState, Status,
};
use exai_proto::exit;
use exai_proto::link::{FromDaemon, ToDaemon};

use super::list::word;
use super::{connector, count, unexpected};
use crate::cli::StatusArgs;
use crate::error::Error;
use crate::printer::Printer;

pub(crate) fn run(args: &StatusArgs, printer: &Printer) -> Result<u8, Error> {
    let status = settle(&connector()?)?;
    if args.json.json {
        printer.json(&status)?;
    } else {
        show(&status, printer)?;
        if args.verbose {
            numbers("counters", &status.counters, printer)?;
            numbers("limits", &status.limits, printer)?;
        }
    }
    Ok(code(status.state))
}

fn code(state: RunState) -> u8 {
    match state {
        RunState::Running | RunState::Starting | RunState::Draining | RunState::Unknown => exit::DONE,
        RunState::Degraded | RunState::Wedged => exit::DEGRADED,
        RunState::Stale | RunState::Stopped => exit::NOT_RUNNING,
    }
}

/// The status of the daemon where it answers; else what can be seen from outside.
fn settle(connector: &DaemonConnector) -> Result<Status, Error> {
    let (state, verdict, record) = match connector.observe()? {
        DaemonState::Answering(mut link) => {
            match link.ask(&ToDaemon::Status, Instant::now() + exai_client::limits::HELLO_TIMEOUT) {
                Ok(FromDaemon::Status { status }) => return Ok(*status),
                Ok(FromDaemon::Bye { .. }) => {
                    (RunState::Draining, "stopping".to_owned(), read_record(connector.home()))
                }
                Ok(FromDaemon::Error { reason }) => return Err(Error::failed(reason)),
                Ok(_) => return Err(unexpected("status")),
                // The daemon answers, and its answer is too long.
                Err(error @ LinkError::Frame(FrameError::TooLong)) => return Err(error.into()),
                Err(error) => {
                    let verdict = format!("wedged; it said hello and then nothing: {error}");
                    (RunState::Wedged, verdict, read_record(connector.home()))
                }
            }
        }
        DaemonState::Refusing { error, .. } => return Err(Error::failed(error.to_string())),
        DaemonState::Starting => {
            let verdict = format!("starting; {} holds the lock and is not ready yet", holder(connector));
            (RunState::Starting, verdict, None)
        }
        DaemonState::Stopping(record) => {
            (RunState::Draining, "stopping; it holds the lock and listens no more".to_owned(), Some(*record))
        }
        DaemonState::Wedged { record, error, .. } => {
            let verdict =
                format!("wedged; {} holds the lock and does not answer: {error}", holder(connector));
            (RunState::Wedged, verdict, Some(*record))
        }
        DaemonState::Stale(record) => {
            let verdict = format!("stopped; a record claims pid {}, and nobody holds the lock", record.pid);
            (RunState::Stale, verdict, Some(*record))
        }
        DaemonState::Absent => (RunState::Stopped, "stopped".to_owned(), None),
    };
    Ok(from_outside(connector, state, verdict, record))
}

/// The holder of the instance lock, in words.
fn holder(connector: &DaemonConnector) -> String {
    connector.holder().map_or_else(|| "it".to_owned(), |pid| format!("pid {pid}"))
}

fn from_outside(
    connector: &DaemonConnector,
    state: RunState,
    verdict: String,
    record: Option<DaemonRecord>,
) -> Status {
    let mut findings = Vec::new();
    let config = exai_config::load(connector.home()).or_else(|error| {
        let detail = super::doctor::invalid_config(connector.home(), &error);
        findings.push(finding("config-invalid", "error", &detail, Some("correct that place")));
        last_good::instead(connector.home()).map(|(config, _)| config)
    });
    let listed = config.iter().flat_map(|config| config.servers.iter());
    let servers = listed.map(|(name, server)| idle(name, server)).collect();
    match state {
        RunState::Wedged => {
            let detail = "the daemon lives and does not answer";
            findings.push(finding("daemon-wedged", "error", detail, Some("exai restart")));
        }
        RunState::Stale => {
            let detail = "a daemon ended without removing its record; the next start replaces it";
            findings.push(finding("record-stale", "info", detail, Some("exai start")));
        }
        RunState::Running
        | RunState::Starting
        | RunState::Draining
        | RunState::Degraded
        | RunState::Stopped
        | RunState::Unknown => {}
    }
    let ended = state == RunState::Stale;
    Status {
        schema: SCHEMA,
        state,
        verdict,
        home: connector.home().path().display().to_string(),
        record: record.as_ref().filter(|_| ended).and_then(|record| serde_json::to_value(record).ok()),
        daemon: record.filter(|_| !ended).map(claimed),
        processes: Processes::default(),
        clients: Vec::new(),
        servers,
        findings,
        elsewhere: None,
        limits: BTreeMap::new(),
        counters: BTreeMap::new(),
    }
}

fn idle(name: &str, server: &ServerConfig) -> Server {
    Server {
        tools: None,
        transport: None,
        name: name.to_owned(),
        state: ServerState::Idle,
        era: None,
        share: server.share.name().to_owned(),
        reason: None,
        stderr_tail: None,
        remote: false,
        via: server.via.as_ref().map(ToString::to_string),
        instances: Vec::new(),
    }
}

fn finding(id: &str, severity: &str, detail: &str, fix: Option<&str>) -> Finding {
    Finding {
        id: id.to_owned(),
        severity: severity.to_owned(),
        detail: detail.to_owned(),
        fix: fix.map(str::to_owned),
    }
}

/// What the record claims about a daemon that lives and does not answer.
fn claimed(record: DaemonRecord) -> Daemon {
    let age = exai_os::process_facts::age(record.identity.start).ok().flatten().unwrap_or_default();
    Daemon {
        identity_verified: process_lives(&record.identity),
        instance: record.instance,
        version: record.version,
        pid: record.pid,
        started_at: record.started_at,
        uptime_s: age.as_secs_f64(),
        exe: record.exe,
        launchers: record.launchers,
        detached: None,
        listeners: record.listeners,
    }
}

fn show(status: &Status, printer: &Printer) -> Result<(), Error> {
    printer.headline(&format!("exai: {}", status.verdict))?;
    printer.faint(&format!("state directory {}", status.home))?;
    if let Some(daemon) = &status.daemon {
        let verified = if daemon.identity_verified { "" } else { ", not verified" };
        let up = duration(daemon.uptime_s);
        printer
            .line(&format!("daemon   pid {}{verified}, version {}, up {up}", daemon.pid, daemon.version))?;
        if let Some(apart) = daemon.detached.as_ref().and_then(apart) {
            printer.line(&format!("apart    {apart}"))?;
        }
        for listener in &daemon.listeners {
            printer.line(&format!("listens  {} {}", listener.kind, listener.addr))?;
        }
    }
    if !status.clients.is_empty() {
        printer.line("")?;
        printer.line("clients")?;
        let rows: Vec<Vec<String>> = status
            .clients
            .iter()
            .map(|client| {
                let name = client.label.as_ref().or(client.name.as_ref()).map_or("-", String::as_str);
                let pid = client.shim_pid.or(client.client_pid);
                let pid = pid.map_or_else(|| "-".to_owned(), |pid| format!("pid {pid}"));
                let calls = count(usize::try_from(client.calls).unwrap_or(usize::MAX), "call");
                let era = client.era.clone().unwrap_or_default();
                let token = client.token.as_ref().map(|token| format!(", token {token}")).unwrap_or_default();
                let transport = format!("{}{token}", client.transport);
                vec![format!("  {}", client.id), name.to_owned(), transport, pid, calls, era]
            })
            .collect();
        printer.table(&rows)?;
    }
    if !status.servers.is_empty() {
        printer.line("")?;
        printer.line("servers")?;
        let rows: Vec<Vec<String>> = status.servers.iter().map(server_row).collect();
        printer.table(&rows)?;
    }
    if let Some(sentence) = &status.elsewhere {
        printer.line("")?;
        printer.line(sentence)?;
    }
    for finding in &status.findings {
        printer.line("")?;
        printer.line(&format!("{} {}: {}", finding.severity, finding.id, finding.detail))?;
        if let Some(fix) = &finding.fix {
            printer.line(&format!("  fix: {fix}"))?;
        }
    }
    Ok(())
}

/// How the daemon is detached from its starter.
fn apart(detached: &Detached) -> Option<String> {
    let way = match &*detached.way {
        "session" => return Some("in a session of its own".to_owned()),
        "manager" => return Some("started by the user's service manager".to_owned()),
        "foreground" if detached.job == "none" => return None,
        "foreground" => "run in the foreground",
        "alone" => "its starter was in no job",
        "breakaway" => "left its starter's job",
        "wmi" => "started by WMI, outside of its starter's job",
        "inside" => "could not leave its starter's job",
        other => other,
    };
    let job = match &*detached.job {
        "none" => "it is in no job of anybody's",
        "within" => "it is in a job, which does not end it as far as Windows shows",
        "ends-with-it" => "it is in a job, and ends with it",
        other => other,
    };
    Some(format!("{way}; {job}"))
}

fn numbers(title: &str, numbers: &BTreeMap<String, u64>, printer: &Printer) -> Result<(), Error> {
    if numbers.is_empty() {
        return Ok(());
    }
    printer.line("")?;
    printer.line(title)?;
    let row = |(name, number): (&String, &u64)| vec![format!("  {name}"), number.to_string()];
    printer.table(&numbers.iter().map(row).collect::<Vec<_>>())
}

fn server_row(server: &Server) -> Vec<String> {
    let processes: u32 = server.instances.iter().map(|instance| instance.processes).sum();
    let bytes: u64 = server.instances.iter().map(|instance| instance.rss_bytes).sum();
    let hosted = match server.instances.len() {
        0 => String::new(),
        number if server.remote => format!("elsewhere, {}", count(number, "conversation")),
        number => {
            let processes = count(processes as usize, "process");
            format!("{}, {processes}, {} MiB", count(number, "instance"), bytes >> 20)
        }
    };
    let via = server.via.as_ref().map(|machine| format!("via ssh on {machine}"));
    let instances =
        via.into_iter().chain((!hosted.is_empty()).then_some(hosted)).collect::<Vec<_>>().join(", ");
    let reason = server.reason.clone().unwrap_or_default();
    vec![format!("  {}", server.name), word(server.state).to_owned(), instances, eras(server), reason]
}

/// The protocol revisions that the instances of a server speak, or that it spoke the last time.
fn eras(server: &Server) -> String {
    let mut eras: Vec<&str> =
        server.instances.iter().filter_map(|instance| instance.era.as_deref()).collect();
    eras.sort_unstable();
    eras.dedup();
    if eras.is_empty() { server.era.clone().unwrap_or_default() } else { eras.join(" and ") }
}

fn duration(seconds: f64) -> String {
    let seconds = std::time::Duration::try_from_secs_f64(seconds).unwrap_or_default().as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds / 3600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_for_people() {
        let cases = [(5.4, "5 s"), (65.0, "1 min 5 s"), (7300.0, "2 h 1 min"), (180_000.0, "2 d 2 h")];
        for (seconds, expected) in cases {
            assert_eq!(duration(seconds), expected);
        }
    }

    #[test]
    fn the_way_is_said_and_that_of_a_job_too() {
        let said = |way: &str, job: &str| apart(&Detached { way: way.to_owned(), job: job.to_owned() });
        assert_eq!(said("foreground", "none"), None);
        assert_eq!(said("session", "none").as_deref(), Some("in a session of its own"));
        let left = "left its starter's job; it is in no job of anybody's";
        assert_eq!(said("breakaway", "none").as_deref(), Some(left));
        let tethered = "run in the foreground; it is in a job, and ends with it";
        assert_eq!(said("foreground", "ends-with-it").as_deref(), Some(tethered));
    }
}

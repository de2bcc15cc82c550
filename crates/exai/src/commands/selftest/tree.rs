//! Two processes, one server: the roles in the tree of a server behind a launcher.

use exai_os::process;
use exai_proto::documents::{Ps, Role};
use serde_json::json;

use super::bench::Bench;
use super::client::Client;
use super::instance::{Instance, below_a_shell, server};
use super::launchers::{self, Found};
use super::outcome::CaseOutcome;
use crate::commands::count;
use crate::limits::SELFTEST_PROOF_TIMEOUT;

/// A server of the instance, and what is known about its tree beforehand.
struct Expected {
    name: &'static str,
    /// At least so many launchers.
    launchers: usize,
    /// Exactly so many helpers; `None` where the launcher may have some of its own.
    helpers: Option<usize>,
    /// Whether a failed start may be the fault of the launcher on this machine.
    may_fail: bool,
}

pub(super) fn run(bench: &Bench) -> CaseOutcome {
    let mut expected = vec![
        Expected { name: "demo", launchers: 1, helpers: None, may_fail: false },
        Expected { name: "children", launchers: 1, helpers: Some(2), may_fail: false },
    ];
    let mut servers =
        below_a_shell(bench, "demo", &[])? + &below_a_shell(bench, "children", &["--children", "2"])?;
    let mut skipped = Vec::new();
    for (name, found) in launchers::find(bench)? {
        match found {
            Found::Usable { command, args, more, launchers } => {
                servers += &server(name, &command, &args, &more);
                expected.push(Expected { name, launchers, helpers: None, may_fail: true });
            }
            Found::Absent { why } => skipped.push(format!("{name}: skipped, {why}")),
        }
    }
    let instance = Instance::new(bench, "tree", &servers)?;
    instance.start()?;
    let mut client = instance.client("selftest")?;
    let mut own_words = Vec::new();
    for one in expected {
        match own_pid(&mut client, one.name) {
            Ok(pid) => own_words.push((one, pid)),
            Err(why) if one.may_fail && !bench.is_interrupted() => {
                skipped.push(format!("{}: skipped, it cannot start a program here: {why}", one.name));
            }
            Err(why) => return Err(why),
        }
    }
    let ps = proven(bench, &instance, &own_words)?;
    let mut lines = Vec::new();
    for (one, pid) in &own_words {
        lines.push(format!("{}: {}", one.name, judge(&ps, one, *pid)?));
    }
    lines.push(budget(&ps)?);
    client.finish()?;
    instance.finish()?;
    lines.push("`exai stop`: none of them is left".to_owned());
    lines.extend(skipped);
    Ok(lines.join("\n"))
}

/// The process id of a server by its own word.
fn own_pid(client: &mut Client<'_>, name: &str) -> Result<u32, String> {
    let said = client.call(&format!("{name}__pid"), &json!({}))?;
    said.parse().map_err(|_| format!("{name} said `{said}` when it was asked for its pid"))
}

/// The processes, once each server was seen at its work or the time for that is over.
fn proven(bench: &Bench, instance: &Instance<'_>, servers: &[(Expected, u32)]) -> Result<Ps, String> {
    let is_proven =
        |ps: &Ps, pid: u32| ps.processes.iter().any(|one| one.pid == pid && one.confirmed == Some(true));
    let all = bench.wait("every server is proven", SELFTEST_PROOF_TIMEOUT, || {
        let ps = instance.ps()?;
        Ok(servers.iter().all(|(_, pid)| is_proven(&ps, *pid)).then_some(ps))
    });
    bench.go_on()?;
    all.or_else(|_| instance.ps())
}

/// Whether the tree of a server is as it must be.
fn judge(ps: &Ps, expected: &Expected, pid: u32) -> CaseOutcome {
    let own = |role: Role| {
        let of = format!("{}#", expected.name);
        let is_own = move |one: &&exai_proto::documents::Process| {
            one.role == role && one.of.as_ref().is_some_and(|id| id.starts_with(&of))
        };
        ps.processes.iter().filter(is_own).collect::<Vec<_>>()
    };
    let servers = own(Role::Server);
    let [server] = &*servers else {
        return Err(format!("{} has {} servers in `exai ps`", expected.name, servers.len()));
    };
    if server.pid != pid {
        return Err(format!(
            "{}: `exai ps` calls pid {} the server, which itself says {pid}",
            expected.name, server.pid
        ));
    }
    let (launchers, helpers) = (own(Role::Launcher).len(), own(Role::Helper).len());
    if launchers < expected.launchers {
        return Err(format!(
            "{}: {launchers} launchers in `exai ps`, there must be {}",
            expected.name, expected.launchers
        ));
    }
    if let Some(wanted) = expected.helpers.filter(|wanted| helpers < *wanted) {
        return Err(format!("{}: {helpers} helpers in `exai ps`, there must be {wanted}", expected.name));
    }
    let of = server.of.as_deref().unwrap_or_default();
    let sentence = ps.explanations.iter().find(|explanation| explanation.of == of);
    let sentence = match sentence {
        Some(explanation) => format!("\"{}\"", explanation.text),
        None if launchers + helpers == 0 => "1 process, which is the server".to_owned(),
        None => return Err(format!("{}: {launchers} launchers and no word about them", expected.name)),
    };
    let listens = server.evidence.iter().find(|evidence| evidence.starts_with("owns the LISTEN socket"));
    let how = match (listens, server.confirmed) {
        (Some(evidence), _) => evidence,
        (None, Some(true)) => "was seen at its work",
        (None, _) => "is presumed by its place",
    };
    Ok(format!("{sentence}; it {how} and says that it is pid {pid}"))
}

/// Whether there are as many processes as there should be, and all that are listed live.
fn budget(ps: &Ps) -> CaseOutcome {
    if let Some(one) = ps.unexpected.first() {
        return Err(format!("unexpected: {} (pid {}) {}", one.kind, one.pid, one.reason));
    }
    if ps.expected != ps.actual {
        return Err(format!("{} processes, {} expected", ps.actual, ps.expected));
    }
    let counted: Vec<_> = ps.processes.iter().filter(|one| one.counted).collect();
    if counted.len() != ps.actual as usize {
        return Err(format!("`exai ps` lists {} processes and counts {}", counted.len(), ps.actual));
    }
    for one in &counted {
        let found = process::identify(one.pid).map_err(|error| format!("pid {}: {error}", one.pid))?;
        if found.is_none() {
            return Err(format!("`exai ps` lists pid {}, which does not live", one.pid));
        }
    }
    let number = |role: Role| counted.iter().filter(|one| one.role == role).count();
    let parts: Vec<String> =
        [Role::Daemon, Role::Shim, Role::Guard, Role::Launcher, Role::Server, Role::Helper]
            .into_iter()
            .map(|role| (number(role), role))
            .filter(|(number, _)| *number > 0)
            .map(|(number, role)| count(number, role.as_str()))
            .collect();
    Ok(format!("{} of {} processes expected: {}", ps.actual, ps.expected, parts.join(", ")))
}

//! A daemon outlives the program that started it. Clients end everything they have started, in each known way.

use std::io::Write as _;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use exai_os::detach::Bond;
use exai_os::process::{self, Kill, Killed};
use exai_test::{eventually, program};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Client, Instance, LIMIT};

/// The property by which a client recognises the processes that it has started.
#[derive(Clone, Copy, Debug)]
enum By<'a> {
    Parent,
    Group,
    Session,
    ControlGroup(&'a Path),
}

/// The processes that a client takes for its own, the client included.
fn own(client: u32, by: By<'_>) -> Vec<u32> {
    let table = process::snapshot().expect("the process list");
    match by {
        By::Parent => {
            let below = process::descendants(&table, client).into_iter();
            below.map(|one| one.pid).chain([client]).collect()
        }
        By::Group => table.iter().filter(|one| one.pgid == client).map(|one| one.pid).collect(),
        By::Session => {
            table.iter().map(|one| one.pid).filter(|pid| session_of(*pid) == Some(client)).collect()
        }
        By::ControlGroup(group) => {
            let listed = std::fs::read_to_string(group.join("cgroup.procs")).expect("its processes");
            listed.lines().map(|pid| pid.parse().expect("a pid")).collect()
        }
    }
}

fn session_of(pid: u32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.split(' ').nth(3)?.parse().ok()
}

/// Ends all processes of a client until none is left.
fn end(client: u32, by: By<'_>) {
    eventually("nothing of it is left", LIMIT, || {
        let living: Vec<_> =
            own(client, by).into_iter().filter_map(|pid| process::identify(pid).ok().flatten()).collect();
        for one in &living {
            let ended = process::kill_verified(one, Kill::Force).expect("it can be ended");
            assert_ne!(ended, Killed::NotTheSame);
        }
        living.is_empty()
    });
}

/// A client in a session of its own, which runs `before` first. It can reach no service manager.
fn client_of(instance: &Instance, wrapped: &[&str], before: &str) -> Client {
    let mut command = Command::new("setsid");
    command.args(wrapped).env("XDG_RUNTIME_DIR", instance.dir());
    with_shim(instance, command, before)
}

/// A client behind a command that runs its arguments. Its shim is below a shell, and its first call starts the daemon.
fn with_shim(instance: &Instance, mut command: Command, before: &str) -> Client {
    command.args(["sh", "-c", &format!(r#"{before} "$0" shim --server fix; true"#)]).arg(program("exai"));
    command.env("EXAI_HOME", instance.home());
    let mut client = Client::start(command);
    client.initialize(&json!({}));
    assert_eq!(client.call("echo", &json!({"message": "first"})), "first");
    client
}

/// The pids of the daemon, its guards and its servers.
fn hosted(instance: &Instance) -> Vec<u32> {
    let daemon = daemon(instance);
    let table = process::snapshot().expect("the process list");
    let below = process::descendants(&table, daemon);
    assert!(below.len() >= 2, "guard and server: {below:?}");
    below.into_iter().map(|one| one.pid).chain([daemon]).collect()
}

fn daemon(instance: &Instance) -> u32 {
    instance.status()["daemon"]["pid"].as_u64().expect("a pid") as u32
}

/// The findings in which the daemon says that another program may end it.
fn bonds(instance: &Instance) -> Vec<String> {
    let status = instance.status();
    let findings = status["findings"].as_array().expect("findings");
    let bonds = findings.iter().filter(|finding| finding["id"] == "not-apart");
    let sentence = |finding: &Value| {
        assert!(finding["fix"].as_str().expect("a command").contains("exai restart"), "{finding}");
        finding["detail"].as_str().expect("a sentence").to_owned()
    };
    bonds.map(sentence).collect()
}

/// The tests themselves may run in the control group of an application, and then their clients run in it too.
fn in_ours(bonds: &[String]) -> bool {
    let ours = exai_os::detach::bonds().into_iter();
    let mut ours = ours.filter_map(|bond| match bond {
        Bond::Group { path, .. } => Some(path),
        Bond::Adopter { .. } => None,
    });
    ours.any(|path| bonds.iter().all(|bond| bond.contains(&path)))
}

/// Copilot CLI and opencode end all their descendants when they end. Other clients end their group or session.
#[test]
fn a_client_that_ends_everything_it_has_started_does_not_end_the_daemon() {
    for by in [By::Parent, By::Group, By::Session] {
        let instance = Instance::with_fixture(&[]);
        let mut first = client_of(&instance, &[], "");
        let mut second = instance.client("fix");
        assert_eq!(second.call("echo", &json!({"message": "second"})), "second");
        let status = instance.status();
        let launchers = status["daemon"]["launchers"].as_array().expect("launchers");
        let known = launchers.iter().any(|one| one["pid"] == json!(first.pid()));
        assert!(known, "who started it is known: {status}");
        assert_eq!(status["daemon"]["detached"]["way"], "session");
        let bonds = bonds(&instance);
        assert!(bonds.is_empty() || in_ours(&bonds), "{bonds:?}");
        let (hosted, theirs) = (hosted(&instance), own(first.pid(), by));
        assert_eq!(theirs.len(), 2, "shell and shim, by {by:?}: {theirs:?}");
        assert!(!theirs.iter().any(|pid| hosted.contains(pid)), "by {by:?}: {theirs:?}, {hosted:?}");
        end(first.pid(), by);
        assert_eq!(second.call("echo", &json!({"message": "still"})), "still");
        assert_eq!(self::hosted(&instance), hosted, "by {by:?}");
        first.kill();
    }
}

/// Without a service manager the daemon cannot start anywhere else, so it stays below the process that adopts orphans.
#[test]
fn a_daemon_below_a_process_that_adopts_what_its_own_leave_behind_says_so() {
    let instance = Instance::with_fixture(&[]);
    let adopter = program("adopter").display().to_string();
    let mut client = client_of(&instance, &[&adopter], "");
    let below = format!("descends from sh (pid {})", client.pid());
    let found = bonds(&instance);
    assert!(found.iter().any(|bond| bond.contains(&below)), "{found:?}");
    assert!(own(client.pid(), By::Parent).contains(&daemon(&instance)));
    // The command that the finding names solves the problem.
    instance.ends(0, &["restart"]);
    let found = bonds(&instance);
    assert!(!found.iter().any(|bond| bond.contains(&below)), "{found:?}");
    let hosted = hosted(&instance);
    end(client.pid(), By::Parent);
    assert!(hosted.contains(&daemon(&instance)));
    client.kill();
}

/// A control group like those of clients, terminals and systemd's scopes.
struct ControlGroup(PathBuf);

impl ControlGroup {
    /// Makes a control group; `None` where this account may not make one.
    fn new(name: &str) -> Option<Self> {
        let roots = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"].map(Path::new);
        let root = roots.into_iter().find(|root| root.join("cgroup.procs").exists())?;
        let path = root.join(format!("{name}-{}.scope", std::process::id()));
        std::fs::create_dir(&path).ok()?;
        let group = ControlGroup(path);
        // An account may be allowed to make a group but not to enter it.
        let entered =
            Command::new("sh").args(["-c", "echo $$ > \"$0\""]).arg(group.0.join("cgroup.procs")).output();
        entered.is_ok_and(|output| output.status.success()).then_some(group)
    }
}

impl Drop for ControlGroup {
    fn drop(&mut self) {
        eventually("it is empty", LIMIT, || std::fs::remove_dir(&self.0).is_ok());
    }
}

#[test]
fn a_daemon_in_the_control_group_of_its_client_says_so_and_is_started_again_by_others() {
    let Some(group) = ControlGroup::new("app-client") else {
        return skipped("this account may make no control groups");
    };
    let instance = Instance::with_fixture(&[]);
    let enter = format!("echo $$ > '{}/cgroup.procs';", group.0.display());
    let mut client = client_of(&instance, &[], &enter);
    let mut second = instance.client("fix");
    assert_eq!(second.call("echo", &json!({"message": "second"})), "second");
    let name = group.0.file_name().expect("a name").to_string_lossy();
    let found = bonds(&instance);
    assert!(found.iter().any(|bond| bond.contains(&*name)), "{found:?}");
    let before = daemon(&instance);
    end(client.pid(), By::ControlGroup(&group.0));
    // The daemon leaves the group before its sockets close, and could still carry out a call that reaches one of them.
    eventually("the daemon has ended", LIMIT, || process::identify(before).ok().flatten().is_none());
    assert_eq!(second.call("echo", &json!({"message": "again"})), "again");
    assert_ne!(daemon(&instance), before);
    let found = bonds(&instance);
    assert!(
        !found.iter().any(|bond| bond.contains(&*name)),
        "the second client is in no such group: {found:?}"
    );
    client.kill();
}

/// A service manager of this account.
struct Manager {
    /// The manager that this test has started: in a mount namespace that looks as if systemd had booted the system, and
    /// in a control group of its own. `None` for the manager that the account has anyway.
    own: Option<(Child, ControlGroup, TempDir)>,
}

impl Manager {
    /// Finds or starts a manager; `None` where there is none and none can be started.
    fn new() -> Option<Self> {
        let account = Manager { own: None };
        if account.answers() {
            return Some(account);
        }
        let group = ControlGroup::new("manager")?;
        let runtime = tempfile::tempdir().expect("a temporary directory");
        let script =
            r#"echo $$ > "$0"; mount -t tmpfs none /run && mkdir -p /run/systemd/system && exec "$1" --user"#;
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "sh", "-c", script])
            .arg(group.0.join("cgroup.procs"))
            .arg("/lib/systemd/systemd");
        command.env("XDG_RUNTIME_DIR", runtime.path()).env_remove("DBUS_SESSION_BUS_ADDRESS");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().ok()?;
        let mut manager = Manager { own: Some((child, group, runtime)) };
        for _ in 0..200 {
            if manager.answers() {
                return Some(manager);
            }
            if manager.own.as_mut().is_some_and(|own| !matches!(own.0.try_wait(), Ok(None))) {
                return None;
            }
            std::thread::sleep(Duration::from_millis(25));
        }
        None
    }

    /// A command that runs in the mount namespace of the manager.
    fn command(&self, program: &str) -> Command {
        let Some((manager, _, runtime)) = &self.own else { return Command::new(program) };
        let mut command = Command::new("nsenter");
        command.arg(format!("--mount=/proc/{}/ns/mnt", manager.id())).arg(program);
        command.env("XDG_RUNTIME_DIR", runtime.path());
        command
    }

    fn answers(&self) -> bool {
        let asked = self.command("systemctl").args(["--user", "list-units"]).output();
        asked.is_ok_and(|output| output.status.success())
    }
}

/// The arguments that make `systemd-run` run a command in a scope of this name, as desktops run programs.
fn in_scope(scope: &str) -> [String; 4] {
    ["--user", "--scope", "--quiet", &format!("--unit={scope}")].map(ToOwned::to_owned)
}

impl Drop for Manager {
    fn drop(&mut self) {
        let Some((manager, group, _)) = &mut self.own else { return };
        let _ = manager.kill();
        let _ = manager.wait();
        // The units of the manager are in groups below its own. On a machine with both versions of control groups,
        // version 1 has the same groups, without processes.
        let name = group.0.file_name().expect("a name");
        let twin = Path::new("/sys/fs/cgroup/systemd").join(name);
        let twins = if twin.exists() { [groups_below(&twin), vec![twin]].concat() } else { Vec::new() };
        for inner in groups_below(&group.0).into_iter().chain(twins) {
            for pid in own(0, By::ControlGroup(&inner)) {
                if let Ok(Some(one)) = process::identify(pid) {
                    let _ = process::kill_verified(&one, Kill::Force);
                }
            }
            eventually("it is empty", LIMIT, || std::fs::remove_dir(&inner).is_ok());
        }
    }
}

/// All groups below this one, the innermost first.
fn groups_below(group: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(group).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.filter(|path| path.is_dir()).flat_map(|path| [groups_below(&path), vec![path]].concat()).collect()
}

fn group_of(pid: u32) -> String {
    std::fs::read_to_string(format!("/proc/{pid}/cgroup")).expect("it lives")
}

#[test]
fn where_the_control_group_of_a_client_would_end_the_daemon_the_service_manager_starts_it() {
    let Some(manager) = Manager::new() else {
        return skipped("no service manager of the user runs, and none can be started here");
    };
    let instance = Instance::with_fixture(&[]);
    let scope = format!("app-client-{}.scope", std::process::id());
    let mut client = manager.command("systemd-run");
    client.args(in_scope(&scope));
    let mut first = with_shim(&instance, client, "");
    let status = instance.status();
    assert_eq!(status["daemon"]["detached"]["way"], "manager", "{status}");
    assert_eq!(bonds(&instance), [""; 0]);
    let hosted = hosted(&instance);
    for pid in &hosted {
        let group = group_of(*pid);
        assert!(group.contains("/exai-daemon-") && !group.contains(&scope), "{group}");
    }
    let mut second = instance.client("fix");
    assert_eq!(second.call("echo", &json!({"message": "second"})), "second");
    let stopped = manager.command("systemctl").args(["--user", "stop", &scope]).status();
    assert!(stopped.expect("systemctl runs").success());
    eventually("the client has ended", LIMIT, || process::identify(first.pid()).expect("/proc").is_none());
    assert_eq!(second.call("echo", &json!({"message": "still"})), "still");
    assert_eq!(self::hosted(&instance), hosted);
    instance.ends(0, &["stop"]);
    first.kill();
}

#[test]
fn where_a_client_adopts_what_its_own_leave_behind_the_service_manager_starts_the_daemon() {
    let Some(manager) = Manager::new() else {
        return skipped("no service manager of the user runs, and none can be started here");
    };
    let instance = Instance::with_fixture(&[]);
    let adopter = program("adopter").display().to_string();
    let mut client = with_shim(&instance, manager.command(&adopter), "");
    let status = instance.status();
    assert_eq!(status["daemon"]["detached"]["way"], "manager", "{status}");
    assert_eq!(bonds(&instance), [""; 0]);
    let hosted = hosted(&instance);
    assert!(!own(client.pid(), By::Parent).iter().any(|pid| hosted.contains(pid)));
    end(client.pid(), By::Parent);
    assert_eq!(self::hosted(&instance), hosted);
    instance.ends(0, &["stop"]);
    client.kill();
}

/// A client in a sandbox sees other paths and ports than a daemon that the manager outside would start.
#[test]
fn a_service_manager_in_another_world_starts_no_daemon() {
    let Some(Manager { own: Some((_, _, runtime)) }) = &Manager::new() else {
        return skipped("no service manager can be started here in a mount namespace of its own");
    };
    let instance = Instance::with_fixture(&[]);
    let mut command = Command::new(program("adopter"));
    command.env("XDG_RUNTIME_DIR", runtime.path());
    let mut client = with_shim(&instance, command, "");
    starts_it_itself(&instance, "in other namespaces");
    client.kill();
}

#[test]
fn a_service_manager_that_is_gone_or_hangs_keeps_no_daemon_from_starting() {
    for (hangs, why) in [(false, "systemd-run"), (true, "in time")] {
        if hangs && !Command::new("systemd-run").arg("--version").output().is_ok_and(|it| it.status.success())
        {
            return skipped("there is no systemd-run here");
        }
        let instance = Instance::with_fixture(&[]);
        let runtime = instance.dir().join("run");
        std::fs::create_dir_all(runtime.join("systemd")).expect("a directory");
        // A killed manager leaves its socket behind; a hanging manager accepts no connection.
        let listener = UnixListener::bind(runtime.join("systemd/private")).expect("a socket");
        let listener = hangs.then_some(listener);
        let mut command = Command::new(program("adopter"));
        command.env("XDG_RUNTIME_DIR", &runtime).env_remove("DBUS_SESSION_BUS_ADDRESS");
        let mut client = with_shim(&instance, command, "");
        starts_it_itself(&instance, why);
        client.kill();
        drop(listener);
    }
}

/// Checks that the shim has started the daemon itself, that the daemon says what this means, and that the log says why.
fn starts_it_itself(instance: &Instance, why: &str) {
    let status = instance.status();
    assert_eq!(status["daemon"]["detached"]["way"], "session", "{status}");
    assert!(!bonds(instance).is_empty(), "{status}");
    let log = std::fs::read_to_string(instance.home().join("log/daemon.log")).expect("a log");
    assert!(log.contains("service manager has not started the daemon") && log.contains(why), "{log}");
}

/// Reports that a test could prove nothing on this machine.
fn skipped(why: &str) {
    // The test harness captures `eprintln!`, but not a direct write to stderr.
    let _ = writeln!(std::io::stderr(), "SKIPPED: {why}");
}

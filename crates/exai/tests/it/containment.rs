//! No process of a server is left behind, whichever process is killed, and no process of anyone else is ended.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use exai_os::build::under_wine;
use exai_os::process::{self, Identity, Kill, ProcessInfo};
use exai_test::{eventually, program};
use serde_json::{Value, json};

use crate::support::{Client, Instance, LIMIT, behind_a_shell, fixture};

/// The number of guards of a tree. Windows itself ends trees, without guards.
const GUARDS: usize = if cfg!(windows) { 0 } else { 1 };

/// A server whose tree escapes most easily: with two launchers above it, and beside it a process that has left its
/// parent, and on Unix also its group, its session and its environment.
fn with_an_escapee(instance: &Instance, server: &str) -> String {
    let fixture = program("fixture-server");
    let script = format!(
        "setsid -f env -i {fixture} --sleep; sh -c '{fixture} --children 2 {server}; true'; true",
        fixture = fixture.display()
    );
    let batch = format!(
        "start \"\" /b FIXTURE --sleep <nul >nul 2>&1\ncmd /c FIXTURE --children 2 {server}\nexit /b"
    );
    format!("[servers.fix]\n{}", behind_a_shell(instance.dir(), &script, &batch))
}

/// The processes of the only instance. Where there are guards, the guard is the first.
fn tree(instance: &Instance) -> Vec<ProcessInfo> {
    if cfg!(windows) {
        return listed(instance).into_iter().filter(|one| one.name != CONSOLE).collect();
    }
    let guard = pid(&instance.status()["servers"][0]["instances"][0]["guard_pid"]);
    let all = process::snapshot().expect("the process table");
    let top = all.iter().filter(|one| one.pid == guard).cloned();
    top.chain(process::descendants(&all, guard)).filter(|one| !one.zombie).collect()
}

/// The process that Windows adds for each console.
const CONSOLE: &str = "conhost.exe";

/// The processes that `exai ps` shows for the server `fix`.
fn listed(instance: &Instance) -> Vec<ProcessInfo> {
    let ps = instance.json(&["ps", "--json"]);
    let rows = ps["processes"].as_array().expect("processes").iter();
    let rows = rows.filter(|row| row["of"].as_str().is_some_and(|of| of.starts_with("fix#")));
    let pids: Vec<u32> = rows.map(|row| pid(&row["pid"])).collect();
    let all = process::snapshot().expect("the process table");
    all.into_iter().filter(|one| pids.contains(&one.pid)).collect()
}

/// Repeats the call until it is answered: before exai sees that a server has ended, calls are refused or lost.
fn pid_of_server(client: &mut Client) -> u32 {
    let mut found = None;
    eventually("a server answers", LIMIT, || {
        let answer = client.ask("tools/call", &json!({"name": "pid", "arguments": {}}));
        found = answer["result"]["content"][0]["text"].as_str().and_then(|text| text.parse().ok());
        found.is_some()
    });
    found.expect("it was found")
}

/// Waits until the server of the only instance was seen at work. Wine does not show this, so there any server is
/// enough.
fn confirmed(instance: &Instance) {
    eventually("the server is confirmed", LIMIT, || {
        let ps = instance.json(&["ps", "--json"]);
        let all = ps["processes"].as_array().expect("processes");
        let seen = |one: &Value| one["confirmed"] == json!(true) || under_wine();
        all.iter().any(|one| one["role"] == "server" && seen(one))
    });
}

fn pid(value: &Value) -> u32 {
    value.as_u64().and_then(|pid| u32::try_from(pid).ok()).unwrap_or_else(|| panic!("{value} is no pid"))
}

fn daemon(instance: &Instance) -> u32 {
    pid(&instance.status()["daemon"]["pid"])
}

fn lives(one: &ProcessInfo) -> bool {
    let now = process::identify(one.pid).expect("the process table");
    now.is_some_and(|now| now.start == one.start)
}

fn kill(pid: u32) {
    let identity = process::identify(pid).expect("the process table").expect("it lives");
    process::kill_verified(&identity, Kill::Force).expect("it can be killed");
}

/// Kills daemon and guard so that neither sees the end of the other. The daemon is stopped before that, and not the
/// guard: when a daemon ends, the kernel also ends its stopped child, because no process is left that could continue
/// it.
fn kill_at_once(daemon: u32, guard: u32) {
    signal("STOP", daemon);
    kill(guard);
    kill(daemon);
    let is_gone = || process::identify(daemon).expect("the process table").is_none();
    eventually("the daemon is gone", LIMIT, is_gone);
}

/// Waits until all processes of the tree are gone, and returns how long that took.
#[track_caller]
fn all_gone(tree: &[ProcessInfo], limit: Duration) -> Duration {
    let start = Instant::now();
    eventually("the whole tree is gone", limit, || !tree.iter().any(lives));
    start.elapsed()
}

/// An instance whose server runs with all the processes that [`with_an_escapee`] starts.
fn running(server: &str) -> (Instance, Vec<ProcessInfo>) {
    let instance = Instance::new("");
    instance.configure(&with_an_escapee(&instance, server));
    instance.client("fix").call("pid", &json!({}));
    // The guard, two shells, the server, its two children, and the escaped process.
    eventually("the tree is complete", LIMIT, || tree(&instance).len() == GUARDS + 6);
    let found = tree(&instance);
    (instance, found)
}

#[test]
fn when_the_daemon_is_killed_the_whole_tree_goes() {
    for round in 0..5 {
        let (instance, tree) = running("--ignore-stdin-eof");
        kill(daemon(&instance));
        let took = all_gone(&tree, Duration::from_secs(1));
        eprintln!("kill -9 of the daemon, round {round}: {} processes gone after {took:?}", tree.len());
        instance.ends(3, &["status"]);
    }
}

#[test]
fn when_a_guard_is_killed_the_daemon_ends_its_tree_and_the_next_call_starts_anew() {
    let (instance, tree) = running("--ignore-stdin-eof");
    let mut client = instance.client("fix");
    let before = pid_of_server(&mut client);
    kill(tree[0].pid);
    let took = all_gone(&tree, Duration::from_secs(2));
    eprintln!("kill -9 of a guard: {} processes gone after {took:?}", tree.len());
    assert_ne!(before, pid_of_server(&mut client));
    let server = &instance.status()["servers"][0];
    assert_eq!((&server["state"], &server["instances"][0]["restarts"]), (&json!("ready"), &json!(1)));
    assert_eq!(instance.status()["processes"]["unexpected"], json!([]));
}

/// A server with a process that leaves its parent, group, session and environment in the first moment of its life and
/// closes its stdio, before anything can see it.
fn gone_before_it_was_seen(token: &str, first: &str) -> (Instance, Client, ProcessInfo, ProcessInfo) {
    let fixture = program("fixture-server").display().to_string();
    let script =
        format!("({first} setsid -f env -i {fixture} --name {token} --sleep <&- >&- 2>&-); exec {fixture}");
    let instance =
        Instance::new(&format!("[servers.fix]\ncommand = \"bash\"\nargs = [\"-c\", {}]\n", json!(script)));
    instance.ends(0, &["start"]);
    let client = instance.client("fix");
    let end = Instant::now() + LIMIT;
    loop {
        let table = process::snapshot().expect("the process table");
        let has_left = |one: &&ProcessInfo| {
            let line = process::command_line(one.pid).unwrap_or_default();
            one.name == "fixture-server" && line.iter().any(|word| word == token) && one.pgid == one.pid
        };
        if let Some(found) = table.iter().find(has_left)
            && let Some(guard) = table.iter().find(|one| one.pid == found.ppid && one.name == "exai")
        {
            return (instance, client, guard.clone(), found.clone());
        }
        assert!(Instant::now() < end, "nothing left its tree");
    }
}

#[test]
fn what_left_everything_before_it_was_seen_goes_with_its_guard() {
    let token = format!("unseen-{}-a", std::process::id());
    let (instance, mut client, guard, escapee) = gone_before_it_was_seen(&token, "");
    kill(guard.pid);
    let took = all_gone(&[escapee, guard], Duration::from_secs(2));
    eprintln!("kill -9 of a guard: who had left everything is gone after {took:?}");
    pid_of_server(&mut client);
    assert_eq!(instance.status()["processes"]["unexpected"], json!([]));
}

#[test]
fn what_left_everything_before_it_was_seen_and_lost_daemon_and_guard_goes_with_the_next_start() {
    let token = format!("unseen-{}-b", std::process::id());
    let (instance, client, guard, escapee) = gone_before_it_was_seen(&token, "");
    drop(client);
    let daemon = daemon(&instance);
    kill_at_once(daemon, guard.pid);
    assert!(lives(&escapee), "or this tests nothing");
    instance.ends(0, &["start"]);
    let took = all_gone(&[escapee], Duration::from_secs(2));
    eprintln!("kill -9 of daemon and guard: who had left everything is gone {took:?} after the next start");
    eventually("its record is gone", LIMIT, || instance.exai(&["cleanup"]).status.success());
}

/// A process that has removed even its descent tag cannot be assigned to a tree. exai reports it and leaves it alone.
#[test]
fn what_becomes_the_daemons_child_and_is_of_no_tree_is_told_of() {
    let token = format!("unseen-{}-c", std::process::id());
    let (instance, _client, guard, escapee) = gone_before_it_was_seen(&token, "ulimit -S -x unlimited;");
    kill(guard.pid);
    let start = Instant::now();
    eventually("it is told of", LIMIT, || {
        let unexpected = &instance.status()["processes"]["unexpected"];
        unexpected[0]["kind"] == json!("escaped") && unexpected[0]["pid"] == json!(escapee.pid)
    });
    eprintln!("an escaped process of no tree: told of after {:?}", start.elapsed());
    assert!(lives(&escapee));
    kill(escapee.pid);
    eventually("it is reaped", LIMIT, || instance.status()["processes"]["unexpected"] == json!([]));
}

#[test]
fn when_daemon_and_guard_are_killed_at_once_the_next_start_ends_the_tree() {
    let (instance, tree) = running("--ignore-stdin-eof");
    let decoy = decoy(&instance);
    eventually("the record names everybody", LIMIT, || {
        // Beside it there may be the file that is about to replace it.
        let entries = std::fs::read_dir(instance.home().join("servers")).expect("the records").flatten();
        let texts = entries.filter_map(|entry| std::fs::read(entry.path()).ok());
        let mut records = texts.filter_map(|text| serde_json::from_slice::<Value>(&text).ok());
        records.any(|record| record["processes"].as_array().is_some_and(|all| all.len() == tree.len()))
    });
    eventually("there is one record", LIMIT, || records(&instance) == 1);
    let daemon = daemon(&instance);
    kill_at_once(daemon, tree[0].pid);
    assert!(tree[1..].iter().any(lives), "somebody is left, or this tests nothing");
    instance.ends(0, &["start"]);
    let took = all_gone(&tree, Duration::from_secs(5));
    eprintln!("kill -9 of daemon and guard: {} processes gone {took:?} after the next start", tree.len() - 1);
    assert!(process::identify(decoy.0.id()).expect("the process table").is_some(), "the decoy lives");
    // The record stays because it says where the decoy may come from.
    let left: Value = serde_json::from_str(&instance.ends(6, &["cleanup", "--json"])).expect("JSON");
    let found = left["found"].as_array().expect("what was found");
    assert!(found.iter().all(|one| one["action"] == "leave"), "{left}");
    let pids: Vec<&Value> = found.iter().map(|one| &one["pid"]).filter(|pid| !pid.is_null()).collect();
    assert_eq!(pids, [&json!(decoy.0.id())], "{left}");
    drop(decoy);
    instance.ends(0, &["cleanup", "--apply"]);
    instance.ends(0, &["cleanup"]);
}

/// A file in the place of `servers/` makes writing records fail, as a full disk does.
fn without_records(instance: &Instance) {
    let servers = instance.home().join("servers");
    instance.ends(0, &["start"]);
    std::fs::rename(&servers, instance.dir().join("servers")).expect("it is moved");
    std::fs::write(&servers, "").expect("a file");
}

fn with_records(instance: &Instance) {
    let servers = instance.home().join("servers");
    std::fs::remove_file(&servers).expect("it is removed");
    std::fs::rename(instance.dir().join("servers"), &servers).expect("it is back");
}

fn records(instance: &Instance) -> usize {
    std::fs::read_dir(instance.home().join("servers")).map_or(0, Iterator::count)
}

#[test]
fn a_server_whose_record_cannot_be_written_is_watched_and_recorded_when_there_is_room() {
    let instance = Instance::new("");
    instance.configure(&with_an_escapee(&instance, ""));
    without_records(&instance);
    instance.client("fix").call("pid", &json!({}));
    eventually("the tree is complete", LIMIT, || tree(&instance).len() == GUARDS + 6);
    let found = || {
        let status = instance.status();
        let findings = status["findings"].as_array().expect("findings").clone();
        findings
            .into_iter()
            .map(|found| (found["id"].clone(), found["detail"].to_string()))
            .collect::<Vec<_>>()
    };
    let said = found();
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].0 == "record-unwritten" && said[0].1.contains("fix#1"), "{said:?}");
    // The daemon knows all processes even without records, so none counts as unexpected.
    eventually("all are counted", LIMIT, || instance.status()["processes"]["actual"] == 1 + GUARDS + 6);
    let ps = instance.json(&["ps", "--json"]);
    assert_eq!((&ps["expected"], &ps["unexpected"]), (&ps["actual"], &json!([])), "{ps}");
    with_records(&instance);
    eventually("it is recorded", LIMIT, || found().is_empty());
    assert_eq!(records(&instance), 1);
    instance.ends(0, &["stop"]);
    assert_eq!(records(&instance), 0);
}

#[test]
fn a_tree_without_a_record_that_lost_daemon_and_guard_is_found_and_ended() {
    let instance = Instance::new("");
    instance.configure(&with_an_escapee(&instance, "--ignore-stdin-eof"));
    without_records(&instance);
    instance.client("fix").call("pid", &json!({}));
    eventually("the tree is complete", LIMIT, || tree(&instance).len() == GUARDS + 6);
    let tree = tree(&instance);
    kill_at_once(daemon(&instance), tree[0].pid);
    with_records(&instance);
    assert!(tree[1..].iter().all(lives), "all are left, or this tests nothing");
    let left: Value = serde_json::from_str(&instance.ends(6, &["cleanup", "--json"])).expect("JSON");
    let found = left["found"].as_array().expect("what was found").iter();
    let ended = found.filter(|one| one["kind"] == "process" && one["action"] == "kill").count();
    assert_eq!(ended, tree.len() - 1, "{left}");
    instance.ends(0, &["start"]);
    all_gone(&tree, Duration::from_secs(5));
    instance.ends(0, &["cleanup"]);
}

#[test]
fn a_stopped_guard_does_not_keep_a_tree_alive() {
    let (instance, tree) = running("--ignore-stdin-eof");
    signal("STOP", tree[0].pid);
    let start = Instant::now();
    instance.ends(0, &["stop", "--timeout", "0"]);
    eprintln!("exai stop with a stopped guard: {:?}", start.elapsed());
    assert!(!tree.iter().any(lives), "stop returns when everything is gone");
}

#[test]
fn stop_returns_when_everything_is_gone() {
    let (instance, tree) = running("");
    let decoy = decoy(&instance);
    let daemon = process::identify(daemon(&instance)).expect("the process table").expect("it lives");
    let said = instance.ends(0, &["stop"]);
    assert!(!tree.iter().any(lives) && !is_alive(&daemon), "{said}");
    assert!(process::identify(decoy.0.id()).expect("the process table").is_some(), "the decoy lives");
}

/// The forking process has another pid every millisecond.
#[test]
fn a_server_that_forks_all_the_time_is_ended() {
    let script = "import os,sys\nif os.fork() == 0:\n  os.setsid()\n  for fd in (0, 1, 2): os.close(fd)\n  \
                  while True:\n    if os.fork(): os._exit(0)\nos.execv(sys.argv[1], sys.argv[1:])";
    let servers = format!(
        "[servers.fix]\ncommand = \"python3\"\nargs = [\"-c\", {}, {}]\n",
        json!(script),
        json!(program("fixture-server"))
    );
    let instance = Instance::new(&servers);
    instance.client("fix").call("pid", &json!({}));
    let guard = pid(&instance.status()["servers"][0]["instances"][0]["guard_pid"]);
    let start = Instant::now();
    instance.ends(0, &["stop", "--timeout", "0"]);
    eprintln!("a tree that forks all the time: ended after {:?}", start.elapsed());
    assert_eq!(process::identify(guard).expect("the process table"), None);
    let marked = || {
        let all = process::snapshot().expect("the process table");
        let marked = |one: &&ProcessInfo| {
            let owner = exai_os::process_facts::environment_variable(one.pid, "EXAI_HOME");
            one.name.starts_with("python3")
                && owner.is_ok_and(|home| home.as_deref() == instance.home().to_str())
        };
        all.iter().filter(marked).count()
    };
    eventually("nobody forks any more", LIMIT, || marked() == 0);
}

#[test]
fn a_program_that_leaves_the_group_stays_where_the_configuration_says_so() {
    let fixture = program("fixture-server");
    let script = format!("setsid -f {fixture} --sleep; {fixture} --children 1", fixture = fixture.display());
    let servers = format!(
        "[servers.fix]\ncommand = \"sh\"\nargs = [\"-c\", {}]\ncontainment = \"group\"\n",
        json!(script)
    );
    let instance = Instance::new(&servers);
    instance.client("fix").call("pid", &json!({}));
    let meant_to_stay = || {
        let all = process::snapshot().expect("the process table");
        let home = instance.home();
        all.into_iter().find(|one| {
            let args = process::command_line(one.pid).unwrap_or_default();
            let theirs = exai_os::process_facts::environment_variable(one.pid, "EXAI_HOME");
            one.pgid == one.pid
                && args.get(1).is_some_and(|arg| arg == "--sleep")
                && theirs.is_ok_and(|theirs| theirs.as_deref() == home.to_str())
        })
    };
    eventually("it has left the group", LIMIT, || meant_to_stay().is_some());
    let stays = meant_to_stay().expect("it is there");
    let status = instance.status();
    assert_eq!(status["servers"][0]["instances"][0]["processes"], 3, "{status}");
    let tree = tree(&instance);
    instance.ends(0, &["stop"]);
    assert!(lives(&stays));
    let others: Vec<ProcessInfo> = tree.into_iter().filter(|one| one.pid != stays.pid).collect();
    assert!(!others.iter().any(lives));
    kill(stays.pid);
}

#[test]
fn a_tree_that_is_too_large_is_told_of_within_a_second() {
    let mut servers = crate::support::fixture("fix", &["--children", "4"]);
    servers.push_str("max_processes = 3\n");
    let instance = Instance::new(&servers);
    instance.client("fix").call("pid", &json!({}));
    let start = Instant::now();
    eventually("it is reported", Duration::from_millis(2500), || {
        instance.status()["processes"]["unexpected"][0]["kind"] == json!("too-many")
    });
    eprintln!("a tree over max_processes: reported after {:?}", start.elapsed());
    let status = instance.status();
    assert_eq!(status["processes"]["expected"], status["processes"]["actual"]);
    assert!(instance.ends(0, &["ps"]).contains("1 finding"));
}

#[test]
fn every_process_is_listed_with_its_role_and_the_server_is_the_one_that_says_so() {
    let (instance, tree) = running("");
    let mut client = instance.client("fix");
    let server: u32 = client.call("pid", &json!({})).parse().expect("a pid");
    confirmed(&instance);
    let ps = instance.json(&["ps", "--json"]);
    let role = |pid: u32| {
        let all = ps["processes"].as_array().expect("processes");
        let one = all.iter().find(|one| one["pid"] == json!(pid)).unwrap_or_else(|| panic!("{pid} in {ps}"));
        one["role"].as_str().expect("a role").to_owned()
    };
    let roles: Vec<String> = tree.iter().map(|one| role(one.pid)).collect();
    let count = |role: &str| roles.iter().filter(|one| *one == role).count();
    assert_eq!(
        (count("guard"), count("launcher"), count("server"), count("helper")),
        (GUARDS, 2, 1, 3),
        "{ps}"
    );
    assert_eq!(role(server), "server");
    assert_eq!(role(client.pid()), "shim");
    assert_eq!(role(std::process::id()), "client");
    // The daemon, the shim, and the tree, with the console process that it has on Windows.
    let consoles = if cfg!(windows) { listed(&instance).len() - tree.len() } else { 0 };
    let all = json!(2 + tree.len() + consoles);
    assert_eq!((&ps["expected"], &ps["actual"]), (&all, &all), "{ps}");
    assert_eq!(instance.status()["servers"][0]["instances"][0]["pid"], json!(server));
}

/// First the launcher dies and the server lives on; then a server dies and its launcher lives on.
#[test]
fn a_server_without_its_launcher_serves_on_and_a_launcher_without_its_server_is_ended() {
    let instance = Instance::new("");
    let shell = behind_a_shell(instance.dir(), "FIXTURE; sleep 1000", "FIXTURE\nFIXTURE --sleep");
    instance.configure(&format!("[servers.fix]\n{shell}"));
    let mut client = instance.client("fix");
    let server: u32 = client.call("pid", &json!({})).parse().expect("a pid");
    let root = pid(&instance.status()["servers"][0]["instances"][0]["root_pid"]);
    assert_ne!(root, server);
    kill(root);
    // Only answers within the next second show that the server lives, so the test makes calls meanwhile.
    let end = Instant::now() + Duration::from_millis(1500);
    let mut calls = 0;
    while Instant::now() < end {
        assert_eq!(client.call("pid", &json!({})), server.to_string());
        calls += 1;
    }
    eprintln!("a server without its launcher: {calls} calls in 1.5 s, all answered by it");
    let instances = instance.status()["servers"][0]["instances"].clone();
    let alone = if cfg!(windows) {
        listed(&instance).iter().filter(|one| one.name == CONSOLE).count() + 1
    } else {
        1
    };
    assert_eq!((&instances[0]["pid"], &instances[0]["processes"]), (&json!(server), &json!(alone)));
    let launcher = {
        kill(server);
        assert_ne!(pid_of_server(&mut client), server);
        pid(&instance.status()["servers"][0]["instances"][0]["root_pid"])
    };
    let launcher = process::identify(launcher).expect("the process table").expect("it lives");
    let server = pid_of_server(&mut client);
    // Wine does not count input and output, so exai can see neither which process is the server nor that it is gone.
    if under_wine() {
        return;
    }
    confirmed(&instance);
    kill(server);
    let begun = Instant::now();
    eventually("the launcher is ended", Duration::from_secs(8), || !is_alive(&launcher));
    eprintln!("a launcher without its server: ended after {:.2?}", begun.elapsed());
}

fn is_alive(identity: &Identity) -> bool {
    process::identify(identity.pid).expect("the process table").as_ref() == Some(identity)
}

/// A process with the program, the arguments and the marker of a server, which belongs to no server.
struct Decoy(std::process::Child);

fn decoy(instance: &Instance) -> Decoy {
    let record = std::fs::read_to_string(instance.home().join("daemon.json")).expect("a record");
    let record: Value = serde_json::from_str(&record).expect("JSON");
    let owner = format!("{}.fix#1", record["instance"].as_str().expect("a nonce"));
    let mut command = Command::new(program("fixture-server"));
    command.arg("--sleep").env("EXAI_OWNER", owner).env("EXAI_HOME", instance.home());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    Decoy(command.spawn().expect("it starts"))
}

impl Drop for Decoy {
    fn drop(&mut self) {
        // The decoy may have been ended; the test has reported that by now.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn signal(name: &str, pid: u32) {
    let done = Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).status();
    assert!(done.expect("kill runs").success());
}

/// A user may miss a program that a server had opened. The log says when it ended, and why.
#[test]
fn what_an_idle_stop_ends_is_in_the_log() {
    let instance = Instance::new(&(fixture("fix", &["--children", "1"]) + "idle_stop = \"0s\"\n"));
    let mut client = instance.client("fix");
    let server = client.call("pid", &json!({}));
    let recorded = || {
        let mut files = std::fs::read_dir(instance.home().join("servers")).expect("the records").flatten();
        let record = files.find_map(|file| std::fs::read(file.path()).ok()).unwrap_or_default();
        let record: Value = serde_json::from_slice(&record).unwrap_or_default();
        record["processes"].as_array().map_or(0, Vec::len)
    };
    eventually("the child is recorded", LIMIT, || recorded() == GUARDS + 2);
    drop(client);
    let log = || std::fs::read_to_string(instance.home().join("log/daemon.log")).unwrap_or_default();
    let line = |word: &str| log().lines().find(|line| line.contains(word)).map(str::to_owned);
    eventually("its end is logged", LIMIT, || line("its processes have ended").is_some());
    let stopping = line("stopping server=fix").expect("why it was stopped");
    assert!(stopping.contains("was used by no client for"), "{stopping}");
    let ended = line("its processes have ended").expect("what has ended");
    assert!(ended.contains("id=\"fix#1\"") || ended.contains("id=fix#1"), "{ended}");
    assert_eq!(ended.matches(" (").count(), GUARDS + 2, "the guard, the server and its child: {ended}");
    assert!(ended.contains(&format!("({server})")), "{ended}");
}

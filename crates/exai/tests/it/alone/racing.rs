//! Many commands, shims and daemons at the same time.

use std::collections::BTreeSet;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use exai_os::lock;
use exai_os::process::{self, Kill, Killed};
use serde_json::{Value, json};

use super::{SECOND, daemons, look, nothing_is_left, pid, state};
use crate::support::{Client, Instance, LIMIT, text};

fn opening() -> Value {
    json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}})
}

fn spawn(instance: &Instance, command: &str) -> Child {
    let mut command = instance.command(&[command]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts")
}

#[test]
fn a_hundred_shims_and_ten_starts_and_ten_serves_at_once_make_one_daemon() {
    let instance = Instance::new("");
    let begun = Instant::now();
    let mut shims = Vec::new();
    let (mut starts, mut serves) = (Vec::new(), Vec::new());
    for number in 0..100 {
        shims.push(instance.shim(&[]));
        if number % 10 == 0 {
            starts.push(spawn(&instance, "start"));
            serves.push(spawn(&instance, "serve"));
        }
    }
    let ids: Vec<Value> = shims.iter_mut().map(|shim| shim.request("initialize", &opening())).collect();
    for (shim, id) in shims.iter_mut().zip(ids) {
        assert_eq!(shim.answer(&id)["result"]["protocolVersion"], "2025-06-18");
    }
    eprintln!("100 shims, 10 `start`, 10 `serve`, cold: all answered after {:.2?}", begun.elapsed());
    let status = instance.status();
    let daemon = pid(&instance);
    for start in starts {
        let output = start.wait_with_output().expect("it ends");
        let said = text(&output.stdout);
        assert!(output.status.success(), "{said}{}", text(&output.stderr));
        assert!(said.contains(&format!("(pid {daemon})")), "not pid {daemon}: {said}");
    }
    for mut serve in serves.into_iter().filter(|serve| serve.id() != daemon) {
        assert_eq!(serve.wait().expect("it ends").code(), Some(75), "it lost");
    }
    assert_eq!(daemons(&instance), [daemon]);
    // All shims must be clients of this one daemon.
    let clients = status["clients"].as_array().expect("clients");
    let seen: BTreeSet<u64> = clients.iter().filter_map(|client| client["shim_pid"].as_u64()).collect();
    let own: BTreeSet<u64> = shims.iter().map(|shim| u64::from(shim.pid())).collect();
    assert_eq!(seen, own);
    drop(shims);
    instance.ends(0, &["stop"]);
    nothing_is_left(&instance, "after the race");
}

/// Fewer kills would prove nothing. Under Wine a daemon takes ten times as long to start.
const LEAST_KILLS: u32 = if cfg!(windows) { 5 } else { 20 };

/// The numbers that the threads of the chaos share.
#[derive(Default)]
struct Count {
    over: AtomicBool,
    kills: AtomicU32,
    looks: AtomicU32,
    two: AtomicU32,
    shims: AtomicU32,
    failed: AtomicU32,
    longest_ms: AtomicU32,
}

/// Sets the flag when it is dropped, also by a panic.
struct SetAtTheEnd<'a>(&'a AtomicBool);

impl Drop for SetAtTheEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn daemons_killed_all_the_time_are_replaced_one_by_one_and_no_shim_fails() {
    let instance = Instance::new("");
    let count = Count::default();
    let begun = Instant::now();
    let mut rounds = 0;
    thread::scope(|scope| {
        scope.spawn(|| kill_daemons(&instance, &count));
        // Windows has no table of the listeners at pipes.
        if !cfg!(windows) {
            scope.spawn(|| look_for_two(&instance, &count));
        }
        // The killer must also end when one of the rounds panics.
        let _over = SetAtTheEnd(&count.over);
        let is_chaos = || count.kills.load(Ordering::Relaxed) > LEAST_KILLS;
        while begun.elapsed() < SECOND * 10 || !is_chaos() && begun.elapsed() < SECOND * 60 {
            rounds += 1;
            let serves: Vec<Child> = (0..3).map(|_| spawn(&instance, "serve")).collect();
            thread::scope(|round| {
                for _ in 0..20 {
                    round.spawn(|| be_served(&instance, &count));
                }
            });
            for mut serve in serves {
                if let Ok(None) = serve.try_wait() {
                    serve.kill().expect("it can be killed");
                }
                serve.wait().expect("it ends");
            }
        }
    });
    let get = |number: &AtomicU32| number.load(Ordering::Relaxed);
    eprintln!(
        "{rounds} rounds, {} shims, {} failed (longest {} ms), {} daemons killed; {} looks, {} saw two listeners",
        get(&count.shims),
        get(&count.failed),
        get(&count.longest_ms),
        get(&count.kills),
        get(&count.looks),
        get(&count.two)
    );
    assert_eq!((get(&count.two), get(&count.failed)), (0, 0));
    assert!(get(&count.kills) > LEAST_KILLS, "there was no chaos");
    instance.ends(0, &["start"]);
    // A daemon whose shim has ended may wait for the lock for two seconds.
    exai_test::eventually("one is left", LIMIT, || daemons(&instance) == [pid(&instance)]);
    instance.ends(0, &["stop"]);
    nothing_is_left(&instance, "after the chaos");
}

fn kill_daemons(instance: &Instance, count: &Count) {
    let path = instance.home().join("instance.lock");
    let mut number = 1_u64;
    while !count.over.load(Ordering::Relaxed) {
        // 10 to 90 ms, in a pseudo-random order.
        number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        thread::sleep(Duration::from_millis(10 + (number >> 33) % 80));
        // Windows does not say who holds a lock.
        let holder =
            if cfg!(windows) { recorded(instance) } else { lock::holder(&path).expect("the lock table") };
        let identity = holder.and_then(|pid| process::identify(pid).expect("the process list"));
        let Some(identity) = identity.filter(|identity| daemons(instance).contains(&identity.pid)) else {
            continue;
        };
        if process::kill_verified(&identity, Kill::Force).is_ok_and(|killed| killed == Killed::Signalled) {
            count.kills.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The pid that the daemon's record names, if there is a record.
fn recorded(instance: &Instance) -> Option<u32> {
    let record = std::fs::read(instance.home().join("daemon.json")).ok()?;
    let record: Value = serde_json::from_slice(&record).ok()?;
    u32::try_from(record["pid"].as_u64()?).ok()
}

/// Two daemons would show as two listening sockets at once.
fn look_for_two(instance: &Instance, count: &Count) {
    let place = format!("{}/s-", instance.home().display());
    while !count.over.load(Ordering::Relaxed) {
        let sockets = std::fs::read_to_string("/proc/net/unix").expect("the socket table");
        // At such a socket a starter waits for a daemon that the user's service manager starts.
        let of_starter = |line: &str| line.contains("/s-outside-");
        let listening =
            |line: &&str| line.contains(" 00010000 ") && line.contains(&place) && !of_starter(line);
        let names: BTreeSet<&str> = sockets.lines().filter(listening).collect();
        count.looks.fetch_add(1, Ordering::Relaxed);
        if names.len() > 1 {
            count.two.fetch_add(1, Ordering::Relaxed);
        }
        thread::sleep(Duration::from_millis(2));
    }
}

fn be_served(instance: &Instance, count: &Count) {
    let begun = Instant::now();
    let mut shim = instance.shim(&[]);
    let served = answered(&mut shim, "initialize", &opening());
    count.shims.fetch_add(1, Ordering::Relaxed);
    if !served {
        count.failed.fetch_add(1, Ordering::Relaxed);
    }
    let took = begun.elapsed().as_millis();
    count.longest_ms.fetch_max(u32::try_from(took).unwrap_or(u32::MAX), Ordering::Relaxed);
    // Under Wine, an exiting program sometimes hangs while one of its threads looks for a daemon: the exit ends the
    // other threads wherever they are, and one of them may hold a lock of Wine's. So here the shim is killed instead.
    if cfg!(windows) {
        drop(shim);
    } else {
        shim.finish();
    }
}

fn answered(shim: &mut Client, method: &str, params: &Value) -> bool {
    let answer = shim.ask(method, params);
    if answer.get("result").is_none() {
        eprintln!("a shim failed: {answer}");
    }
    answer.get("result").is_some()
}

#[test]
fn a_state_directory_removed_under_the_daemon_does_not_make_two() {
    let instance = Instance::new("");
    let mut old = instance.shim(&[]);
    old.initialize(&json!({}));
    let (daemon, before) = (pid(&instance), look(&instance)["daemon"]["instance"].clone());
    // In one step: the daemon would put files back into a directory that is being emptied.
    let away = instance.dir().join("away");
    std::fs::rename(instance.home(), &away).expect("it can be moved");
    std::fs::remove_dir_all(&away).expect("it can be removed");
    let begun = Instant::now();
    let mut shims: Vec<Client> = (0..20).map(|_| instance.shim(&[])).collect();
    let ids: Vec<Value> = shims.iter_mut().map(|shim| shim.request("initialize", &opening())).collect();
    for (shim, id) in shims.iter_mut().zip(ids) {
        assert_eq!(shim.answer(&id)["result"]["protocolVersion"], "2025-06-18");
    }
    let took = begun.elapsed();
    eprintln!("20 shims found the daemon again {took:.2?} after its directory was removed");
    assert!(took < Duration::from_millis(2500), "{took:?}");
    let status = instance.status();
    assert_eq!((&status["daemon"]["pid"], &status["daemon"]["instance"]), (&json!(daemon), &before));
    assert_eq!(status["clients"].as_array().map(Vec::len), Some(21), "the old one among them");
    assert_eq!(daemons(&instance), [daemon]);
    assert_eq!(old.ask("ping", &json!({}))["result"], json!({}), "it has not noticed");
    for file in ["daemon.json", "token", "instance.lock", "log/daemon.log"] {
        assert!(instance.home().join(file).is_file(), "{file} is there again");
    }
    assert_eq!(instance.exai(&["serve"]).status.code(), Some(75));
    drop((shims, old));
    instance.ends(0, &["stop"]);
    nothing_is_left(&instance, "after the removal");
}

#[test]
fn what_somebody_puts_in_the_place_of_the_state_directory_is_not_touched() {
    let instance = Instance::new("");
    instance.ends(0, &["start"]);
    let daemon = pid(&instance);
    let (home, away, other) = (instance.home(), instance.dir().join("away"), instance.dir().join("other"));
    std::fs::create_dir(&other).expect("a directory");
    // In between, the daemon would make the directory again that it misses.
    super::signal(daemon, "STOP");
    std::fs::rename(&home, &away).expect("it can be moved");
    super::run(std::process::Command::new("ln").arg("-s").arg(&other).arg(&home));
    super::signal(daemon, "CONT");
    let complaints = || {
        let log = std::fs::read_to_string(away.join("log/daemon.log")).expect("the log");
        log.matches("the daemon may not be found").count()
    };
    exai_test::eventually("the log says so", LIMIT, || complaints() == 1);
    // No event shows that something does not happen, so the test waits for two more checks of the daemon.
    thread::sleep(Duration::from_millis(2500));
    assert_eq!(complaints(), 1, "once");
    assert_eq!(std::fs::read_dir(&other).expect("the directory").count(), 0, "nothing was put there");
    super::signal(daemon, "STOP");
    std::fs::remove_file(&home).expect("the link");
    std::fs::rename(&away, &home).expect("it can be moved back");
    super::signal(daemon, "CONT");
    assert_eq!((pid(&instance), daemons(&instance)), (daemon, vec![daemon]));
    instance.ends(0, &["stop"]);
    nothing_is_left(&instance, "after that");
}

#[test]
fn each_file_removed_under_the_daemon_comes_back() {
    let instance = Instance::new("");
    instance.ends(0, &["start"]);
    let daemon = pid(&instance);
    let mut longest = Duration::ZERO;
    let local = |instance: &Instance| {
        let listeners = instance.status()["daemon"]["listeners"].clone();
        let local = listeners.as_array().into_iter().flatten().find(|listener| listener["kind"] == "local");
        std::path::PathBuf::from(local.and_then(|local| local["addr"].as_str()).expect("a local socket"))
    };
    // Windows does not remove an open lock file, and a socket has no file there.
    let files: &[&str] = if cfg!(windows) {
        &["daemon.json", "token"]
    } else {
        &["daemon.json", "token", "instance.lock", "socket"]
    };
    for &file in files {
        let path = if file == "socket" { local(&instance) } else { instance.home().join(file) };
        std::fs::remove_file(&path).expect("it can be removed");
        let begun = Instant::now();
        exai_test::eventually(&format!("{file} comes back"), SECOND * 2, || {
            path.exists() || file == "socket" && super::sockets(&instance.home()) == 1
        });
        longest = longest.max(begun.elapsed());
        assert_eq!(instance.exai(&["serve"]).status.code(), Some(75), "{file}");
        assert_eq!((state(&instance), pid(&instance)), ("running".to_owned(), daemon), "{file}");
    }
    eprintln!("a removed file is back after {longest:.2?} at most");
    instance.ends(0, &["stop"]);
    nothing_is_left(&instance, "after all");
}

#[test]
fn a_daemon_that_ends_leaves_the_files_of_the_next_alone_and_no_shim_hangs() {
    let instance = Instance::new("");
    instance.ends(0, &["start"]);
    let begun = Instant::now();
    let (rounds, mut served) = (if cfg!(windows) { 8 } else { 25 }, 0);
    for round in 0..rounds {
        let stop = spawn(&instance, "stop");
        let start = spawn(&instance, "start");
        let mut shims: Vec<Client> = (0..3).map(|_| instance.shim(&[])).collect();
        let ids: Vec<Value> = shims.iter_mut().map(|shim| shim.request("initialize", &opening())).collect();
        // Every shim gets an answer, but after the stop there may be no daemon, and then the answer is an error.
        served += shims
            .iter_mut()
            .zip(ids)
            .filter_map(|(shim, id)| shim.answer(&id).get("result").cloned())
            .count();
        for child in [stop, start] {
            let output = child.wait_with_output().expect("it ends");
            assert!(matches!(output.status.code(), Some(0 | 1)), "{}", text(&output.stderr));
        }
        instance.ends(0, &["start"]);
        let record = std::fs::read(instance.home().join("daemon.json")).expect("a record");
        let record: Value = serde_json::from_slice(&record).expect("a document");
        assert_eq!(record["instance"], instance.status()["daemon"]["instance"], "round {round}");
        assert_eq!(daemons(&instance).len(), 1, "round {round}");
    }
    eprintln!(
        "{rounds} stops with a start and 3 shims at once: {served} shims served, {:.1?}",
        begun.elapsed()
    );
    instance.ends(0, &["stop"]);
    nothing_is_left(&instance, "after all");
}

#[test]
fn stop_and_restart_can_be_repeated_and_done_at_once() {
    let instance = Instance::new("");
    instance.ends(0, &["stop"]);
    instance.ends(0, &["stop"]);
    assert!(daemons(&instance).is_empty(), "stop never starts one");
    instance.ends(0, &["start"]);
    let begun = Instant::now();
    let (mut good, mut bad) = (0, Vec::new());
    let all: Vec<(Child, &str)> = (0..20)
        .map(|number| if number % 2 == 0 { "stop" } else { "restart" })
        .map(|command| (spawn(&instance, command), command))
        .collect();
    for (child, command) in all {
        let output = child.wait_with_output().expect("it ends");
        match output.status.code() {
            Some(0) => good += 1,
            code => bad.push(format!("{command}: {code:?} {}", text(&output.stderr))),
        }
    }
    let took = begun.elapsed();
    let (state, daemons) = (state(&instance), daemons(&instance));
    eprintln!(
        "10 stop + 10 restart at once: {took:.2?}, {good} done, {} not, then {state}: {bad:?}",
        bad.len()
    );
    assert!(took < SECOND * 30, "{took:?}");
    assert!(bad.is_empty(), "who finds the world changed looks again: {bad:?}");
    match &*state {
        "running" => assert_eq!(daemons, [pid(&instance)]),
        "stopped" => assert!(daemons.is_empty(), "{daemons:?}"),
        other => panic!("{other}: {daemons:?}"),
    }
    instance.ends(0, &["stop"]);
    nothing_is_left(&instance, "after all");
}

#[test]
fn a_daemon_that_waits_for_its_turn_fails_no_restart() {
    let instance = Instance::new("");
    instance.ends(0, &["start"]);
    let mut waiting = Vec::new();
    for _ in 0..3 {
        let before = pid(&instance);
        // It waits for the lock for two seconds, as one does whose starter has gone, and may be the next daemon.
        waiting.push(spawn(&instance, "serve"));
        thread::sleep(Duration::from_millis(60)); // no event shows that it waits
        instance.ends(0, &["restart"]);
        assert_ne!(pid(&instance), before);
    }
    // Those that still wait would become the daemon after the stop.
    let daemon = pid(&instance);
    for child in waiting.iter_mut().filter(|child| child.id() != daemon) {
        child.kill().expect("it can be killed");
    }
    instance.ends(0, &["stop"]);
    for mut child in waiting {
        child.wait().expect("it ends");
    }
    nothing_is_left(&instance, "after all");
}

//! Settings of the process that starts a shim or a daemon must not reach the servers of other clients.

use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};

use exai_os::process;
use exai_test::{eventually, program};
use serde_json::{Value, json};

use crate::support::{Client, Instance, LIMIT, text};

fn signal(name: &str, pid: u32) {
    let sent = Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).status();
    assert!(sent.expect("kill runs").success());
}

#[test]
fn the_keys_that_interrupt_a_program_in_the_terminal_do_not_end_the_shim() {
    let instance = Instance::with_fixture(&[]);
    let mut client = instance.client("fix");
    for name in ["INT", "QUIT", "INT"] {
        signal(name, client.pid());
        assert_eq!(client.call("echo", &json!({"message": name})), name);
    }
    // A daemon that a shim has started does not ignore these signals.
    let daemon = instance.status()["daemon"]["pid"].as_u64().expect("a pid") as u32;
    assert_eq!(ignored(daemon), 0);
    let shim = process::identify(client.pid()).expect("the process list").expect("it lives");
    signal("TERM", shim.pid);
    assert!(process::wait_gone(&shim, std::time::Instant::now() + LIMIT).expect("the process list"));
}

/// After the end of its terminal, the client may live on under `nohup` or in a session of its own.
#[test]
fn the_end_of_the_terminal_does_not_end_the_shim_as_long_as_its_client_holds_its_stdin() {
    let instance = Instance::with_fixture(&[]);
    let mut client = instance.client("fix");
    signal("HUP", client.pid());
    assert_eq!(client.call("echo", &json!({"message": "still"})), "still");
    let daemon = instance.status()["daemon"]["pid"].as_u64().expect("a pid") as u32;
    assert_eq!(ignored(daemon), 0, "the daemon does not have this from the shim");
    assert!(client.finish() < LIMIT, "the end of its stdin is its end");
}

#[test]
fn the_shim_ends_when_it_is_asked_to_whatever_its_client_does_with_that_signal() {
    for option in ["--ignore-signal=TERM", "--block-signal=TERM"] {
        let instance = Instance::with_fixture(&[]);
        let mut env = Command::new("env");
        env.arg(option)
            .arg(program("exai"))
            .args(["shim", "--server", "fix"])
            .env("EXAI_HOME", instance.home());
        let mut client = Client::start(env);
        client.initialize(&json!({}));
        let shim = process::identify(client.pid()).expect("the process list").expect("it lives");
        signal("TERM", shim.pid);
        let soon = std::time::Instant::now() + LIMIT;
        assert!(process::wait_gone(&shim, soon).expect("the process list"), "{option}");
    }
}

/// A client may have made the stream that it shares with its shim non-blocking for its own use.
#[test]
fn stdio_that_does_not_block_loses_nothing() {
    let instance = Instance::with_fixture(&[]);
    let (mut ours, theirs) = UnixStream::pair().expect("a pair of sockets");
    theirs.set_nonblocking(true).expect("it does not block");
    let ends: [OwnedFd; 2] = [theirs.try_clone().expect("another end").into(), theirs.into()];
    let [input, output] = ends.map(Stdio::from);
    let mut command = instance.command(&["shim", "--server", "fix"]);
    let mut shim = command.stdin(input).stdout(output).stderr(Stdio::null()).spawn().expect("it starts");
    drop(command); // closes this process's copies of its ends
    let size = 3_000_000;
    let opening = json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}});
    let call = json!({"name": "big", "arguments": {"bytes": size}});
    let big = json!({"name": "echo", "arguments": {"message": "y".repeat(size)}});
    let requests = [("initialize", opening), ("tools/call", call), ("tools/call", big)];
    for (id, (method, params)) in requests.iter().enumerate() {
        let message = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        // The test does not read meanwhile, so the answer fills the socket.
        ours.write_all(format!("{message}\n").as_bytes()).expect("it is written");
    }
    let mut answers = vec![Value::Null; requests.len()];
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(ours.try_clone().expect("another end")));
    for _ in 0..requests.len() {
        let line = lines.next().expect("an answer").expect("text");
        let answer: Value = serde_json::from_str(&line).expect("JSON");
        let id = answer["id"].as_u64().expect("an id") as usize;
        answers[id] = answer;
    }
    for answer in &answers[1..] {
        let said = answer["result"]["content"][0]["text"].as_str().expect("a text");
        assert_eq!(said.len(), size);
    }
    ours.shutdown(std::net::Shutdown::Write).expect("the end of its input");
    assert!(shim.wait().expect("it ends").success());
    assert_eq!(ours.read(&mut [0]).expect("the end of its output"), 0);
}

/// The command line may write to such streams too.
#[test]
fn a_command_writes_all_of_a_long_answer_to_a_stream_that_does_not_block() {
    let instance = Instance::with_fixture(&[]);
    let (mut ours, theirs) = UnixStream::pair().expect("a pair of sockets");
    theirs.set_nonblocking(true).expect("it does not block");
    let mut command = instance.command(&["call", "fix", "big", r#"{"bytes":3000000}"#]);
    let mut call = command.stdout(Stdio::from(OwnedFd::from(theirs))).spawn().expect("it starts");
    drop(command); // closes this process's copy of its end
    let mut said = String::new();
    ours.read_to_string(&mut said).expect("text");
    assert!(call.wait().expect("it ends").success());
    assert_eq!(said.len(), 3_000_001);
}

/// The number in a line of /proc/PID/status, which is hexadecimal or octal.
fn number(pid: u32, name: &str, radix: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it lives");
    let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("such a line");
    u64::from_str_radix(line.trim_start_matches(':').trim(), radix).expect("a number")
}

/// The set of signals that a process ignores, except SIGPIPE (which Rust ignores) and the two that the C library uses.
fn ignored(pid: u32) -> u64 {
    number(pid, "SigIgn", 16) & !(1 << 12 | 1 << 31 | 1 << 32)
}

/// The pid of the only server.
fn server(instance: &Instance) -> u32 {
    let status = instance.status();
    let servers = status["servers"].as_array().expect("servers");
    let pid = servers.iter().find_map(|server| server["instances"][0]["pid"].as_u64());
    pid.unwrap_or_else(|| panic!("no server in {status}")) as u32
}

#[test]
fn servers_have_nothing_of_what_whoever_started_the_daemon_had_set() {
    let instance = Instance::with_fixture(&[]);
    let exai = program("exai").display().to_string();
    let script = format!("trap '' CHLD INT TERM HUP; ulimit -Sn 64; exec nice -n 7 '{exai}' start");
    // Not every `sh` can ignore the deaths of children.
    let started = instance.unmanaged("bash").args(["-c", &script]).output();
    let started = started.expect("it runs");
    assert!(started.status.success(), "{}", text(&started.stderr));
    instance.ends(0, &["call", "fix", "echo", r#"{"message":"x"}"#]);
    let server = server(&instance);
    assert_eq!((ignored(server), number(server, "SigBlk", 16)), (0, 0));
    let limits = std::fs::read_to_string(format!("/proc/{server}/limits")).expect("it lives");
    let files = limits.lines().find(|line| line.starts_with("Max open files")).expect("a limit");
    assert_eq!(files.split_whitespace().nth(3), Some("1024"), "{files}");
    let stat = std::fs::read_to_string(format!("/proc/{server}/stat")).expect("it lives");
    let nice = stat.rsplit(')').next().and_then(|rest| rest.split(' ').nth(17)).expect("a nice value");
    // Only root may undo a low priority; otherwise exai reports it.
    let told = instance.status()["findings"].to_string().contains("low-priority");
    assert_eq!(
        (nice, told),
        if exai_os::inherited_state::niceness() == 0 && is_root() { ("0", false) } else { ("7", true) }
    );
}

/// exai reports a limit that it may not raise again.
#[test]
fn limits_of_whoever_started_the_daemon_are_raised_again_or_told_of() {
    let limit = |instance: &Instance, name: &str| {
        let limits = std::fs::read_to_string(format!("/proc/{}/limits", server(instance))).expect("it lives");
        let line = limits.lines().find_map(|line| line.strip_prefix(name)).expect("such a limit");
        line.split_whitespace().next().expect("its soft value").to_owned()
    };
    let found = |instance: &Instance| {
        let status = instance.status();
        let findings = status["findings"].as_array().expect("findings");
        findings.iter().find(|finding| finding["id"] == "low-limits").cloned()
    };
    let started = |limits: &str| {
        let instance = Instance::with_fixture(&[]);
        let script = format!(r#"{limits}; exec "$0" start"#);
        let mut shell = instance.unmanaged("bash");
        shell.args(["-c", &script]).arg(program("exai"));
        assert!(shell.output().expect("it runs").status.success());
        instance.ends(0, &["call", "fix", "echo", r#"{"message":"x"}"#]);
        instance
    };
    let soft = started("ulimit -S -t 600 -f 1000 -v 40000000");
    for name in ["Max cpu time", "Max file size", "Max address space"] {
        let ours = std::fs::read_to_string("/proc/self/limits").expect("it lives");
        let hard = ours.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().nth(1));
        assert_eq!(Some(limit(&soft, name).as_str()), hard, "{name}");
    }
    assert_eq!(found(&soft), None);
    let hard = started("ulimit -n 256 -t 600");
    let finding = found(&hard).expect("a finding");
    let detail = finding["detail"].as_str().expect("a sentence");
    assert!(detail.contains("256 open files") && detail.contains("600 s of processor time"), "{detail}");
    assert!(finding["fix"].as_str().expect("a command").contains("exai restart"), "{finding}");
    let doctor = text(&hard.exai(&["doctor"]).stdout);
    assert_eq!(doctor.matches("256 open files").count(), 1, "{doctor}");
}

/// Servers give other accounts no access that the starter of the daemon denies them, and never write access.
#[test]
fn servers_have_the_stricter_of_the_usual_umask_and_that_of_whoever_started_the_daemon() {
    for (starter, expected) in [("000", 0o022), ("077", 0o077)] {
        let instance = Instance::with_fixture(&[]);
        let exai = program("exai").display().to_string();
        let script = format!("umask {starter}; exec '{exai}' start");
        let started = Command::new("sh").args(["-c", &script]).env("EXAI_HOME", instance.home()).output();
        assert!(started.expect("it runs").status.success());
        instance.ends(0, &["call", "fix", "echo", r#"{"message":"x"}"#]);
        assert_eq!(number(server(&instance), "Umask", 8), expected, "started with {starter}");
    }
}

/// A person who starts the daemon with `nohup` wants it to outlive the terminal.
#[test]
fn a_daemon_started_by_nohup_outlives_the_terminal_and_its_servers_have_nothing_of_that() {
    let instance = Instance::with_fixture(&[]);
    let serve = instance.command(&["serve"]);
    let mut nohup = Command::new("nohup");
    nohup.arg(serve.get_program()).args(serve.get_args()).env("EXAI_HOME", instance.home());
    let mut daemon =
        nohup.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("nohup runs");
    eventually("the daemon runs", LIMIT, || instance.exai(&["status"]).status.success());
    instance.ends(0, &["call", "fix", "echo", r#"{"message":"x"}"#]);
    assert_eq!(ignored(daemon.id()), 1, "SIGHUP, and nothing else");
    assert_eq!(ignored(server(&instance)), 0);
    signal("HUP", daemon.id());
    instance.ends(0, &["call", "fix", "echo", r#"{"message":"y"}"#]);
    assert_eq!(instance.status()["daemon"]["pid"], json!(daemon.id()), "it is the same");
    instance.ends(0, &["stop"]);
    assert!(daemon.wait().expect("it can be waited for").success());
}

/// A process that ignores the deaths of its children cannot wait for them, and then the standard library panics when a
/// start fails.
#[test]
fn a_start_that_fails_ends_no_shim_whose_client_ignores_the_deaths_of_its_children() {
    let instance = Instance::with_fixture(&[]);
    instance.ends(0, &["start"]);
    let copy = instance.dir().join("exai");
    std::fs::copy(program("exai"), &copy).expect("a copy");
    let mut shim = Command::new("bash");
    shim.args(["-c", r#"trap '' CHLD; exec "$0" shim --server fix"#])
        .arg(&copy)
        .env("EXAI_HOME", instance.home());
    let mut client = Client::start(shim);
    client.initialize(&json!({}));
    std::fs::remove_file(&copy).expect("it can be removed");
    std::fs::write(&copy, "no program").expect("it can be written");
    instance.ends(0, &["stop"]);
    // A call that is written before the shim has noticed that the daemon is gone has an unknown outcome.
    assert_eq!(client.ask("ping", &json!({}))["error"]["code"], -31001);
    let answer = client.ask("tools/call", &json!({"name": "echo", "arguments": {"message": "x"}}));
    let said = answer["error"]["message"].as_str().unwrap_or_else(|| panic!("an error: {answer}"));
    assert!(said.contains("ermission denied"), "{said}");
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|of| std::os::unix::fs::MetadataExt::uid(&of) == 0)
}

//! Servers with a `command` and a `url`: exai starts them and reaches them over HTTP, but only if one of their own
//! processes listens at the URL.

use std::io::Read;
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use exai_test::{eventually, free_port, program};
use serde_json::{Value, json};

use crate::support::{self, Client, Instance, LIMIT};

/// The text in a batch file that does what `sleep 600` does in a shell.
const SLEEP: &str = "FIXTURE --sleep";

/// An instance whose fixture listens on this port behind a shell. In the shell's text, `LISTEN` stands for the fixture.
fn behind_a_shell(port: u16, script: &str, batch: &str, more: &str) -> Instance {
    let instance = Instance::new("");
    let fix = format!("FIXTURE --http {port}");
    let [script, batch] = [script, batch].map(|text| text.replace("LISTEN", &fix));
    let shell = support::behind_a_shell(instance.dir(), &script, &batch);
    instance.configure(&format!("[servers.fix]\n{shell}url = \"http://127.0.0.1:{port}/mcp\"\n{more}\n"));
    instance
}

/// The configuration of a fixture that listens on this port, without a shell.
pub(crate) fn listening(port: u16, switches: &[&str]) -> String {
    let port_text = port.to_string();
    let mut args = vec!["--http", &port_text];
    args.extend(switches);
    format!(
        "[servers.fix]\ncommand = {}\nargs = {}\nurl = \"http://127.0.0.1:{port}/mcp\"\n",
        json!(program("fixture-server")),
        json!(args)
    )
}

fn alive(pid: &Value) -> bool {
    let pid = pid.as_u64().expect("a pid") as u32;
    exai_os::process::identify(pid).expect("the process table").is_some()
}

/// The rows of `exai ps` for the server `fix`.
fn rows(instance: &Instance) -> Vec<Value> {
    let ps = instance.json(&["ps", "--json"]);
    let rows = ps["processes"].as_array().expect("processes").clone();
    rows.into_iter().filter(|row| row["of"].as_str().is_some_and(|of| of.starts_with("fix#"))).collect()
}

fn server_row(instance: &Instance) -> Value {
    let rows = rows(instance);
    let server = rows.iter().find(|row| row["role"] == "server");
    server.unwrap_or_else(|| panic!("no server in {rows:#?}")).clone()
}

fn log(instance: &Instance) -> String {
    std::fs::read_to_string(instance.home().join("log/server-fix.log")).unwrap_or_default()
}

/// Calls `echo` until a call succeeds, and returns the earlier answers.
fn until_it_answers(client: &mut Client) -> Vec<Value> {
    let mut before = Vec::new();
    eventually("the server answers", LIMIT, || {
        let answer = client.ask("tools/call", &json!({"name": "echo", "arguments": {"message": "hello"}}));
        let works = answer["result"]["content"][0]["text"] == "hello";
        if !works {
            before.push(answer);
        }
        works
    });
    before
}

/// Calls `echo`, which must fail with this code, and returns the message.
#[track_caller]
fn refused(client: &mut Client, code: i32) -> String {
    let answer = client.ask("tools/call", &json!({"name": "echo", "arguments": {"message": "hello"}}));
    assert_eq!(answer["error"]["code"], code, "{answer}");
    answer["error"]["message"].as_str().expect("a message").to_owned()
}

/// Checks that nothing has connected to the stranger.
fn assert_untouched(stranger: &TcpListener) {
    stranger.set_nonblocking(true).expect("it can be asked");
    let heard = stranger.accept();
    assert!(heard.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock), "it was connected to");
}

#[test]
fn a_server_behind_a_shell_serves_two_clients_in_one_session_and_stop_leaves_nothing() {
    let port = free_port();
    let instance = behind_a_shell(port, "LISTEN; exit", "LISTEN", "");
    let mut clients = [instance.client("fix"), instance.client("fix")];
    let pids = clients.each_mut().map(|client| client.call("pid", &json!({})));
    assert_eq!(pids[0], pids[1]);
    let row = server_row(&instance);
    assert_eq!(row["pid"].to_string(), pids[0]);
    let evidence = row["evidence"].to_string();
    assert!(evidence.contains(&format!("owns the LISTEN socket 127.0.0.1:{port}")), "{evidence}");
    assert!(evidence.contains("answered initialize") && !evidence.contains("presumed"), "{evidence}");
    let rows = rows(&instance);
    let shell = if cfg!(windows) { "cmd" } else { "shell" };
    assert!(rows.iter().any(|row| row["role"] == "launcher" && row["kind"] == shell), "{rows:#?}");
    let status = instance.status();
    let servers = status["servers"].as_array().expect("servers");
    let fix = servers.iter().find(|server| server["name"] == "fix").expect("fix");
    assert_eq!(fix["instances"].as_array().map(Vec::len), Some(1), "{fix}");
    assert_eq!(fix["instances"][0]["clients"].as_array().map(Vec::len), Some(2), "{fix}");
    assert_eq!(fix["instances"][0]["pid"].to_string(), pids[0]);
    let list = instance.json(&["list", "--json"]);
    assert_eq!(
        (&list["servers"][0]["name"], &list["servers"][0]["transport"]),
        (&json!("fix"), &json!("http"))
    );
    instance.ends(0, &["stop"]);
    for row in rows {
        assert!(!alive(&row["pid"]), "{row} is left");
    }
    let log = log(&instance);
    assert!(log.contains("fixture listens on"), "stdout goes to the log: {log}");
    assert!(log.contains("fixture session ended"), "the session was ended first: {log}");
}

#[test]
fn a_grandchild_that_listens_is_the_server() {
    let port = free_port();
    let instance =
        behind_a_shell(port, "LISTEN --http-child --http-sse; exit", "LISTEN --http-child --http-sse", "");
    let mut client = instance.client("fix");
    let pid = client.call("pid", &json!({}));
    let row = server_row(&instance);
    assert_eq!(row["pid"].to_string(), pid);
    let rows = rows(&instance);
    let launchers = rows.iter().filter(|row| row["role"] == "launcher").count();
    assert_eq!(launchers, 2, "the shell and the parent: {rows:#?}");
}

#[test]
fn a_launcher_that_has_done_its_work_leaves_a_server_that_serves() {
    let port = free_port();
    let instance = behind_a_shell(port, "LISTEN >/dev/null 2>&1 &", "start \"\" /b LISTEN >nul 2>&1", "");
    let mut client = instance.client("fix");
    let pid = client.call("pid", &json!({}));
    // This call takes long enough for exai to see the end of the launcher.
    assert_eq!(client.call("delay", &json!({"ms": 1500, "message": "late"})), "late");
    assert_eq!(client.call("pid", &json!({})), pid);
    instance.ends(0, &["stop"]);
    assert!(!alive(&json!(pid.parse::<u32>().expect("a pid"))));
}

#[test]
fn a_stranger_on_the_port_is_named_and_left_alone_and_when_it_goes_the_server_serves() {
    let port = free_port();
    let stranger = TcpListener::bind(("127.0.0.1", port)).expect("the port is free");
    let instance = Instance::new(&listening(port, &[]));
    let mut client = instance.shim(&["--server", "fix"]);
    let begun = Instant::now();
    let answer = client.initialize(&json!({}));
    assert_eq!(answer["error"]["code"], -31006, "{answer}");
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    let text = answer["error"]["message"].as_str().expect("a message");
    let me = format!("(pid {})", std::process::id());
    assert!(
        text.contains(&format!("127.0.0.1:{port} is held by "))
            && text.contains(&me)
            && text.contains("no process of this server"),
        "{text}"
    );
    // The status shows the reason while the server may not be started again: for half a second at first, then for
    // longer.
    eventually("the status says why", LIMIT, || {
        let fix = instance.status()["servers"][0].clone();
        assert!(fix["name"] == "fix" && fix["state"] != "ready", "{fix}");
        let told = fix["reason"].as_str().is_some_and(|reason| reason.contains(&me));
        if !told {
            assert_eq!(client.initialize(&json!({}))["error"]["code"], -31006);
        }
        told
    });
    assert_untouched(&stranger);
    drop(stranger);
    eventually("the server is started", LIMIT, || client.initialize(&json!({}))["error"].is_null());
    until_it_answers(&mut client);
}

#[test]
fn nothing_is_sent_to_a_stranger_that_takes_the_port_of_a_server_that_died() {
    let port = free_port();
    let instance = Instance::new(&listening(port, &["--http-sse"]));
    let mut client = instance.client("fix");
    assert_eq!(client.call("echo", &json!({"message": "a"})), "a");
    let died = client.ask("tools/call", &json!({"name": "die", "arguments": {"code": 7}}));
    assert_eq!(died["error"]["code"], -31005, "{died}");
    assert!(died["error"]["message"].as_str().is_some_and(|text| text.contains("status 7")), "{died}");
    let stranger = TcpListener::bind(("127.0.0.1", port)).expect("the port is free");
    let text = refused(&mut client, -31006);
    assert!(text.contains(&format!("(pid {})", std::process::id())), "{text}");
    assert_untouched(&stranger);
    drop(stranger);
    for answer in until_it_answers(&mut client) {
        assert_eq!(answer["error"]["code"], -31006, "{answer}");
    }
}

#[test]
fn a_server_that_lost_its_port_to_a_stranger_is_ended_though_its_tree_lives() {
    let port = free_port();
    // The shell is the root of the tree, and lives on.
    let instance = behind_a_shell(port, "LISTEN & wait; sleep 600", &format!("LISTEN\n{SLEEP}"), "");
    let mut client = instance.client("fix");
    let pid: u32 = client.call("pid", &json!({})).parse().expect("a pid");
    let tree = rows(&instance);
    let identity = exai_os::process::identify(pid).expect("the table").expect("it lives");
    exai_os::process::kill_verified(&identity, exai_os::process::Kill::Force).expect("it is ours");
    let mut stranger = None;
    eventually("the port is free", LIMIT, || {
        stranger = TcpListener::bind(("127.0.0.1", port)).ok();
        stranger.is_some()
    });
    let stranger = stranger.expect("it is bound");
    eventually("the rest of the tree is gone", LIMIT, || !tree.iter().any(|row| alive(&row["pid"])));
    let daemon = std::fs::read_to_string(instance.home().join("log/daemon.log")).expect("a log");
    assert!(daemon.contains(&format!("(pid {})", std::process::id())), "{daemon}");
    let text = refused(&mut client, -31006);
    assert!(text.contains(&format!("(pid {})", std::process::id())), "{text}");
    assert_untouched(&stranger);
    drop(stranger);
    until_it_answers(&mut client);
}

#[test]
fn a_server_that_never_listens_fails_in_words_within_its_start_timeout() {
    let port = free_port();
    let instance = behind_a_shell(
        port,
        "echo on stdout; sleep 600",
        &format!("echo on stdout\n{SLEEP}"),
        "start_timeout = \"2s\"",
    );
    let mut client = instance.shim(&["--server", "fix"]);
    let begun = Instant::now();
    let answer = client.initialize(&json!({}));
    assert_eq!(answer["error"]["code"], -31006, "{answer}");
    let text = answer["error"]["message"].as_str().expect("a message");
    assert!(text.contains(&format!("does not listen on 127.0.0.1:{port}")), "{text}");
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert_eq!(answer["error"]["data"]["stderrTail"], "on stdout", "{answer}");
}

#[test]
fn restart_gives_another_process_on_the_same_port_at_once() {
    let port = free_port();
    let instance = Instance::new(&listening(port, &[]));
    let mut client = instance.client("fix");
    let first = client.call("pid", &json!({}));
    instance.ends(0, &["restart", "fix"]);
    let second = client.call("pid", &json!({}));
    assert_ne!(first, second);
    assert!(!alive(&json!(first.parse::<u32>().expect("a pid"))));
}

#[test]
fn a_lost_session_is_said_and_the_next_call_has_another() {
    let port = free_port();
    // Five messages: `initialize`, `initialized`, and three calls.
    let instance = Instance::new(&listening(port, &["--http-forget-after", "5"]));
    let mut client = instance.client("fix");
    let first = client.call("pid", &json!({}));
    client.call("pid", &json!({}));
    client.call("pid", &json!({}));
    let text = refused(&mut client, -31006);
    assert!(text.contains("has ended its session"), "{text}");
    assert_ne!(client.call("pid", &json!({})), first);
}

#[test]
fn large_answers_arrive_whole_as_a_document_and_as_a_stream() {
    for switches in [&[][..], &["--http-sse"], &["--http-sse", "--http-poll"]] {
        let port = free_port();
        let instance = Instance::new(&listening(port, switches));
        let mut client = instance.client("fix");
        let text = client.call("big", &json!({"bytes": 5 * 1024 * 1024}));
        assert_eq!(text.len(), 5 * 1024 * 1024, "{switches:?}");
        if switches.len() > 1 {
            continue;
        }
        let answer =
            client.ask("tools/call", &json!({"name": "big", "arguments": {"bytes": 33 * 1024 * 1024}}));
        assert_eq!(answer["error"]["code"], -31007, "{switches:?}");
        assert_eq!(client.call("echo", &json!({"message": "after"})), "after");
    }
}

#[test]
fn progress_comes_in_order_before_the_answer() {
    for switches in [&["--http-sse"][..], &["--http-sse", "--http-poll"], &[]] {
        let port = free_port();
        let instance = Instance::new(&listening(port, switches));
        let mut client = instance.client("fix");
        let params = json!({
            "name": "progress",
            "arguments": {"steps": 5, "ms": 20},
            "_meta": {"progressToken": "mine"},
        });
        let id = client.request("tools/call", &params);
        let mut steps = Vec::new();
        loop {
            let message = client.receive();
            if message["id"] == id {
                assert_eq!(message["result"]["content"][0]["text"], "5 steps");
                break;
            }
            assert_eq!(message["params"]["progressToken"], "mine", "{message}");
            steps.push(message["params"]["progress"].as_f64().expect("a number"));
        }
        // Progress over the general stream may arrive late, so only progress over the call's own stream is compared.
        if !switches.is_empty() {
            assert_eq!(steps, [1.0, 2.0, 3.0, 4.0, 5.0], "{switches:?}");
        }
    }
}

#[test]
fn what_belongs_to_no_request_comes_over_a_stream_of_its_own_or_not_at_all() {
    let port = free_port();
    let instance = Instance::new(&listening(port, &[]));
    let mut client = instance.client("fix");
    let id = client.request("tools/call", &json!({"name": "change_tools", "arguments": {}}));
    let mut messages = [client.receive(), client.receive()];
    messages.sort_by_key(|message| message["method"].is_string());
    assert_eq!(
        (&messages[0]["id"], &messages[1]["method"]),
        (&id, &json!("notifications/tools/list_changed"))
    );
    let port = free_port();
    let instance = Instance::new(&listening(port, &["--http-no-get"]));
    assert_eq!(instance.client("fix").call("change_tools", &json!({})), "changed");
}

#[test]
fn calls_run_side_by_side_and_a_cancelled_one_is_cancelled() {
    let port = free_port();
    let instance = Instance::new(&listening(port, &["--http-sse"]));
    let mut client = instance.client("fix");
    let begun = Instant::now();
    let ids: Vec<Value> = (0..100)
        .map(|number| {
            let arguments = json!({"ms": 500, "message": number.to_string()});
            client.request("tools/call", &json!({"name": "delay", "arguments": arguments}))
        })
        .collect();
    let mut answered = Vec::new();
    while answered.len() < ids.len() {
        answered.push(client.receive()["id"].clone());
    }
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    let id = client.request("tools/call", &json!({"name": "hang", "arguments": {"label": "stuck"}}));
    assert_eq!(client.call("echo", &json!({"message": "meanwhile"})), "meanwhile");
    let cancel = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}});
    client.send(&cancel);
    eventually("the server hears of it", LIMIT, || client.call("cancelled", &json!({})).contains("stuck"));
}

#[test]
fn headers_are_sent_and_a_refusal_is_passed_on_in_words() {
    let port = free_port();
    let with = |value: &str| {
        let server = listening(port, &["--http-require", "Authorization=Bearer open"]);
        format!("{server}headers = {{ Authorization = \"Bearer {value}\" }}\n")
    };
    let instance = Instance::new(&with("open"));
    assert_eq!(instance.client("fix").call("echo", &json!({"message": "in"})), "in");
    instance.ends(0, &["stop"]);
    let instance = Instance::new(&with("wrong-one"));
    let mut client = instance.shim(&["--server", "fix"]);
    let answer = client.initialize(&json!({}));
    assert_eq!(answer["error"]["code"], -31006, "{answer}");
    let text = answer.to_string();
    assert!(text.contains("401") && text.contains("who are you?"), "{text}");
    instance.ends(0, &["stop"]);
    let logs =
        log(&instance) + &std::fs::read_to_string(instance.home().join("log/daemon.log")).expect("a log");
    assert!(!(logs + &text).contains("wrong-one"));
}

/// Ends a race, also when the test panics.
struct EndsRace<'a>(&'a AtomicBool);

impl Drop for EndsRace<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Takes the port for a moment whenever it is free. Returns how often it did so, and the bytes that it received.
fn race_for(port: u16, over: &AtomicBool) -> (u32, Vec<u8>) {
    let (mut times, mut heard) = (0, Vec::new());
    while !over.load(Ordering::Relaxed) {
        let Ok(listener) = TcpListener::bind(("127.0.0.1", port)) else {
            std::thread::yield_now();
            continue;
        };
        times += 1;
        listener.set_nonblocking(true).expect("it can be asked");
        let until = Instant::now() + Duration::from_millis(100);
        while Instant::now() < until {
            if let Ok((mut stream, _)) = listener.accept() {
                stream.set_read_timeout(Some(Duration::from_millis(50))).expect("it can wait");
                let mut bytes = [0; 1024];
                let read = stream.read(&mut bytes).unwrap_or(0);
                heard.extend_from_slice(&bytes[..read]);
            }
            std::thread::yield_now();
        }
        drop(listener);
        // The server gets a chance to take the port.
        let until = Instant::now() + Duration::from_millis(300);
        eventually("the server's turn is over", LIMIT, || Instant::now() >= until);
    }
    (times, heard)
}

#[test]
fn a_stranger_that_races_for_the_port_never_hears_a_byte() {
    let port = free_port();
    let instance = Instance::new(&(listening(port, &["--http-sse"]) + "crash_limit = 0\n"));
    let mut client = instance.client("fix");
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let stranger = scope.spawn(|| race_for(port, &over));
        let end = EndsRace(&over);
        for _ in 0..8 {
            until_it_answers(&mut client);
            let pid: u32 = client.call("pid", &json!({})).parse().expect("a pid");
            let identity = exai_os::process::identify(pid).expect("the table").expect("it lives");
            exai_os::process::kill_verified(&identity, exai_os::process::Kill::Force).expect("it is ours");
            // These calls arrive while the server is ending.
            for _ in 0..5 {
                client.ask("tools/call", &json!({"name": "echo", "arguments": {"message": "hello"}}));
            }
        }
        drop(end);
        let (times, heard) = stranger.join().expect("the stranger");
        assert!(times >= 3, "it had the port {times} times");
        assert_eq!(String::from_utf8_lossy(&heard), "", "after {times} times");
    });
}

#[test]
fn redirects_are_followed_within_the_server_and_nowhere_else() {
    let port = free_port();
    let instance = Instance::new(&listening(port, &["--http-redirect", "/elsewhere/"]));
    assert_eq!(instance.client("fix").call("echo", &json!({"message": "there"})), "there");
    let stranger = TcpListener::bind("127.0.0.1:0").expect("a port");
    let place = format!("http://{}/mcp", stranger.local_addr().expect("it is bound"));
    let instance = Instance::new(&listening(free_port(), &["--http-redirect", &place]));
    let answer = instance.shim(&["--server", "fix"]).initialize(&json!({}));
    assert_eq!(answer["error"]["code"], -31006, "{answer}");
    assert!(answer["error"]["message"].as_str().is_some_and(|text| text.contains("redirects")), "{answer}");
    assert_untouched(&stranger);
}

#[test]
fn a_daemon_that_is_killed_leaves_nobody_on_the_port_and_the_next_call_is_answered() {
    let port = free_port();
    let instance = behind_a_shell(port, "LISTEN --http-child; exit", "LISTEN --http-child", "");
    let mut client = instance.client("fix");
    let first = client.call("pid", &json!({}));
    let tree = rows(&instance);
    let daemon = instance.status()["daemon"]["pid"].as_u64().expect("a pid") as u32;
    let identity = exai_os::process::identify(daemon).expect("the process table").expect("it lives");
    exai_os::process::kill_verified(&identity, exai_os::process::Kill::Force).expect("it is ours");
    eventually("its trees are gone", LIMIT, || !tree.iter().any(|row| alive(&row["pid"])));
    until_it_answers(&mut client);
    assert_ne!(client.call("pid", &json!({})), first);
}

#[test]
fn more_than_one_process_on_one_port_is_refused_in_words() {
    let port = free_port();
    let instance = Instance::new(&(listening(port, &[]) + "share = \"client\"\n"));
    let mut client = instance.shim(&["--server", "fix"]);
    let answer = client.initialize(&json!({}));
    assert_eq!(answer["error"]["code"], -31006, "{answer}");
    assert!(answer.to_string().contains("one process for all clients"), "{answer}");
}

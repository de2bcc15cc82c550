//! A daemon tells its shims to hold before it is replaced. Messages that they had already sent are still handled.

use std::thread;
use std::time::{Duration, Instant};

use exai_client::Link;
use exai_client::link::{Incoming, LinkError};
use exai_os::local::Endpoint;
use exai_proto::documents::DaemonRecord;
use exai_proto::link::{ByeReason, FromDaemon, Hello, Role, ToDaemon};
use exai_test::eventually;
use serde_json::{Value, json};

use crate::support::{Instance, LIMIT};

/// A link without a shim, which sends also when it was told to hold.
pub(crate) struct Peer(Link);

impl Peer {
    fn join(instance: &Instance, role: Role) -> Self {
        Peer::open(instance, exai_client::hello(role))
    }

    fn open(instance: &Instance, hello: Hello) -> Self {
        let record = std::fs::read(instance.home().join("daemon.json")).expect("a record");
        let record: DaemonRecord = serde_json::from_slice(&record).expect("a document");
        let endpoint: Endpoint = record.local_address().expect("a local socket").parse().expect("an address");
        let hello = Hello { server: Some("fix".to_owned()), ..hello };
        Peer(Link::open(&endpoint, &hello, Instant::now() + LIMIT).expect("a link"))
    }

    pub(crate) fn client(instance: &Instance, role: Role) -> Self {
        Peer::introduced(instance, exai_client::hello(role))
    }

    /// A client that connects with this hello, and has sent `initialize`.
    pub(crate) fn introduced(instance: &Instance, hello: Hello) -> Self {
        let mut peer = Peer::open(instance, hello);
        let params = json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "p", "version": "1"}});
        peer.request("hello", "initialize", &params);
        assert!(peer.answer("hello")["result"].is_object());
        peer
    }

    pub(crate) fn request(&self, id: &str, method: &str, params: &Value) {
        let request = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        self.0.send_message(request.to_string().as_bytes()).expect("the link takes it");
    }

    pub(crate) fn call(&self, id: &str, tool: &str, arguments: &Value) {
        self.request(id, "tools/call", &json!({"name": tool, "arguments": arguments}));
    }

    pub(crate) fn next(&mut self) -> Result<Incoming, LinkError> {
        self.0.next_before(Some(Instant::now() + LIMIT))
    }

    #[track_caller]
    pub(crate) fn answer(&mut self, id: &str) -> Value {
        match self.next().expect("an answer") {
            Incoming::Message(text) => {
                let message: Value = serde_json::from_slice(&text).expect("a message");
                assert_eq!(message["id"], id, "{message}");
                message
            }
            Incoming::Control(control) => panic!("{control:?} instead of the answer to {id}"),
        }
    }

    #[track_caller]
    fn control(&mut self) -> FromDaemon {
        match self.next().expect("a control message") {
            Incoming::Control(control) => control,
            Incoming::Message(text) => panic!("{}", String::from_utf8_lossy(&text)),
        }
    }
}

fn stop(instance: &Instance, reason: ByeReason) -> Peer {
    let peer = Peer::join(instance, Role::Command);
    peer.0.send(&ToDaemon::Stop { timeout_ms: 10_000, reason }).expect("the daemon hears it");
    peer
}

#[test]
fn what_was_on_its_way_when_the_daemon_is_restarted_is_answered() {
    let instance = Instance::with_fixture(&[]);
    instance.ends(0, &["start"]);
    let mut shim = Peer::client(&instance, Role::Shim);
    let mut command = Peer::client(&instance, Role::Command);
    shim.call("warm", "echo", &json!({"message": "x"}));
    shim.answer("warm");
    let began = Instant::now();
    let _stopper = stop(&instance, ByeReason::Restart);
    assert!(matches!(shim.control(), FromDaemon::Hold { reason: ByeReason::Restart }));
    // No request is under way, but the servers stay until this shim has confirmed that it holds.
    shim.call("late", "echo", &json!({"message": "on the wire"}));
    command.call("refused", "echo", &json!({"message": "x"}));
    assert_eq!(command.answer("refused")["error"]["code"], -31001, "nobody else is asked to hold");
    assert_eq!(shim.answer("late")["result"]["content"][0]["text"], "on the wire");
    assert!(matches!(shim.control(), FromDaemon::Bye { reason: ByeReason::Restart }));
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
}

#[test]
fn a_shim_that_says_nothing_does_not_keep_the_daemon_from_ending() {
    let instance = Instance::with_fixture(&[]);
    instance.ends(0, &["start"]);
    let _silent = Peer::client(&instance, Role::Shim);
    let began = Instant::now();
    instance.ends(0, &["restart"]);
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

#[test]
fn a_daemon_that_a_person_stops_asks_nobody_to_hold() {
    let instance = Instance::with_fixture(&[]);
    instance.ends(0, &["start"]);
    let mut shim = Peer::client(&instance, Role::Shim);
    let go_on = instance.dir().join("go on");
    shim.call("slow", "until", &json!({"file": go_on, "message": "done"}));
    let _stopper = stop(&instance, ByeReason::Stop);
    eventually("the daemon has heard it", LIMIT, || instance.status()["state"] == "draining");
    shim.call("refused", "echo", &json!({"message": "x"}));
    assert_eq!(shim.answer("refused")["error"]["code"], -31001);
    std::fs::write(&go_on, "").expect("a file");
    assert_eq!(shim.answer("slow")["result"]["content"][0]["text"], "done");
    assert!(matches!(shim.control(), FromDaemon::Bye { reason: ByeReason::Stop }));
}

#[test]
fn a_client_that_comes_while_a_daemon_is_replaced_is_served_by_the_next() {
    let instance = Instance::with_fixture(&[]);
    let mut first = instance.client("fix");
    let go_on = instance.dir().join("go on");
    let until = json!({"name": "until", "arguments": {"file": go_on, "message": "x"}});
    let slow = first.request("tools/call", &until);
    eventually("it is under way", LIMIT, || instance.status()["clients"][0]["in_flight"] == 1);
    // The restart is joined within the scope, even after a panic: a restart that goes on would start a daemon that no
    // test stops.
    thread::scope(|scope| {
        let restart = scope.spawn(|| instance.ends(0, &["restart"]));
        eventually("the daemon drains", LIMIT, || instance.status()["state"] == "draining");
        let mut second = instance.shim(&["--server", "fix"]);
        let opening = json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}});
        second.request("initialize", &opening);
        // This call may not be repeated. If it had been written to the old daemon, its outcome would be unknown.
        let call = second.request("tools/call", &json!({"name": "append", "arguments": {"message": "once"}}));
        // No event shows that something does not happen.
        let early = second.receive_within(Duration::from_millis(500));
        assert_eq!(early, None, "the old daemon serves it no more");
        std::fs::write(&go_on, "").expect("a file");
        assert_eq!(second.answer(&call)["result"]["content"][0]["text"], "once");
        assert!(first.answer(&slow)["result"].is_object(), "what was under way is finished");
        restart.join().expect("it restarts");
    });
}

//! The shim against a fake daemon. The methods of the requests decide what the daemon does.

use std::io::{BufRead as _, BufReader, PipeReader, PipeWriter};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use exai_config::Home;
use exai_os::local::{Endpoint, Listener, Stream};
use exai_os::{lock as os_lock, private};
use exai_proto::documents::{self, DaemonRecord};
use exai_proto::link::{self, ByeReason, FromDaemon, Role};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};

use super::*;
use crate::daemon_connector::DaemonConnector;
use crate::limits::SILENCE_TIMEOUT;

/// A daemon in a thread. It holds the lock, has a record, and ends when it gets the method `die` or `stop`.
struct Fake(JoinHandle<Vec<String>>);

impl Fake {
    fn start(home: &Home, nonce: &str) -> Fake {
        home.prepare().unwrap();
        let (ready, is_ready) = mpsc::channel();
        let (home, nonce) = (home.clone(), nonce.to_owned());
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                // A shim that looks whether a daemon lives holds the lock for an instant.
                let deadline = Instant::now() + Duration::from_secs(20);
                let _lock =
                    os_lock::lock_until(&home.instance_lock(), deadline).unwrap().expect("a free lock");
                let endpoint = Endpoint::fresh(home.path(), &nonce).unwrap();
                let mut listener = Listener::bind(&endpoint).unwrap();
                write_record(&home, &nonce, &endpoint);
                ready.send(()).unwrap();
                let (stream, _) = listener.accept().await.unwrap();
                serve(stream, &nonce).await
            })
        });
        is_ready.recv().unwrap();
        Fake(thread)
    }

    /// Waits for the daemon's end; returns the methods that it got, in order.
    fn ended(self) -> Vec<String> {
        self.0.join().unwrap()
    }
}

fn write_record(home: &Home, nonce: &str, endpoint: &Endpoint) {
    let identity = exai_os::process::current().unwrap();
    let listener = documents::Listener {
        kind: "local".to_owned(),
        addr: endpoint.to_string(),
        owner_pid: Some(identity.pid),
        verified: true,
    };
    let record = DaemonRecord {
        schema: documents::SCHEMA,
        pid: identity.pid,
        instance: nonce.to_owned(),
        identity: documents::Identity { boot: identity.boot, pid: identity.pid, start: identity.start },
        started_at: String::new(),
        version: String::new(),
        exe: String::new(),
        launchers: Vec::new(),
        listeners: vec![listener],
    };
    private::write_atomic(&home.daemon_record(), &serde_json::to_vec(&record).unwrap()).unwrap();
}

#[expect(clippy::result_large_err, clippy::unnecessary_wraps, reason = "tungstenite's own callback type")]
fn accept(request: &Request, mut response: Response) -> Result<Response, ErrorResponse> {
    assert_eq!(request.uri().path(), link::PATH);
    response.headers_mut().insert("sec-websocket-protocol", link::SUBPROTOCOL.parse().unwrap());
    Ok(response)
}

async fn serve(stream: Stream, nonce: &str) -> Vec<String> {
    let mut socket = tokio_tungstenite::accept_hdr_async(stream, accept).await.unwrap();
    let text = |control: &FromDaemon| Frame::text(serde_json::to_string(control).unwrap());
    let hello = socket.next().await.unwrap().unwrap();
    assert!(hello.to_text().unwrap().contains("\"type\":\"hello\""));
    let (instance, pid) = (nonce.to_owned(), std::process::id());
    let greeting =
        FromDaemon::Hello { version: link::VERSION, build: String::new(), instance, pid, home: None };
    socket.send(text(&greeting)).await.unwrap();
    let mut asked = Vec::new();
    while let Some(Ok(frame)) = socket.next().await {
        let Frame::Binary(message) = frame else { continue };
        let message: Value = serde_json::from_slice(&message).unwrap();
        let method = message["method"].as_str().unwrap_or("answer").to_owned();
        asked.push(method.clone());
        match &*method {
            "die" => break,
            "stop" => {
                socket.send(text(&FromDaemon::Bye { reason: ByeReason::Stop })).await.unwrap();
                break;
            }
            "hang" | "notifications/initialized" | "notifications/cancelled" => {}
            "subscriptions/listen" => {
                let meta = json!({"io.modelcontextprotocol/subscriptionId": message["id"]});
                let params = json!({"notifications": message["params"]["notifications"], "_meta": meta});
                let method = "notifications/subscriptions/acknowledged";
                let acknowledged = json!({"jsonrpc": "2.0", "method": method, "params": params});
                socket.send(Frame::binary(acknowledged.to_string())).await.unwrap();
            }
            "tools/call" if nonce == "one" => {}
            "hold" => {
                socket.send(text(&FromDaemon::Hold { reason: ByeReason::Upgrade })).await.unwrap();
                let seen = json!({"jsonrpc": "2.0", "method": "held"});
                socket.send(Frame::binary(seen.to_string())).await.unwrap();
            }
            "repeatable" => {
                let tools = vec!["look".to_owned()];
                socket.send(text(&FromDaemon::Repeatable { tools })).await.unwrap();
                let result = json!({"jsonrpc": "2.0", "id": message["id"], "result": {"by": nonce}});
                socket.send(Frame::binary(result.to_string())).await.unwrap();
            }
            "slow" => {
                let result = json!({"jsonrpc": "2.0", "id": message["id"], "result": {"by": nonce}});
                socket.send(Frame::binary(result.to_string())).await.unwrap();
                read_slowly(socket.get_mut(), message["params"]["bytes"].as_u64().unwrap()).await;
                let result = json!({"jsonrpc": "2.0", "id": 2, "result": {"by": nonce}});
                socket.send(Frame::binary(result.to_string())).await.unwrap();
            }
            _ => {
                let result = json!({"jsonrpc": "2.0", "id": message["id"], "result": {"by": nonce, "of": message["params"]}});
                socket.send(Frame::binary(result.to_string())).await.unwrap();
            }
        }
    }
    asked
}

/// Reads a message of so many bytes for longer than a daemon may be silent.
async fn read_slowly(stream: &mut Stream, bytes: u64) {
    const STEPS: u64 = SILENCE_TIMEOUT.as_secs() + 3;
    // In front of it there are the opcode, the length in nine bytes, and the key.
    let mut left = 14 + bytes;
    for _ in 0..=STEPS {
        let part = left.min(bytes / STEPS);
        tokio::io::copy(&mut stream.take(part), &mut tokio::io::sink()).await.unwrap();
        left -= part;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert_eq!(left, 0);
}

/// A client and its shim, in this process.
struct Client {
    input: Option<PipeWriter>,
    output: BufReader<PipeReader>,
    shim: JoinHandle<Result<(), ShimError>>,
}

impl Client {
    fn start(home: &Home) -> Client {
        let (stdin, input) = io::pipe().unwrap();
        let (output, stdout) = io::pipe().unwrap();
        let connector = DaemonConnector::new(home.clone(), crate::hello(Role::Shim));
        let shim = std::thread::spawn(move || run(DaemonRoute::Local(connector), stdin, stdout, |_| {}));
        Client { input: Some(input), output: BufReader::new(output), shim }
    }

    fn send(&mut self, text: &str) {
        self.input.as_mut().unwrap().write_all(text.as_bytes()).unwrap();
    }

    fn request(&mut self, id: u32, method: &str) {
        let request = json!({"jsonrpc": "2.0", "id": id, "method": method});
        self.send(&format!("{request}\n"));
    }

    fn receive(&mut self) -> Value {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }

    /// The id of the next answer, and the nonce of the daemon that answers or the code of the error.
    fn answer(&mut self) -> (u64, String) {
        let value = self.receive();
        let who = value["result"]["by"].as_str().map(str::to_owned);
        (value["id"].as_u64().unwrap(), who.unwrap_or_else(|| value["error"]["code"].to_string()))
    }

    /// Closes stdin; returns the output after that.
    fn finish(mut self) -> String {
        drop(self.input.take());
        let mut rest = String::new();
        self.output.read_to_string(&mut rest).unwrap();
        self.shim.join().unwrap().unwrap();
        rest
    }
}

fn home() -> (tempfile::TempDir, Home) {
    let directory = tempfile::tempdir().unwrap();
    let home = Home::at(directory.path().join("home"));
    (directory, home)
}

#[test]
fn a_daemon_that_reads_a_long_message_slowly_lives() {
    let (_directory, home) = home();
    let fake = Fake::start(&home, "one");
    let mut client = Client::start(&home);
    let long = json!({"jsonrpc": "2.0", "id": 2, "method": "long", "params": {"text": "x".repeat(26 << 20)}});
    let long = long.to_string();
    let slow = json!({"jsonrpc": "2.0", "id": 1, "method": "slow", "params": {"bytes": long.len()}});
    client.send(&format!("{slow}\n"));
    assert_eq!(client.answer(), (1, "one".to_owned()));
    client.send(&format!("{long}\n"));
    assert_eq!(client.answer(), (2, "one".to_owned()), "the link was given up");
    client.finish();
    assert_eq!(fake.ended(), ["slow"]);
}

#[test]
fn messages_pass_whatever_their_size_and_the_end_of_stdin_is_the_end() {
    let (_directory, home) = home();
    let fake = Fake::start(&home, "one");
    let mut client = Client::start(&home);
    client.send("\u{feff}{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"echo\"}\r\n\n");
    assert_eq!(client.answer(), (1, "one".to_owned()));
    let long = "x".repeat(3 << 20);
    let large = json!({"jsonrpc": "2.0", "id": 2, "method": "echo", "params": {"long": long}});
    std::thread::scope(|scope| {
        let input = client.input.as_mut().unwrap();
        scope.spawn(move || input.write_all(format!("{large}\n").as_bytes()).unwrap());
        let mut line = String::new();
        client.output.read_line(&mut line).unwrap();
        assert!(line.contains(&long));
    });
    // The last line needs no newline at its end, and its answer still comes.
    client.send("{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"echo\"}");
    assert!(client.finish().contains("\"id\":3"));
    assert_eq!(fake.ended(), ["echo", "echo", "echo"]);
}

#[test]
fn a_lost_daemon_is_replaced_and_the_client_notices_only_what_is_unknown() {
    let (_directory, home) = home();
    let first = Fake::start(&home, "one");
    let mut client = Client::start(&home);
    client.request(0, "initialize");
    client.answer();
    client.send("{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}\n");
    client.request(1, "hang");
    // This lock is that of programs that start daemons. It keeps the shim from starting a real one.
    let starting = os_lock::try_lock(&home.spawn_lock()).unwrap();
    client.request(2, "die");
    let mut answers = [client.answer(), client.answer()];
    answers.sort();
    assert_eq!(answers, [(1, "-31002".to_owned()), (2, "-31002".to_owned())]);
    assert_eq!(first.ended(), ["initialize", "notifications/initialized", "hang", "die"]);
    client.request(3, "echo");
    let second = Fake::start(&home, "two");
    assert_eq!(client.answer(), (3, "two".to_owned()));
    assert_eq!(client.finish(), "");
    assert_eq!(second.ended(), ["initialize", "notifications/initialized", "echo"]);
    drop(starting);
}

#[test]
fn a_listen_goes_on_over_a_lost_daemon_and_keeps_no_shim_from_its_end() {
    let (_directory, home) = home();
    let first = Fake::start(&home, "one");
    let mut client = Client::start(&home);
    let meta = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28"});
    let params = json!({"notifications": {"toolsListChanged": true}, "_meta": meta});
    for id in 1..=2 {
        let listen = json!({"jsonrpc": "2.0", "id": id, "method": "subscriptions/listen", "params": params});
        client.send(&format!("{listen}\n"));
        assert_eq!(client.receive()["method"], "notifications/subscriptions/acknowledged");
    }
    // This lock keeps the shim from starting a real daemon.
    let starting = os_lock::try_lock(&home.spawn_lock()).unwrap();
    client.request(3, "die");
    assert_eq!(client.answer(), (3, "-31002".to_owned()));
    assert_eq!(first.ended(), ["subscriptions/listen", "subscriptions/listen", "die"]);
    client
        .send("{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{\"requestId\":1}}\n");
    // This request comes after the cancellation, so the answer shows that the cancellation has arrived.
    client.request(4, "echo");
    let second = Fake::start(&home, "two");
    let told = [client.receive(), client.receive()];
    let changed = json!({"jsonrpc": "2.0", "method": "notifications/tools/list_changed",
        "params": {"_meta": {"io.modelcontextprotocol/subscriptionId": 2}}});
    assert_eq!(told[0], changed);
    assert_eq!(told[1]["id"], 4);
    assert_eq!(client.finish(), "");
    assert_eq!(second.ended(), ["subscriptions/listen", "echo"]);
    drop(starting);
}

#[test]
fn the_daemons_words_reach_the_session() {
    let (_directory, home) = home();
    let first = Fake::start(&home, "one");
    let mut client = Client::start(&home);
    client.request(1, "repeatable");
    assert_eq!(client.answer(), (1, "one".to_owned()));
    let call = |id: u32, tool: &str| {
        json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": tool}}).to_string()
            + "\n"
    };
    // This lock keeps the shim from starting a real daemon.
    let starting = os_lock::try_lock(&home.spawn_lock()).unwrap();
    client.send(&call(2, "look"));
    client.send(&call(3, "make"));
    client.send("{\"jsonrpc\":\"2.0\",\"method\":\"hold\"}\n");
    assert_eq!(client.receive()["method"], "held");
    // While the shim holds, the client's requests wait, but other messages still pass.
    client.request(4, "ping");
    client.send("{\"jsonrpc\":\"2.0\",\"method\":\"die\"}\n");
    assert_eq!(client.answer(), (3, "-31002".to_owned()));
    let asked = first.ended();
    assert_eq!(asked[..4], ["repeatable", "tools/call", "tools/call", "hold"]);
    let second = Fake::start(&home, "two");
    let mut answers = [client.answer(), client.answer()];
    answers.sort();
    assert_eq!(answers, [(2, "two".to_owned()), (4, "two".to_owned())]);
    client.finish();
    assert_eq!(second.ended()[0], "tools/call");
    drop(starting);
}

#[test]
fn after_a_stop_the_client_is_told_and_another_daemon_is_joined() {
    let (_directory, home) = home();
    let first = Fake::start(&home, "one");
    let mut client = Client::start(&home);
    client.request(1, "stop");
    assert_eq!(client.answer(), (1, "-31002".to_owned()));
    first.ended();
    client.request(2, "tools/list");
    assert_eq!(client.answer(), (2, "-31001".to_owned()));
    let second = Fake::start(&home, "two");
    // The shim looks for a daemon twice a second.
    let joined = (3..100).find(|id| {
        client.request(*id, "tools/list");
        let (answered, who) = client.answer();
        assert_eq!(answered, u64::from(*id));
        std::thread::sleep(Duration::from_millis(50));
        who == "two"
    });
    assert!(joined.is_some(), "the second daemon was not joined");
    client.finish();
    second.ended();
}

#[test]
fn a_client_that_reads_no_more_ends_the_shim() {
    let (_directory, home) = home();
    let _fake = Fake::start(&home, "one");
    let mut client = Client::start(&home);
    client.request(1, "echo");
    client.answer();
    let Client { input, output, shim } = client;
    drop(output);
    let mut input = input.unwrap();
    input.write_all(b"{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"echo\"}\n").unwrap();
    shim.join().unwrap().unwrap();
}

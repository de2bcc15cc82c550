//! HTTP clients that leave without ending their sessions. Each is a Python process of its own.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use exai_test::{eventually, peers};
use serde_json::{Value, json};

use crate::support::{Instance, LIMIT};

/// For each line on stdin, makes a request with its `body` and its `session` (null for none), and prints the status and
/// the session. The connection stays open until the daemon closes it, a few seconds after its last use.
const CLIENT: &str = "
import http.client, json, sys
port, token = int(sys.argv[1]), sys.argv[2]
line = http.client.HTTPConnection('127.0.0.1', port)
for asked in map(json.loads, sys.stdin):
    headers = {'Authorization': 'Bearer ' + token, 'Content-Type': 'application/json',
               'Accept': 'application/json, text/event-stream', 'MCP-Protocol-Version': '2025-06-18'}
    if asked['session']:
        headers['Mcp-Session-Id'] = asked['session']
    def post():
        line.request('POST', '/mcp/fix', json.dumps(asked['body']), headers)
        return line.getresponse()
    try:
        response = post()
    except ConnectionError:
        line.close()
        response = post()
    response.read()
    print(json.dumps({'status': response.status, 'session': response.headers['Mcp-Session-Id']}), flush=True)
";

struct Process {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Process {
    fn start(instance: &Instance) -> Self {
        let python = if cfg!(windows) { "python".into() } else { peers::python() };
        let mut command = Command::new(python);
        command.args(["-c", CLIENT, &instance.port().to_string(), &instance.token()]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
        let output = BufReader::new(child.stdout.take().expect("a pipe"));
        Process { child, output }
    }

    fn pid(&self) -> u32 {
        self.child.id()
    }

    #[track_caller]
    fn ask(&mut self, session: Option<&str>, body: &Value) -> Value {
        let asked = json!({"session": session, "body": body});
        let input = self.child.stdin.as_mut().expect("a pipe");
        input.write_all(format!("{asked}\n").as_bytes()).expect("it lives");
        let mut line = String::new();
        self.output.read_line(&mut line).expect("a line");
        serde_json::from_str(&line).expect("an answer")
    }

    /// Opens a session and calls a tool.
    #[track_caller]
    fn begin(&mut self, name: &str) -> String {
        let params = json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": name, "version": "1"}});
        let answer =
            self.ask(None, &json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params}));
        let session = answer["session"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned();
        assert_eq!(self.call(&session), 200);
        session
    }

    #[track_caller]
    fn call(&mut self, session: &str) -> u64 {
        let params = json!({"name": "echo", "arguments": {"message": "hello"}});
        let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params});
        self.ask(Some(session), &call)["status"].as_u64().expect("a status")
    }

    fn kill(&mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it can be waited for");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The process may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The pid that `status` shows for the client with this name; `None` where there is no such client.
fn shown(status: &Value, name: &str) -> Option<Value> {
    let clients = status["clients"].as_array().expect("clients");
    clients.iter().find(|client| client["name"] == name).map(|client| client["client_pid"].clone())
}

/// Waits until `status` shows that the session of this client belongs to this process.
#[track_caller]
fn is_known_to_be(instance: &Instance, name: &str, pid: u32) {
    let what = format!("the session of {name} is that of {pid}");
    eventually(&what, LIMIT, || shown(&instance.status(), name) == Some(json!(pid)));
}

fn instances(status: &Value) -> usize {
    let servers = status["servers"].as_array().expect("servers");
    let fix = servers.iter().find(|server| server["name"] == "fix").expect("the server");
    fix["instances"].as_array().expect("instances").len()
}

fn instance() -> Instance {
    let instance = Instance::new("");
    instance.configure(&format!("{}share = \"client\"\n", crate::support::fixture("fix", &[])));
    instance.ends(0, &["start"]);
    instance
}

#[test]
fn the_session_of_a_process_that_is_gone_is_gone_and_with_it_the_server_it_had_to_itself() {
    let instance = instance();
    let (mut leaves, mut stays) = (Process::start(&instance), Process::start(&instance));
    let session = leaves.begin("leaves");
    let other = stays.begin("stays");
    is_known_to_be(&instance, "leaves", leaves.pid());
    is_known_to_be(&instance, "stays", stays.pid());
    let text = instance.ends(0, &["status"]);
    assert!(text.contains(&format!("pid {}", leaves.pid())), "{text}");
    assert_eq!(instances(&instance.status()), 2);
    leaves.kill();
    let gone = Instant::now();
    eventually("its session is gone", LIMIT, || shown(&instance.status(), "leaves").is_none());
    let after = gone.elapsed();
    assert!(after < Duration::from_secs(8), "{after:?}");
    eventually("its server is gone", LIMIT, || instances(&instance.status()) == 1);
    assert_eq!(stays.call(&session), 404, "who would go on with it begins another");
    assert_eq!(stays.call(&other), 200);
    eprintln!("gone after {after:.1?}");
}

#[test]
fn a_session_that_another_process_goes_on_with_lives() {
    let instance = instance();
    let (mut first, mut second) = (Process::start(&instance), Process::start(&instance));
    let handed_on = first.begin("handed-on");
    let own = first.begin("own");
    is_known_to_be(&instance, "handed-on", first.pid());
    assert_eq!(second.call(&handed_on), 200);
    is_known_to_be(&instance, "own", first.pid());
    eventually("it is known that two have used it", LIMIT, || {
        shown(&instance.status(), "handed-on") == Some(Value::Null)
    });
    first.kill();
    // The check of processes that ends one session sees the other one too.
    eventually("the first one's own session is gone", LIMIT, || shown(&instance.status(), "own").is_none());
    assert_eq!(second.call(&own), 404);
    assert_eq!(second.call(&handed_on), 200);
    assert_eq!(shown(&instance.status(), "handed-on"), Some(Value::Null));
}

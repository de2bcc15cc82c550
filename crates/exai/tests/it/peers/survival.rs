//! Sessions of the official SDKs whose daemon is killed or restarted again and again during their calls.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use exai_test::peers::Sdk;
use exai_test::{eventually, program};
use serde_json::{Value, json};

use crate::draining;
use crate::faults::{daemon, end};
use crate::support::{Instance, LIMIT, text};

/// How often the test kills the daemon.
const KILLS: usize = 12;
/// The least number of calls that are executed between two kills.
const BETWEEN: usize = 60;
/// The errors of a call that a kill has met: not sent, outcome unknown, server crashed, server unavailable.
const HONEST: [&str; 4] = ["-31001", "-31002", "-31005", "-31006"];

/// A running script that holds a session.
pub(super) struct Session {
    sdk: Sdk,
    script: Child,
    output: BufReader<ChildStdout>,
}

impl Session {
    fn begin(sdk: Sdk, instance: &Instance) -> Self {
        let shim = json!([program("exai"), "shim", "--server", "fix"]);
        let way = json!({"stdio": shim, "env": {"EXAI_HOME": instance.home()}});
        Session::of(sdk, sdk.survive(&way))
    }

    pub(super) fn of(sdk: Sdk, mut command: Command) -> Self {
        let mut script = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
        let output = BufReader::new(script.stdout.take().expect("a pipe"));
        let mut session = Session { sdk, script, output };
        assert_eq!(session.line().trim_end(), "begun", "{sdk:?}");
        session
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("a line");
        line
    }

    pub(super) fn finish(mut self) -> (Sdk, Value) {
        let input = self.script.stdin.as_mut().expect("a pipe");
        input.write_all(b"that was the last\n").expect("the script lives");
        let line = self.line();
        let report =
            serde_json::from_str(&line).unwrap_or_else(|error| panic!("{:?}: {error}: {line}", self.sdk));
        assert!(self.script.wait().expect("it ends").success(), "{:?}", self.sdk);
        (self.sdk, report)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // The script has already ended if the test has passed.
        let _ = self.script.kill();
        let _ = self.script.wait();
    }
}

/// Runs the test with each SDK. They mostly wait for processes that start, so all run at the same time.
fn with_each(test: fn(Sdk)) {
    std::thread::scope(|scope| {
        for &sdk in Sdk::ALL {
            scope.spawn(move || test(sdk));
        }
    });
}

/// How often each call was executed, by its text.
fn executed(ledger: &Path) -> BTreeMap<String, usize> {
    let mut times = BTreeMap::new();
    for line in std::fs::read_to_string(ledger).unwrap_or_default().lines() {
        // A server may be killed while it writes a line.
        let Ok(params) = serde_json::from_str::<Value>(line) else { continue };
        *times.entry(params["arguments"]["message"].to_string()).or_default() += 1;
    }
    times
}

#[test]
fn a_session_of_an_sdk_goes_on_while_its_daemon_is_killed_again_and_again() {
    with_each(|sdk| {
        let dir = tempfile::tempdir().expect("a directory");
        let ledger = dir.path().join("ledger");
        let instance = Instance::with_fixture(&["--ledger", ledger.to_str().expect("a path")]);
        let session = Session::begin(sdk, &instance);
        let begun = Instant::now();
        for _ in 0..KILLS {
            let before = executed(&ledger).len();
            eventually("calls are executed", LIMIT, || executed(&ledger).len() >= before + BETWEEN);
            end(&daemon(&instance));
        }
        let (sdk, report) = session.finish();
        eprintln!("{sdk:?}, {KILLS} kills in {:.1?}: {report}", begun.elapsed());
        assert_eq!(report["wrong"], json!([]), "{sdk:?}: the session broke, or an answer was another's");
        assert_eq!(report["last"], 20, "{sdk:?}: after the last kill every call succeeds");
        let errors = report["errors"].as_object().expect("an object");
        assert!(errors.keys().all(|code| HONEST.contains(&&**code)), "{sdk:?}: {errors:?}");
        assert!(errors.contains_key("-31002"), "{sdk:?}: no kill has met a call");
        for (text, times) in executed(&ledger) {
            let most = if text.starts_with("\"look") { 2 } else { 1 };
            assert!(times <= most, "{sdk:?}: {text} was executed {times} times");
        }
    });
}

/// How often the test restarts the daemon.
const RESTARTS: usize = 4;
/// The words with which the SDKs report the end of an HTTP session after a restart: the session is not known any more
/// (404), nothing listens for a moment, or the connection was closed. A program then begins another session.
const BEGIN_ANEW: [&str; 12] = [
    "32600 Session terminated",
    "-32001 Session not found",
    "-32000 Connection closed",
    "Error 404",
    "Error 503",
    "HTTPStatusError 503",
    "ConnectError",
    "ReadError",
    "RemoteProtocolError",
    "ClosedResourceError",
    "TypeError ECONN",
    "TypeError UND_ERR_SOCKET",
];

#[test]
fn over_http_a_restart_costs_an_sdk_its_session_and_the_next_one_works_at_once() {
    with_each(|sdk| {
        let dir = tempfile::tempdir().expect("a directory");
        let ledger = dir.path().join("ledger");
        let instance = draining::instance(&["--ledger", ledger.to_str().expect("a path")]);
        let url = format!("http://127.0.0.1:{}/mcp/fix", instance.port());
        let session = Session::of(sdk, sdk.begin_anew(&json!({"http": url, "token": instance.token()})));
        let mut longest = Duration::ZERO;
        for _ in 0..RESTARTS {
            let before = executed(&ledger).len();
            eventually("calls are executed", LIMIT, || executed(&ledger).len() >= before + 10);
            let begun = Instant::now();
            let restarted = instance.exai(&["restart"]);
            longest = longest.max(begun.elapsed());
            let said = text(&[restarted.stdout, restarted.stderr].concat());
            assert!(restarted.status.success() && !said.contains("did not end by itself"), "{said}");
        }
        let (sdk, report) = session.finish();
        eprintln!("{sdk:?}, {RESTARTS} restarts, the longest {longest:.1?}: {report}");
        assert_eq!(report["wrong"], json!([]), "{sdk:?}");
        assert_eq!(report["last"], 20, "{sdk:?}: after the last restart every call succeeds");
        let failures = report["failures"].as_object().expect("an object");
        let known = |words: &String| BEGIN_ANEW.iter().any(|part| words.contains(part));
        assert!(failures.keys().all(known), "{sdk:?}: {failures:?}");
        assert!(report["longest_ms"].as_u64().is_some_and(|ms| ms < 5000), "{sdk:?}: {report}");
        // A session that begins while the daemon ends, ends with the daemon and counts too.
        let sessions = report["sessions"].as_u64().unwrap_or_default() as usize;
        assert!((2..=3 * RESTARTS + 1).contains(&sessions), "{sdk:?}: {report}");
        assert!(longest < Duration::from_secs(5), "{sdk:?}: {longest:?}");
    });
}

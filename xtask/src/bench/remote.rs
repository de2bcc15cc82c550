//! Servers that run elsewhere, over TLS on this machine: what exai adds to a call, and what idle sessions cost.

use std::fmt::Write as _;
use std::process::Command;
use std::thread;
use std::time::Duration;

use serde_json::json;

use super::client::{Client, shown};
use super::drive;
use super::figures::{Results, Series, Side};
use super::instance::{Instance, Programs};
use super::memory::{SETTLE, daemon};
use super::processes::pss;
use super::requests::{ECHO, Requests};
use super::watchdog::Watchdog;
use crate::{process, project};

const MESSAGE: usize = 100;
const SERVERS: u32 = 100;
const CLIENTS: u32 = 20;
/// How long nothing is to happen.
const IDLE: Duration = Duration::from_secs(5);

/// `effort` is the number of rounds, and of calls in each.
pub(crate) fn measure(
    programs: &Programs,
    effort: (usize, usize),
    watchdog: &Watchdog,
    results: &mut Results,
) -> Result<(), String> {
    let mut server = TlsServer::start(programs, watchdog)?;
    measure_calls(programs, effort, &server, watchdog, results)?;
    if pss(std::process::id()).is_some() {
        measure_idle(programs, &mut server, watchdog, results)?;
    }
    Ok(())
}

fn measure_calls(
    programs: &Programs,
    (rounds, calls): (usize, usize),
    server: &TlsServer,
    watchdog: &Watchdog,
    results: &mut Results,
) -> Result<(), String> {
    let instance = Instance::of(programs, &server.configure("echo1", ""))?;
    for round in 0..rounds {
        let mut sides = [Side::Direct, Side::Exai];
        if round % 2 == 1 {
            sides.reverse();
        }
        for side in sides {
            let times = match side {
                Side::Direct => server.time_calls(programs, calls)?,
                Side::Exai => {
                    let mut client = Client::introduced(instance.shim(), watchdog)?;
                    drive::sequential(&mut client, MESSAGE, calls / 10)?;
                    let times = drive::sequential(&mut client, MESSAGE, calls)?;
                    times.iter().map(|time| time.as_secs_f64() * 1e6).collect()
                }
            };
            results.add(Series::RemoteCall, side, times);
        }
    }
    Ok(())
}

/// Each client has a session of its own with each server.
fn measure_idle(
    programs: &Programs,
    server: &mut TlsServer,
    watchdog: &Watchdog,
    results: &mut Results,
) -> Result<(), String> {
    let names = (1..=SERVERS).map(|number| format!("echo{number}"));
    let config: String = names.clone().map(|name| server.configure(&name, &name)).collect();
    let instance = Instance::of(programs, &config)?;
    process::output(&mut instance.exai(&["start"]))?;
    let pid = daemon(&instance)?;
    let settled = || {
        thread::sleep(SETTLE);
        pss(pid).ok_or_else(|| "the daemon has ended".to_owned())
    };
    let before = settled()?;
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        let mut client = Client::introduced(instance.exai(&["shim"]), watchdog)?;
        for name in names.clone() {
            client.try_call(&mut Requests::new(&format!("{name}__{ECHO}"), "hello", 1), "hello")?;
        }
        clients.push(client);
    }
    let each = (settled()? - before) * 1024.0 / f64::from(CLIENTS * SERVERS);
    results.add(Series::RemoteSession, Side::Exai, vec![each]);
    let requests = server.count_requests()?;
    thread::sleep(IDLE);
    let more = server.count_requests()? - requests;
    results.add(Series::RemoteRequests, Side::Exai, vec![more]);
    Ok(())
}

/// The echo server over TLS, in a process of its own. Each path is a server.
struct TlsServer {
    process: Client,
    port: String,
}

impl TlsServer {
    fn start(programs: &Programs, watchdog: &Watchdog) -> Result<Self, String> {
        let mut command = Command::new(&programs.echo);
        command.arg("--https");
        let mut process = Client::start(command, watchdog)?;
        let port = String::from_utf8_lossy(process.receive()?).trim().to_owned();
        Ok(TlsServer { process, port })
    }

    /// The entry of a server at this path.
    fn configure(&self, name: &str, path: &str) -> String {
        let certificate = project::root().join("crates/exai-test/src/tls/ca.pem");
        let mut config = String::new();
        // Writing to a string cannot fail.
        let _ = writeln!(config, "[servers.{name}]\nurl = \"https://127.0.0.1:{}/{path}\"", self.port);
        let _ = writeln!(config, "env = {{ SSL_CERT_FILE = {} }}", json!(certificate));
        config
    }

    /// The microseconds of so many calls, made directly.
    fn time_calls(&self, programs: &Programs, calls: usize) -> Result<Vec<f64>, String> {
        let arguments = ["--time-https", &self.port, &calls.to_string(), &MESSAGE.to_string()];
        let text = process::output(Command::new(&programs.echo).args(arguments))?;
        let times = text.lines().map(|line| line.parse().map_err(|_| format!("{line:?} is no time")));
        times.collect()
    }

    /// How many requests there were.
    fn count_requests(&mut self) -> Result<f64, String> {
        self.process.send(b"\n")?;
        let answer = self.process.receive()?;
        let count = std::str::from_utf8(answer).ok().and_then(|text| text.trim().parse().ok());
        count.ok_or_else(|| format!("the server does not count: {}", shown(answer)))
    }
}

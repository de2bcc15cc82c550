//! Clients that call tools without pause, and count what they are told.

use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::{self, Scope};
use std::time::{Duration, Instant};

use exai_os::process::{self, Identity};
use serde_json::{Value, json};

use super::SERVERS;
use crate::support::Instance;

/// The longest an answer may take.
const LONGEST: Duration = Duration::from_secs(15);
/// So many requests of one client are under way.
const UNDER_WAY: usize = 2;
/// What a client may be told: no daemon, outcome unknown, server crashed, server unavailable.
const HONEST: [i64; 4] = [-31001, -31002, -31005, -31006];

pub(super) struct Clients {
    over: AtomicBool,
    resting: AtomicBool,
    slots: Vec<Slot>,
    answered: [AtomicU32; SERVERS.len()],
    told: Mutex<Told>,
}

/// Whether the client's shim is to die.
#[derive(Default)]
struct Slot {
    shim: Mutex<Option<Identity>>,
    killed: AtomicBool,
    rests: AtomicBool,
}

#[derive(Default)]
struct Told {
    ok: u32,
    errors: BTreeMap<i64, u32>,
    shims: u32,
    longest: Duration,
    /// The answers that took longer than a second.
    slow: u32,
    complaints: Vec<String>,
}

/// How a shim's life ended.
enum End {
    Killed,
    Over,
}

impl Clients {
    pub(super) fn new(count: usize) -> Self {
        Clients {
            over: AtomicBool::new(false),
            resting: AtomicBool::new(false),
            slots: (0..count).map(|_| Slot::default()).collect(),
            answered: Default::default(),
            told: Mutex::default(),
        }
    }

    pub(super) fn start<'scope>(&'scope self, scope: &'scope Scope<'scope, '_>, instance: &'scope Instance) {
        for (number, slot) in self.slots.iter().enumerate() {
            scope.spawn(move || {
                while !self.over.load(Ordering::Relaxed) {
                    let mut conversation = Conversation::new(self, slot, instance, number % SERVERS.len());
                    if let End::Over = conversation.hold() {
                        return;
                    }
                    slot.killed.store(false, Ordering::Relaxed);
                }
            });
        }
    }

    /// Everybody leaves.
    pub(super) fn stop(&self) {
        self.over.store(true, Ordering::Relaxed);
        self.resting.store(true, Ordering::Relaxed);
    }

    /// No more calls; returns when every request is answered. The shims stay.
    pub(super) fn rest(&self) {
        self.resting.store(true, Ordering::Relaxed);
        let all_rest = || self.slots.iter().all(|slot| slot.rests.load(Ordering::Relaxed));
        let complained = || !self.complaints().is_empty();
        exai_test::eventually("every request is answered", LONGEST + LONGEST, || all_rest() || complained());
    }

    /// Somebody's shim, whose client knows that it is killed now.
    pub(super) fn victim(&self, number: usize) -> Option<Identity> {
        let slot = &self.slots[number % self.slots.len()];
        let shim = slot.shim.lock().expect("a shim").clone();
        shim.inspect(|_| slot.killed.store(true, Ordering::Relaxed))
    }

    /// How many calls have succeeded at each server.
    pub(super) fn answered(&self) -> Vec<u32> {
        self.answered.iter().map(|count| count.load(Ordering::Relaxed)).collect()
    }

    pub(super) fn complaints(&self) -> Vec<String> {
        self.told.lock().expect("what they were told").complaints.clone()
    }

    pub(super) fn figures(&self) -> String {
        let told = self.told.lock().expect("what they were told");
        let by_server: Vec<String> =
            SERVERS.iter().zip(self.answered()).map(|(name, count)| format!("{name} {count}")).collect();
        format!(
            "{} shims; {} calls ok ({}), errors {:?}; longest answer {:.2?}, {} over 1 s",
            told.shims,
            told.ok,
            by_server.join(", "),
            told.errors,
            told.longest,
            told.slow
        )
    }
}

/// One shim's life.
struct Conversation<'a> {
    clients: &'a Clients,
    slot: &'a Slot,
    server: usize,
    shim: Child,
    input: ChildStdin,
    lines: Receiver<String>,
    next_id: u64,
    asked: HashMap<u64, Instant>,
}

impl<'a> Conversation<'a> {
    fn new(clients: &'a Clients, slot: &'a Slot, instance: &Instance, server: usize) -> Self {
        let mut command = instance.command(&["shim", "--server", SERVERS[server]]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut shim = command.spawn().expect("a shim starts");
        let (input, output) = (shim.stdin.take().expect("a pipe"), shim.stdout.take().expect("a pipe"));
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        *slot.shim.lock().expect("a shim") = process::identify(shim.id()).expect("the process table");
        clients.told.lock().expect("what they were told").shims += 1;
        Conversation { clients, slot, server, shim, input, lines, next_id: 1, asked: HashMap::new() }
    }

    fn hold(&mut self) -> End {
        let opening = json!({"protocolVersion": "2025-06-18", "capabilities": {},
            "clientInfo": {"name": "chaos", "version": "1"}});
        loop {
            if let Err(end) = self.ask("initialize", &opening) {
                return end;
            }
            match self.answer() {
                Err(end) => return end,
                Ok(true) => break,
                Ok(false) => breathe(),
            }
        }
        self.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        loop {
            while self.asked.len() < UNDER_WAY && !self.clients.resting.load(Ordering::Relaxed) {
                let (name, arguments) = match self.next_id % 3 {
                    0 => ("pid", json!({})),
                    1 => ("echo", json!({"message": "x"})),
                    _ => ("delay", json!({"message": "x", "ms": self.next_id % 20})),
                };
                if let Err(end) = self.ask("tools/call", &json!({"name": name, "arguments": arguments})) {
                    return end;
                }
            }
            if self.asked.is_empty() {
                self.slot.rests.store(true, Ordering::Relaxed);
                // A line that comes now was asked for by nobody.
                match self.lines.recv_timeout(Duration::from_millis(50)) {
                    Ok(line) => drop(self.take(&line)),
                    Err(RecvTimeoutError::Timeout) if !self.clients.over.load(Ordering::Relaxed) => {}
                    Err(_) => return self.ended(),
                }
                continue;
            }
            match self.answer() {
                Err(end) => return end,
                Ok(true) => drop(self.clients.answered[self.server].fetch_add(1, Ordering::Relaxed)),
                Ok(false) => breathe(),
            }
        }
    }

    fn ask(&mut self, method: &str, params: &Value) -> Result<(), End> {
        let id = self.next_id;
        self.next_id += 1;
        self.asked.insert(id, Instant::now());
        if self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})) {
            return Ok(());
        }
        Err(self.ended())
    }

    fn send(&mut self, message: &Value) -> bool {
        self.input.write_all(format!("{message}\n").as_bytes()).is_ok()
    }

    /// The next answer; whether it is a result.
    fn answer(&mut self) -> Result<bool, End> {
        loop {
            let oldest = self.asked.values().min().copied().unwrap_or_else(Instant::now);
            let rest = (oldest + LONGEST).saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(rest) {
                Ok(line) => {
                    if let Some(result) = self.take(&line) {
                        return Ok(result);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    self.complain(format!("no answer after {LONGEST:?} to {:?}", self.asked.keys()));
                    return Err(End::Over);
                }
                Err(RecvTimeoutError::Disconnected) => return Err(self.ended()),
            }
        }
    }

    /// Takes note of a line; `None` when it is no answer.
    fn take(&mut self, line: &str) -> Option<bool> {
        let Ok(message) = serde_json::from_str::<Value>(line) else {
            self.complain(format!("no JSON on stdout: {line}"));
            return None;
        };
        if message.get("method").is_some() {
            return None;
        }
        let Some(asked) = message["id"].as_u64().and_then(|id| self.asked.remove(&id)) else {
            self.complain(format!("an answer nobody waits for: {line}"));
            return None;
        };
        let took = asked.elapsed();
        let mut told = self.clients.told.lock().expect("what they were told");
        told.longest = told.longest.max(took);
        told.slow += u32::from(took > Duration::from_secs(1));
        let code = message["error"]["code"].as_i64();
        match code {
            None => told.ok += 1,
            Some(code) => *told.errors.entry(code).or_default() += 1,
        }
        drop(told);
        let honest = match code {
            None => message.get("result").is_some(),
            Some(code) => HONEST.contains(&code),
        };
        if !honest {
            self.complain(format!("a dishonest answer: {line}"));
        }
        Some(code.is_none())
    }

    fn ended(&self) -> End {
        if self.clients.over.load(Ordering::Relaxed) {
            return End::Over;
        }
        if self.slot.killed.load(Ordering::Relaxed) {
            return End::Killed;
        }
        self.complain("a shim that nobody killed has ended".to_owned());
        End::Over
    }

    fn complain(&self, sentence: String) {
        let sentence = format!("{} (shim {}): {sentence}", SERVERS[self.server], self.shim.id());
        self.clients.told.lock().expect("what they were told").complaints.push(sentence);
    }
}

impl Drop for Conversation<'_> {
    fn drop(&mut self) {
        *self.slot.shim.lock().expect("a shim") = None;
        // It may have ended by itself.
        let _ = self.shim.kill();
        let _ = self.shim.wait();
    }
}

/// Who was refused asks again a moment later.
fn breathe() {
    thread::sleep(Duration::from_millis(2));
}

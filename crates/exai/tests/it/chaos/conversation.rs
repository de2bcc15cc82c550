//! The life of one shim: its client calls tools without pause and compares each answer with its call.

use std::collections::{HashMap, HashSet};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use exai_os::process;
use serde_json::{Value, json};

use super::SERVERS;
use super::clients::{Clients, LONGEST, Slot};
use super::ledger::{Call, Told};
use crate::support::{Instance, add_modern_meta};

/// The number of requests that one client has under way.
const UNDER_WAY: usize = 2;
/// The errors that a client may get: no daemon, outcome unknown, server crashed, server unavailable.
const HONEST: [i64; 4] = [-31001, -31002, -31005, -31006];
/// `echo` only repeats a text, `delay` takes a while, and `append` must not be executed twice.
const TOOLS: [&str; 3] = ["echo", "delay", "append"];

/// The way in which a shim's life ended.
pub(super) enum End {
    Killed,
    Over,
}

pub(super) struct Conversation<'a> {
    clients: &'a Clients,
    slot: &'a Slot,
    server: usize,
    /// Whether the client speaks MCP 2026-07-28.
    modern: bool,
    /// The numbers of the client and of its shim, with which all texts of this life begin.
    name: String,
    shim: Child,
    input: ChildStdin,
    lines: Receiver<String>,
    next_id: u64,
    asked: HashMap<u64, Asked>,
    answered: HashSet<u64>,
    calls: Vec<Call>,
}

struct Asked {
    since: Instant,
    /// The index of the call in `calls`; `None` for what opens the conversation.
    call: Option<usize>,
}

impl<'a> Conversation<'a> {
    pub(super) fn new(clients: &'a Clients, number: usize, life: u32, instance: &Instance) -> Self {
        let (slot, server) = (clients.slot(number), number % SERVERS.len());
        // Each server has as many clients of one era as of the other. Then a server can have two processes, and under Wine
        // two of them that append to one ledger overwrite each other's lines.
        let modern = cfg!(unix) && number / SERVERS.len() % 2 == 1;
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
        slot.appears(process::identify(shim.id()).expect("the process table"));
        Conversation {
            clients,
            slot,
            server,
            modern,
            name: format!("client {number}, shim {life}"),
            shim,
            input,
            lines,
            next_id: 1,
            asked: HashMap::new(),
            answered: HashSet::new(),
            calls: Vec::new(),
        }
    }

    pub(super) fn hold(&mut self) -> End {
        let Err(end) = self.talk();
        // Lines that the shim wrote before its death count too.
        if let End::Killed = end {
            while let Ok(line) = self.lines.recv_timeout(LONGEST) {
                self.take(&line);
            }
        }
        end
    }

    fn talk(&mut self) -> Result<std::convert::Infallible, End> {
        loop {
            self.open()?;
            if self.answer()? {
                break;
            }
            breathe();
        }
        if !self.modern {
            self.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        }
        loop {
            while self.asked.len() < UNDER_WAY && !self.clients.resting() {
                self.call()?;
            }
            if !self.asked.is_empty() {
                if !self.answer()? {
                    breathe();
                }
                continue;
            }
            self.slot.rests.store(true, Ordering::Relaxed);
            // All requests are answered, so an answer that comes now would be a second one.
            match self.lines.recv_timeout(Duration::from_millis(50)) {
                Ok(line) => drop(self.take(&line)),
                Err(RecvTimeoutError::Timeout) if !self.clients.over() => {}
                Err(_) => return Err(self.ended()),
            }
        }
    }

    fn open(&mut self) -> Result<(), End> {
        if self.modern {
            return self.ask("server/discover", json!({}), None);
        }
        let opening = json!({"protocolVersion": "2025-06-18", "capabilities": {},
            "clientInfo": {"name": "chaos", "version": "1"}});
        self.ask("initialize", opening, None)
    }

    fn call(&mut self) -> Result<(), End> {
        let id = self.next_id;
        let tool = TOOLS[id as usize % TOOLS.len()];
        let text = format!("{}, call {id}", self.name);
        let params = json!({"name": tool, "arguments": {"message": text, "ms": id % 20}});
        self.calls.push(Call { server: self.server, tool, text, told: Told::Nothing });
        self.ask("tools/call", params, Some(self.calls.len() - 1))
    }

    fn ask(&mut self, method: &str, mut params: Value, call: Option<usize>) -> Result<(), End> {
        if self.modern {
            add_modern_meta(&mut params, "chaos", json!({}));
        }
        let id = self.next_id;
        self.next_id += 1;
        self.asked.insert(id, Asked { since: Instant::now(), call });
        if self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})) {
            return Ok(());
        }
        Err(self.ended())
    }

    fn send(&mut self, message: &Value) -> bool {
        self.input.write_all(format!("{message}\n").as_bytes()).is_ok()
    }

    /// Waits for the next answer, and returns whether it is a result.
    fn answer(&mut self) -> Result<bool, End> {
        loop {
            let oldest = self.asked.values().map(|asked| asked.since).min().unwrap_or_else(Instant::now);
            let rest = (oldest + LONGEST).saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(rest) {
                Ok(line) => {
                    if let Some(result) = self.take(&line) {
                        return Ok(result);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    self.complain(&format!("no answer after {LONGEST:?} to {:?}", self.asked.keys()));
                    return Err(End::Over);
                }
                Err(RecvTimeoutError::Disconnected) => return Err(self.ended()),
            }
        }
    }

    /// Takes a line. Returns whether its answer is a result, or `None` when the line is no answer.
    fn take(&mut self, line: &str) -> Option<bool> {
        let Ok(message) = serde_json::from_str::<Value>(line) else {
            self.complain(&format!("no JSON on stdout: {line}"));
            return None;
        };
        if message.get("method").is_some() {
            return None;
        }
        let id = message["id"].as_u64();
        let Some((id, asked)) = id.and_then(|id| Some((id, self.asked.remove(&id)?))) else {
            let known = id.is_some_and(|id| self.answered.contains(&id));
            let what = if known { "a second answer" } else { "an answer nobody waits for" };
            self.complain(&format!("{what}: {line}"));
            return None;
        };
        self.answered.insert(id);
        let code = message["error"]["code"].as_i64();
        self.clients.count_answer(asked.since.elapsed(), code);
        let told = match message.get("error") {
            None => self.is_right(&asked, &message["result"]).then_some(Told::Ok),
            Some(error) if code.is_some_and(|code| HONEST.contains(&code)) => {
                let told = |sent| if sent { Told::PerhapsDone } else { Told::NotSent };
                error["data"]["sent"].as_bool().map(told)
            }
            Some(_) => None,
        };
        match (told, asked.call) {
            (None, _) => self.complain(&format!("a wrong answer to call {id}: {line}")),
            (Some(told), Some(call)) => {
                self.calls[call].told = told;
                if told == Told::Ok {
                    self.clients.count_success(self.server, asked.since);
                }
            }
            (Some(_), None) => {}
        }
        Some(message.get("error").is_none())
    }

    /// Whether the result is the answer to exactly this request.
    fn is_right(&self, asked: &Asked, result: &Value) -> bool {
        if self.modern != (result["resultType"] == "complete") {
            return false;
        }
        let Some(call) = asked.call else {
            let of_meta = &result["_meta"]["io.modelcontextprotocol/serverInfo"];
            let server = if self.modern { of_meta } else { &result["serverInfo"] };
            let name = server["name"].as_str();
            return name.is_some_and(|name| name.ends_with(SERVERS[self.server]));
        };
        let content = result["content"].as_array().map_or(&[][..], Vec::as_slice);
        content.len() == 1 && content[0]["text"] == *self.calls[call].text && result.get("isError").is_none()
    }

    fn ended(&self) -> End {
        if self.clients.over() {
            return End::Over;
        }
        if self.slot.killed.load(Ordering::Relaxed) {
            return End::Killed;
        }
        self.complain("a shim that nobody killed has ended");
        End::Over
    }

    fn complain(&self, sentence: &str) {
        let (server, shim) = (SERVERS[self.server], self.shim.id());
        self.clients.complain(format!("{server}, {} (pid {shim}): {sentence}", self.name));
    }
}

impl Drop for Conversation<'_> {
    fn drop(&mut self) {
        self.slot.appears(None);
        // The shim may have ended by itself.
        let _ = self.shim.kill();
        let _ = self.shim.wait();
        self.clients.note(std::mem::take(&mut self.calls));
    }
}

/// A client that was refused waits a moment before its next call.
fn breathe() {
    thread::sleep(Duration::from_millis(2));
}

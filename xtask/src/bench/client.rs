//! An MCP client that costs little even without optimisation: it uses blocking pipes, and looks only at the last byte
//! of an answer.

use std::io::{Read, Write};
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::sync::PoisonError;

use serde_json::Value;

use super::requests::{INITIALIZE, INITIALIZED, LIST, Requests};
use super::watchdog::{Shared, Watchdog, end_child};

/// A process that speaks MCP on stdio. It ends when this is dropped.
pub(crate) struct Client {
    child: Shared,
    input: Option<ChildStdin>,
    output: ChildStdout,
    /// The buffer into which answers are read.
    text: Vec<u8>,
}

/// The size of the buffer, above the longest answer. Only the part that was used costs memory.
const ROOM: usize = 2 << 20;

impl Client {
    pub(crate) fn start(mut command: Command, watchdog: &Watchdog) -> Result<Self, String> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(|error| format!("{command:?} does not start: {error}"))?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let output = output.expect("BUG: stdout is a pipe");
        Ok(Client { child: watchdog.watch(child), input, output, text: vec![0; ROOM] })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.lock().unwrap_or_else(PoisonError::into_inner).id()
    }

    /// Starts a client and waits until `initialize` is answered.
    pub(crate) fn introduced(command: Command, watchdog: &Watchdog) -> Result<Self, String> {
        let mut client = Client::start(command, watchdog)?;
        client.send(INITIALIZE)?;
        client.expect_welcome()?;
        Ok(client)
    }

    /// Waits for the answer to `initialize`.
    pub(crate) fn expect_welcome(&mut self) -> Result<(), String> {
        let answer = self.receive()?;
        let welcome = answer.windows(WELCOME.len()).any(|part| part == WELCOME);
        if !welcome {
            return Err(format!("`initialize` was answered with {}", shown(answer)));
        }
        self.send(INITIALIZED)
    }

    pub(crate) fn list_tools(&mut self) -> Result<(), String> {
        self.send(LIST)?;
        self.receive().map(drop)
    }

    pub(crate) fn send(&mut self, text: &[u8]) -> Result<(), String> {
        let input = self.input.as_mut().expect("BUG: stdin is open until the end");
        input.write_all(text).map_err(|error| format!("the other side does not read: {error}"))
    }

    /// Reads the bytes that are available, and overwrites the earlier ones.
    pub(crate) fn read(&mut self) -> Result<&[u8], String> {
        let length = read(&mut self.output, &mut self.text)?;
        Ok(&self.text[..length])
    }

    /// Reads one line with its newline. No other line may follow it.
    pub(crate) fn receive(&mut self) -> Result<&[u8], String> {
        let mut length = 0;
        loop {
            length += read(&mut self.output, &mut self.text[length..])?;
            if self.text[length - 1] == b'\n' {
                return Ok(&self.text[..length]);
            }
        }
    }

    /// Reads until a line contains `part`, and returns this line. Other lines are dropped.
    pub(crate) fn receive_with(&mut self, part: &[u8]) -> Result<&[u8], String> {
        let mut length = 0;
        loop {
            length += read(&mut self.output, &mut self.text[length..])?;
            if self.text[length - 1] != b'\n' {
                continue;
            }
            let mut start = 0;
            for line in self.text[..length].split_inclusive(|byte| *byte == b'\n') {
                let end = start + line.len();
                if line.windows(part.len()).any(|window| window == part) {
                    return Ok(&self.text[start..end]);
                }
                start = end;
            }
        }
    }

    /// Makes one call, checks its answer as a whole, and returns the length of the answer, which is also that of all
    /// later ones.
    pub(crate) fn try_call(&mut self, requests: &mut Requests, message: &str) -> Result<usize, String> {
        self.send(requests.next(1))?;
        let answer = self.receive()?;
        let value: Value =
            serde_json::from_slice(answer).map_err(|error| format!("{error} in {}", shown(answer)))?;
        if value["result"]["content"][0]["text"] != message {
            return Err(format!("a call was answered with {}", shown(answer)));
        }
        Ok(answer.len())
    }

    /// Closes the stdin of the process, as a client does when it ends, and waits until the process ends.
    pub(crate) fn finish(mut self) -> Result<(), String> {
        drop(self.input.take());
        loop {
            if self.output.read(&mut [0; 4096]).map_err(|error| error.to_string())? == 0 {
                return Ok(());
            }
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        end_child(&self.child);
    }
}

const WELCOME: &[u8] = br#""result""#;

fn read(output: &mut ChildStdout, text: &mut [u8]) -> Result<usize, String> {
    match output.read(text) {
        Ok(0) => Err("the other side ended, or an answer is too long".to_owned()),
        Ok(length) => Ok(length),
        Err(error) => Err(format!("the other side cannot be read: {error}")),
    }
}

/// The beginning of an answer, for an error message.
pub(crate) fn shown(answer: &[u8]) -> String {
    String::from_utf8_lossy(&answer[..answer.len().min(300)]).into_owned()
}

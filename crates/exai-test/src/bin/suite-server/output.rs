//! Stdout, one message a line.

use std::io::{self, Write};

use serde_json::Value;

pub(crate) fn send(message: &Value) {
    write_line(&message.to_string());
}

/// Writes a line whole. The process ends when nobody reads any more.
pub(crate) fn write_line(line: &str) {
    let mut output = io::stdout().lock();
    if output.write_all(format!("{line}\n").as_bytes()).and_then(|()| output.flush()).is_err() {
        exit(0);
    }
}

/// Ends the process now, as a crash would: no destructor runs.
#[expect(clippy::disallowed_methods, reason = "a crash at an exact moment is what the tests need")]
pub(crate) fn exit(code: i32) -> ! {
    std::process::exit(code)
}

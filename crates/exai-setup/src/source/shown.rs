//! Servers in one line, for tests.

use std::fmt::Write as _;

use crate::{ServerEntry, Transport};

/// `name: command|arg K=V cwd=… env_file=…`, or `name: url H: V`; with ` (off)` at the end if it is.
pub(crate) fn show(server: &ServerEntry) -> String {
    let mut line = format!("{}: ", server.name);
    match &server.transport {
        Transport::Stdio { command, args, env, cwd, env_file } => {
            line.push_str(command);
            for arg in args {
                write!(line, "|{arg}").unwrap();
            }
            for (name, value) in env {
                write!(line, " {name}={value}").unwrap();
            }
            for (what, text) in [("cwd", cwd), ("env_file", env_file)] {
                if let Some(text) = text {
                    write!(line, " {what}={text}").unwrap();
                }
            }
        }
        Transport::Url { url, headers } => {
            line.push_str(url);
            for (name, value) in headers {
                write!(line, " {name}: {value}").unwrap();
            }
        }
    }
    line.push_str(if server.disabled { " (off)" } else { "" });
    line
}

/// Answers, each of them one text, or several with `|` between them.
pub(crate) fn answers(pairs: &[(&str, &str)]) -> super::question::Answers {
    let split = |text: &str| text.split('|').map(str::to_owned).collect();
    pairs.iter().map(|(key, text)| ((*key).to_owned(), split(text))).collect()
}

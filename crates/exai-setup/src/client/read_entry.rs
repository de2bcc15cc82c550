//! An entry in the configuration of a client, read into a [`ServerEntry`].

use crate::node::Node;
use crate::read_entry::{Notes, read_entry as read_node};
pub use crate::read_entry::{ReadRules, TimeoutMeaning};
use crate::{ServerEntry, Value};

/// An entry that is no server that exai could run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name}: {reason}")]
pub struct UnreadEntry {
    /// Its name.
    pub name: String,
    /// Why, as a clause: "it has neither a command nor a URL".
    pub reason: String,
}

/// Reads one entry.
pub fn read_entry(name: &str, value: &Value, rules: &ReadRules) -> Result<ServerEntry, UnreadEntry> {
    read_node(name, "it", Node::without_place(value), rules, &mut Notes::default())
        .map_err(|fault| UnreadEntry { name: name.to_owned(), reason: fault.what })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::Transport;
    use crate::format::Format;

    const RULES: ReadRules =
        ReadRules { variables: &[], timeout: TimeoutMeaning::CallSeconds, splits_command: false };

    fn read(json: &str) -> Result<ServerEntry, UnreadEntry> {
        read_entry("x", &Format::Json.parse(json).unwrap().unwrap(), &RULES)
    }

    #[test]
    fn an_entry_that_is_no_server_says_why() {
        let cases = [
            ("[]", "x: a server must be a table"),
            ("{}", "x: it has neither a command nor a URL"),
            (r#"{"url": ""}"#, "x: it has neither a command nor a URL"),
            (r#"{"command": 1}"#, "x: `command` must be a text"),
            (r#"{"command": " "}"#, "x: `command` is empty"),
            (r#"{"command": []}"#, "x: `command` is empty"),
            (r#"{"command": ["a", {}]}"#, "x: `command` must be a list of texts"),
            (r#"{"command": {"args": []}}"#, "x: `command` is empty"),
            (r#"{"command": "a", "args": {}}"#, "x: `args` must be a list of texts"),
            (r#"{"command": "a", "args": ["b", null]}"#, "x: `args` must be a list of texts"),
            (r#"{"command": "a", "args": "b 'c"}"#, "x: `args` has a quote that is not closed"),
        ];
        for (json, reason) in cases {
            assert_eq!(read(json).unwrap_err().to_string(), reason, "{json}");
        }
    }

    #[test]
    fn the_type_decides_between_a_command_and_a_url() {
        let is_url = |json: &str| matches!(read(json).unwrap().transport, Transport::Url { .. });
        assert!(is_url(r#"{"type": "http", "command": "a", "url": "http://localhost/b"}"#));
        assert!(!is_url(r#"{"type": "stdio", "command": "a", "url": "http://localhost/b"}"#));
        assert!(is_url(r#"{"type": {}, "command": null, "url": "http://localhost/b"}"#));
        let error = read(r#"{"type": "stdio", "url": "http://localhost/b"}"#).unwrap_err();
        assert_eq!(error.to_string(), "x: it has the type of a command, and no `command`");
    }

    #[test]
    fn times_that_are_none_are_left_out() {
        for time in ["0", "-1", "1e400", "\"10\"", "null", "1e30"] {
            let entry = read(&format!(r#"{{"command": "a", "timeout": {time}}}"#)).unwrap();
            assert_eq!(entry.call_timeout, None, "{time}");
        }
        let entry = read(r#"{"command": "a", "timeout": 1.5}"#).unwrap();
        assert_eq!(entry.call_timeout, Some(Duration::from_millis(1500)));
    }

    #[test]
    fn a_command_that_is_a_path_with_blanks_is_not_split() {
        let entry = read(r#"{"command": "/Program Files/a", "args": "b 'c d'"}"#).unwrap();
        let Transport::Stdio { command, args, .. } = entry.transport else { panic!("no command") };
        assert_eq!((command.as_str(), args), ("/Program Files/a", vec!["b".to_owned(), "c d".to_owned()]));
    }
}

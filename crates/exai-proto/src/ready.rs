//! The first words of a new daemon to its starter: one JSON line on the inherited pipe, then the end of the pipe. An
//! end without a line means that the daemon died before it could say why.

use serde::{Deserialize, Serialize};

/// How the start went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Readiness {
    /// It holds the lock, listens, and its record is written.
    Ready,
    /// Another daemon holds the lock.
    Lost {
        /// Its process id, if it is known.
        holder: Option<u32>,
    },
    /// It could not start.
    Failed {
        /// Why, as a sentence.
        reason: String,
    },
}

impl Readiness {
    /// The message as it goes over the pipe, line break included.
    pub fn to_line(&self) -> String {
        let mut line = serde_json::to_string(self).unwrap_or_default();
        line.push('\n');
        line
    }

    /// Reads what came over the pipe; `None` when it is no whole message.
    pub fn from_line(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_message_is_one_line_and_survives_the_pipe() {
        let cases = [
            (Readiness::Ready, "{\"type\":\"ready\"}\n"),
            (Readiness::Lost { holder: Some(7) }, "{\"type\":\"lost\",\"holder\":7}\n"),
            (Readiness::Lost { holder: None }, "{\"type\":\"lost\",\"holder\":null}\n"),
            (Readiness::Failed { reason: "a\nb".into() }, "{\"type\":\"failed\",\"reason\":\"a\\nb\"}\n"),
        ];
        for (message, line) in cases {
            assert_eq!(message.to_line(), line);
            assert_eq!(Readiness::from_line(line.as_bytes()), Some(message));
        }
        assert_eq!(Readiness::from_line(b""), None);
    }
}

//! Threads and their turns.

use jiff::Timestamp;
use serde_json::Value;

use super::bounds::{MAX_CLIENT_CHARS, MAX_FILES, MAX_STEP_BYTES, MAX_TEXT_BYTES, MAX_TITLE_CHARS};
use super::error::ThreadError;
use crate::models::request::Role;

/// What is known of a thread besides its turns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ThreadFacts {
    /// The `continuation_id`: a UUID.
    pub id: String,
    /// The tool that began it.
    pub tool: String,
    /// The first line of its first request.
    pub title: String,
    /// The label or name of the client that began it.
    pub client: Option<String>,
    /// When it began.
    pub created_at: Timestamp,
    /// When it was used last.
    pub used_at: Timestamp,
    /// How many calls of models were paid for in it.
    pub paid_calls: u32,
    /// How many turns it has.
    pub turn_count: u32,
}

/// A thread with all its turns.
#[derive(Debug, Clone, PartialEq)]
pub struct Thread {
    /// What is known of it.
    pub facts: ThreadFacts,
    /// Its turns, oldest first.
    pub turns: Vec<Turn>,
}

/// One turn of a thread.
#[derive(Debug, Clone, PartialEq)]
pub struct Turn {
    /// Its place in the thread, from 1.
    pub number: u32,
    /// Who says it.
    pub role: Role,
    /// The tool in which it is said.
    pub tool: String,
    /// The model that has answered.
    pub model: Option<String>,
    /// The provider of the model.
    pub provider: Option<String>,
    /// What is said.
    pub text: String,
    /// The arguments of the step, in workflow tools.
    pub step: Option<Value>,
    /// The files that it refers to.
    pub files: Vec<String>,
    /// When it was said.
    pub at: Timestamp,
}

/// The beginning of a thread.
#[derive(Debug, Clone, Copy)]
pub struct NewThread<'a> {
    /// The tool that begins it.
    pub tool: &'a str,
    /// The first request, whose first line becomes the title.
    pub request: &'a str,
    /// The label or name of the client.
    pub client: Option<&'a str>,
}

/// A turn that is added to a thread.
#[derive(Debug, Clone, PartialEq)]
pub struct NewTurn {
    /// Who says it.
    pub role: Role,
    /// The tool in which it is said.
    pub tool: String,
    /// The model that has answered.
    pub model: Option<String>,
    /// The provider of the model.
    pub provider: Option<String>,
    /// What is said.
    pub text: String,
    /// The arguments of the step, in workflow tools.
    pub step: Option<Value>,
    /// The files that it refers to.
    pub files: Vec<String>,
}

impl NewTurn {
    /// What the agent says.
    pub fn of_user(tool: &str, text: impl Into<String>) -> NewTurn {
        NewTurn {
            role: Role::User,
            tool: tool.to_owned(),
            model: None,
            provider: None,
            text: text.into(),
            step: None,
            files: Vec::new(),
        }
    }

    /// What a model says.
    pub fn of_assistant(tool: &str, model: &str, provider: &str, text: impl Into<String>) -> NewTurn {
        NewTurn {
            role: Role::Assistant,
            model: Some(model.to_owned()),
            provider: Some(provider.to_owned()),
            ..NewTurn::of_user(tool, text)
        }
    }

    /// The arguments of the step as JSON.
    pub(super) fn step_text(&self) -> Option<String> {
        self.step.as_ref().map(Value::to_string)
    }

    /// An error for a turn that is longer than what is kept.
    pub(super) fn check(&self) -> Result<(), ThreadError> {
        let step = self.step_text().map_or(0, |text| text.len());
        let sizes = [
            ("the text", self.text.len(), MAX_TEXT_BYTES),
            ("the step", step, MAX_STEP_BYTES),
            ("the list of files", self.files.len(), MAX_FILES),
        ];
        match sizes.into_iter().find(|(_, size, max)| size > max) {
            Some((what, size, max)) => Err(ThreadError::TurnTooLong { what, size, max }),
            None => Ok(()),
        }
    }

    /// As much of the turn as is kept: what was paid for is not lost because it is too long.
    pub(super) fn cut(&self) -> NewTurn {
        let mut turn = self.clone();
        if turn.text.len() > MAX_TEXT_BYTES {
            let note = format!("\n[cut here: the text had {} bytes]", turn.text.len());
            turn.text.truncate(turn.text.floor_char_boundary(MAX_TEXT_BYTES - note.len()));
            turn.text.push_str(&note);
        }
        turn.step = turn.step.filter(|step| step.to_string().len() <= MAX_STEP_BYTES);
        turn.files.truncate(MAX_FILES);
        turn
    }
}

/// The first line of a request that says something, cut.
pub(super) fn make_title(request: &str) -> String {
    let line = request.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("(no text)");
    cut_to(line, MAX_TITLE_CHARS)
}

/// The name of a client, cut.
pub(super) fn make_client_name(client: &str) -> String {
    cut_to(client, MAX_CLIENT_CHARS)
}

/// At most so many characters of a text, with a mark where it was cut.
pub(super) fn cut_to(text: &str, max_chars: usize) -> String {
    match text.char_indices().nth(max_chars) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_title_is_the_first_line_that_says_something() {
        assert_eq!(make_title("\n  \n  Why does it hang?\nMore."), "Why does it hang?");
        assert_eq!(make_title(" \n"), "(no text)");
        let long = make_title(&"ü".repeat(200));
        assert_eq!(long, "ü".repeat(MAX_TITLE_CHARS) + "…");
    }

    #[test]
    fn a_turn_that_is_too_long_is_an_error_or_is_cut() {
        let mut turn = NewTurn::of_user("chat", "ü".repeat(MAX_TEXT_BYTES / 2 + 1));
        assert_eq!(
            turn.check().unwrap_err().to_string(),
            "the text of a turn is too long: 8388610, and at most 8388608 are kept"
        );
        let cut = turn.cut();
        cut.check().unwrap();
        assert!(cut.text.ends_with("[cut here: the text had 8388610 bytes]"));
        turn.text.clear();
        turn.files = vec!["x".to_owned(); MAX_FILES + 1];
        assert!(turn.check().is_err());
        turn.cut().check().unwrap();
    }
}

//! What a source asks of the user, and the answers.

use std::collections::BTreeMap;

use super::error::SourceError;
use crate::variables::{self, Piece};

/// What the user is asked before a server can be added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// What identifies the question in [`Answers`]. Unique within a [`Plan`](super::Plan).
    pub key: String,
    /// What the source says about it.
    pub description: Option<String>,
    /// What an answer must be.
    pub kind: AnswerKind,
    /// Whether the answer is a secret. Give a reference (`${secret:NAME}`) as the answer to keep the secret elsewhere.
    pub secret: bool,
    /// Whether the server cannot be added without an answer.
    pub required: bool,
    /// Whether there may be several answers.
    pub multiple: bool,
    /// What is taken without an answer.
    pub default: Vec<String>,
    /// If this is not empty, the answer is one of these.
    pub choices: Vec<String>,
}

/// What an answer must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerKind {
    /// Any text.
    Text,
    /// A number within these bounds, which belong to it.
    Number {
        /// The least.
        min: Option<i64>,
        /// The most.
        max: Option<i64>,
    },
    /// `true` or `false`.
    Flag,
    /// The path of a file.
    File,
    /// The path of a directory.
    Directory,
}

/// The answers to questions, by their keys. A question that has no answer here takes its default.
pub type Answers = BTreeMap<String, Vec<String>>;

impl Question {
    /// A question for any text, which must be answered.
    pub(crate) fn new(key: impl Into<String>) -> Self {
        Question {
            key: key.into(),
            description: None,
            kind: AnswerKind::Text,
            secret: false,
            required: true,
            multiple: false,
            default: Vec::new(),
            choices: Vec::new(),
        }
    }

    /// The answer or the default; empty if there is neither and none is needed.
    pub(crate) fn resolve(&self, answers: &Answers) -> Result<Vec<String>, SourceError> {
        let given: Vec<String> = answers
            .get(&self.key)
            .into_iter()
            .flatten()
            .filter(|answer| !answer.is_empty())
            .cloned()
            .collect();
        let values = if given.is_empty() { self.default.clone() } else { given };
        let key = &self.key;
        if values.is_empty() && self.required {
            return Err(SourceError::new(format!("`{key}` needs a value")));
        }
        if values.len() > 1 && !self.multiple {
            return Err(SourceError::new(format!("`{key}` takes one value alone")));
        }
        for value in &values {
            self.check(value)?;
        }
        Ok(values)
    }

    /// Checks one answer. A reference is resolved later, and is not checked.
    pub fn check(&self, answer: &str) -> Result<(), SourceError> {
        let key = &self.key;
        if variables::split(answer).iter().any(|piece| matches!(piece, Piece::Dollar(_))) {
            return Ok(());
        }
        if answer.contains('\0') {
            return Err(SourceError::new(format!("the value of `{key}` must not contain a NUL character")));
        }
        if !self.choices.is_empty() && !self.choices.iter().any(|choice| choice == answer) {
            return Err(SourceError::new(format!("`{key}` must be one of: {}", self.choices.join(", "))));
        }
        match self.kind {
            AnswerKind::Text | AnswerKind::File | AnswerKind::Directory => Ok(()),
            AnswerKind::Flag if matches!(answer, "true" | "false") => Ok(()),
            AnswerKind::Flag => Err(SourceError::new(format!("`{key}` must be true or false"))),
            AnswerKind::Number { min, max } => {
                let number = answer.parse::<f64>().ok().filter(|number| number.is_finite());
                let Some(number) = number else {
                    return Err(SourceError::new(format!("`{key}` must be a number")));
                };
                #[allow(clippy::cast_precision_loss)] // bounds of settings are small
                let (least, most) = (min.map(|min| min as f64), max.map(|max| max as f64));
                match (least, most) {
                    (Some(least), _) if number < least => {
                        Err(SourceError::new(format!("`{key}` must be at least {least}")))
                    }
                    (_, Some(most)) if number > most => {
                        Err(SourceError::new(format!("`{key}` must be at most {most}")))
                    }
                    _ => Ok(()),
                }
            }
        }
    }
}

//! What a model is told of a thread: its newest turns that fit, oldest first. Pure.

use std::collections::HashSet;

use super::thread::{Thread, Turn};
use crate::models::request::{ModelMessage, Role};
use crate::tokens;

/// What a model is told of a thread.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History {
    /// The turns that fit, oldest first. Turns of one role that follow each other are one message: some endpoints refuse
    /// two messages of one role in a row.
    pub messages: Vec<ModelMessage>,
    /// The numbers of the turns that did not fit, oldest first.
    pub left_out: Vec<u32>,
    /// Whether the oldest turn that fits is there only in part: the newest turn did not fit.
    pub is_cut: bool,
    /// All files that the thread refers to, each once: those of the newest turns first.
    pub files: Vec<String>,
}

/// What a model is told of a thread in at most `budget_tokens`.
pub fn build(thread: &Thread, budget_tokens: usize) -> History {
    let mut history = History { files: list_files(&thread.turns), ..History::default() };
    let said: Vec<&Turn> = thread.turns.iter().filter(|turn| !turn.text.trim().is_empty()).collect();
    let mut left = budget_tokens;
    let mut first = said.len();
    while let Some(before) = first.checked_sub(1)
        && let Some(rest) = left.checked_sub(tokens::estimate(&said[before].text))
    {
        (first, left) = (before, rest);
    }
    let (out, within) = said.split_at(first);
    history.left_out = out.iter().map(|turn| turn.number).collect();
    for turn in within {
        add(&mut history.messages, turn.role, &turn.text);
    }
    if within.is_empty()
        && let Some(newest) = said.last()
        && let Some(text) = cut(&newest.text, budget_tokens)
    {
        add(&mut history.messages, newest.role, &text);
        history.left_out.pop();
        history.is_cut = true;
    }
    history
}

fn list_files(turns: &[Turn]) -> Vec<String> {
    let mut seen = HashSet::new();
    let newest_first = turns.iter().rev().flat_map(|turn| &turn.files);
    newest_first.filter(|file| seen.insert(file.as_str())).cloned().collect()
}

fn add(messages: &mut Vec<ModelMessage>, role: Role, text: &str) {
    match messages.last_mut() {
        Some(last) if last.role == role => {
            last.text.push_str("\n\n");
            last.text.push_str(text);
        }
        _ => messages.push(ModelMessage { role, text: text.to_owned(), images: Vec::new() }),
    }
}

/// The beginning of a text that fits, with a note; `None` if nothing of it does.
fn cut(text: &str, budget_tokens: usize) -> Option<String> {
    let note = |bytes: usize| format!("\n[{bytes} more bytes of this are left out]");
    let room = tokens::bytes_of(budget_tokens).checked_sub(note(text.len()).len())?;
    let kept = &text[..text.floor_char_boundary(room)];
    (!kept.is_empty()).then(|| format!("{kept}{}", note(text.len() - kept.len())))
}

//! The work of the agent in words.

use serde_json::{Value, json};

use super::limits::MAX_SUMMARY_BYTES;
use super::state::State;

/// `complete_<tool>`: everything that the agent has done and found.
pub(super) fn complete(state: &State) -> Value {
    json!({
        "initial_request": state.initial_request(),
        "steps_taken": state.steps().len(),
        "files_examined": state.all("files_checked"),
        "relevant_files": state.all("relevant_files"),
        "relevant_context": state.all("relevant_context"),
        "issues_found": state.issues(),
        "work_summary": work_summary(state),
    })
}

/// Counts, hypothesis and findings, for an agent that takes over.
fn work_summary(state: &State) -> String {
    let count = |number: usize, noun: &str| format!("{number} {noun}{}", if number == 1 { "" } else { "s" });
    let mut lines = vec![format!(
        "{}, {} examined, {}; confidence: {}.",
        count(state.steps().len(), "step"),
        count(state.all("files_checked").len(), "file"),
        count(state.issues().len(), "issue"),
        state.confidence().name(),
    )];
    if let Some((_, hypothesis)) = state.hypotheses().last() {
        lines.push(format!("Hypothesis: {hypothesis}"));
    }
    lines.push(newest(&numbered(&state.findings()), "\n", MAX_SUMMARY_BYTES));
    lines.join("\n").trim_end().to_owned()
}

/// Each text after the number of its step.
pub(super) fn numbered(texts: &[(u64, &str)]) -> Vec<String> {
    texts.iter().map(|(number, text)| format!("Step {number}: {text}")).collect()
}

/// The entries, oldest first, with `separator` between them. If they are longer than `most` bytes, the newest that fit,
/// and a line that says how many are left out. The newest one is cut rather than left out.
pub(super) fn newest(entries: &[String], separator: &str, most: usize) -> String {
    let mut left = most;
    let mut first = entries.len();
    for (index, entry) in entries.iter().enumerate().rev() {
        let length = entry.len() + separator.len();
        if length > left {
            break;
        }
        left -= length;
        first = index;
    }
    let kept = entries[first..].join(separator);
    match (first, entries.last()) {
        (0, _) | (_, None) => kept,
        (left_out, Some(last)) if left_out == entries.len() => {
            let cut = last.floor_char_boundary(most);
            format!("[{} earlier entries left out]{separator}{} [cut]", left_out - 1, &last[..cut])
        }
        (left_out, Some(_)) => format!("[{left_out} earlier entries left out]{separator}{kept}"),
    }
}

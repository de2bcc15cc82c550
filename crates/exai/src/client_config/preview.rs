//! Shows what a change of a file is about.

use crate::error::Error;
use crate::printer::Printer;

/// How many lines around a change are shown.
const CONTEXT_LINES: usize = 2;

/// The shortest text that is hidden: a shorter one may be a part of any word.
const MIN_SECRET_CHARS: usize = 4;

/// Shows the lines that go and the lines that come, without these secrets.
pub(super) fn show(
    path: &str,
    before: &str,
    after: &str,
    secrets: &[String],
    printer: &Printer,
) -> Result<(), Error> {
    let (before, after) = (hide(before, secrets), hide(after, secrets));
    let (old, new): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
    let same = old.iter().zip(&new).take_while(|(old, new)| old == new).count();
    let (rest_old, rest_new) = (&old[same..], &new[same..]);
    let tail = rest_old.iter().rev().zip(rest_new.iter().rev()).take_while(|(old, new)| old == new).count();
    printer.line(&format!("{path}:"))?;
    for line in &old[same.saturating_sub(CONTEXT_LINES)..same] {
        printer.faint(&format!("  {line}"))?;
    }
    for line in &rest_old[..rest_old.len() - tail] {
        printer.line(&format!("- {line}"))?;
    }
    for line in &rest_new[..rest_new.len() - tail] {
        printer.line(&format!("+ {line}"))?;
    }
    for line in rest_old[rest_old.len() - tail..].iter().take(CONTEXT_LINES) {
        printer.faint(&format!("  {line}"))?;
    }
    Ok(())
}

/// A text with blanks in the place of tabs, which a terminal shows as escapes otherwise, and without these secrets.
fn hide(text: &str, secrets: &[String]) -> String {
    let mut hidden = text.replace('\t', "    ");
    for secret in secrets.iter().filter(|secret| secret.chars().count() >= MIN_SECRET_CHARS) {
        let escaped = serde_json::to_string(secret).expect("BUG: a text is JSON");
        for shape in [secret.as_str(), escaped.trim_matches('"')] {
            hidden = hidden.replace(shape, "<hidden>");
        }
    }
    hidden
}

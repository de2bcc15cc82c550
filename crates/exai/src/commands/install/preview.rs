//! Shows what a change of a file is about.

use crate::error::Error;
use crate::printer::Printer;

/// How many lines around a change are shown.
const CONTEXT_LINES: usize = 2;

/// Shows the lines that go and the lines that come.
pub(super) fn show(path: &str, before: &str, after: &str, printer: &Printer) -> Result<(), Error> {
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

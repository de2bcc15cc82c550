//! Everything the commands say: data to stdout, the rest to stderr, colour only on a terminal.
//!
//! Whatever a command hands over may hold text of servers, clients or other programs: it becomes [`visible`] here, and
//! only the colours of this file reach a terminal as they are.

use std::borrow::Cow;
use std::cell::Cell;
use std::io::{self, IsTerminal as _, Write as _};

use anstream::ColorChoice;
use anstream::adapter::strip_bytes;
use clap::builder::styling::{AnsiColor, Style};
use exai_os::platform_hints::PIPES_ARE_UTF8;
use exai_os::streams;
use serde::Serialize;

use crate::error::Error;
use crate::visible;

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const RED: Style = AnsiColor::Red.on_default().bold();
const YELLOW: Style = AnsiColor::Yellow.on_default().bold();
const GREEN: Style = AnsiColor::Green.on_default().bold();
const CYAN: Style = AnsiColor::Cyan.on_default().bold();

/// What a word at the beginning of a line means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    /// It does not work.
    Bad,
    /// Something should be known.
    Doubtful,
    /// It is as it should be.
    Good,
    /// What to do.
    Hint,
    /// It matters less.
    Nothing,
}

/// Writes everything that a command says.
#[derive(Debug)]
pub(crate) struct Printer {
    terminal: bool,
    in_progress: Cell<bool>,
}

impl Printer {
    pub(crate) fn new() -> Self {
        Printer { terminal: io::stderr().is_terminal(), in_progress: Cell::new(false) }
    }

    /// A line of data.
    pub(crate) fn line(&self, text: &str) -> Result<(), Error> {
        self.styled(Style::new(), text, "")
    }

    /// A line of data that matters most.
    pub(crate) fn headline(&self, text: &str) -> Result<(), Error> {
        self.styled(BOLD, text, "")
    }

    /// A line of data that matters less.
    pub(crate) fn faint(&self, text: &str) -> Result<(), Error> {
        self.styled(DIM, text, "")
    }

    /// A line whose first part has a style.
    fn styled(&self, style: Style, first: &str, rest: &str) -> Result<(), Error> {
        let (first, rest) = (visible::on_one_line(first), visible::on_one_line(rest));
        self.bytes(format!("{style}{first}{style:#}{rest}\n").as_bytes())
    }

    /// Whether something is as it should be, and what that is.
    pub(crate) fn verdict(&self, ok: bool, text: &str) -> Result<(), Error> {
        let (style, word) = if ok { (GREEN, "pass") } else { (RED, "FAIL") };
        self.styled(style, word, &format!("  {text}"))
    }

    /// Clears the screen for new data, on a terminal.
    pub(crate) fn clear_screen(&self) -> Result<(), Error> {
        if io::stdout().is_terminal() { self.bytes(b"\x1b[H\x1b[2J\x1b[3J") } else { Ok(()) }
    }

    /// A line of data that begins with a word of its own colour.
    pub(crate) fn marked(&self, mark: Mark, word: &str, text: &str) -> Result<(), Error> {
        let style = match mark {
            Mark::Bad => RED,
            Mark::Doubtful => YELLOW,
            Mark::Good => GREEN,
            Mark::Hint => CYAN,
            Mark::Nothing => DIM,
        };
        self.styled(style, word, &format!(" {text}"))
    }

    /// Data as it is.
    fn bytes(&self, bytes: &[u8]) -> Result<(), Error> {
        self.clear_progress();
        // Also has a console of Windows understand colours.
        let coloured = anstream::stdout().current_choice() != ColorChoice::Never;
        put(&mut streams::output(), &in_colours(bytes, coloured))
    }

    /// Text of a server or a log: byte for byte, but on a terminal, where it becomes visible and what is no UTF-8 is
    /// replaced (a console of Windows would refuse it together with all that follows).
    pub(crate) fn raw(&self, bytes: &[u8]) -> Result<(), Error> {
        self.clear_progress();
        if io::stdout().is_terminal() {
            put(&mut streams::output(), visible::in_lines(&String::from_utf8_lossy(bytes)).as_bytes())
        } else {
            put(&mut streams::output(), bytes)
        }
    }

    /// A JSON document on one line.
    pub(crate) fn json(&self, document: &impl Serialize) -> Result<(), Error> {
        let text = serde_json::to_string(document)
            .map_err(|error| Error::failed(format!("cannot write the document: {error}")))?;
        self.json_text(&text)
    }

    /// The same of one that is text already.
    pub(crate) fn json_text(&self, text: &str) -> Result<(), Error> {
        let text = portable_json(text);
        let text = if io::stdout().is_terminal() { visible::in_json(&text) } else { text };
        self.bytes(format!("{text}\n").as_bytes())
    }

    /// Rows of cells in columns.
    pub(crate) fn table(&self, rows: &[Vec<String>]) -> Result<(), Error> {
        self.bytes(columns(rows).as_bytes())
    }

    /// What a person should know besides the data.
    pub(crate) fn warn(&self, text: &str) {
        self.say(&format!("{YELLOW}warning{YELLOW:#}: {}\n", paragraph(text)));
    }

    /// What a question is about.
    pub(crate) fn note(&self, text: &str) {
        self.say(&format!("{DIM}{}{DIM:#}\n", paragraph(text)));
    }

    /// A question, without a line end.
    pub(crate) fn prompt(&self, text: &str) {
        self.say(&visible::on_one_line(text));
    }

    /// What to do next.
    pub(crate) fn hint(&self, text: &str) {
        self.say(&format!("{CYAN}hint{CYAN:#}: {}\n", paragraph(text)));
    }

    /// Why the command failed.
    pub(crate) fn error(&self, error: &Error) {
        let Some((what, hint)) = error.lines() else { return };
        let hint = hint.map(|hint| format!("{CYAN}hint{CYAN:#}: {}\n", paragraph(hint))).unwrap_or_default();
        self.say(&format!("{RED}error{RED:#}: {}\n{hint}", paragraph(what)));
    }

    /// Shows what is going on at present, on a terminal.
    pub(crate) fn progress(&self, text: &str) {
        if self.terminal {
            // The line may hold the progress of another thread.
            self.say(&format!("\r\x1b[K{DIM}{}{DIM:#}", visible::on_one_line(text)));
            self.in_progress.set(true);
        }
    }

    /// Takes the last [`Printer::progress`] away.
    pub(crate) fn clear_progress(&self) {
        if self.in_progress.take() {
            // If stderr cannot be written, the message is lost.
            let _ = streams::errors().write_all(b"\r\x1b[K");
        }
    }

    fn say(&self, text: &str) {
        self.clear_progress();
        let coloured = anstream::stderr().current_choice() != ColorChoice::Never;
        let _ = streams::errors().write_all(&in_colours(text.as_bytes(), coloured));
    }
}

/// JSON that reads the same in every code page, for systems where the reader may assume another one.
pub(crate) fn portable_json(text: &str) -> Cow<'_, str> {
    if PIPES_ARE_UTF8 { Cow::Borrowed(text) } else { visible::in_ascii_json(text) }
}

/// Text that may have several lines. Those after the first are indented, so that none can pass for a line of ours.
fn paragraph(text: &str) -> String {
    visible::in_lines(text).trim_end().replace('\n', "\n  ")
}

/// What the printer has coloured, with its colours or without them.
fn in_colours(bytes: &[u8], coloured: bool) -> Cow<'_, [u8]> {
    if coloured { Cow::Borrowed(bytes) } else { Cow::Owned(strip_bytes(bytes).into_vec()) }
}

/// Writes all of it.
fn put(stream: &mut impl io::Write, bytes: &[u8]) -> Result<(), Error> {
    stream.write_all(bytes).and_then(|()| stream.flush()).map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => Error::nobody_reads(),
        _ => Error::failed(format!("cannot write to stdout: {error}")),
    })
}

fn columns(rows: &[Vec<String>]) -> String {
    let rows: Vec<Vec<Cow<'_, str>>> =
        rows.iter().map(|row| row.iter().map(|cell| visible::on_one_line(cell)).collect()).collect();
    let mut widths: Vec<usize> = Vec::new();
    for row in &rows {
        for (at, cell) in row.iter().enumerate() {
            let width = cell.chars().count();
            match widths.get_mut(at) {
                Some(widest) => *widest = width.max(*widest),
                None => widths.push(width),
            }
        }
    }
    let mut text = String::new();
    for row in &rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(cell);
            line.extend(std::iter::repeat_n(' ', width + 2 - cell.chars().count()));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_they_need_to_be() {
        let rows = [["a", "bb", ""], ["long", "é", "z"]].map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(columns(&rows), "a     bb\nlong  é   z\n");
    }

    #[test]
    fn a_cell_cannot_forge_a_row_nor_a_text_a_line_of_ours() {
        let rows = [vec!["a\nready".to_owned(), "b".to_owned()]];
        assert_eq!(columns(&rows), "a\\nready  b\n");
        assert_eq!(paragraph("gone\nhint: run this\n\x1b[2J\n"), "gone\n  hint: run this\n  \\u{1b}[2J");
    }
}

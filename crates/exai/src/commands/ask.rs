//! Questions on the terminal.

use std::io::{self, BufRead as _, IsTerminal as _};

use crate::error::Error;
use crate::printer::Printer;

/// Whether there is a person to ask.
pub(super) fn is_possible() -> bool {
    io::stdin().is_terminal()
}

/// Asks for one line. The end of the input is an error, and never an answer.
pub(super) fn ask(prompt: &str, printer: &Printer) -> Result<String, Error> {
    printer.prompt(prompt);
    let mut line = String::new();
    match io::stdin().lock().read_line(&mut line) {
        Ok(0) => Err(no_answer(&"the input has ended")),
        Ok(_) => Ok(line.trim_end_matches(['\r', '\n']).to_owned()),
        Err(error) => Err(no_answer(&error)),
    }
}

/// Asks for one line that is not shown.
pub(super) fn ask_hidden(prompt: &str) -> Result<String, Error> {
    let prompt = crate::visible::on_one_line(prompt);
    rpassword::prompt_password(prompt.as_ref()).map_err(|error| no_answer(&error))
}

/// Asks whether to do something; an empty answer is yes.
pub(super) fn confirm(question: &str, printer: &Printer) -> Result<bool, Error> {
    let answer = ask(&format!("{question} [Y/n] "), printer)?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "" | "y" | "yes"))
}

/// Asks whether to do something that cannot be undone, or that nobody has ordered; an empty answer is no.
pub(super) fn confirm_expressly(question: &str, printer: &Printer) -> Result<bool, Error> {
    let answer = ask(&format!("{question} [y/N] "), printer)?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

fn no_answer(error: &dyn std::fmt::Display) -> Error {
    Error::failed(format!("cannot read the answer: {error}"))
}

//! Asks what a source leaves open.

use std::io::{self, BufRead as _, IsTerminal as _};

use exai_setup::ServerEntry;
use exai_setup::source::{Answers, Plan, Question};

use crate::error::Error;
use crate::printer::Printer;

/// Asks the questions of a plan on a terminal, and fills the answers in.
pub(super) fn fill(plan: &Plan, printer: &Printer) -> Result<ServerEntry, Error> {
    let mut answers = Answers::new();
    let open = |question: &&Question| question.required && question.default.is_empty();
    if io::stdin().is_terminal() {
        for question in plan.questions() {
            answers.insert(question.key.clone(), ask(question, printer)?);
        }
    } else if let Some(question) = plan.questions().iter().find(open) {
        let what = format!("the server asks for `{}`, and there is no terminal to ask on", question.key);
        let hint = "run `exai add` in a terminal, or write the value into the block";
        return Err(Error::failed(what).hint(hint));
    }
    plan.fill(&answers).map_err(|error| Error::failed(error.to_string()))
}

fn ask(question: &Question, printer: &Printer) -> Result<Vec<String>, Error> {
    if let Some(description) = &question.description {
        printer.note(description);
    }
    if !question.choices.is_empty() {
        printer.note(&format!("one of: {}", question.choices.join(", ")));
    }
    let default = match (&question.default[..], question.required) {
        ([], true) => String::new(),
        ([], false) => " (empty for none)".to_owned(),
        (default, _) => format!(" (empty for {})", default.join(", ")),
    };
    let prompt = format!("{}{default}: ", question.key);
    loop {
        let answer = if question.secret {
            rpassword::prompt_password(prompt.as_str())
        } else {
            printer.prompt(&prompt);
            read_line()
        };
        let answer = answer.map_err(|error| Error::failed(format!("cannot read the answer: {error}")))?;
        if answer.is_empty() {
            if question.required && question.default.is_empty() {
                continue;
            }
            return Ok(Vec::new());
        }
        match question.check(&answer) {
            Ok(()) => return Ok(vec![answer]),
            Err(error) => printer.warn(&error.to_string()),
        }
    }
}

fn read_line() -> io::Result<String> {
    let mut line = String::new();
    if io::stdin().lock().read_line(&mut line)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

//! Asks what a source leaves open.

use exai_setup::source::{AnswerKind, Answers, Plan, Question};

use super::super::ask;
use super::normalise;
use super::options::Options;
use super::secrets::NewSecret;
use crate::error::Error;
use crate::printer::Printer;

/// The answers to the questions of a plan. A secret is apart, and its answer refers to it.
#[derive(Default)]
pub(super) struct Answered {
    pub(super) answers: Answers,
    pub(super) secrets: Vec<NewSecret>,
}

/// Why the questions of a plan cannot be answered: there is nobody to ask.
pub(super) fn find_open(plan: &Plan, options: &Options) -> Option<Error> {
    if ask::is_possible() {
        return None;
    }
    let open = plan.questions().iter().find(|question| is_open(question, options))?;
    let what = format!("the server asks for `{}`, and there is no terminal to ask on", open.key);
    Some(
        Error::failed(what)
            .hint(format!("`--set {}=VALUE` answers; or run `exai add` in a terminal", open.key)),
    )
}

/// Asks the questions of a plan, as far as the options do not answer them.
pub(super) fn ask_all(
    (plan, server): (&Plan, &str),
    options: &Options,
    printer: &Printer,
) -> Result<Answered, Error> {
    let mut answered = Answered::default();
    for question in plan.questions() {
        let mut answers = given(question, options);
        if answers.is_empty() && ask::is_possible() && (!options.yes || is_open(question, options)) {
            answers = ask_one(question, printer)?;
        }
        for answer in &mut answers {
            if matches!(question.kind, AnswerKind::File | AnswerKind::Directory) {
                *answer = normalise::make_path_absolute(answer);
            }
        }
        if question.secret {
            let several = answers.len() > 1;
            for (number, answer) in
                answers.iter_mut().enumerate().filter(|(_, answer)| !answer.contains("${"))
            {
                let key =
                    if several { format!("{}.{}", question.key, number + 1) } else { question.key.clone() };
                let secret = NewSecret::new(server, &key, answer, true);
                *answer = secret.reference();
                answered.secrets.push(secret);
            }
        }
        answered.answers.insert(question.key.clone(), answers);
    }
    Ok(answered)
}

fn is_open(question: &Question, options: &Options) -> bool {
    question.required && question.default.is_empty() && given(question, options).is_empty()
}

/// What the options answer.
fn given(question: &Question, options: &Options) -> Vec<String> {
    let is_its = |(key, _): &&(String, String)| *key == question.key;
    options.answers.iter().filter(is_its).map(|(_, answer)| answer.clone()).collect()
}

/// One answer, or several, or none where none is needed.
fn ask_one(question: &Question, printer: &Printer) -> Result<Vec<String>, Error> {
    if let Some(description) = &question.description {
        printer.note(description);
    }
    if !question.choices.is_empty() {
        printer.note(&format!("one of: {}", question.choices.join(", ")));
    }
    let mut answers = Vec::new();
    loop {
        let without = match (&question.default[..], question.required) {
            _ if !answers.is_empty() => " (empty for no more)".to_owned(),
            ([], true) => String::new(),
            ([], false) => " (empty for none)".to_owned(),
            (default, _) => format!(" (empty for {})", default.join(", ")),
        };
        let prompt = format!("{}{without}: ", question.key);
        let answer = if question.secret { ask::ask_hidden(&prompt)? } else { ask::ask(&prompt, printer)? };
        if answer.is_empty() {
            if question.required && question.default.is_empty() && answers.is_empty() {
                continue;
            }
            return Ok(answers);
        }
        match question.check(&answer) {
            Ok(()) => answers.push(answer),
            Err(error) => printer.warn(&error.to_string()),
        }
        if !question.multiple && !answers.is_empty() {
            return Ok(answers);
        }
    }
}

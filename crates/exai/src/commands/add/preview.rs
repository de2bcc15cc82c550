//! Shows what a registry or a bundle would have run, before it is added.

use exai_setup::source::{Plan, Question};
use exai_setup::{ServerEntry, Transport};

use super::candidate::Introduction;
use crate::error::Error;
use crate::printer::Printer;

/// Shows who the server says that it is, the exact command, and what the command is given.
pub(super) fn show(introduction: &Introduction, entry: &ServerEntry, printer: &Printer) -> Result<(), Error> {
    printer.headline(&introduction.title)?;
    if let Some(description) = &introduction.description {
        printer.faint(description)?;
    }
    let mut rows = Vec::new();
    let mut row = |what: &str, text: String| rows.push(vec![what.to_owned(), text]);
    match &entry.transport {
        Transport::Stdio { command, args, env, cwd, env_file } => {
            row("runs", show_command(command, args));
            for (name, value) in env {
                row("with", format!("{name}={}", quote(value)));
            }
            for (what, place) in [("in", cwd), ("with", env_file)] {
                if let Some(place) = place {
                    row(what, quote(place));
                }
            }
        }
        Transport::Url { url, headers } => {
            row("connects to", url.clone());
            for (name, value) in headers {
                row("with", format!("{name}: {value}"));
            }
        }
    }
    printer.table(&rows)
}

/// Lists what a plan asks for.
pub(super) fn show_questions(plan: &Plan, printer: &Printer) -> Result<(), Error> {
    let row = |question: &Question| {
        let secret = if question.secret { ", a secret" } else { "" };
        let needed = match &question.default[..] {
            [] if question.required => "needed".to_owned(),
            [] => "not needed".to_owned(),
            default => format!("else {}", default.join(", ")),
        };
        let description = question.description.clone().unwrap_or_default();
        vec!["asks for".to_owned(), format!("{} ({needed}{secret})", question.key), description]
    };
    printer.table(&plan.questions().iter().map(row).collect::<Vec<_>>())
}

/// A command line as a shell would take it.
pub(super) fn show_command(command: &str, args: &[String]) -> String {
    std::iter::once(command).chain(args.iter().map(String::as_str)).map(quote).collect::<Vec<_>>().join(" ")
}

/// A word, in quotes unless it is plainly one.
fn quote(word: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "@%+=:,./\\_~^-${}".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_words_begin_and_end_is_plain() {
        let args = ["-y", "a b", "", "it's", "${secret:x.KEY}", "@a/b@1.0", "x;y"].map(str::to_owned);
        assert_eq!(show_command("npx", &args), r"npx -y 'a b' '' 'it'\''s' ${secret:x.KEY} @a/b@1.0 'x;y'");
    }
}

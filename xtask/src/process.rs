//! Running other programs.

use std::io;
use std::process::{Child, Command, ExitStatus};

/// The outcome of a command: success, or one sentence that says what failed and what to do.
pub(crate) type Outcome = Result<(), String>;

/// Runs `command` on the terminal. The error names the command and says how it ended.
pub(crate) fn run(command: &mut Command) -> Result<(), String> {
    let shown = show(command);
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("`{shown}` {}", ended(status))),
        Err(error) => Err(not_started(&shown, &error)),
    }
}

/// Starts `command`, and leaves it to the caller to end it.
pub(crate) fn spawn(command: &mut Command) -> Result<Child, String> {
    command.spawn().map_err(|error| not_started(&show(command), &error))
}

/// Runs `command` and returns its stdout. The error holds the end of its stderr.
pub(crate) fn output(command: &mut Command) -> Result<String, String> {
    let shown = show(command);
    let output = command.output().map_err(|error| not_started(&shown, &error))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let both = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&both);
    let lines: Vec<&str> = text.lines().collect();
    let tail = lines[lines.len().saturating_sub(15)..].join("\n  ");
    Err(format!("`{shown}` {}:\n  {tail}", ended(output.status)))
}

/// The command as a person would type it. It is only for reading, since nothing is quoted.
fn show(command: &Command) -> String {
    let program = std::path::Path::new(command.get_program());
    let name = program.file_name().unwrap_or(command.get_program());
    std::iter::once(name)
        .chain(command.get_args())
        .map(|part| part.to_string_lossy().into_owned())
        .collect::<Vec<_>>()
        .join(" ")
}

fn ended(status: ExitStatus) -> String {
    status.code().map_or_else(|| "was ended by a signal".to_owned(), |code| format!("ended with code {code}"))
}

fn not_started(shown: &str, error: &io::Error) -> String {
    format!("`{shown}` could not be started: {error}")
}

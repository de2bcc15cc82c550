//! Why ssh has ended, which leads to a server of another exai.

use exai_config::Via;
use exai_os::tree::RootExit;

use crate::upstream::server_output;

/// The status with which ssh itself fails; every other one is that of what it has run.
const SSH_FAILED: i32 = 255;
/// The status of a shell that has not found the program.
const NOT_FOUND: i32 = 127;

/// Whether the exai there had said anything before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Contact {
    Never,
    Once,
}

/// A fragment that reads after "the server", and says what can be done. `None` where ssh has nothing to do with the end.
pub(super) fn explain_end(
    via: &Via,
    exit: Option<RootExit>,
    stderr_tail: &str,
    contact: Contact,
) -> Option<String> {
    let last = stderr_tail.lines().map(str::trim).rfind(|line| !line.is_empty());
    let shown = last.map(|line| server_output::visible(line.as_bytes()));
    let is_unknown = |line: &str| line.contains("is not recognized as");
    match exit {
        Some(RootExit::Code(SSH_FAILED)) => {
            let said = shown.as_deref().unwrap_or("it does not say why").trim_end_matches('.');
            let why = format!("ssh to {via} failed: {said}; try `{}`", via.trial_command());
            Some(match contact {
                Contact::Never => format!("could not be reached: {why}"),
                // The sentence may go on: "before it answered".
                Contact::Once => format!("was lost ({why})"),
            })
        }
        Some(RootExit::Code(code))
            if contact == Contact::Never && (code == NOT_FOUND || stderr_tail.lines().any(is_unknown)) =>
        {
            Some(format!(
                "could not be reached: there is no `{}` on {via}; install exai there, or write its whole path as \
                 `remote_command`, since the PATH of a command over ssh is often shorter than that of a terminal",
                via.remote_command()
            ))
        }
        Some(RootExit::Code(code)) => {
            Some(format!("was lost (the exai on {via}, reached over ssh, exited with status {code})"))
        }
        Some(RootExit::Signal(_) | RootExit::Unseen) | None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explain(exit: i32, tail: &str, contact: Contact) -> String {
        let text = "[servers.notes]\nvia = \"ssh://me@build:2222\"\n";
        let dir = tempfile::tempdir().unwrap();
        let home = exai_config::Home::at(dir.path());
        std::fs::write(home.config(), text).unwrap();
        let config = exai_config::load(&home).unwrap();
        let via = config.servers.get("notes").unwrap().via.clone().unwrap();
        explain_end(&via, Some(RootExit::Code(exit)), tail, contact).unwrap()
    }

    #[test]
    fn what_ssh_says_last_is_the_reason_and_a_command_shows_more() {
        let tail = "Welcome to build\nme@build: Permission denied (publickey).\r\n\n";
        assert_eq!(
            explain(255, tail, Contact::Never),
            "could not be reached: ssh to me@build, port 2222 failed: me@build: Permission denied (publickey); \
             try `ssh -p 2222 me@build exai status`"
        );
        let lost = explain(255, "Timeout, server build not responding.\n", Contact::Once);
        assert!(lost.starts_with("was lost (ssh to me@build, port 2222 failed: Timeout, server"), "{lost}");
        assert!(explain(255, "", Contact::Once).contains("does not say why"));
    }

    #[test]
    fn an_exai_that_is_not_there_is_named_with_what_helps() {
        let windows = "'exai' is not recognized as an internal or external command,\noperable program\n";
        for (exit, tail) in [(127, "bash: line 1: exai: command not found\n"), (1, windows)] {
            let said = explain(exit, tail, Contact::Never);
            assert!(
                said.contains("there is no `exai` on me@build") && said.contains("`remote_command`"),
                "{said}"
            );
        }
        let later = explain(127, "", Contact::Once);
        assert!(later.ends_with("exited with status 127)"), "{later}");
    }
}

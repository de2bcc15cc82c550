//! `cargo xtask COMMAND`: the developers' commands, which would otherwise be shell scripts.
//!
//! Each command has a file of its own, with its help text at the top. A new command needs a new file and a line in
//! [`COMMANDS`].

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a tool of the developers talks to them")]

mod bench;
mod endure;
mod lints;
mod peers;
mod process;
mod project;
mod test;
mod tidy;
mod windows;

use std::process::ExitCode;

use process::Outcome;

/// A subcommand.
struct Command {
    name: &'static str,
    /// The line of this command in the list of commands.
    about: &'static str,
    /// The text that `cargo xtask NAME --help` prints.
    help: &'static str,
    run: fn(&[&str]) -> Outcome,
}

const COMMANDS: &[Command] = &[
    Command { name: "test", about: "every check and every test", help: test::HELP, run: test::run },
    Command {
        name: "peers",
        about: "install the MCP servers and SDKs the tests compare with",
        help: peers::HELP,
        run: peers::run,
    },
    Command { name: "tidy", about: "the rules no compiler checks", help: tidy::HELP, run: tidy::run },
    Command {
        name: "bench",
        about: "how fast and how small exai is, next to direct stdio",
        help: bench::HELP,
        run: bench::run,
    },
    Command {
        name: "endure",
        about: "figures that take long: a million calls, a thousand kills, hours of visitors",
        help: endure::HELP,
        run: endure::run,
    },
    Command { name: "windows", about: "check the Windows side", help: windows::HELP, run: windows::run },
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let Some((name, rest)) = arguments.split_first() else {
        eprint!("{}", usage());
        return ExitCode::from(2);
    };
    if matches!(*name, "help" | "--help" | "-h") {
        print!("{}", usage());
        return ExitCode::SUCCESS;
    }
    let Some(command) = COMMANDS.iter().find(|command| command.name == *name) else {
        eprint!("xtask: there is no command {name:?}\n\n{}", usage());
        return ExitCode::from(2);
    };
    if rest.iter().any(|argument| matches!(*argument, "--help" | "-h")) {
        println!("{}", command.help);
        return ExitCode::SUCCESS;
    }
    match (command.run)(rest) {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => {
            eprintln!("xtask {name}: {sentence}");
            ExitCode::FAILURE
        }
    }
}

fn usage() -> String {
    let line = |command: &Command| format!("  {:<8} {}", command.name, command.about);
    let lines = COMMANDS.iter().map(line).collect::<Vec<_>>().join("\n");
    format!("usage: cargo xtask COMMAND [--help]\n\n{lines}\n")
}

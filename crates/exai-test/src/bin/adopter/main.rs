//! `adopter PROGRAM ARG…`: becomes PROGRAM, as a process that adopts whatever its descendants leave behind (Linux).

use std::process::ExitCode;

#[cfg(unix)]
fn main() -> ExitCode {
    use std::os::unix::process::CommandExt as _;

    let mut words = std::env::args_os().skip(1);
    let Some(program) = words.next() else { return ExitCode::from(2) };
    if exai_os::tree::keep_hold().is_err() {
        return ExitCode::FAILURE;
    }
    // `exec` returns only where the program cannot be executed. The process stays the adopter through prctl(2).
    let _ = std::process::Command::new(program).args(words).exec();
    ExitCode::FAILURE
}

#[cfg(not(unix))]
fn main() -> ExitCode {
    ExitCode::FAILURE
}

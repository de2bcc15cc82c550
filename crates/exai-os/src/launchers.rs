//! Launchers that are on every machine, or on many, and how a program is started through them.

use std::io;
use std::path::{Path, PathBuf};

use crate::sys;

/// A command and its arguments that run `program` through the system's shell. The shell stays above the
/// program until that ends. `InvalidInput` for what this shell cannot be told.
pub fn shell(program: &str, args: &[&str]) -> io::Result<(String, Vec<String>)> {
    sys::launchers::shell(program, args)
}

/// Writes a script of this name that becomes `program` (Unix), or that waits for it (Windows), and returns its
/// file. On Windows there is one without extension beside it, as npm makes them: npx looks for that one, and runs the
/// other. `InvalidInput` for what such a script cannot be told.
pub fn script(dir: &Path, name: &str, program: &str, args: &[&str]) -> io::Result<PathBuf> {
    sys::launchers::script(dir, name, program, args)
}

/// What Python is called here, the likelier name first: on Windows the other may only say where to buy one.
pub const PYTHONS: [&str; 2] = sys::launchers::PYTHONS;

/// Whether the interpreter of a virtual environment of Python only starts the real one and waits for it.
pub const PYTHON_OF_A_VENV_IS_ONE: bool = sys::launchers::PYTHON_OF_A_VENV_IS_ONE;

/// The interpreter of a virtual environment of Python.
pub fn python_of(venv: &Path) -> PathBuf {
    sys::launchers::python_of(venv)
}

#[cfg(all(test, unix))]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn the_words_arrive_as_they_are() {
        let words = ["a b", "it's", "\"x\"", "$HOME", "*", ""];
        let args = [&["%s|"][..], &words].concat();
        let expected = "a b|it's|\"x\"|$HOME|*||";
        let said = |program: &str, args: &[String]| {
            let output = Command::new(program).args(args).output().unwrap();
            String::from_utf8(output.stdout).unwrap()
        };
        let (program, through) = shell("/usr/bin/printf", &args).unwrap();
        assert_eq!(said(&program, &through), expected);
        let dir = tempfile::tempdir().unwrap();
        let file = script(dir.path(), "words", "/usr/bin/printf", &args).unwrap();
        assert_eq!(said(file.to_str().unwrap(), &[]), expected);
        assert!(shell("a\0b", &[]).is_err());
    }
}

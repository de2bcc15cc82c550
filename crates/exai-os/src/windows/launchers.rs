use std::fs;
use std::io;
use std::path::{Path, PathBuf};

pub(crate) fn shell(program: &str, args: &[&str]) -> io::Result<(String, Vec<String>)> {
    check(program, args)?;
    let words = ["/d", "/c", program].into_iter().chain(args.iter().copied());
    Ok(("cmd".to_owned(), words.map(str::to_owned).collect()))
}

pub(crate) fn script(dir: &Path, name: &str, program: &str, args: &[&str]) -> io::Result<PathBuf> {
    check(program, args)?;
    let words = [program].iter().chain(args).map(|word| format!("\"{word}\"")).collect::<Vec<_>>();
    let file = dir.join(format!("{name}.cmd"));
    fs::write(&file, format!("@{}\r\n", words.join(" ")))?;
    fs::write(dir.join(name), format!("#!/bin/sh\nexec {}\n", words.join(" ").replace('\\', "/")))?;
    Ok(file)
}

pub(crate) const PYTHONS: [&str; 2] = ["python", "python3"];

pub(crate) const PYTHON_OF_A_VENV_IS_ONE: bool = true;

pub(crate) fn python_of(venv: &Path) -> PathBuf {
    venv.join("Scripts").join("python.exe")
}

/// cmd.exe gives these a meaning, quoted or not, and has no way to write them as themselves everywhere.
fn check(program: &str, args: &[&str]) -> io::Result<()> {
    let special = |word: &&str| word.contains(['"', '%', '!', '^', '&', '|', '<', '>', '\r', '\n', '\0']);
    match [program].iter().chain(args).find(|word| special(word)) {
        None => Ok(()),
        Some(word) => {
            let sentence = format!("cmd.exe cannot be told `{word}`");
            Err(io::Error::new(io::ErrorKind::InvalidInput, sentence))
        }
    }
}

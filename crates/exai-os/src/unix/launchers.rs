use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

pub(crate) fn shell(program: &str, args: &[&str]) -> io::Result<(String, Vec<String>)> {
    // Without a second command the shell would become the program.
    let line = format!("{}; exit $?", quoted(program, args)?);
    Ok(("sh".to_owned(), vec!["-c".to_owned(), line]))
}

pub(crate) fn script(dir: &Path, name: &str, program: &str, args: &[&str]) -> io::Result<PathBuf> {
    let file = dir.join(name);
    fs::write(&file, format!("#!/bin/sh\nexec {}\n", quoted(program, args)?))?;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o700))?;
    Ok(file)
}

pub(crate) const PYTHONS: [&str; 2] = ["python3", "python"];

pub(crate) const PYTHON_OF_A_VENV_IS_ONE: bool = false;

pub(crate) fn python_of(venv: &Path) -> PathBuf {
    venv.join("bin/python")
}

fn quoted(program: &str, args: &[&str]) -> io::Result<String> {
    let words: Vec<&str> = [program].iter().chain(args).copied().collect();
    if words.iter().any(|word| word.contains('\0')) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "a word holds a NUL"));
    }
    let words = words.iter().map(|word| format!("'{}'", word.replace('\'', r"'\''")));
    Ok(words.collect::<Vec<_>>().join(" "))
}

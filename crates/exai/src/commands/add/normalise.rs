//! Makes texts that mean something in this terminal mean the same to the daemon: relative paths, `~` and `$HOME`.

use std::fs;
use std::path::{MAIN_SEPARATOR, Path, PathBuf};

use exai_os::account;
use exai_setup::{ServerEntry, Transport};

use crate::error::Error;
use crate::limits::MAX_PASTED_BYTES;

/// Makes the program, the paths among the arguments and the working directory absolute, and reads the file with more
/// variables. Relative paths are relative to `base`.
pub(in crate::commands) fn make_absolute(entry: &mut ServerEntry, base: &Path) -> Result<(), Error> {
    let Transport::Stdio { command, args, env, cwd, env_file } = &mut entry.transport else { return Ok(()) };
    let home = account::current().ok().map(|account| account.home);
    let expand = |text: &str| expand_home(text, home.as_deref());
    *command = expand(command);
    // A word alone is searched for on PATH.
    if Path::new(command.as_str()).components().count() > 1 && !is_reference(command) {
        *command = join(base, command);
    }
    for arg in args.iter_mut() {
        *arg = expand(arg);
        if is_relative_path(arg) {
            *arg = join(base, arg);
        }
    }
    if let Some(cwd) = cwd {
        *cwd = expand(cwd);
        if !is_reference(cwd) {
            *cwd = join(base, cwd);
        }
    }
    if let Some(file) = env_file.take() {
        let path = PathBuf::from(join(base, &expand(&file)));
        for (name, value) in read_env_file(&path)? {
            // What stands in the entry itself wins.
            if !env.iter().any(|(known, _)| *known == name) {
                env.push((name, value));
            }
        }
    }
    Ok(())
}

/// A path that the person has typed, made absolute. It is relative to this terminal's working directory.
pub(super) fn make_path_absolute(path: &str) -> String {
    let home = account::current().ok().map(|account| account.home);
    let path = expand_home(path, home.as_deref());
    if is_reference(&path) { path } else { join(Path::new(""), &path) }
}

/// A text that begins with a reference is no relative path.
fn is_reference(text: &str) -> bool {
    text.starts_with("${")
}

/// Whether an argument can only be a path that is relative to the working directory.
fn is_relative_path(arg: &str) -> bool {
    let rest = arg.strip_prefix("..").or_else(|| arg.strip_prefix('.'));
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', MAIN_SEPARATOR]))
}

fn join(base: &Path, text: &str) -> String {
    let joined = base.join(text);
    let absolute = std::path::absolute(&joined).unwrap_or(joined);
    // `absolute` keeps `..`, which a link on the way may need.
    absolute.to_string_lossy().into_owned()
}

/// Replaces `~`, `$HOME` and `${HOME}` at the beginning of a text, or behind `=`, as a shell does.
fn expand_home(text: &str, home: Option<&Path>) -> String {
    let Some(home) = home.map(|home| home.to_string_lossy()) else { return text.to_owned() };
    let (before, value) = match text.split_once('=') {
        Some((name, value)) if name.starts_with('-') => (&text[..=name.len()], value),
        _ => ("", text),
    };
    for word in ["~", "$HOME", "${HOME}"] {
        if let Some(rest) = value.strip_prefix(word)
            && (rest.is_empty() || rest.starts_with(['/', '\\']))
        {
            return format!("{before}{home}{rest}");
        }
    }
    text.to_owned()
}

/// Reads `NAME=VALUE` lines. Empty lines and those that begin with `#` say nothing; `export` before a name and quotes
/// around a value are taken off.
fn read_env_file(path: &Path) -> Result<Vec<(String, String)>, Error> {
    let shown = path.display();
    let length = fs::metadata(path).map(|facts| facts.len());
    let text = match length {
        Ok(length) if length > MAX_PASTED_BYTES => {
            return Err(Error::failed(format!("{shown} has more than {} MiB", MAX_PASTED_BYTES >> 20)));
        }
        Ok(_) => fs::read_to_string(path),
        Err(error) => Err(error),
    };
    let text = text.map_err(|error| Error::failed(format!("cannot read {shown}: {error}")))?;
    let mut pairs = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let line = line.strip_prefix("export ").unwrap_or(line);
        let Some((name, value)) = line.split_once('=').filter(|(name, _)| !name.trim().is_empty()) else {
            return Err(Error::failed(format!("{shown}, line {}: it takes the form NAME=VALUE", number + 1)));
        };
        let value = value.trim();
        let quoted = ['"', '\''].iter().find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote));
        pairs.push((name.trim().to_owned(), quoted.unwrap_or(value).to_owned()));
    }
    Ok(pairs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_home_of_a_shell_is_replaced_where_a_shell_would() {
        let home = Some(Path::new("/home/ada"));
        for (text, expected) in [
            ("~", "/home/ada"),
            ("~/notes", "/home/ada/notes"),
            ("$HOME/x", "/home/ada/x"),
            ("${HOME}/x", "/home/ada/x"),
            ("--root=~/notes", "--root=/home/ada/notes"),
            ("~ada/x", "~ada/x"),
            ("$HOMES", "$HOMES"),
            ("a=~/x", "a=~/x"),
            ("x~/y", "x~/y"),
        ] {
            assert_eq!(expand_home(text, home), expected);
        }
    }

    #[test]
    fn only_what_can_be_no_word_is_taken_for_a_path() {
        for path in [".", "..", "./x", "../x/y"] {
            assert!(is_relative_path(path), "{path}");
        }
        for word in ["-y", "x", "@scope/x", "https://x/y", ".hidden", "...", "/abs"] {
            assert!(!is_relative_path(word), "{word}");
        }
    }
}

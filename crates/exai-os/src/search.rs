//! Finding the program that a command names, as the system will find it.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use crate::sys;

/// No program of that name; the message names what was searched.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no program `{command}` {}", self.place())]
pub struct NotFound {
    /// The command as it was given.
    pub command: String,
    /// The `PATH` that was searched, or `None` for a command that names a place itself or where no
    /// `PATH` is set.
    pub searched: Option<String>,
    /// The file that a command with a separator meant.
    pub file: Option<PathBuf>,
}

impl NotFound {
    fn place(&self) -> String {
        match (&self.file, &self.searched) {
            (Some(file), _) => format!("({} is not an executable file)", file.display()),
            (None, Some(path)) => format!("on PATH ({path})"),
            (None, None) => "can be searched for, because PATH is not set".to_owned(),
        }
    }
}

/// The program that `command` names, searched for with the `PATH` (and on Windows the `PATHEXT`) in `vars`. A command
/// with a path separator is a file, relative to `cwd`.
pub fn resolve(command: &str, cwd: &Path, vars: &[(OsString, OsString)]) -> Result<PathBuf, NotFound> {
    let not_found = |searched: Option<&OsStr>, file| NotFound {
        command: command.to_owned(),
        searched: searched.map(|path| path.to_string_lossy().into_owned()),
        file,
    };
    if sys::search::names_a_file(command) {
        let file = cwd.join(command);
        return sys::search::executable(&file, vars).ok_or_else(|| not_found(None, Some(file)));
    }
    let path = crate::account::find_variable(vars, "PATH");
    path.into_iter()
        .filter(|_| !command.is_empty())
        .flat_map(std::env::split_paths)
        .find_map(|dir| sys::search::executable(&cwd.join(dir).join(command), vars))
        .ok_or_else(|| not_found(path, None))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Makes an executable file and returns its path. On Unix its mode makes it executable, on Windows its extension.
    fn program(path: &Path) -> PathBuf {
        let path = path.with_extension(if cfg!(windows) { "cmd" } else { "" });
        std::fs::write(&path, "#!/bin/sh\n").unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
        }
        path
    }

    #[test]
    fn searches_path_in_order_and_skips_what_cannot_run() {
        let dir = tempfile::tempdir().unwrap();
        let (first, second) = (dir.path().join("first"), dir.path().join("second"));
        std::fs::create_dir_all(first.join("tool")).unwrap();
        std::fs::create_dir(&second).unwrap();
        std::fs::write(first.join("data"), "#!/bin/sh\n").unwrap();
        let tool = program(&second.join("tool"));
        let path = std::env::join_paths([&first, &second]).unwrap();
        let vars = [("PATH".into(), path.clone())];
        assert_eq!(resolve("tool", dir.path(), &vars).unwrap(), tool);
        let error = resolve("data", dir.path(), &vars).unwrap_err();
        assert_eq!(error.searched.as_deref(), path.to_str());
        assert!(error.to_string().starts_with("no program `data` on PATH ("), "{error}");
        assert_eq!(resolve("", dir.path(), &[]).unwrap_err().searched, None);
    }

    #[test]
    fn a_separator_means_a_file_relative_to_the_directory() {
        let dir = tempfile::tempdir().unwrap();
        let tool = program(&dir.path().join("./tool"));
        assert_eq!(resolve("./tool", dir.path(), &[]).unwrap(), tool);
        assert!(resolve("./other", dir.path(), &[]).is_err());
        let whole = std::env::current_exe().unwrap();
        assert_eq!(resolve(whole.to_str().unwrap(), dir.path(), &[]).unwrap(), whole);
    }
}

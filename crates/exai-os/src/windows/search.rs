use std::ffi::OsString;
use std::path::{Path, PathBuf};

pub(crate) fn names_a_file(command: &str) -> bool {
    command.contains(['/', '\\', ':'])
}

/// `file`, if its extension is one of programs, else `file` with the first such extension that exists. A
/// file without extension is no program: npm puts shell scripts of that form beside the `.cmd`.
pub(crate) fn executable(file: &Path, vars: &[(OsString, OsString)]) -> Option<PathBuf> {
    let extensions = crate::account::find_variable(vars, "PATHEXT")
        .and_then(|value| value.to_str())
        .unwrap_or(".COM;.EXE;.BAT;.CMD");
    let mut extensions = extensions.split(';').filter(|extension| !extension.is_empty());
    let own = file.extension().and_then(|own| own.to_str()).unwrap_or_default();
    let named = extensions.clone().any(|known| known.trim_start_matches('.').eq_ignore_ascii_case(own));
    if named && is_program(file) {
        return Some(file.to_owned());
    }
    extensions.find_map(|extension| {
        let mut name = file.as_os_str().to_owned();
        name.push(extension.to_ascii_lowercase());
        let candidate = PathBuf::from(name);
        is_program(&candidate).then_some(candidate)
    })
}

/// The programs of the Store are links of a kind that cannot be followed by who only looks
/// (`%LOCALAPPDATA%\Microsoft\WindowsApps\python.exe`); the system starts them all the same.
fn is_program(file: &Path) -> bool {
    std::fs::symlink_metadata(file).is_ok_and(|found| !found.is_dir())
}

use std::ffi::OsString;
use std::path::{Path, PathBuf};

pub(crate) fn names_a_file(command: &str) -> bool {
    command.contains('/')
}

/// `file` itself, if this account may execute it.
pub(crate) fn executable(file: &Path, _vars: &[(OsString, OsString)]) -> Option<PathBuf> {
    let regular = std::fs::metadata(file).is_ok_and(|metadata| metadata.is_file());
    let runs = regular && rustix::fs::access(file, rustix::fs::Access::EXEC_OK).is_ok();
    runs.then(|| file.to_owned())
}

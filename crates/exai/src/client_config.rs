//! The configuration files of MCP clients on this machine: found, read, and replaced.

pub(crate) mod installs;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use exai_config::environment;
use exai_os::account;
use exai_setup::client::{Client, ConfigFile, Directories, Platform, Role, location_variables};
use exai_setup::{MAX_FILE_BYTES, TextFile};

use crate::error::Error;

/// The directories in which clients keep their files.
pub(crate) fn find_directories() -> Result<Directories, Error> {
    let account = account::current().map_err(|error| Error::failed(error.to_string()))?;
    let vars = environment::of_this_process();
    let find =
        |name: &str| account::find_variable(&vars, name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let platform = match std::env::consts::OS {
        "windows" => Platform::Windows,
        "macos" => Platform::MacOs,
        _ => Platform::Linux,
    };
    let variables: BTreeMap<String, PathBuf> =
        location_variables().into_iter().filter_map(|name| Some((name.to_owned(), find(name)?))).collect();
    Ok(Directories {
        platform,
        // A client finds its files by `HOME`, which need not be the account's.
        home: find("HOME").or_else(|| find("USERPROFILE")).unwrap_or(account.home),
        app_data: find("APPDATA"),
        local_app_data: find("LOCALAPPDATA"),
        config_home: find("XDG_CONFIG_HOME"),
        project: None,
        variables,
    })
}

/// A configuration file of a client on this machine.
pub(crate) struct Located {
    pub(crate) file: &'static ConfigFile,
    pub(crate) path: PathBuf,
    pub(crate) exists: bool,
}

/// The files that exai's entry goes into, and whether the client seems to be on this machine: it has a file, or the directory
/// for one.
pub(crate) fn locate_files(client: &Client, directories: &Directories) -> (Vec<Located>, bool) {
    let mut located = Vec::new();
    let mut is_here = false;
    let mut main = None;
    for file in client.entry_files() {
        let paths: Vec<PathBuf> = file.paths(directories).iter().flat_map(|path| expand(path)).collect();
        is_here |= paths.iter().any(|path| path.parent().is_some_and(Path::is_dir));
        match paths.iter().find(|path| path.exists()) {
            Some(path) => located.push(Located { file, path: path.clone(), exists: true }),
            None if file.role == Role::Main && main.is_none() => {
                let plain = |path: &&PathBuf| !path.to_string_lossy().contains('*');
                main =
                    paths.iter().find(plain).map(|path| Located { file, path: path.clone(), exists: false });
            }
            None => {}
        }
    }
    if located.is_empty() {
        located.extend(main);
    }
    (located, is_here)
}

/// The paths that fit a path with a `*` in one of its names.
fn expand(path: &Path) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::new()];
    for name in path.components() {
        let text = name.as_os_str().to_string_lossy();
        let Some((before, after)) = text.split_once('*') else {
            for path in &mut found {
                path.push(name);
            }
            continue;
        };
        let fits = |entry: &fs::DirEntry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            name.len() >= before.len() + after.len() && name.starts_with(before) && name.ends_with(after)
        };
        found = found
            .iter()
            .filter_map(|path| fs::read_dir(path).ok())
            .flat_map(|entries| entries.flatten().filter(fits).map(|entry| entry.path()))
            .collect();
    }
    found
}

/// Reads a file whole. `None` if there is none.
pub(crate) fn read(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    let shown = path.display();
    let failed = |error: io::Error| Error::failed(format!("cannot read {shown}: {error}"));
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    if !file.metadata().map_err(failed)?.is_file() {
        return Err(Error::failed(format!("{shown} is no file")));
    }
    let mut bytes = Vec::new();
    file.take(MAX_FILE_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    Ok(Some(bytes))
}

/// The text of the bytes of a file.
pub(crate) fn decode(path: &Path, bytes: Option<&[u8]>) -> Result<TextFile, Error> {
    let Some(bytes) = bytes else { return Ok(TextFile::empty()) };
    TextFile::decode(bytes)
        .map_err(|error| Error::failed(format!("{}: {error}; it was left as it is", path.display())))
}

/// Replaces the content of a file in one step: a reader sees the old content or the new. A link stays one, and the file keeps
/// its permissions. `before` is what the file must still hold (`None`: there must be none).
pub(crate) fn replace(path: &Path, before: Option<&[u8]>, after: Option<&[u8]>) -> Result<(), Error> {
    let shown = path.display();
    let failed = |error: io::Error| Error::failed(format!("cannot write {shown}: {error}"));
    if read(path)?.as_deref() != before {
        return Err(
            Error::failed(format!("{shown} was changed meanwhile; it was left as it is")).hint("try again")
        );
    }
    let Some(after) = after else { return fs::remove_file(path).map_err(failed) };
    let place = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let directory = place.parent().unwrap_or(&place);
    fs::create_dir_all(directory).map_err(failed)?;
    let mut file = tempfile::Builder::new().prefix(".exai-").tempfile_in(directory).map_err(failed)?;
    file.write_all(after).and_then(|()| file.as_file().sync_all()).map_err(failed)?;
    if let Ok(facts) = fs::metadata(&place) {
        fs::set_permissions(file.path(), facts.permissions()).map_err(failed)?;
    }
    file.persist(&place).map_err(|error| failed(error.error))?;
    Ok(())
}

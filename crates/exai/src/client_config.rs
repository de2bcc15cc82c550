//! The configuration files of MCP clients on this machine: found, read, and replaced.

pub(crate) mod by_hand;
pub(crate) mod change;
pub(crate) mod import_record;
pub(crate) mod installs;
pub(crate) mod last_connections;
mod located;
mod place;
mod preview;
pub(crate) mod undo;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use exai_config::environment;
use exai_os::account;
use exai_setup::client::{Client, Directories, FoundServers, Platform, location_variables};
use exai_setup::{MAX_FILE_BYTES, TextFile};

pub(crate) use self::located::{
    Located, find_files, find_others, find_touched, is_running, locate_entries, locate_files, locate_recorded,
};
pub(crate) use self::place::refuse_if_protected;
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

/// Reads a file whole. `None` if there is none.
pub(crate) fn read(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    let shown = path.display();
    let failed = |error: io::Error| Error::failed(format!("cannot read {shown}: {error}"));
    // To open a named pipe would wait for its writer.
    match fs::metadata(path) {
        Ok(facts) if facts.is_file() => {}
        Ok(_) => return Err(Error::failed(format!("{shown} is no file"))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    }
    let file = File::open(path).map_err(failed)?;
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

/// The text of a file of a client, and the servers that it has.
pub(crate) fn read_servers(client: &Client, located: &Located) -> Result<(String, FoundServers), Error> {
    let Located { file, path, .. } = located;
    let TextFile { text, .. } = decode(path, read(path)?.as_deref())?;
    let found = client.read_servers(file, &text);
    let found = found.map_err(|error| Error::failed(format!("{}: {error}", path.display())))?;
    Ok((text, found))
}

/// Replaces the content of a file in one step: a reader sees the old content or the new. A link stays one, also where it led
/// to nothing, and the file keeps its permissions. `before` is what the file must still hold (`None`: there must be none).
pub(crate) fn replace(path: &Path, before: Option<&[u8]>, after: Option<&[u8]>) -> Result<(), Error> {
    let shown = path.display();
    let failed = |error: io::Error| Error::failed(format!("cannot write {shown}: {error}"));
    if read(path)?.as_deref() != before {
        return Err(
            Error::failed(format!("{shown} was changed meanwhile; it was left as it is")).hint("try again")
        );
    }
    let place = place::follow_links(path).map_err(failed)?;
    let Some(after) = after else { return fs::remove_file(&place).map_err(failed) };
    let directory = place.parent().unwrap_or(&place);
    fs::create_dir_all(directory).map_err(failed)?;
    let mut file = tempfile::Builder::new().prefix(".exai-").tempfile_in(directory).map_err(|error| {
        // The error itself names a file that nobody has ever seen.
        Error::failed(format!("cannot write into {}: {}", directory.display(), error.kind()))
    })?;
    file.write_all(after).and_then(|()| file.as_file().sync_all()).map_err(failed)?;
    if let Ok(facts) = fs::metadata(&place) {
        fs::set_permissions(file.path(), facts.permissions()).map_err(failed)?;
    }
    file.persist(&place).map_err(|error| failed(error.error))?;
    Ok(())
}

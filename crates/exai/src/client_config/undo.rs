//! Takes exai out of a file of a client, and puts back what exai stood in the place of.

use std::path::Path;

use exai_config::Home;
use exai_setup::TextFile;
use exai_setup::client::{Client, ConfigFile, starts_exai};
use exai_setup::format::EditError;

use super::installs::{self, Before, Install, InstalledEntry, Installs, Replaced, ReplacedEntry, kept_bytes};
use super::place::remove_empty_directories;
use super::{Located, decode, read, replace};
use crate::error::Error;

/// What was done with a file.
pub(crate) enum Undone {
    /// It had nothing of exai.
    Nothing,
    /// It is what it was before exai came, byte for byte.
    Original,
    /// It was not there before exai came, and is gone.
    Gone,
    /// Exai is out of it, and what was changed since stays.
    Edited,
}

/// Takes exai out of one file.
pub(crate) fn undo_file(home: &Home, client: &'static Client, located: &Located) -> Result<Undone, Error> {
    let Located { file, path, .. } = located;
    let _held = installs::lock(home)?;
    let mut installs = Installs::load(home)?;
    let record = installs.find(client.id, path).cloned();
    let before = read(path)?;
    let undone = match find_original(home, record.as_ref(), before.as_deref()) {
        // Somebody has removed the file since.
        None if before.is_none() => Undone::Nothing,
        // A file that nobody has changed since becomes what it was, byte for byte.
        Some(original) => {
            replace(path, before.as_deref(), original.bytes())?;
            if original.bytes().is_some() { Undone::Original } else { Undone::Gone }
        }
        None => edit(home, client, file, path, before.as_deref(), record.as_ref())?,
    };
    if let Some(record) = record {
        installs.forget(client.id, path);
        let kept = record.kept_names();
        for directory in remove_empty_directories(record.directories) {
            installs.hand_on(directory);
        }
        installs.save(home)?;
        installs.discard_unnamed(home, kept);
    }
    Ok(undone)
}

/// What the file held before exai came, if it still holds what exai has written.
fn find_original(home: &Home, record: Option<&Install>, now: Option<&[u8]>) -> Option<Before> {
    let Install { original, written, .. } = record?;
    if kept_bytes(home, written).as_deref() != now {
        return None;
    }
    match original {
        None => Some(Before::Missing),
        Some(name) => kept_bytes(home, name).map(Before::Bytes),
    }
}

fn edit(
    home: &Home,
    client: &'static Client,
    file: &'static ConfigFile,
    path: &Path,
    before: Option<&[u8]>,
    record: Option<&Install>,
) -> Result<Undone, Error> {
    let TextFile { text, encoding } = decode(path, before)?;
    let edited = undo_text(home, client, file, &text, record).map_err(|error| {
        Error::failed(format!("{}: {error}; it was left as it is", path.display()))
            .hint("mend the file, or take the entry out by hand")
    })?;
    if edited == text {
        return Ok(Undone::Nothing);
    }
    let after = TextFile { text, encoding }.encode(&edited, client.rejects_mark);
    replace(path, before, Some(&after))?;
    Ok(Undone::Edited)
}

/// The text of a file without exai, and with what exai stood in the place of.
pub(super) fn undo_text(
    home: &Home,
    client: &'static Client,
    file: &'static ConfigFile,
    text: &str,
    record: Option<&Install>,
) -> Result<String, EditError> {
    let servers = client.read_servers(file, text)?.servers;
    let ours = servers.iter().filter(|one| one.project.is_none() && starts_exai(&one.entry));
    let known: &[InstalledEntry] = record.map_or(&[], |record| &record.entries);
    // What was written last is taken out first: the first entry has made the containers.
    let mut names: Vec<&str> = ours.map(|one| one.entry.name.as_str()).collect();
    names.sort_by_key(|name| std::cmp::Reverse(known.iter().position(|entry| entry.name == *name)));
    let mut edited = text.to_owned();
    for name in names {
        let made = known.iter().find(|entry| entry.name == *name).and_then(|entry| entry.made.as_ref());
        edited = client.take_out(file, &edited, name, made)?;
    }
    for entry in record.iter().flat_map(|record| record.replaced.iter().rev()) {
        edited = put_back(home, client, file, edited, entry)?;
    }
    Ok(edited)
}

/// Puts an entry back, unless the user has done so, or has put another one in its place.
fn put_back(
    home: &Home,
    client: &'static Client,
    file: &'static ConfigFile,
    text: String,
    entry: &ReplacedEntry,
) -> Result<String, EditError> {
    let servers = client.read_servers(file, &text)?.servers;
    let there = servers.iter().find(|one| one.project.is_none() && one.entry.name == entry.name);
    match (&entry.how, there) {
        (Replaced::SwitchedOff(made), Some(one)) if one.entry.disabled => {
            client.switch_on(file, &text, &entry.name, made.as_ref())
        }
        (Replaced::TakenOut(kept), None) => {
            let earlier = kept_bytes(home, kept).and_then(|bytes| TextFile::decode(&bytes).ok());
            let Some(earlier) = earlier else { return Ok(text) };
            Ok(client.put_back(file, &text, &entry.name, &earlier.text)?.unwrap_or(text))
        }
        (Replaced::SwitchedOff(_) | Replaced::TakenOut(_), _) => Ok(text),
    }
}

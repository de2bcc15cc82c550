//! Entries of exai in the files that exai reads and does not change: the user has pasted them, and takes them out.

use std::ops::RangeInclusive;
use std::path::PathBuf;

use exai_setup::ServerEntry;
use exai_setup::client::{Client, Directories, starts_exai};

use super::{find_files, read_servers};
use crate::error::Error;

/// The entries of exai in one file.
pub(crate) struct PastedEntries {
    pub(crate) path: PathBuf,
    pub(crate) entries: Vec<PastedEntry>,
    /// Whether the file has servers, of exai or not.
    pub(crate) has_servers: bool,
}

/// An entry of exai.
pub(crate) struct PastedEntry {
    pub(crate) entry: ServerEntry,
    /// From 1, if they can be told.
    pub(crate) lines: Option<RangeInclusive<usize>>,
}

/// Looks into all files of the account that the client has and exai does not change.
pub(crate) fn find_pasted(client: &Client, directories: &Directories) -> Result<Vec<PastedEntries>, Error> {
    let mut found = Vec::new();
    for one in find_files(client, directories).into_iter().filter(|one| !one.file.is_edited()) {
        let (text, servers) = read_servers(client, &one)?;
        let lines = one.file.find_lines(&text);
        let has_servers = !servers.servers.is_empty() || !servers.unread.is_empty();
        let own = servers.servers.into_iter().filter(|one| one.project.is_none());
        let entries = own
            .map(|one| one.entry)
            .filter(starts_exai)
            .map(|entry| {
                let place = lines.iter().find(|(name, _)| *name == entry.name);
                PastedEntry { lines: place.map(|(_, lines)| lines.clone()), entry }
            })
            .collect();
        found.push(PastedEntries { path: one.path, entries, has_servers });
    }
    Ok(found)
}

/// `lines 3 to 5 (exai), line 8 (files)`.
pub(crate) fn in_words<'e>(entries: impl Iterator<Item = &'e PastedEntry>) -> String {
    let words = entries.map(|PastedEntry { entry, lines }| {
        let name = &entry.name;
        match lines.as_ref().map(|lines| (lines.start(), lines.end())) {
            Some((first, last)) if first == last => format!("line {first} ({name})"),
            Some((first, last)) => format!("lines {first} to {last} ({name})"),
            None => format!("the entry {name}"),
        }
    });
    words.collect::<Vec<_>>().join(", ")
}

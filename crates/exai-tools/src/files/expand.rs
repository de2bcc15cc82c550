//! The files in a directory.

use std::collections::{BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use exai_os::place::{Entry, EntryKind, Place};

use super::access::FileAccess;
use super::ignore_rules::Rules;
use super::interrupt::{Interrupt, Interrupted};
use super::limits::{MAX_DEPTH, MAX_ENTRIES, MAX_FILES};
use super::reason::{Failure, Reason};

/// Directories that tools fill, whatever `.gitignore` says.
const OF_TOOLS: [&str; 9] = [
    "node_modules",
    "bower_components",
    "target",
    "venv",
    "virtualenv",
    "__pycache__",
    "site-packages",
    "CVS",
    "__MACOSX",
];

/// A file in a named directory.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) path: PathBuf,
    pub(super) modified: SystemTime,
}

/// A search for files, within the bounds of one call.
pub(super) struct Expansion<'a> {
    access: &'a FileAccess,
    interrupt: &'a Interrupt<'a>,
    entries_left: usize,
    /// Directories that have been looked into.
    seen: BTreeSet<PathBuf>,
    /// The files, in no order.
    pub(super) found: Vec<Found>,
    /// What is left out, and why.
    pub(super) omitted: Vec<(PathBuf, Reason)>,
}

struct Waiting {
    path: PathBuf,
    depth: usize,
    rules: Rules,
}

impl<'a> Expansion<'a> {
    pub(super) fn new(access: &'a FileAccess, interrupt: &'a Interrupt<'a>) -> Self {
        Expansion {
            access,
            interrupt,
            entries_left: MAX_ENTRIES,
            seen: BTreeSet::new(),
            found: Vec::new(),
            omitted: Vec::new(),
        }
    }

    /// Finds the files in a directory that may be read, those nearest to it first, so that these are there where the
    /// bounds leave out the rest.
    pub(super) fn expand(&mut self, directory: &Path) -> Result<(), Interrupted> {
        let top = self.access.top(directory).unwrap_or(directory);
        let rules = Rules::above(directory, top);
        let mut waiting = VecDeque::from([Waiting { path: directory.to_owned(), depth: 0, rules }]);
        while let Some(next) = waiting.pop_front() {
            self.interrupt.check()?;
            if !self.seen.insert(next.path.clone()) {
                continue;
            }
            match self.look_into(&next, &mut waiting) {
                Ok(()) => {}
                Err(Failure::Interrupted(interrupted)) => return Err(interrupted),
                Err(Failure::Omitted(reason @ Reason::TooMany { .. })) => {
                    self.omitted.push((directory.to_owned(), reason));
                    break;
                }
                Err(Failure::Omitted(reason)) => self.omitted.push((next.path, reason)),
            }
        }
        Ok(())
    }

    fn look_into(&mut self, directory: &Waiting, waiting: &mut VecDeque<Waiting>) -> Result<(), Failure> {
        let (entries, is_whole) = self.read(&directory.path)?;
        let rules = directory.rules.with(&directory.path);
        for entry in entries {
            let path = directory.path.join(&entry.name);
            if let Some(reason) = self.why_not(&path, &entry, &rules, directory.depth) {
                self.omitted.push((path, reason));
            } else if entry.kind == EntryKind::Directory {
                waiting.push_back(Waiting { path, depth: directory.depth + 1, rules: rules.clone() });
            } else if self.found.len() == MAX_FILES {
                return Err(Reason::TooMany { most: MAX_FILES, what: "files" }.into());
            } else {
                self.found.push(Found { path, modified: entry.modified });
            }
        }
        if is_whole { Ok(()) } else { Err(Reason::TooMany { most: MAX_ENTRIES, what: "entries" }.into()) }
    }

    /// What is in a directory, by name, and whether that is all.
    fn read(&mut self, path: &Path) -> Result<(Vec<Entry>, bool), Failure> {
        let place = Place::find(path)?;
        // Something else has taken its place since its name was read.
        if place.real_path() != path {
            return Err(Reason::NotFound.into());
        }
        let mut entries = Vec::new();
        for entry in place.entries()? {
            self.interrupt.check()?;
            if self.entries_left == 0 {
                return Ok((sorted(entries), false));
            }
            self.entries_left -= 1;
            entries.push(entry?);
        }
        Ok((sorted(entries), true))
    }

    /// Why an entry is left out, if it is.
    fn why_not(&self, path: &Path, entry: &Entry, rules: &Rules, depth: usize) -> Option<Reason> {
        let is_directory = entry.kind == EntryKind::Directory;
        let name = entry.name.to_string_lossy();
        if is_directory && OF_TOOLS.contains(&&*name) || rules.ignore(path, is_directory) {
            return Some(Reason::Ignored);
        }
        // A secret is called one, also where it is hidden.
        if let Err(reason) = self.access.check(path) {
            return Some(reason);
        }
        match entry.kind {
            _ if name.starts_with('.') => Some(Reason::Hidden),
            EntryKind::Link => Some(Reason::Link),
            EntryKind::Other => Some(Reason::Special),
            EntryKind::Directory if depth == MAX_DEPTH => Some(Reason::TooDeep),
            EntryKind::File | EntryKind::Directory => None,
        }
    }
}

fn sorted(mut entries: Vec<Entry>) -> Vec<Entry> {
    entries.sort_by(|one, other| one.name.cmp(&other.name));
    entries
}

//! A change of one file of a client: made in its text, shown, recorded, and written in one step.

use std::path::PathBuf;

use exai_config::Home;
use exai_os::failpoint;
use exai_setup::client::{Client, ConfigFile, Launch, starts_exai};
use exai_setup::source::secret_values;
use exai_setup::{Encoding, TextFile};
use jiff::Timestamp;

use super::installs::{
    self, Install, InstalledEntry, Installs, Replaced, ReplacedEntry, keep_bytes, kept_bytes,
};
use super::place::find_missing_directories;
use super::{Located, decode, read, refuse_if_protected, replace, undo};
use crate::error::Error;
use crate::printer::Printer;

/// A change of one file.
pub(crate) struct FileChange {
    client: &'static Client,
    file: &'static ConfigFile,
    path: PathBuf,
    before: Option<Vec<u8>>,
    text: String,
    encoding: Encoding,
    edited: String,
    entries: Vec<InstalledEntry>,
    /// The names of earlier entries of exai that are not wanted any more.
    dropped: Vec<String>,
    replaced: Vec<ReplacedEntry>,
}

impl FileChange {
    /// Reads the file. A file that cannot be read as its client reads it is never changed.
    pub(crate) fn begin(client: &'static Client, located: &Located) -> Result<Self, Error> {
        let before = read(&located.path)?;
        let TextFile { text, encoding } = decode(&located.path, before.as_deref())?;
        let change = FileChange {
            client,
            file: located.file,
            path: located.path.clone(),
            before,
            edited: text.clone(),
            text,
            encoding,
            entries: Vec::new(),
            dropped: Vec::new(),
            replaced: Vec::new(),
        };
        change.client.read_servers(change.file, &change.text).map_err(|error| change.refuse(&error))?;
        Ok(change)
    }

    fn refuse(&self, error: &dyn std::fmt::Display) -> Error {
        Error::failed(format!("{}: {error}; it was left as it is", self.path.display()))
    }

    /// Takes the entries out that exai has written earlier, but for those with these names: they are of the other kind (one
    /// for each server or one for all), or of a server that is gone, and the client would have tools twice.
    pub(crate) fn drop_earlier(&mut self, home: &Home, wanted: &[&str]) -> Result<(), Error> {
        let installs = Installs::load(home)?;
        let Some(known) = installs.find(self.client.id, &self.path) else { return Ok(()) };
        let is_unwanted = |entry: &&InstalledEntry| !wanted.contains(&entry.name.as_str());
        // What was written last is taken out first: the first entry has made the containers.
        for entry in known.entries.iter().filter(is_unwanted).rev() {
            let found =
                self.client.read_servers(self.file, &self.edited).map_err(|error| self.refuse(&error))?;
            if found.has_exai(&entry.name) {
                let taken = self.client.take_out(self.file, &self.edited, &entry.name, entry.made.as_ref());
                self.edited = taken.map_err(|error| self.refuse(&error))?;
            }
            self.dropped.push(entry.name.clone());
        }
        Ok(())
    }

    /// Puts an entry of exai in. `force` replaces a server that has the name already, and changes a read-only file.
    pub(crate) fn put(&mut self, name: &str, launch: &Launch, force: bool) -> Result<(), Error> {
        let found = self.client.read_servers(self.file, &self.edited).map_err(|error| self.refuse(&error))?;
        let there = found.servers.iter().find(|one| one.project.is_none() && one.entry.name == name);
        if there.is_some_and(|one| !starts_exai(&one.entry)) && !force {
            let what = format!("{} has another server `{name}`; it was left as it is", self.path.display());
            return Err(Error::refused(what).hint("`--force` replaces it"));
        }
        let change =
            self.client.put(self.file, &self.edited, name, launch).map_err(|error| self.refuse(&error))?;
        self.edited = change.text;
        if self.edited != self.text {
            refuse_if_protected(&self.path, force)?;
        }
        self.entries.push(InstalledEntry { name: name.to_owned(), made: change.made });
        Ok(())
    }

    /// Switches a server of the user off by the client's own switch.
    /// Returns whether the client has one.
    pub(crate) fn switch_off(&mut self, name: &str) -> Result<bool, Error> {
        let change =
            self.client.switch_off(self.file, &self.edited, name).map_err(|error| self.refuse(&error))?;
        let Some(change) = change else { return Ok(false) };
        self.edited = change.text;
        self.replaced.push(ReplacedEntry { name: name.to_owned(), how: Replaced::SwitchedOff(change.made) });
        Ok(true)
    }

    /// Takes a server of the user out. The bytes of the file before the change are kept for it.
    pub(crate) fn take_out(&mut self, home: &Home, name: &str) -> Result<(), Error> {
        let kept = keep_bytes(home, self.client.id, self.before.as_deref().unwrap_or_default())?;
        self.edited =
            self.client.take_out(self.file, &self.edited, name, None).map_err(|error| self.refuse(&error))?;
        self.replaced.push(ReplacedEntry { name: name.to_owned(), how: Replaced::TakenOut(kept) });
        Ok(())
    }

    /// The names of exai's entries that the client has switched off, which stays so.
    pub(crate) fn find_switched_off(&self) -> Result<Vec<String>, Error> {
        let found = self.client.read_servers(self.file, &self.edited).map_err(|error| self.refuse(&error))?;
        let off = found.servers.into_iter().filter(|one| one.project.is_none() && one.entry.disabled);
        let is_ours = |name: &String| self.entries.iter().any(|entry| entry.name == *name);
        Ok(off.map(|one| one.entry.name).filter(is_ours).collect())
    }

    /// The path for people.
    pub(crate) fn shown_path(&self) -> String {
        self.path.display().to_string()
    }

    /// Whether the file becomes another one.
    pub(crate) fn changes_anything(&self) -> bool {
        self.before.as_deref() != Some(&self.after()[..])
    }

    /// The bytes that are written.
    fn after(&self) -> Vec<u8> {
        let file = TextFile { text: self.text.clone(), encoding: self.encoding };
        file.encode(&self.edited, self.client.rejects_mark)
    }

    /// Shows the lines that go and the lines that come, without the secrets in them.
    pub(crate) fn show(&self, printer: &Printer) -> Result<(), Error> {
        let found = self.client.read_servers(self.file, &self.text).unwrap_or_default();
        let secrets: Vec<String> = found.servers.iter().flat_map(|one| secret_values(&one.entry)).collect();
        super::preview::show(&self.shown_path(), &self.text, &self.edited, &secrets, printer)
    }

    /// Records the change and writes it. The record is there before the entry: whatever happens in between,
    /// `exai uninstall` finds both.
    pub(crate) fn write(self, home: &Home) -> Result<(), Error> {
        let after = self.after();
        let _held = installs::lock(home)?;
        let mut installs = Installs::load(home)?;
        let known = installs.find(self.client.id, &self.path).cloned();
        let original = self.find_original(home, known.as_ref())?;
        let kept = known.as_ref().map_or_else(Vec::new, Install::kept_names);
        let earlier = known.clone();
        let (entries, mut replaced, mut directories, encoding) = match known {
            Some(known) => (
                merge(known.entries, &self.dropped, self.entries),
                known.replaced,
                known.directories,
                known.encoding,
            ),
            None => (self.entries, Vec::new(), Vec::new(), self.encoding),
        };
        replaced.extend(self.replaced);
        directories.extend(find_missing_directories(&self.path));
        let written = keep_bytes(home, self.client.id, &after)?;
        installs.forget(self.client.id, &self.path);
        installs.files.push(Install {
            client: self.client.id.to_owned(),
            path: self.path.clone(),
            at: Some(Timestamp::now().to_string()),
            entries,
            replaced,
            directories,
            encoding,
            original,
            written,
        });
        installs.save(home)?;
        stumble("change.recorded")?;
        if let Err(error) = replace(&self.path, self.before.as_deref(), Some(&after)) {
            // The file is as it was, and so is what is known of it.
            installs.forget(self.client.id, &self.path);
            installs.files.extend(earlier);
            installs.save(home)?;
            return Err(error);
        }
        installs.discard_unnamed(home, kept);
        stumble("change.written")
    }

    /// Records that the entries of [`FileChange::drop_earlier`] are gone, where somebody has taken them out already.
    pub(crate) fn forget_dropped(self, home: &Home) -> Result<(), Error> {
        if self.dropped.is_empty() {
            return Ok(());
        }
        let _held = installs::lock(home)?;
        let mut installs = Installs::load(home)?;
        let is_this = |install: &&mut Install| install.client == self.client.id && install.path == self.path;
        if let Some(known) = installs.files.iter_mut().find(is_this) {
            known.entries = merge(std::mem::take(&mut known.entries), &self.dropped, self.entries);
        }
        installs.save(home)
    }

    /// What the file shall be once exai is out of it again: what it was before exai came the first time, and if somebody has
    /// changed it since, what it is now without exai.
    fn find_original(&self, home: &Home, known: Option<&Install>) -> Result<Option<String>, Error> {
        let keep = |bytes: &[u8]| keep_bytes(home, self.client.id, bytes);
        let Some(known) = known else { return self.before.as_deref().map(keep).transpose() };
        if kept_bytes(home, &known.written) == self.before {
            return Ok(known.original.clone());
        }
        let edited = undo::undo_text(home, self.client, self.file, &self.text, Some(known))
            .map_err(|error| self.refuse(&error))?;
        let file = TextFile { text: self.text.clone(), encoding: self.encoding };
        keep(&file.encode(&edited, self.client.rejects_mark)).map(Some)
    }
}

/// A place where a test makes exai stumble.
pub(crate) fn stumble(place: &'static str) -> Result<(), Error> {
    failpoint::reach(place).map_err(|error| Error::failed(error.to_string()))
}

/// The entries of an earlier install keep what is known of them. The first that stays answers for what was made for those
/// that go.
fn merge(known: Vec<InstalledEntry>, dropped: &[String], new: Vec<InstalledEntry>) -> Vec<InstalledEntry> {
    let (gone, mut kept): (Vec<_>, Vec<_>) =
        known.into_iter().partition(|entry| dropped.contains(&entry.name));
    if let Some(first) = kept.first_mut() {
        for made in gone.into_iter().filter_map(|entry| entry.made) {
            first.made.get_or_insert_default().take_over(made);
        }
    }
    for entry in new {
        if !kept.iter().any(|one| one.name == entry.name) {
            kept.push(entry);
        }
    }
    kept
}

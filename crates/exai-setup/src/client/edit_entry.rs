//! exai's entry in a configuration file of a client, and the switches of the other entries.

use std::ops::RangeInclusive;

use super::launch::Launch;
use super::row::{Client, ConfigFile, Container, Snippet, Switch};
use crate::Value;
use crate::format::{EditError, Edited, Format, Made, Spot, find_yaml_entries, write_yaml_entries};

/// Keys of an entry that say how exai is started. A new entry replaces them all; every other key is the user's or the client's.
const OWN_KEYS: &[&str] = &[
    "command",
    "args",
    "arguments",
    "env",
    "environment",
    "cmd",
    "envs",
    "type",
    "url",
    "httpUrl",
    "serverUrl",
    "headers",
];

/// Keys that stay as they are in an entry that is there already, though a new entry has them.
const KEPT_KEYS: &[&str] = &["id", "disabled", "enabled", "tools"];

impl Client {
    /// Puts exai's entry into a file under `name`. What a user or the client has added to an entry that is there stays.
    ///
    /// An entry of that name that starts something else is overwritten, too: the caller looks first
    /// ([`super::starts_exai`]).
    pub fn put(
        &self,
        file: &ConfigFile,
        text: &str,
        name: &str,
        launch: &Launch,
    ) -> Result<Edited, EditError> {
        let Value::Map(mut pairs) = self.entry(file.container, name, launch) else {
            return Err(EditError::Unsupported { what: "the entry is not a map" });
        };
        let spot = file.spot(name);
        let root = file.format.parse(text)?;
        if let Some(Value::Map(old)) = root.as_ref().and_then(|root| root.at(&spot.full_path())) {
            for (key, value) in old {
                match pairs.iter_mut().find(|(new, _)| new == key) {
                    Some((_, new)) if KEPT_KEYS.contains(&key.as_str()) => new.clone_from(value),
                    Some(_) => {}
                    None if OWN_KEYS.contains(&key.as_str()) => {}
                    None => pairs.push((key.clone(), value.clone())),
                }
            }
        }
        file.format.set(text, spot, &Value::Map(pairs))
    }

    /// Takes an entry out of a file, and what `made` says was made for the entry.
    pub fn take_out(
        &self,
        file: &ConfigFile,
        text: &str,
        name: &str,
        made: Option<&Made>,
    ) -> Result<String, EditError> {
        file.format.remove(text, file.spot(name), made)
    }

    /// Puts an entry that was taken out back, as it is in an earlier text of the file. `None` if the earlier text has no such
    /// entry.
    pub fn put_back(
        &self,
        file: &ConfigFile,
        text: &str,
        name: &str,
        earlier: &str,
    ) -> Result<Option<String>, EditError> {
        let spot = file.spot(name);
        let earlier = file.format.parse(earlier)?;
        match earlier.as_ref().and_then(|root| root.at(&spot.full_path())) {
            Some(entry) => Ok(Some(file.format.set(text, spot, entry)?.text)),
            None => Ok(None),
        }
    }

    /// Switches a server off with the client's own switch. `None` if the client has none.
    pub fn switch_off(&self, file: &ConfigFile, text: &str, name: &str) -> Result<Option<Edited>, EditError> {
        let Some((key, when_on)) = self.switch.key() else { return Ok(None) };
        let path = file.entry_path(text, name)?;
        let spot = Spot { path: &path, name: key, in_list: false };
        file.format.set(text, spot, &Value::Bool(!when_on)).map(Some)
    }

    /// Switches a server on again. `made` is what switching it off has made: the switch itself goes if it was not there.
    pub fn switch_on(
        &self,
        file: &ConfigFile,
        text: &str,
        name: &str,
        made: Option<&Made>,
    ) -> Result<String, EditError> {
        let Some((key, when_on)) = self.switch.key() else { return Ok(text.to_owned()) };
        let path = file.entry_path(text, name)?;
        let spot = Spot { path: &path, name: key, in_list: false };
        match made {
            Some(made) => file.format.remove(text, spot, Some(made)),
            None => Ok(file.format.set(text, spot, &Value::Bool(when_on))?.text),
        }
    }

    /// What the user pastes into the client, or into a file that exai does not edit: one text with all these entries, each
    /// with its name.
    pub fn snippet(&self, entries: &[(String, Launch)]) -> String {
        let Snippet { format, pointer, container } = self.snippet;
        let in_list = container == Container::List;
        let entries: Vec<(&str, Value)> = entries
            .iter()
            .map(|(name, launch)| (name.as_str(), self.entry(container, name, launch)))
            .collect();
        if format == Format::Yaml {
            return write_yaml_entries(pointer, in_list, &entries);
        }
        entries.iter().fold(String::new(), |text, (name, entry)| {
            let spot = Spot { path: pointer, name, in_list };
            format.set(&text, spot, entry).expect("BUG: a text of entries takes another one").text
        })
    }

    fn entry(&self, container: Container, name: &str, launch: &Launch) -> Value {
        match (container, (self.write)(launch)) {
            (Container::List, Value::Map(pairs)) if !pairs.iter().any(|(key, _)| key == "name") => {
                let name = ("name".to_owned(), Value::text(name));
                Value::Map([name].into_iter().chain(pairs).collect())
            }
            (_, entry) => entry,
        }
    }
}

impl ConfigFile {
    /// In which lines, from 1, a file that exai does not edit has its entries, for a user who takes one out by hand. Known
    /// for YAML alone.
    pub fn find_lines(&self, text: &str) -> Vec<(String, RangeInclusive<usize>)> {
        match self.format {
            Format::Yaml => find_yaml_entries(text, self.pointer),
            Format::Json | Format::Jsonc | Format::Toml => Vec::new(),
        }
    }

    fn spot<'a>(&self, name: &'a str) -> Spot<'a> {
        Spot { path: self.pointer, name, in_list: self.container == Container::List }
    }

    /// The keys on the way into an entry that is there.
    fn entry_path<'a>(&self, text: &str, name: &'a str) -> Result<Vec<&'a str>, EditError> {
        let path: Vec<_> = self.pointer.iter().copied().chain([name]).collect();
        let root = self.format.parse(text)?;
        match root.as_ref().and_then(|root| root.at(&path)) {
            Some(_) => Ok(path),
            None => Err(EditError::NotFound { name: name.to_owned() }),
        }
    }
}

impl Switch {
    /// The key of the switch, and its value when the server is on.
    fn key(self) -> Option<(&'static str, bool)> {
        match self {
            Switch::Disabled => Some(("disabled", false)),
            Switch::Enabled => Some(("enabled", true)),
            Switch::None => None,
        }
    }
}

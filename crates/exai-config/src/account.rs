//! `[servers.NAME.accounts]`: several accounts of one server elsewhere, and who uses which.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::limits::{MAX_ACCOUNT_NAME_CHARS, MAX_ACCOUNTS};

/// Who uses an account. One without rules is for everybody.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AccountConfig {
    /// The clients that use it, by the names that `[clients.NAME]` has for them.
    pub clients: Vec<String>,
    /// The directories in which, or within which, a client must have been started. `~/` is the account's home.
    pub directories: Vec<String>,
}

/// The accounts of one server in the order of the file: the first whose rules suit a client is the client's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accounts(pub(crate) Vec<(String, AccountConfig)>);

impl AccountConfig {
    /// Writes the directories as the system knows them: from the home of the account of the system, and without links too,
    /// since a client tells where it really is. Blocks.
    pub fn resolve_directories(&mut self, home: &Path) {
        let mut resolved: Vec<String> = Vec::new();
        for text in &self.directories {
            let path = match text.strip_prefix("~") {
                Some("") => home.to_owned(),
                Some(rest) => home.join(rest.trim_start_matches(['/', '\\'])),
                None => PathBuf::from(text),
            };
            let real = path.canonicalize().ok().filter(|real| *real != path);
            resolved.extend(
                [Some(path), real].into_iter().flatten().filter_map(|path| Some(path.to_str()?.to_owned())),
            );
        }
        self.directories = resolved;
    }

    /// What is wrong, as a sentence.
    fn check(&self) -> Result<(), String> {
        if self.clients.iter().any(|name| name.trim().is_empty()) {
            return Err("`clients` of an account holds an empty name".to_owned());
        }
        let is_absolute =
            |text: &String| text == "~" || text.starts_with("~/") || Path::new(text).is_absolute();
        match self.directories.iter().find(|text| !is_absolute(text)) {
            Some(text) => {
                Err(format!("`directories` of an account holds {text:?}: write a whole path, or `~/…`"))
            }
            None => Ok(()),
        }
    }
}

impl Accounts {
    /// Names and accounts, in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &AccountConfig)> {
        self.0.iter().map(|(name, account)| (name.as_str(), account))
    }

    /// The names, in the order of the file.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.iter().map(|(name, _)| name)
    }

    /// Whether the server has no accounts but one without a name.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds an account. The error is a sentence.
    pub(crate) fn add(&mut self, name: String, account: AccountConfig) -> Result<(), String> {
        let is_allowed =
            |character: char| character.is_ascii_alphanumeric() || matches!(character, '-' | '_');
        if name.is_empty() || name.len() > MAX_ACCOUNT_NAME_CHARS || !name.chars().all(is_allowed) {
            return Err(format!(
                "the account name {name:?} must be 1 to {MAX_ACCOUNT_NAME_CHARS} letters, digits, `-` and `_`"
            ));
        }
        // Each has a file of its own, and some file systems know no case.
        if let Some(other) = self.names().find(|other| other.eq_ignore_ascii_case(&name)) {
            return Err(format!("the account names `{other}` and `{name}` differ in case only"));
        }
        if self.0.len() >= MAX_ACCOUNTS {
            return Err(format!("a server can have {MAX_ACCOUNTS} accounts at most"));
        }
        account.check()?;
        self.0.push((name, account));
        Ok(())
    }
}

//! Changing `config.toml` as a person would: comments, order and spacing stay.
//!
//! Each edit reads and writes under a lock, so that none of several edits at once is lost. The file is replaced in
//! one step: no reader sees half of it, and a full disk loses the change and not the file. If `config.toml` is a
//! link, it stays one.

use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use exai_os::lock::{self, HeldLock};
use exai_os::private;
use toml_edit::{Array, DocumentMut, InlineTable, Item, Table, TableLike, Value};

use crate::limits::{EDIT_LOCK_TIMEOUT, MAX_CONFIG_BYTES};
use crate::load::{self, Config, ConfigError};
use crate::server_name::{self, NameError};
use crate::{Home, Secret};

/// A server as `exai add` describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewServer {
    /// The program; none for a URL alone.
    pub command: Option<String>,
    /// Its arguments.
    pub args: Vec<String>,
    /// Variables on top of the daemon's environment.
    pub env: Vec<(String, Secret)>,
    /// Where it is reached; none for a command that speaks over its stdio.
    pub url: Option<String>,
    /// The machine whose exai hosts it.
    pub via: Option<String>,
    /// Its name there, if that is another one.
    pub name_there: Option<String>,
    /// The path of exai there.
    pub remote_command: Option<String>,
    /// Headers of each request.
    pub headers: Vec<(String, Secret)>,
    /// Its working directory.
    pub cwd: Option<String>,
    /// Which clients share an instance: `auto`, `shared` or `client`. The default if none is given.
    pub share: Option<String>,
    /// How long a start may take.
    pub start_timeout: Option<Duration>,
    /// How long a call may take without progress.
    pub call_timeout: Option<Duration>,
    /// If this is not empty, these tools alone may be used.
    pub allowed_tools: Vec<String>,
    /// These tools may not be used.
    pub denied_tools: Vec<String>,
    /// A line above the server: where it comes from.
    pub comment: Option<String>,
}

/// Why the file was left as it was.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    /// The name breaks the rule.
    #[error(transparent)]
    Name(#[from] NameError),
    /// There is a server of this name, or of a name that differs only in case.
    #[error("there is a server `{name}` already")]
    Exists {
        /// The name it has.
        name: String,
    },
    /// There is no server of this name.
    #[error("there is no server `{name}`{}", known_sentence(known))]
    Unknown {
        /// The name that was asked for.
        name: String,
        /// Those that are there.
        known: Vec<String>,
    },
    /// The file was invalid before, or the change would make it so.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Other edits go on without end, or one of them hangs.
    #[error("{} is held by another exai that edits config.toml; it was left as it was", path.display())]
    Busy {
        /// The lock.
        path: PathBuf,
    },
    /// The lock around edits could not be taken.
    #[error("cannot lock {}: {source}", path.display())]
    Lock {
        /// The lock.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The new file could not be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

fn known_sentence(known: &[String]) -> String {
    if known.is_empty() {
        "; none is configured".to_owned()
    } else {
        format!("; there are: {}", known.join(", "))
    }
}

/// Adds a server at the end of the file. With `force` it replaces a server of the same name, of which only the
/// comment above it is kept.
pub fn add(home: &Home, name: &str, server: &NewServer, force: bool) -> Result<(), EditError> {
    server_name::check(name)?;
    edit(home, |document, config| {
        let existing = config.servers.names().find(|known| known.eq_ignore_ascii_case(name));
        if let Some(existing) = existing.filter(|_| !force) {
            return Err(EditError::Exists { name: existing.to_owned() });
        }
        let root = document.as_table_mut();
        let servers = root.entry("servers").or_insert_with(|| {
            let mut servers = Table::new();
            servers.set_implicit(true); // no `[servers]` line of its own
            Item::Table(servers)
        });
        let inline = servers.is_inline_table();
        let servers = servers.as_table_like_mut().expect("BUG: a valid file has a table here");
        let replaced = existing.and_then(|existing| servers.remove(existing));
        let item = if inline {
            Item::Value(Value::InlineTable(fill(server, InlineTable::new())))
        } else {
            let mut table = fill(server, Table::new());
            if let Some(old) = replaced.as_ref().and_then(Item::as_table) {
                *table.decor_mut() = old.decor().clone();
                table.set_position(old.position());
            } else {
                let gap = if config.is_blank() { "" } else { "\n" };
                let comment = server.comment.as_ref().map(|comment| format!("# {}\n", one_line(comment)));
                table.decor_mut().set_prefix(format!("{gap}{}", comment.unwrap_or_default()));
            }
            Item::Table(table)
        };
        servers.insert(name, item);
        Ok(())
    })
}

/// Removes a server, with the comment above it.
pub fn remove(home: &Home, name: &str) -> Result<(), EditError> {
    edit(home, |document, config| {
        if config.servers.get(name).is_none() {
            let known = config.servers.names().map(str::to_owned).collect();
            return Err(EditError::Unknown { name: name.to_owned(), known });
        }
        if let Some(servers) = document.get_mut("servers").and_then(Item::as_table_like_mut) {
            servers.remove(name);
        }
        Ok(())
    })
}

/// Puts a table at the end of those of a group, such as `clients`.
pub(crate) fn insert_table(document: &mut DocumentMut, group: &str, name: &str, table: Table) {
    let tables = document.as_table_mut().entry(group).or_insert_with(|| {
        let mut tables = Table::new();
        tables.set_implicit(true); // no line of its own
        Item::Table(tables)
    });
    let inline = tables.is_inline_table();
    let tables = tables.as_table_like_mut().expect("BUG: a valid file has a table here");
    tables.insert(
        name,
        if inline { Item::Value(table.into_inline_table().into()) } else { Item::Table(table) },
    );
}

/// A comment must not end before its text does.
pub(crate) fn one_line(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { ' ' } else { character }).collect()
}

/// The bytes of the file. `None` if there is none.
pub fn read_whole(home: &Home) -> Result<Option<Vec<u8>>, EditError> {
    let path = home.config();
    match private::read_trusted(&path, MAX_CONFIG_BYTES) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(ConfigError::Read { path, source }.into()),
    }
}

/// Replaces the whole file, if its bytes still are `before`; `None` is no file. Returns whether it was replaced.
pub fn replace_whole(home: &Home, before: Option<&[u8]>, after: Option<&[u8]>) -> Result<bool, EditError> {
    let _held = lock_edits(home, Instant::now() + EDIT_LOCK_TIMEOUT)?;
    if read_whole(home)?.as_deref() != before {
        return Ok(false);
    }
    let path = home.config();
    match after {
        Some(bytes) => write(path, bytes)?,
        None => std::fs::remove_file(&path).map_err(|source| EditError::Write { path, source })?,
    }
    Ok(true)
}

/// Makes a change of the file: it is read, changed and written while no other process does so.
pub(crate) fn edit(
    home: &Home,
    change: impl FnOnce(&mut DocumentMut, &Config) -> Result<(), EditError>,
) -> Result<(), EditError> {
    let _held = lock_edits(home, Instant::now() + EDIT_LOCK_TIMEOUT)?;
    let path = home.config();
    let text = load::read(&path)?.unwrap_or_default();
    let config = Config::from_text(&path, &text, None)?;
    let mut document = text.parse().expect("BUG: what one TOML parser reads the other reads too");
    change(&mut document, &config)?;
    let text = document.to_string();
    Config::from_text(&path, &text, None)?;
    write(path, text.as_bytes())
}

/// Writes the file, or what it is a link to.
fn write(path: PathBuf, bytes: &[u8]) -> Result<(), EditError> {
    let place = match private::trusted_place(&path) {
        Ok(place) => place,
        Err(error) if error.kind() == io::ErrorKind::NotFound => path,
        Err(source) => return Err(EditError::Write { path, source }),
    };
    private::write_atomic(&place, bytes).map_err(|source| EditError::Write { path: place, source })
}

/// `None` where there is no state directory: then there is nothing to change either.
pub(crate) fn lock_edits(home: &Home, deadline: Instant) -> Result<Option<HeldLock>, EditError> {
    let path = home.config_lock();
    match lock::lock_until(&path, deadline) {
        Ok(Some(held)) => Ok(Some(held)),
        Ok(None) => Err(EditError::Busy { path }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(EditError::Lock { path, source }),
    }
}

fn fill<T: TableLike>(server: &NewServer, mut table: T) -> T {
    let mut set = |key: &str, value: Value| table.insert(key, Item::Value(value));
    if let Some(command) = &server.command {
        set("command", command.as_str().into());
    }
    if !server.args.is_empty() {
        set("args", Array::from_iter(&server.args).into());
    }
    for (key, text) in [
        ("url", &server.url),
        ("via", &server.via),
        ("server", &server.name_there),
        ("remote_command", &server.remote_command),
    ] {
        if let Some(text) = text {
            set(key, text.as_str().into());
        }
    }
    for (key, pairs) in [("env", &server.env), ("headers", &server.headers)] {
        if !pairs.is_empty() {
            let pairs = pairs.iter().map(|(name, value)| (name.as_str(), value.expose()));
            set(key, pairs.collect::<InlineTable>().into());
        }
    }
    for (key, text) in [("cwd", &server.cwd), ("share", &server.share)] {
        if let Some(text) = text {
            set(key, text.as_str().into());
        }
    }
    for (key, span) in [("start_timeout", server.start_timeout), ("call_timeout", server.call_timeout)] {
        if let Some(span) = span {
            let seconds = span.as_secs().max(1);
            let text = if seconds % 60 == 0 { format!("{}m", seconds / 60) } else { format!("{seconds}s") };
            set(key, text.into());
        }
    }
    let mut tools = InlineTable::new();
    for (key, names) in [("allow", &server.allowed_tools), ("deny", &server.denied_tools)] {
        if !names.is_empty() {
            tools.insert(key, Array::from_iter(names).into());
        }
    }
    if !tools.is_empty() {
        set("tools", tools.into());
    }
    table
}

#[cfg(test)]
mod tests;

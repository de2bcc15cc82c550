//! The Secret Service (<https://specifications.freedesktop.org/secret-service>), on the bus of the session. `libdbus` is in
//! this program, so that a machine needs nothing installed. Secrets cross the bus as they are: a socket that only this account
//! reaches. No prompt is ever begun; what would need one is locked.
//!
//! What the library for the Secret Service on top of this one lacks: a bus whose address is not in the environment of this
//! process, and a deadline.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use dbus::Path;
use dbus::arg::{AppendAll, PropMap, ReadAll, RefArg, Variant};
use dbus::blocking::Connection;
use dbus::channel::Channel;

use crate::keyring::{Entry, KeyringError};

const SERVICE: &str = "org.freedesktop.secrets";
const SERVICE_PATH: &str = "/org/freedesktop/secrets";
const SERVICE_INTERFACE: &str = "org.freedesktop.Secret.Service";
const COLLECTION: &str = "org.freedesktop.Secret.Collection";
const ITEM: &str = "org.freedesktop.Secret.Item";
/// What stands where there is no object.
const NO_PATH: &str = "/";
const CONTENT_TYPE: &str = "application/octet-stream";

/// Where the bus of the session may be, the likeliest first.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    addresses: Vec<String>,
}

/// A secret as it crosses the bus: session, parameters, value, content type.
type Secret = (Path<'static>, Vec<u8>, Vec<u8>, String);

impl Place {
    pub(crate) fn of(environment: &[(OsString, OsString)]) -> Self {
        let find = |name| crate::account::find_variable(environment, name);
        // Other kinds of address start programs.
        let named = find("DBUS_SESSION_BUS_ADDRESS").and_then(|address| address.to_str().map(str::to_owned));
        let named = named.filter(|address| address.split(';').all(|one| one.starts_with("unix:")));
        // A daemon that was started by ssh, or by a client that passes little on, finds the bus of the account all the same.
        let runtime = find("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|path| path.is_absolute());
        let usual = PathBuf::from(format!("/run/user/{}", rustix::process::geteuid().as_raw()));
        let sockets = runtime.into_iter().chain([usual]).map(|folder| folder.join("bus"));
        let sockets = sockets.filter_map(|socket| Some(format!("unix:path={}", escape(socket.to_str()?))));
        let mut addresses: Vec<String> = named.into_iter().chain(sockets).collect();
        addresses.dedup();
        Place { addresses }
    }

    /// Only the address that the environment names, for tests: the machine may have a real keyring.
    #[cfg(test)]
    pub(crate) fn keep_only_named(&mut self) {
        self.addresses.retain(|address| !address.ends_with("/bus"));
    }

    fn connect(&self) -> Result<Connection, KeyringError> {
        let mut first_error = None;
        for address in &self.addresses {
            let opened = Channel::open_private(address).and_then(|mut channel| {
                channel.register()?;
                Ok(channel)
            });
            match opened {
                Ok(channel) => return Ok(channel.into()),
                Err(error) => first_error = first_error.or(Some(error)),
            }
        }
        let why = first_error.as_ref().and_then(dbus::Error::message).unwrap_or_default();
        Err(KeyringError::Absent(format!("no bus of a session: {why}")))
    }
}

/// Writes a path as addresses of buses have it.
fn escape(path: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_/.\\*".contains(&byte);
    path.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02x}") })
        .collect()
}

pub(crate) fn read(place: &Place, entry: &Entry, timeout: Duration) -> Result<Option<Vec<u8>>, KeyringError> {
    let bus = Bus { connection: place.connect()?, timeout };
    let Some(item) = bus.find(entry)? else {
        // A collection that is locked may not say what is in it.
        bus.open_collection()?;
        return Ok(None);
    };
    let session = bus.open_session()?;
    let ((_, _, value, _),): (Secret,) = bus.call(&item, ITEM, "GetSecret", (session,))?;
    Ok(Some(value))
}

pub(crate) fn write(
    place: &Place,
    entry: &Entry,
    secret: &[u8],
    timeout: Duration,
) -> Result<(), KeyringError> {
    let bus = Bus { connection: place.connect()?, timeout };
    let collection = bus.open_collection()?;
    let session = bus.open_session()?;
    let mut properties = PropMap::new();
    let label = format!("{}: {}", entry.service, entry.user);
    properties.insert(format!("{ITEM}.Label"), Variant(Box::new(label)));
    let attributes: HashMap<String, String> =
        attributes(entry).map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    properties.insert(format!("{ITEM}.Attributes"), Variant(Box::new(attributes)));
    let secret = (session, Vec::<u8>::new(), secret, CONTENT_TYPE);
    let (_, prompt): (Path<'static>, Path<'static>) =
        bus.call(&collection, COLLECTION, "CreateItem", (properties, secret, true))?;
    needs_nobody(&prompt)
}

pub(crate) fn remove(place: &Place, entry: &Entry, timeout: Duration) -> Result<(), KeyringError> {
    let bus = Bus { connection: place.connect()?, timeout };
    let Some(item) = bus.find(entry)? else { return Ok(()) };
    let (prompt,): (Path<'static>,) = bus.call(&item, ITEM, "Delete", ())?;
    needs_nobody(&prompt)
}

/// The attributes of the entry, which anybody of the account can read.
fn attributes(entry: &Entry) -> [(&str, &str); 2] {
    [("service", &entry.service), ("user", &entry.user)]
}

/// A prompt means that nothing was done yet. It is not begun, so nothing will be.
fn needs_nobody(prompt: &Path<'_>) -> Result<(), KeyringError> {
    if **prompt == *NO_PATH { Ok(()) } else { Err(KeyringError::Locked) }
}

struct Bus {
    connection: Connection,
    timeout: Duration,
}

impl Bus {
    fn call<R: ReadAll>(
        &self,
        path: &str,
        interface: &str,
        method: &str,
        args: impl AppendAll,
    ) -> Result<R, KeyringError> {
        let proxy = self.connection.with_proxy(SERVICE, path.to_owned(), self.timeout);
        proxy.method_call(interface, method, args).map_err(|error| read_error(&error))
    }

    fn open_session(&self) -> Result<Path<'static>, KeyringError> {
        let args = ("plain", Variant(String::new()));
        let (_, session): (Variant<Box<dyn RefArg>>, Path<'static>) =
            self.call(SERVICE_PATH, SERVICE_INTERFACE, "OpenSession", args)?;
        Ok(session)
    }

    /// The entry, in whatever collection it is.
    fn find(&self, entry: &Entry) -> Result<Option<Path<'static>>, KeyringError> {
        let (open, locked): (Vec<Path<'static>>, Vec<Path<'static>>) =
            self.call(SERVICE_PATH, SERVICE_INTERFACE, "SearchItems", (HashMap::from(attributes(entry)),))?;
        match open.into_iter().next() {
            None if !locked.is_empty() => Err(KeyringError::Locked),
            found => Ok(found),
        }
    }

    /// The collection for new entries.
    fn open_collection(&self) -> Result<Path<'static>, KeyringError> {
        let (collection,): (Path<'static>,) =
            self.call(SERVICE_PATH, SERVICE_INTERFACE, "ReadAlias", ("default",))?;
        if *collection == *NO_PATH {
            return Err(KeyringError::Absent("it has no default collection".to_owned()));
        }
        let args = (COLLECTION, "Locked");
        let (is_locked,): (Variant<bool>,) =
            self.call(&collection, "org.freedesktop.DBus.Properties", "Get", args)?;
        if is_locked.0 { Err(KeyringError::Locked) } else { Ok(collection) }
    }
}

fn read_error(error: &dbus::Error) -> KeyringError {
    let name = error.name().unwrap_or_default();
    let text = || error.message().map_or_else(|| name.to_owned(), str::to_owned);
    match name.strip_prefix("org.freedesktop.").unwrap_or(name) {
        "Secret.Error.IsLocked" => KeyringError::Locked,
        "DBus.Error.NoReply" | "DBus.Error.Timeout" | "DBus.Error.TimedOut" => KeyringError::Silent,
        "DBus.Error.ServiceUnknown" | "DBus.Error.NameHasNoOwner" => {
            KeyringError::Absent("no program keeps secrets in this session".to_owned())
        }
        other if other.starts_with("DBus.Error.Spawn.") => KeyringError::Absent(text()),
        _ => KeyringError::Refused(text()),
    }
}

//! What `exai import` adds to exai's own configuration, recorded before it is written.

use exai_config::{Home, choice_edit, edit};

use super::change::stumble;
use super::installs::{self, Import, Installs, Original, keep_bytes, kept_bytes};
use crate::error::Error;

/// The name of the files that hold `config.toml` in `backups/clients/`.
const CONFIG: &str = "exai";

/// The record of an import that goes on.
pub(crate) struct ImportRecord<'a> {
    home: &'a Home,
    import: Import,
}

impl<'a> ImportRecord<'a> {
    /// Goes on with the record of earlier imports.
    pub(crate) fn begin(home: &'a Home) -> Result<Self, Error> {
        let now = read_config(home)?;
        let known = Installs::load(home)?.import;
        let import = if let Some(known) = known {
            let written = known.written.as_ref().and_then(|name| kept_bytes(home, name));
            let unchanged = written.is_some() && written == now;
            let original = if unchanged { known.original.clone() } else { Original::Unknown };
            Import { original, written: None, ..known }
        } else {
            let original = match now {
                Some(bytes) => Original::Kept(keep_bytes(home, CONFIG, &bytes)?),
                None => Original::Missing,
            };
            Import { original, ..Import::default() }
        };
        Ok(ImportRecord { home, import })
    }

    /// Says what is about to be written.
    pub(crate) fn announce(
        &mut self,
        servers: impl Iterator<Item = String>,
        secrets: impl Iterator<Item = String>,
    ) -> Result<(), Error> {
        self.import.servers.extend(servers);
        self.import.secrets.extend(secrets);
        self.save()?;
        stumble("import.announced")
    }

    /// Says which client is about to get a table.
    pub(crate) fn announce_client(&mut self, client: &str) -> Result<(), Error> {
        self.import.clients.push(client.to_owned());
        self.save()
    }

    /// Takes the table of a client out again, if an import has written it.
    pub(crate) fn forget_client(home: &'a Home, client: &str) -> Result<(), Error> {
        let is_ours = |import: &Import| import.clients.iter().any(|known| known == client);
        if !Installs::load(home)?.import.as_ref().is_some_and(is_ours) {
            return Ok(());
        }
        let mut record = ImportRecord::begin(home)?;
        choice_edit::forget_choice(home, client).map_err(|error| Error::failed(error.to_string()))?;
        record.import.clients.retain(|known| known != client);
        record.finish()
    }

    /// Says that it is written.
    pub(crate) fn finish(mut self) -> Result<(), Error> {
        stumble("import.written")?;
        let written = read_config(self.home)?;
        self.import.written = written.map(|bytes| keep_bytes(self.home, CONFIG, &bytes)).transpose()?;
        self.save()
    }

    fn save(&self) -> Result<(), Error> {
        let _held = installs::lock(self.home)?;
        let mut installs = Installs::load(self.home)?;
        installs.import = Some(self.import.clone());
        installs.save(self.home)
    }
}

pub(crate) fn read_config(home: &Home) -> Result<Option<Vec<u8>>, Error> {
    edit::read_whole(home).map_err(|error| Error::failed(error.to_string()))
}

//! Which directories the client of a call may have read.

use std::path::{Path, PathBuf};

use exai_config::Config;

use crate::client::Client;
use crate::files::{FileAccess, Offered, Places};
use crate::shared::Shared;

/// What decides which directories the client of a call may have read.
#[derive(Debug)]
pub(super) struct Told {
    roots: Option<Vec<String>>,
    working_directory: Option<PathBuf>,
    configured: Vec<PathBuf>,
    places: Places,
}

impl Told {
    /// Asks the client for its roots.
    pub(super) async fn by(client: &Client, config: &Config, shared: &Shared) -> Told {
        let home = exai_os::account::current().map(|account| account.home).unwrap_or_default();
        Told {
            roots: client.roots().await,
            working_directory: client.directory().map(Path::to_owned),
            configured: config.ai.resolve_directories(&home),
            places: Places { home, state: vec![shared.settings.home().path().to_owned()] },
        }
    }

    /// Looks at each directory, and so may block.
    pub(super) fn access(self) -> FileAccess {
        let offered = Offered {
            roots: self.roots.as_deref(),
            working_directory: self.working_directory.as_deref(),
            configured: &self.configured,
        };
        FileAccess::new(&offered, self.places)
    }
}

//! What the configuration of a server says of the requests to it.

use exai_config::secret_store::SecretStore;
use exai_config::{Home, Secret, ServerConfig};

use super::SignIns;

/// Where a server is, and what each request to it carries. Both may hold secrets.
pub(crate) struct Entry {
    pub(crate) url: String,
    pub(crate) headers: Vec<(String, Secret)>,
}

impl SignIns {
    /// Reads it with every `${…}` resolved. The error is a sentence.
    pub(crate) async fn read_entry(&self, config: ServerConfig, home: Home) -> Result<Entry, String> {
        let vars = self.shared.environment.vars().await;
        let expanding = tokio::task::spawn_blocking(move || {
            let secrets = SecretStore::load(&home).map_err(|error| error.to_string())?;
            let config = config.expand(&vars, &secrets).map_err(|error| error.to_string())?;
            Ok(Entry { url: config.url.unwrap_or_default(), headers: config.headers })
        });
        expanding.await.unwrap_or_else(|panic| Err(format!("BUG: {panic}")))
    }
}

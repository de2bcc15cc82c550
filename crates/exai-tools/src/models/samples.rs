//! Providers for tests.

use std::time::Duration;

use exai_config::{Dialect, Provider};

/// A provider without a key.
pub(super) fn provider(name: &str, base_url: &str) -> Provider {
    Provider {
        name: name.to_owned(),
        base_url: base_url.to_owned(),
        key: None,
        dialect: Dialect::OpenAi,
        models: Vec::new(),
        headers: std::collections::BTreeMap::new(),
        max_concurrency: 4,
        connect_timeout: Duration::from_secs(2),
        idle_timeout: Duration::from_secs(5),
        total_timeout: Duration::from_secs(10),
        omit: std::collections::BTreeSet::new(),
        rename: std::collections::BTreeMap::new(),
        extra_body: serde_json::Map::new(),
    }
}

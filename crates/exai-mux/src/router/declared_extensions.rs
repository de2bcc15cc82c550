//! The extensions and experiments that all servers together declare to clients of the aggregated endpoint.

use exai_proto::json;
use serde_json::{Map, Value};

use crate::client::Client;
use crate::limits::{MAX_UNITED_BYTES, MAX_UNITED_NAMES};
use crate::router::servers::Servers;
use crate::server::Server;
use crate::types::capability::ClientCapability;
use crate::types::era::Era;

impl Servers {
    /// Finds the server that a method unknown to exai is meant for: the only server that declares the extension or
    /// experiment with which the method begins, or the only one that declares any. `Err` if there are several.
    /// Servers that the client may not see do not count.
    pub(crate) fn find_declarer<'a>(
        &'a self,
        client: &'a Client,
        era: Era,
        method: &str,
    ) -> Result<Option<&'a Server>, ()> {
        let subject = method.split('/').next().unwrap_or_default();
        let named = |names: &Map<String, Value>| {
            names.keys().any(|name| name == subject || name.rsplit('/').next() == Some(subject))
        };
        let declares = |wanted: &dyn Fn(&Map<String, Value>) -> bool| -> Vec<&'a Server> {
            let one = |server: &&Server| {
                let all = [ClientCapability::Extensions, ClientCapability::Experimental].into_iter();
                all.filter_map(|ask| names(server, era, ask.name())).any(|names| wanted(&names))
            };
            self.iter_seen(client).filter(one).collect()
        };
        let mut found = declares(&named);
        if found.is_empty() {
            found = declares(&|names| !names.is_empty());
        }
        match found[..] {
            [] => Ok(None),
            [only] => Ok(Some(only)),
            _ => Err(()),
        }
    }

    /// Unites the names that servers declare under `extensions` or `experimental`: those servers that the client may
    /// see. If two servers declare the same name, the first server of the configuration counts.
    pub(crate) fn unite_names(&self, client: &Client, era: Era, capability: &str) -> Map<String, Value> {
        let (mut united, mut bytes) = (Map::new(), 0);
        for (name, value) in
            self.iter_seen(client).filter_map(|server| names(server, era, capability)).flatten()
        {
            let more = name.len() + value.to_string().len();
            if !united.contains_key(&name)
                && united.len() < MAX_UNITED_NAMES
                && bytes + more <= MAX_UNITED_BYTES
            {
                bytes += more;
                united.insert(name, value);
            }
        }
        united
    }
}

/// The names that a server declares to clients of an era under `extensions` or `experimental`.
fn names(server: &Server, era: Era, capability: &str) -> Option<Map<String, Value>> {
    let text = &server.offering_for(era).introduction.as_ref()?.result;
    let place = json::find_path(text, 0..text.len(), &["capabilities", capability])?;
    match serde_json::from_slice(&text[place]).ok()? {
        Value::Object(names) => Some(names),
        _ => None,
    }
}

//! The extensions and experiments that all servers together declare to a client of the aggregated endpoint.

use exai_proto::json;
use serde_json::{Map, Value};

use crate::limits::{MAX_UNITED_BYTES, MAX_UNITED_NAMES};
use crate::router::servers::Servers;
use crate::server::Server;
use crate::types::capability::Ask;

impl Servers {
    /// The server that a request of the aggregated endpoint is meant for whose method exai does not know: the only one that
    /// declares the extension or experiment which its method begins with, or any. `Err`: it cannot be known which.
    pub(crate) fn find_declarer(&self, method: &str) -> Result<Option<&Server>, ()> {
        let subject = method.split('/').next().unwrap_or_default();
        let named = |names: &Map<String, Value>| {
            names.keys().any(|name| name == subject || name.rsplit('/').next() == Some(subject))
        };
        let declares = |wanted: &dyn Fn(&Map<String, Value>) -> bool| -> Vec<&Server> {
            let one = |server: &&Server| {
                let all = [Ask::Extensions, Ask::Experimental].into_iter();
                all.filter_map(|ask| names(server, ask.capability())).any(|names| wanted(&names))
            };
            self.iter().filter(one).collect()
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

    /// The names that servers declare under `extensions` or `experimental`, together. Of two that declare the same the
    /// first in the order of the configuration counts, as everywhere.
    pub(crate) fn unite_names(&self, capability: &str) -> Map<String, Value> {
        let (mut united, mut bytes) = (Map::new(), 0);
        for (name, value) in self.iter().filter_map(|server| names(server, capability)).flatten() {
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

/// The names that a server declares under `extensions` or `experimental`.
fn names(server: &Server, capability: &str) -> Option<Map<String, Value>> {
    let text = &server.initialize_result.as_ref()?.result;
    let place = json::find_path(text, 0..text.len(), &["capabilities", capability])?;
    match serde_json::from_slice(&text[place]).ok()? {
        Value::Object(names) => Some(names),
        _ => None,
    }
}

//! `verdicts.json`: what was measured about servers, and when.
//!
//! ```json
//! {"schema":1,"servers":{"everything":{"revision":"1f…","at":"2026-11-25T10:00:00Z","asks":[],"same_for_all":true,"silent":{"roots":["{}"]}}}}
//! ```
//!
//! `asks` are the capabilities that the server was seen to use, `same_for_all` says that its lists were the same
//! whatever its client could do, and `silent` holds what was declared to runs that worked for a while and asked for
//! nothing. As with `discovery/`, `revision` stands for what the server is started with, and a file that cannot be read
//! counts as missing.

use std::collections::{BTreeMap, BTreeSet};

use exai_config::Home;
use exai_mux::policy::Policy;
use exai_mux::traits::{ASKS, Traits};
use exai_os::private;
use serde::{Deserialize, Serialize};

use crate::limits::MAX_VERDICTS_BYTES;
use crate::state::store::revision_text;

const SCHEMA: u32 = 1;

/// The content of `verdicts.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Verdicts {
    schema: u32,
    servers: BTreeMap<String, Verdict>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Verdict {
    revision: String,
    at: String,
    asks: Vec<String>,
    same_for_all: bool,
    silent: BTreeMap<String, BTreeSet<String>>,
}

impl Verdicts {
    pub(crate) fn load(home: &Home) -> Self {
        let read = private::read(&home.verdicts(), MAX_VERDICTS_BYTES).ok();
        let found = read.and_then(|bytes| serde_json::from_slice::<Verdicts>(&bytes).ok());
        found
            .filter(|found| found.schema == SCHEMA)
            .unwrap_or(Verdicts { schema: SCHEMA, servers: BTreeMap::new() })
    }

    /// What was measured about a server of this name that was started in the same way.
    pub(crate) fn traits_of(&self, policy: &Policy) -> Option<Traits> {
        let verdict = self.servers.get(&*policy.name)?;
        let asks = ASKS.into_iter().filter(|ask| verdict.asks.iter().any(|name| name == ask.capability()));
        let known = verdict.revision == revision_text(policy.revision);
        let silent =
            ASKS.into_iter().filter_map(|ask| Some((ask, verdict.silent.get(ask.capability())?.clone())));
        let same_for_all = verdict.same_for_all;
        known.then(|| Traits { asks: asks.collect(), same_for_all, silent: silent.collect() })
    }

    /// When the server was measured, as an RFC 3339 timestamp.
    pub(crate) fn measured_at(&self, server: &str) -> Option<&str> {
        Some(&self.servers.get(server)?.at)
    }

    /// Records what was measured just now.
    pub(crate) fn record_traits(&mut self, server: &str, (revision, traits): &(u64, Traits)) {
        let verdict = Verdict {
            revision: revision_text(*revision),
            at: jiff::Timestamp::now().to_string(),
            asks: traits.asks.iter().map(|ask| ask.capability().to_owned()).collect(),
            same_for_all: traits.same_for_all,
            silent: traits
                .silent
                .iter()
                .map(|(ask, words)| (ask.capability().to_owned(), words.clone()))
                .collect(),
        };
        self.servers.insert(server.to_owned(), verdict);
    }

    /// Forgets servers that are not configured any more.
    pub(crate) fn retain_servers(&mut self, policies: &[Policy]) {
        self.servers.retain(|name, _| policies.iter().any(|policy| *policy.name == **name));
    }

    /// The text of the file.
    pub(crate) fn encode_file(&self) -> std::io::Result<Vec<u8>> {
        Ok(serde_json::to_vec_pretty(self)?)
    }
}

#[cfg(test)]
mod tests {
    use exai_mux::traits::Ask;

    use super::*;

    #[test]
    fn what_was_measured_is_known_to_the_next_daemon_and_anything_else_is_no_information() {
        let dir = tempfile::tempdir().expect("a directory");
        let home = Home::at(dir.path().join("home"));
        home.prepare().expect("a home");
        let policy = |revision| Policy { revision, ..crate::upstream::builtin::policy() };
        let silent = [(Ask::Sampling, ["{}".to_owned()].into())].into();
        let traits = Traits { asks: [Ask::Roots, Ask::Elicitation].into(), same_for_all: false, silent };
        let mut verdicts = Verdicts::load(&home);
        assert_eq!(verdicts.traits_of(&policy(7)), None);
        verdicts.record_traits(&policy(7).name, &(7, traits.clone()));
        private::replace(&home.verdicts(), &verdicts.encode_file().expect("a text")).expect("it is written");
        let found = Verdicts::load(&home);
        assert_eq!((found.traits_of(&policy(7)), found.traits_of(&policy(8))), (Some(traits), None));
        assert!(found.measured_at(&policy(7).name).is_some_and(|at| at.parse::<jiff::Timestamp>().is_ok()));
        for bad in
            ["", "{", "[]", r#"{"schema":2,"servers":{}}"#, r#"{"schema":1,"servers":{"exai":{"asks":1}}}"#]
        {
            private::replace(&home.verdicts(), bad.as_bytes()).expect("it is written");
            assert_eq!(Verdicts::load(&home).traits_of(&policy(7)), None, "{bad}");
        }
        verdicts.retain_servers(&[]);
        assert_eq!(verdicts.traits_of(&policy(7)), None);
    }
}

//! `verdicts.json`: what was measured about servers, and when.
//!
//! ```json
//! {"schema":1,"servers":{"everything":{"revision":"1f…","at":"2026-11-25T10:00:00Z","asks":[],"same_for_all":true,"silent":{"roots":["{}"]},
//! "eras":{"modern":{"speaks":false,"at":"2026-11-25T10:00:00Z","why":"answered server/discover with …"}}}}}
//! ```
//!
//! `eras` says which eras of MCP the server was seen to speak and not to speak, when, and why that is known; that a server
//! does not speak one is believed for a week. `asks` are the capabilities that the server was seen to use, `same_for_all` says that its lists were the same
//! whatever its client could do, and `silent` holds what was declared to runs that worked for a while and asked for
//! nothing. As with `discovery/`, `revision` stands for what the server is started with, and a file that cannot be read
//! counts as missing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use exai_config::Home;
use exai_mux::behaviour::{CLIENT_CAPABILITIES, ObservedBehaviour};
use exai_mux::policy::Policy;
use exai_mux::{Era, EraVerdict};
use exai_os::private;
use jiff::Timestamp;
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
    /// Missing in the files of older daemons.
    #[serde(default)]
    eras: BTreeMap<String, EraOnDisk>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct EraOnDisk {
    speaks: bool,
    at: String,
    why: String,
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
    pub(crate) fn behaviour_of(&self, policy: &Policy) -> Option<ObservedBehaviour> {
        let verdict = self.servers.get(&*policy.name)?;
        let asks =
            CLIENT_CAPABILITIES.into_iter().filter(|ask| verdict.asks.iter().any(|name| name == ask.name()));
        let known = verdict.revision == revision_text(policy.revision);
        let silent = CLIENT_CAPABILITIES
            .into_iter()
            .filter_map(|ask| Some((ask, verdict.silent.get(ask.name())?.clone())));
        let same_for_all = verdict.same_for_all;
        known.then(|| ObservedBehaviour { asks: asks.collect(), same_for_all, silent: silent.collect() })
    }

    /// Which eras a server of this name that was started in the same way was seen to speak, and not to speak, and how long
    /// ago.
    pub(crate) fn eras_of(&self, policy: &Policy, now: Timestamp) -> Vec<(Era, EraVerdict, Duration)> {
        let known = self.servers.get(&*policy.name);
        let Some(verdict) = known.filter(|known| known.revision == revision_text(policy.revision)) else {
            return Vec::new();
        };
        let read = |era: Era| {
            let found = verdict.eras.get(era.name())?;
            let at = found.at.parse::<Timestamp>().ok();
            // Without a date it is as old as can be. One of the future is new.
            let age = at.map_or(Duration::MAX, |at| now.duration_since(at).try_into().unwrap_or_default());
            Some((era, EraVerdict { speaks: found.speaks, why: found.why.clone() }, age))
        };
        [Era::Legacy, Era::Modern].into_iter().filter_map(read).collect()
    }

    /// When the server was measured, as an RFC 3339 timestamp.
    pub(crate) fn measured_at(&self, server: &str) -> Option<&str> {
        Some(&self.servers.get(server)?.at)
    }

    /// Records what was measured just now.
    pub(crate) fn record_behaviour(
        &mut self,
        server: &str,
        (revision, traits): &(u64, ObservedBehaviour),
        eras: Vec<(Era, EraVerdict)>,
    ) {
        let now = Timestamp::now().to_string();
        let before = self.servers.remove(server);
        let dated = |(era, verdict): (Era, EraVerdict)| {
            // A verdict that has not changed keeps its date.
            let same = before
                .as_ref()
                .and_then(|before| before.eras.get(era.name()))
                .filter(|before| before.speaks == verdict.speaks && before.why == verdict.why);
            let at = same.map_or_else(|| now.clone(), |same| same.at.clone());
            (era.name().to_owned(), EraOnDisk { speaks: verdict.speaks, at, why: verdict.why })
        };
        let eras = eras.into_iter().map(dated).collect();
        let verdict = Verdict {
            revision: revision_text(*revision),
            at: now,
            asks: traits.asks.iter().map(|ask| ask.name().to_owned()).collect(),
            same_for_all: traits.same_for_all,
            silent: traits.silent.iter().map(|(ask, words)| (ask.name().to_owned(), words.clone())).collect(),
            eras,
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
    use exai_mux::behaviour::ClientCapability;

    use super::*;

    #[test]
    fn what_was_measured_is_known_to_the_next_daemon_and_anything_else_is_no_information() {
        let dir = tempfile::tempdir().expect("a directory");
        let home = Home::at(dir.path().join("home"));
        home.prepare().expect("a home");
        let policy = |revision| Policy { revision, ..crate::upstream::builtin::policy() };
        let silent = [(ClientCapability::Sampling, ["{}".to_owned()].into())].into();
        let traits = ObservedBehaviour {
            asks: [ClientCapability::Roots, ClientCapability::Elicitation].into(),
            same_for_all: false,
            silent,
        };
        let mut verdicts = Verdicts::load(&home);
        assert_eq!(verdicts.behaviour_of(&policy(7)), None);
        let eras = vec![
            (Era::Legacy, EraVerdict { speaks: true, why: "answered initialize".to_owned() }),
            (Era::Modern, EraVerdict { speaks: false, why: "exited".to_owned() }),
        ];
        verdicts.record_behaviour(&policy(7).name, &(7, traits.clone()), eras.clone());
        private::replace(&home.verdicts(), &verdicts.encode_file().expect("a text")).expect("it is written");
        let found = Verdicts::load(&home);
        assert_eq!((found.behaviour_of(&policy(7)), found.behaviour_of(&policy(8))), (Some(traits), None));
        assert!(found.measured_at(&policy(7).name).is_some_and(|at| at.parse::<jiff::Timestamp>().is_ok()));
        let now = Timestamp::now();
        assert!(found.eras_of(&policy(8), now).is_empty());
        let tomorrow = now + jiff::SignedDuration::from_hours(24);
        let found = found.eras_of(&policy(7), tomorrow);
        assert!(
            found.iter().all(|(_, _, age)| age.as_secs() / 3600 == 24),
            "a new daemon does not make it younger"
        );
        assert_eq!(found.into_iter().map(|(era, verdict, _)| (era, verdict)).collect::<Vec<_>>(), eras);
        for bad in
            ["", "{", "[]", r#"{"schema":2,"servers":{}}"#, r#"{"schema":1,"servers":{"exai":{"asks":1}}}"#]
        {
            private::replace(&home.verdicts(), bad.as_bytes()).expect("it is written");
            assert_eq!(Verdicts::load(&home).behaviour_of(&policy(7)), None, "{bad}");
        }
        verdicts.retain_servers(&[]);
        assert_eq!(verdicts.behaviour_of(&policy(7)), None);
    }
}

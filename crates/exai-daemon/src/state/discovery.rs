//! `discovery/NAME.json`: what each server said about itself the last time it ran, kept for the next daemon. Each account
//! of a server has a file of its own, `discovery/NAME@ACCOUNT.json`. In `discovery/NAME.modern.json` is the same for the modern era of MCP.
//!
//! ```json
//! {"schema":1,"revision":"1f…","at":"2026-11-25T10:00:00Z","introduction":{…},"lists":{"tools/list":[…]}}
//! ```
//!
//! `introduction` is the result of `initialize`, or of `server/discover`, as the server wrote it, `lists` holds the items of its lists by method. `revision` stands
//! for what the server is started with (command, arguments, environment, directory): a file with another revision is not
//! used. A file that cannot be read counts as missing, and is never an error.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use exai_config::Home;
use exai_mux::policy::Policy;
use exai_mux::{Discovery, Era, account};
use exai_os::private;
use exai_proto::limits;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::limits::MAX_DISCOVERY_BYTES;
use crate::state::store::revision_text;

const SCHEMA: u32 = 1;
/// Bytes that are reserved for what surrounds one list in the file, and for what surrounds all lists. More than is needed.
const OVERHEAD_BYTES: usize = 1024;

#[derive(Serialize, Deserialize)]
struct OnDisk<'a> {
    schema: u32,
    /// In hexadecimal digits, since numbers in JSON are exact up to 2^53 only.
    revision: Cow<'a, str>,
    at: Cow<'a, str>,
    /// Files of older daemons say `initialize`.
    #[serde(borrow, alias = "initialize")]
    introduction: &'a RawValue,
    #[serde(borrow)]
    lists: BTreeMap<Cow<'a, str>, Vec<&'a RawValue>>,
}

/// The name of a server, the revision that the file is about, and what the server said.
pub(crate) type KnownDiscovery = (Arc<str>, u64, Discovery);

/// The file of a server.
pub(crate) fn path(home: &Home, server: &str, era: Era) -> PathBuf {
    match era {
        Era::Legacy => home.discovery(server),
        Era::Modern => home.modern_discovery(server),
    }
}

/// The server and the era that a file is about. Names of servers hold no dot.
fn read_file_name(name: &str) -> Option<(&str, Era)> {
    let stem = name.strip_suffix(".json")?;
    Some(stem.strip_suffix(".modern").map_or((stem, Era::Legacy), |server| (server, Era::Modern)))
}

/// Reads the files of these servers. Removes the files of servers that are not configured any more, if a daemon wrote
/// them: files that a person keeps in this directory stay, and so does everything behind a link.
pub(crate) fn load_discoveries(home: &Home, policies: &[Policy]) -> Vec<KnownDiscovery> {
    let mut known = Vec::new();
    let linked =
        std::fs::symlink_metadata(home.discovery_dir()).is_ok_and(|directory| directory.is_symlink());
    for entry in std::fs::read_dir(home.discovery_dir()).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some((name, era)) = name.to_str().and_then(read_file_name) else { continue };
        let Some(policy) = policies.iter().find(|policy| &*policy.name == name) else {
            // A server that is configured again is asked again.
            if !linked && is_daemon_file(&entry.path(), name) {
                let _ = private::remove(&entry.path());
            }
            continue;
        };
        match read_discovery(&entry.path(), policy.revision, era) {
            Ok(Some(discovery)) => known.push((policy.name.clone(), policy.revision, discovery)),
            Ok(None) => {}
            Err(error) => tracing::debug!(server = name, %error, "what was known of it cannot be read"),
        }
    }
    known
}

/// Whether a daemon has written this file.
fn is_daemon_file(path: &Path, name: &str) -> bool {
    let reads = |bytes: Vec<u8>| {
        serde_json::from_slice::<OnDisk<'_>>(&bytes).is_ok_and(|found| found.schema == SCHEMA)
    };
    exai_config::server_name::check(account::split(name).0).is_ok()
        && private::read(path, MAX_DISCOVERY_BYTES as u64).is_ok_and(reads)
}

fn read_discovery(path: &Path, revision: u64, era: Era) -> std::io::Result<Option<Discovery>> {
    let bytes = private::read(path, MAX_DISCOVERY_BYTES as u64)?;
    let found: OnDisk<'_> = serde_json::from_slice(&bytes)?;
    if found.schema != SCHEMA || found.revision != revision_text(revision) {
        return Ok(None);
    }
    // These values become parts of messages, and each message is one line.
    let line = |value: &RawValue| {
        let text = value.get();
        (!text.contains(['\n', '\r'])).then(|| Bytes::copy_from_slice(text.as_bytes()))
    };
    let Some(introduction) = line(found.introduction) else { return Ok(None) };
    let list = |(method, items): (Cow<'_, str>, Vec<&RawValue>)| {
        let is_whole = items.len() <= limits::LIST_ITEMS
            && items.iter().map(|item| item.get().len()).sum::<usize>() <= limits::LIST_BYTES;
        let items = items.into_iter().map(line).collect::<Option<Vec<Bytes>>>()?;
        // The router keeps no longer lists, so another program wrote this one.
        is_whole.then(|| (method.into_owned(), items))
    };
    Ok(Some(Discovery { era, introduction, lists: found.lists.into_iter().filter_map(list).collect() }))
}

fn encode_discovery((revision, known): &(u64, Discovery)) -> serde_json::Result<Vec<u8>> {
    let raw = |bytes: &'_ Bytes| serde_json::from_slice::<Box<RawValue>>(bytes);
    let introduction = raw(&known.introduction)?;
    let lists = lists_that_fit(known)
        .map(|(method, items)| Ok((method, items.iter().map(raw).collect::<serde_json::Result<Vec<_>>>()?)));
    let lists: Vec<(&String, Vec<Box<RawValue>>)> = lists.collect::<serde_json::Result<_>>()?;
    serde_json::to_vec(&OnDisk {
        schema: SCHEMA,
        revision: revision_text(*revision).into(),
        at: jiff::Timestamp::now().to_string().into(),
        introduction: &introduction,
        lists: lists
            .iter()
            .map(|(method, items)| (Cow::from(method.as_str()), items.iter().map(|item| &**item).collect()))
            .collect(),
    })
}

/// The lists that fit into the file together. A server is asked again for the lists that do not fit.
fn lists_that_fit(known: &Discovery) -> impl Iterator<Item = &(String, Vec<Bytes>)> {
    let mut left = MAX_DISCOVERY_BYTES.saturating_sub(known.introduction.len() + OVERHEAD_BYTES);
    known.lists.iter().filter(move |(_, items)| {
        // Each item with its comma.
        let needs = items.iter().map(|item| item.len() + 1).sum::<usize>() + OVERHEAD_BYTES;
        let fits = needs <= left;
        left -= if fits { needs } else { 0 };
        fits
    })
}

/// The text of a server's file. An error says that the text is too long, or cannot be encoded.
pub(crate) fn encode_file(known: &(u64, Discovery)) -> std::io::Result<Vec<u8>> {
    let text = encode_discovery(known).map_err(std::io::Error::other)?;
    if text.len() > MAX_DISCOVERY_BYTES { Err(std::io::ErrorKind::FileTooLarge.into()) } else { Ok(text) }
}

#[cfg(test)]
mod tests {
    use exai_mux::policy::{Share, ToolFilter};

    use super::*;

    fn policy(revision: u64) -> Policy {
        Policy {
            revision,
            share: Share::Auto,
            tools: ToolFilter::default(),
            ..crate::upstream::builtin::policy()
        }
    }

    fn known() -> Discovery {
        Discovery {
            era: Era::Legacy,
            introduction: r#"{"protocolVersion":"2025-06-18","x":1.0}"#.into(),
            lists: vec![("tools/list".to_owned(), vec![r#"{"name":"ä","n":1e2}"#.into()])],
        }
    }

    #[test]
    fn what_was_kept_is_known_byte_for_byte_and_only_for_what_is_started_alike() {
        let dir = tempfile::tempdir().expect("a directory");
        let home = Home::at(dir.path().join("home"));
        home.prepare().expect("a home");
        let name = policy(7).name;
        private::replace(&home.discovery(&name), &encode_file(&(7, known())).expect("a text"))
            .expect("it is written");
        assert_eq!(load_discoveries(&home, &[policy(7)]), [(name.clone(), 7, known())]);
        assert_eq!(load_discoveries(&home, &[policy(8)]), []);
        assert!(home.discovery(&name).exists(), "it may be configured so again");
        assert_eq!(load_discoveries(&home, &[]), []);
        assert!(!home.discovery(&name).exists());
    }

    #[test]
    fn each_account_of_a_server_has_a_file_of_its_own() {
        let dir = tempfile::tempdir().expect("a directory");
        let home = Home::at(dir.path().join("home"));
        home.prepare().expect("a home");
        let account = |name: &str| Policy { name: name.into(), ..policy(7) };
        let file = home.discovery("hub@work");
        private::replace(&file, &encode_file(&(7, known())).expect("a text")).expect("it is written");
        let (work, club) = (account("hub@work"), account("hub@club"));
        assert_eq!(load_discoveries(&home, &[club.clone(), work]), [("hub@work".into(), 7, known())]);
        assert_eq!(load_discoveries(&home, &[club]), []);
        assert!(!file.exists(), "the account is configured no more");
    }

    #[test]
    fn lists_that_do_not_fit_together_do_not_cost_the_others() {
        let dir = tempfile::tempdir().expect("a directory");
        let home = Home::at(dir.path().join("home"));
        home.prepare().expect("a home");
        let longest = || vec![Bytes::from(format!("\"{}\"", "x".repeat(limits::LIST_BYTES - 2)))];
        let lists = [("tools/list", longest()), ("prompts/list", longest()), ("resources/list", Vec::new())];
        let known =
            Discovery { lists: lists.map(|(method, items)| (method.to_owned(), items)).to_vec(), ..known() };
        let name = policy(7).name;
        private::replace(&home.discovery(&name), &encode_file(&(7, known)).expect("a text"))
            .expect("it is written");
        let found = &load_discoveries(&home, &[policy(7)])[0].2;
        let methods: Vec<&str> = found.lists.iter().map(|(method, _)| method.as_str()).collect();
        assert_eq!(methods, ["resources/list", "tools/list"]);
    }

    #[test]
    fn a_list_that_is_longer_than_any_that_is_kept_is_not_read() {
        let dir = tempfile::tempdir().expect("a directory");
        let home = Home::at(dir.path().join("home"));
        home.prepare().expect("a home");
        let lists = [(limits::LIST_ITEMS, "tools/list"), (limits::LIST_ITEMS + 1, "prompts/list")];
        let known = Discovery {
            lists: lists
                .map(|(number, method)| (method.to_owned(), vec![Bytes::from("{}"); number]))
                .to_vec(),
            ..known()
        };
        let name = policy(7).name;
        private::replace(&home.discovery(&name), &encode_file(&(7, known)).expect("a text"))
            .expect("it is written");
        let found = &load_discoveries(&home, &[policy(7)])[0].2;
        let methods: Vec<&str> = found.lists.iter().map(|(method, _)| method.as_str()).collect();
        assert_eq!(methods, ["tools/list"]);
    }

    #[test]
    fn what_cannot_be_a_line_or_is_none_of_ours_is_not_used() {
        let dir = tempfile::tempdir().expect("a directory");
        let home = Home::at(dir.path().join("home"));
        home.prepare().expect("a home");
        let form = |initialize: &str, schema: u32| {
            format!(
                r#"{{"schema":{schema},"revision":"0000000000000007","at":"","initialize":{initialize},"lists":{{}}}}"#
            )
        };
        for bad in [
            form("{\"protocolVersion\":\n\"2025-06-18\"}", 1),
            form("{}", 2),
            "{".to_owned(),
            String::new(),
            "[]".repeat(1000),
        ] {
            private::replace(&home.discovery(&policy(7).name), bad.as_bytes()).expect("it is written");
            assert_eq!(load_discoveries(&home, &[policy(7)]), [], "{bad}");
        }
    }
}

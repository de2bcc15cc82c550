//! What the next daemon must be told before the conversation can go on, and what the client must be told afterwards.
//!
//! All of it is sent at once under ids of the shim's own: a daemon takes the requests of a client in order, and lets
//! them wait while a server starts. The shim also takes the answers.

use std::collections::HashMap;

use exai_proto::json::{self, Edit};
use exai_proto::{Id, answer, limits, version};

use super::lists::{LISTS, List};
use crate::limits::{MAX_INTRODUCTION_BYTES, MAX_LEVEL_BYTES};
use crate::peek::{self, Peeked};

/// The `initialize` of the client, and what happened to it.
#[derive(Debug)]
struct Opening {
    id: Id,
    line: Vec<u8>,
    answered: bool,
    /// The client's `notifications/initialized`.
    confirmed: Option<Vec<u8>>,
    /// The lists whose changes the server announces.
    announced: Vec<List>,
}

/// The last answer to `initialize`, for a client that speaks this revision of the protocol.
#[derive(Debug)]
struct Introduction {
    version: Option<Vec<u8>>,
    result: Vec<u8>,
}

/// A request of our own.
#[derive(Debug)]
enum OwnRequest {
    Opening,
    Level,
    Subscription(Box<[u8]>),
}

/// What is told to the next daemon, and the answers that are due from it.
#[derive(Debug, Default)]
pub(super) struct ReplayState {
    opening: Option<Opening>,
    introduction: Option<Introduction>,
    level: Option<Box<[u8]>>,
    /// The JSON texts of their addresses.
    subscriptions: Vec<Box<[u8]>>,
    listed: Vec<List>,
    /// The shim's own requests that this link has not answered.
    minted: HashMap<Id, OwnRequest>,
    last: u64,
}

impl ReplayState {
    /// Notes that the client begins, perhaps anew.
    pub(super) fn opens(&mut self, id: Id, line: &[u8]) {
        let line = line.to_vec();
        self.opening = Some(Opening { id, line, answered: false, confirmed: None, announced: Vec::new() });
    }

    /// Notes the client's `notifications/initialized`. Returns whether [`ReplayState::replay`] tells it to the next
    /// daemon.
    pub(super) fn confirms(&mut self, line: &[u8]) -> bool {
        let Some(opening) = &mut self.opening else { return false };
        opening.confirmed = Some(line.to_vec());
        opening.answered
    }

    /// The text of `initialize`, if this is its id and it has no answer yet.
    pub(super) fn unanswered(&self, id: &Id) -> Option<Vec<u8>> {
        let opening = self.opening.as_ref().filter(|opening| opening.id == *id && !opening.answered)?;
        Some(opening.line.clone())
    }

    /// Notes the answer to the client's own `initialize`. It may be an error: the client decides whether the
    /// conversation goes on.
    pub(super) fn opened(&mut self, id: &Id, answer: &[u8], start: usize) {
        let Some(opening) = self.opening.as_mut().filter(|opening| opening.id == *id) else { return };
        opening.answered = true;
        let declared = |name: &str| {
            let at = peek::find_path(answer, start, &["result", "capabilities", name, "listChanged"]);
            at.is_some_and(|at| &answer[at] == b"true")
        };
        let lists = LISTS.iter().filter(|names| declared(names.capability));
        opening.announced = lists.map(|names| names.list).collect();
        let result = peek::find_path(answer, start, &["result"]).map(|at| answer[at].to_vec());
        if let Some(result) = result.filter(|result| result.len() <= MAX_INTRODUCTION_BYTES) {
            self.introduction = Some(Introduction { version: version_of(&opening.line), result });
        }
    }

    /// The result of an `initialize` that no daemon can answer because of `trouble`: the last result, or else what
    /// every daemon says of itself. The client hears of the servers when there is a daemon.
    pub(super) fn introduce(&mut self, id: Id, line: &[u8], trouble: &str) -> Vec<u8> {
        let asked = version_of(line);
        self.opens(id, line);
        if let Some(opening) = &mut self.opening {
            opening.answered = true;
            opening.announced = LISTS.iter().map(|names| names.list).collect();
        }
        if let Some(known) = self.introduction.as_ref().filter(|known| known.version == asked) {
            return known.result.clone();
        }
        let asked = asked.as_deref().and_then(|text| serde_json::from_slice::<String>(text).ok());
        let newest = version::NEWEST_LEGACY;
        let result = serde_json::json!({
            "protocolVersion": version::answered(asked.as_deref().unwrap_or(newest), newest),
            "capabilities": answer::capabilities_of_all(),
            "serverInfo": {"name": "exai", "version": exai_os::build::version()},
            "instructions": format!(
                "{trouble}. Its tools, prompts and resources are announced as soon as it can be reached; `exai status` in a \
                 terminal says what is wrong."
            ),
        });
        result.to_string().into_bytes()
    }

    pub(super) fn lists(&mut self, list: List) {
        if !self.listed.contains(&list) {
            self.listed.push(list);
        }
    }

    pub(super) fn level(&mut self, level: Box<[u8]>) {
        if level.len() <= MAX_LEVEL_BYTES {
            self.level = Some(level);
        }
    }

    pub(super) fn subscribes(&mut self, uri: Box<[u8]>) {
        let fits = self.subscriptions.len() < limits::SUBSCRIPTIONS && uri.len() <= limits::URI_BYTES;
        if fits && !self.subscriptions.contains(&uri) {
            self.subscriptions.push(uri);
        }
    }

    pub(super) fn unsubscribes(&mut self, uri: &[u8]) {
        self.subscriptions.retain(|known| **known != *uri);
    }

    /// The lines that a new daemon is told before anything else. Ids for which `taken` holds are not used.
    pub(super) fn replay(&mut self, taken: impl Fn(&Id) -> bool) -> Vec<Vec<u8>> {
        self.minted.clear();
        let Some(opening) = self.opening.as_ref().filter(|opening| opening.answered) else {
            return Vec::new();
        };
        let Some(Peeked::Request { id: place, .. }) = peek::peek_at(&opening.line, 0) else {
            return Vec::new();
        };
        let (minted, last) = (&mut self.minted, &mut self.last);
        let mut mint = |what: OwnRequest| loop {
            *last += 1;
            let id = Id::from_json(format!("\"exai-{last}\"").as_bytes());
            if !taken(&id) {
                minted.insert(id.clone(), what);
                return id.as_json().to_vec();
            }
        };
        let with = mint(OwnRequest::Opening);
        let mut lines = vec![json::splice(&opening.line, vec![Edit { at: place, with }])];
        lines.extend(opening.confirmed.clone());
        if let Some(level) = &self.level {
            lines.push(request(&mint(OwnRequest::Level), "logging/setLevel", "level", level));
        }
        for uri in &self.subscriptions {
            let id = mint(OwnRequest::Subscription(uri.clone()));
            lines.push(request(&id, "resources/subscribe", "uri", uri));
        }
        lines
    }

    /// Whether this link still owes answers to the shim's own requests.
    pub(super) fn awaits_daemon(&self) -> bool {
        !self.minted.is_empty()
    }

    pub(super) fn is_minted(&self, id: &[u8]) -> bool {
        !self.minted.is_empty() && self.minted.contains_key(&Id::from_json(id))
    }

    /// Takes the answer to a request of the shim's own. Returns the lines that the client is told instead; `None`
    /// when the answer is the client's.
    pub(super) fn answered(&mut self, id: &Id, good: bool) -> Option<Vec<u8>> {
        if self.minted.is_empty() {
            return None;
        }
        let what = self.minted.remove(id)?;
        // A client must not hear of changes before it has sent `notifications/initialized`.
        let opening = self.opening.as_ref().filter(|opening| good && opening.confirmed.is_some());
        let mut lines = Vec::new();
        match (what, opening) {
            (OwnRequest::Opening, Some(opening)) => {
                // The new daemon may have other tools. A client that never asked for them has nothing to refresh.
                for names in LISTS {
                    if opening.announced.contains(&names.list) && self.listed.contains(&names.list) {
                        lines.extend_from_slice(&answer::notification(names.changed));
                        lines.push(b'\n');
                    }
                }
            }
            (OwnRequest::Subscription(uri), Some(_)) => {
                // Changes of the resource while there was no daemon were not announced.
                let params = format!("{{\"uri\":{}}}", String::from_utf8_lossy(&uri));
                lines.extend_from_slice(&answer::notify("notifications/resources/updated", &params));
                lines.push(b'\n');
            }
            (OwnRequest::Level, _) | (_, None) => {}
        }
        Some(lines)
    }

    /// The link is gone, and its open answers with it.
    pub(super) fn lost(&mut self) {
        self.minted.clear();
    }
}

/// The JSON text of the revision that an `initialize` asks for.
fn version_of(opening: &[u8]) -> Option<Vec<u8>> {
    peek::find_path(opening, 0, &["params", "protocolVersion"]).map(|at| opening[at].to_vec())
}

fn request(id: &[u8], method: &str, key: &str, value: &[u8]) -> Vec<u8> {
    let start = format!("\",\"method\":\"{method}\",\"params\":{{\"{key}\":");
    [&b"{\"jsonrpc\":\"2.0\",\"id\":"[..], id, &start.as_bytes()[1..], value, b"}}"].concat()
}

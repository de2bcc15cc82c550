//! What the server knows beyond one call.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use serde_json::{Value, json};

use crate::message::{self, Message, SUBSCRIPTION_KEY};
use crate::options::{Era, Options};
use crate::output;
use crate::seal::Seal;

pub(crate) struct Server {
    pub(crate) options: Options,
    pub(crate) seal: Seal,
    /// The client of the legacy era, once it has sent `initialize`.
    pub(crate) legacy: Mutex<Option<LegacyClient>>,
    /// Whether the list of tools has one more, which `test_trigger_tool_change` adds and takes away.
    pub(crate) more_tools: AtomicBool,
    /// The same for prompts.
    pub(crate) more_prompts: AtomicBool,
    /// The era of the first request, for `--pin`.
    pinned: OnceLock<Era>,
    /// The requests that are neither answered nor cancelled, by the text of their id.
    open: Mutex<HashSet<String>>,
    listens: Mutex<Vec<Listen>>,
    questions: Mutex<HashMap<String, Sender<Value>>>,
    next_question: AtomicU64,
}

pub(crate) struct LegacyClient {
    pub(crate) capabilities: Value,
    pub(crate) log_level: String,
    pub(crate) subscribed: BTreeSet<String>,
}

/// A `subscriptions/listen` that has been acknowledged.
struct Listen {
    id: Value,
    filter: Value,
}

/// What clients may want to hear of.
pub(crate) enum Change {
    Tools,
    Prompts,
    Resources,
    Resource(String),
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Server {
    pub(crate) fn new(options: Options) -> Self {
        Server {
            options,
            seal: Seal::default(),
            legacy: Mutex::default(),
            more_tools: AtomicBool::new(false),
            more_prompts: AtomicBool::new(false),
            pinned: OnceLock::new(),
            open: Mutex::default(),
            listens: Mutex::default(),
            questions: Mutex::default(),
            next_question: AtomicU64::new(1),
        }
    }

    /// In which era a message is served.
    pub(crate) fn era_of(&self, message: &Message) -> Era {
        let own = match self.options.era {
            Era::Dual if message.version().is_some() => Era::Modern,
            Era::Dual if message.method.as_deref() == Some("server/discover") => Era::Modern,
            Era::Dual => Era::Legacy,
            era => era,
        };
        if !self.options.pin {
            own
        } else if message.method.is_some() && message.id.is_some() {
            *self.pinned.get_or_init(|| own)
        } else {
            *self.pinned.get().unwrap_or(&own)
        }
    }

    /// Says that a request has come and must be answered.
    pub(crate) fn begin(&self, id: &Value) {
        lock(&self.open).insert(id.to_string());
    }

    /// Whether a request is neither answered nor cancelled.
    pub(crate) fn is_open(&self, id: &Value) -> bool {
        lock(&self.open).contains(&id.to_string())
    }

    /// Sends the answer to a request, unless the request was cancelled meanwhile.
    pub(crate) fn answer(&self, id: &Value, answer: &Value) {
        if lock(&self.open).remove(&id.to_string()) {
            output::send(answer);
        }
    }

    pub(crate) fn cancel(&self, id: &Value) {
        lock(&self.open).remove(&id.to_string());
        lock(&self.listens).retain(|listen| listen.id != *id);
    }

    /// Sends a request to the client of the legacy era. What comes is the whole response. Its id is the key, if no other
    /// request with that id is open: who asks a client of the modern era in its place has a key for it then.
    pub(crate) fn ask(&self, key: &str, method: &str, params: &Value) -> Receiver<Value> {
        let (sender, answer) = channel();
        let mut questions = lock(&self.questions);
        let id = if questions.contains_key(key) {
            format!("{key}-{}", self.next_question.fetch_add(1, Ordering::Relaxed))
        } else {
            key.to_owned()
        };
        questions.insert(id.clone(), sender);
        drop(questions);
        output::send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}));
        answer
    }

    pub(crate) fn hear_response(&self, message: Message) {
        let question = message.id.as_ref().and_then(Value::as_str);
        if let Some(sender) = question.and_then(|id| lock(&self.questions).remove(id)) {
            // Whoever has asked may be gone.
            let _ = sender.send(message.whole);
        }
    }

    /// Acknowledges a `subscriptions/listen`, and keeps it until it is cancelled or ended.
    pub(crate) fn listen(&self, id: Value, wanted: &Value) {
        let mut filter = json!({});
        for key in ["toolsListChanged", "promptsListChanged", "resourcesListChanged"] {
            if wanted[key] == true {
                filter[key] = json!(true);
            }
        }
        if wanted["resourceSubscriptions"].is_array() {
            filter["resourceSubscriptions"] = wanted["resourceSubscriptions"].clone();
        }
        let mut listens = lock(&self.listens);
        let params = json!({"notifications": filter, "_meta": {SUBSCRIPTION_KEY: id}});
        output::send(&message::notification("notifications/subscriptions/acknowledged", params));
        listens.push(Listen { id, filter });
    }

    /// Ends all listens from this side.
    pub(crate) fn end_listens(&self) {
        for Listen { id, .. } in lock(&self.listens).drain(..) {
            let result = json!({"resultType": "complete", "_meta": {SUBSCRIPTION_KEY: id}});
            self.answer(&id, &json!({"jsonrpc": "2.0", "id": id, "result": result}));
        }
    }

    /// Tells everybody who wants to know.
    pub(crate) fn tell(&self, change: &Change) {
        let (method, key, uri) = match change {
            Change::Tools => ("notifications/tools/list_changed", "toolsListChanged", None),
            Change::Prompts => ("notifications/prompts/list_changed", "promptsListChanged", None),
            Change::Resources => ("notifications/resources/list_changed", "resourcesListChanged", None),
            Change::Resource(uri) => ("notifications/resources/updated", "resourceSubscriptions", Some(uri)),
        };
        let legacy_wants = lock(&self.legacy)
            .as_ref()
            .is_some_and(|client| uri.is_none_or(|uri| client.subscribed.contains(uri)));
        let params = uri.map_or(json!({}), |uri| json!({"uri": uri}));
        if legacy_wants {
            output::send(&message::notification(method, params.clone()));
        }
        for Listen { id, filter } in &*lock(&self.listens) {
            let wants = match uri {
                None => filter[key] == true,
                Some(uri) => {
                    filter[key].as_array().is_some_and(|uris| uris.iter().any(|one| one == uri.as_str()))
                }
            };
            if wants {
                let mut params = params.clone();
                params["_meta"] = json!({SUBSCRIPTION_KEY: id});
                output::send(&message::notification(method, params));
            }
        }
    }
}

//! The modern era: all requests of all clients go to one process, under numbers of the bridge.

use std::collections::HashMap;
use std::io;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};

use exai_test::http::Request;
use serde_json::{Value, json};

use crate::answer::{End, Event, Response, is_response};
use crate::child::{Child, lock};
use crate::rules::{self, Repeated};

const LOG_LEVEL_KEY: &str = "io.modelcontextprotocol/logLevel";
const SUBSCRIPTION_KEY: &str = "io.modelcontextprotocol/subscriptionId";

pub(crate) struct Modern {
    command: Vec<String>,
    child: Mutex<Option<Arc<Child>>>,
    routes: Arc<Mutex<Routes>>,
}

/// The open requests by the number under which the server knows them.
#[derive(Default)]
struct Routes {
    open: HashMap<u64, Open>,
    last: u64,
    /// What the tools of the last list want to have in headers.
    repeated: Vec<Repeated>,
    /// Whether the process has ended, so that the next request needs another one.
    over: bool,
}

struct Open {
    /// The id and the progress token of the client.
    id: Value,
    token: Value,
    wants_logs: bool,
    events: Sender<Event>,
}

impl Routes {
    fn hear(&mut self, message: Option<Value>) {
        let Some(mut message) = message else {
            for (_, open) in self.open.drain() {
                let _ = open.events.send(Event::Over);
            }
            self.over = true;
            return;
        };
        let to =
            |routes: &Self, number: &Value| number.as_u64().filter(|number| routes.open.contains_key(number));
        if is_response(&message) {
            let Some(open) = message["id"].as_u64().and_then(|number| self.open.remove(&number)) else {
                return;
            };
            if message["result"]["tools"].is_array() {
                self.repeated = rules::repeated(&message["result"]["tools"]);
            }
            message["id"] = open.id.clone();
            put_back(message.get_mut("result"), &open.id);
            // The client may just have left.
            let _ = open.events.send(Event::Message(message));
            return;
        }
        let params = &message["params"];
        if message["method"] == "notifications/cancelled" {
            // The server gives up a listen: its stream ends.
            if let Some(open) = params["requestId"].as_u64().and_then(|number| self.open.remove(&number)) {
                let _ = open.events.send(Event::Over);
            }
        } else if let Some(number) = to(self, &params["_meta"][SUBSCRIPTION_KEY]) {
            let open = &self.open[&number];
            put_back(message.get_mut("params"), &open.id);
            let _ = open.events.send(Event::Message(message));
        } else if let Some(number) = to(self, &params["progressToken"]) {
            let open = &self.open[&number];
            message["params"]["progressToken"] = open.token.clone();
            let _ = open.events.send(Event::Message(message));
        } else {
            // Nothing says to which request a log message belongs: it goes to all that asked for some. Anything else is
            // against the rules, and every judge must see it.
            let is_log = message["method"] == "notifications/message";
            for open in self.open.values().filter(|open| open.wants_logs || !is_log) {
                let _ = open.events.send(Event::Message(message.clone()));
            }
        }
    }
}

/// Puts the client's id of a subscription in the place of the bridge's number.
fn put_back(holder: Option<&mut Value>, id: &Value) {
    let meta = holder.and_then(|holder| holder.get_mut("_meta"));
    if let Some(place) = meta.and_then(|meta| meta.get_mut(SUBSCRIPTION_KEY)) {
        *place = id.clone();
    }
}

impl Modern {
    pub(crate) fn new(command: &[String]) -> Self {
        Modern { command: command.to_vec(), child: Mutex::default(), routes: Arc::default() }
    }

    pub(crate) fn post(
        &self,
        request: &Request,
        mut message: Value,
        response: &Response<'_>,
    ) -> io::Result<()> {
        let is_request = message.get("id").is_some() && !is_response(&message);
        if !is_request {
            // The modern notification of a client is a cancellation, and over HTTP the end of a stream says that.
            return response.accepted();
        }
        let check = rules::check_headers(request, &message)
            .and_then(|()| rules::check_repeated(request, &message, &lock(&self.routes).repeated));
        if let Err(refusal) = check {
            return response.refuse(&refusal);
        }
        let child = self.child()?;
        let (events, received) = channel();
        response.watch(events.clone())?;
        let number = {
            let mut routes = lock(&self.routes);
            routes.last += 1;
            let number = routes.last;
            let (mut token, mut wants_logs) = (Value::Null, false);
            if let Some(meta) = message.pointer_mut("/params/_meta") {
                wants_logs = meta.get(LOG_LEVEL_KEY).is_some_and(Value::is_string);
                if let Some(place) = meta.get_mut("progressToken") {
                    token = std::mem::replace(place, json!(number));
                }
            }
            let id = std::mem::replace(&mut message["id"], json!(number));
            routes.open.insert(number, Open { id, token, wants_logs, events });
            number
        };
        child.send(&message)?;
        if response.answer(&received, "", rules::status).unwrap_or(End::ClientLeft) == End::ClientLeft {
            lock(&self.routes).open.remove(&number);
            let params = json!({"requestId": number});
            let cancelled = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params});
            child.send(&cancelled)?;
        }
        Ok(())
    }

    /// The process, started anew if it has ended.
    fn child(&self) -> io::Result<Arc<Child>> {
        let mut child = lock(&self.child);
        if let Some(child) = &*child
            && !lock(&self.routes).over
        {
            return Ok(Arc::clone(child));
        }
        lock(&self.routes).over = false;
        let hearing = Arc::clone(&self.routes);
        let new = Arc::new(Child::start(&self.command, move |message| lock(&hearing).hear(message))?);
        *child = Some(Arc::clone(&new));
        Ok(new)
    }
}

//! Sessions of the legacy era: each is a process of the server.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::mem;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};

use exai_test::http::Request;
use serde_json::Value;

use crate::answer::{Event, Response, is_response};
use crate::child::{Child, lock};
use crate::rules::Refusal;

pub(crate) struct Sessions {
    command: Vec<String>,
    open: Mutex<HashMap<String, Arc<Session>>>,
}

struct Session {
    child: Child,
    routes: Arc<Mutex<Routes>>,
}

/// Where the messages of the server go.
#[derive(Default)]
struct Routes {
    requests: Vec<Open>,
    /// The stream that the client has asked for with GET.
    stream: Option<Sender<Event>>,
    /// What has come while there was neither a request nor a stream.
    waiting: Vec<Value>,
    over: bool,
}

struct Open {
    id: Value,
    token: Value,
    events: Sender<Event>,
}

impl Routes {
    fn hear(&mut self, message: Option<Value>) {
        let Some(message) = message else {
            for events in self.requests.drain(..).map(|open| open.events).chain(self.stream.take()) {
                let _ = events.send(Event::Over);
            }
            self.over = true;
            return;
        };
        if is_response(&message) {
            if let Some(place) = self.requests.iter().position(|open| open.id == message["id"]) {
                // The client may have left without cancelling: then nobody wants the answer.
                let _ = self.requests.remove(place).events.send(Event::Message(message));
            }
            return;
        }
        let token = &message["params"]["progressToken"];
        let of_token = self.requests.iter().find(|open| !token.is_null() && open.token == *token);
        let request = of_token.or(self.requests.last()).map(|open| &open.events);
        let Some(events) = request.or(self.stream.as_ref()) else { return self.waiting.push(message) };
        let _ = events.send(Event::Message(message));
    }
}

impl Sessions {
    pub(crate) fn new(command: &[String]) -> Self {
        Sessions { command: command.to_vec(), open: Mutex::default() }
    }

    pub(crate) fn post(&self, request: &Request, message: &Value, response: &Response<'_>) -> io::Result<()> {
        let (mut headers, mut new) = (String::new(), None);
        let session = if message["method"] == "initialize" {
            let id = format!("{:016x}", RandomState::new().hash_one(0));
            let session = Arc::new(Session::start(&self.command)?);
            headers = format!("Mcp-Session-Id: {id}\r\n");
            new = Some((id, Arc::clone(&session)));
            session
        } else {
            match self.find(request) {
                Ok(session) => session,
                Err(refusal) => return response.refuse(&refusal),
            }
        };
        let is_request = message.get("id").is_some() && !is_response(message);
        if !is_request {
            session.child.send(message)?;
            return response.accepted();
        }
        let (events, received) = channel();
        {
            let mut routes = lock(&session.routes);
            if !routes.over {
                let token = message["params"]["_meta"]["progressToken"].clone();
                routes.requests.push(Open { id: message["id"].clone(), token, events });
            }
        }
        if let Some((id, session)) = new {
            lock(&self.open).insert(id, session);
        }
        // If the server has gone, the channel is closed, and the client hears of it.
        let _ = session.child.send(message);
        let refused = |message: &Value| if message["error"]["code"] == -32022 { 400 } else { 200 };
        response.answer(&received, &headers, refused).map(drop)
    }

    pub(crate) fn get(&self, request: &Request, response: &Response<'_>) -> io::Result<()> {
        if request.header("mcp-session-id").is_none() {
            return response.refuse(&Refusal::plain(405, "there is no stream without a session"));
        }
        let session = match self.find(request) {
            Ok(session) => session,
            Err(refusal) => return response.refuse(&refusal),
        };
        let (events, received) = channel();
        response.watch(events.clone())?;
        {
            let mut routes = lock(&session.routes);
            for message in mem::take(&mut routes.waiting) {
                let _ = events.send(Event::Message(message));
            }
            if let Some(earlier) = routes.stream.replace(events) {
                let _ = earlier.send(Event::Over);
            }
        }
        response.begin_stream("")?;
        response.stream(received);
        Ok(())
    }

    pub(crate) fn delete(&self, request: &Request, response: &Response<'_>) -> io::Result<()> {
        match self.find(request) {
            Ok(session) => {
                session.child.end();
                lock(&self.open).remove(request.header("mcp-session-id").unwrap_or_default());
                response.document(200, "", "{}")
            }
            Err(refusal) => response.refuse(&refusal),
        }
    }

    fn find(&self, request: &Request) -> Result<Arc<Session>, Refusal> {
        let id = request.header("mcp-session-id").ok_or_else(|| Refusal::plain(400, "which session?"))?;
        lock(&self.open).get(id).cloned().ok_or_else(|| Refusal::plain(404, "no such session"))
    }
}

impl Session {
    fn start(command: &[String]) -> io::Result<Self> {
        let routes = Arc::new(Mutex::new(Routes::default()));
        let hearing = Arc::clone(&routes);
        let child = Child::start(command, move |message| lock(&hearing).hear(message))?;
        Ok(Session { child, routes })
    }
}

//! The state that all threads of the server share.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io::Write;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use crate::misbehave;
use crate::options::Options;
use crate::output::Output;
use crate::routes::Routes;
use crate::timer::Timer;
use crate::wire::quote;

/// Severities of log messages, least severe first.
pub(crate) const LEVELS: [&str; 8] =
    ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"];

/// The index of the level for a client that has set none.
pub(crate) const DEFAULT_LEVEL: usize = 1;

/// A handle to the one server of this process.
#[derive(Clone)]
pub(crate) struct Server(Arc<Inner>);

/// The parts of the server.
pub(crate) struct Inner {
    pub(crate) options: Options,
    pub(crate) output: Output,
    pub(crate) timer: Timer,
    pub(crate) routes: Routes,
    state: Mutex<State>,
    ledger: Option<Mutex<File>>,
}

/// The parts of the server that change.
pub(crate) struct State {
    pub(crate) initialized: bool,
    /// Messages whose index in [`LEVELS`] is lower are not sent.
    pub(crate) log_level: usize,
    pub(crate) subscriptions: BTreeSet<String>,
    pub(crate) extra_tools: usize,
    pub(crate) calls: u64,
    /// Calls that are not answered yet, by the JSON text of their id.
    in_flight: HashMap<String, Call>,
    /// The cancelled calls, each as the text of a JSON object.
    pub(crate) cancelled: Vec<String>,
    /// Requests of this server that the client has not answered yet, each with the action that takes the answer.
    waiting: HashMap<String, Box<dyn FnOnce(String) + Send>>,
    requests: u64,
}

struct Call {
    tool: String,
    label: String,
}

impl Deref for Server {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl Server {
    /// Opens the ledger and starts the threads of the timer and of the time limit.
    pub(crate) fn start(options: Options) -> Self {
        let ledger = options.ledger.as_ref().map(|path| {
            let file = File::options().create(true).append(true).open(path);
            Mutex::new(file.unwrap_or_else(|error| panic!("cannot open the ledger {path}: {error}")))
        });
        let routes = Routes::default();
        let over_http = options.http.map(|_| routes.clone());
        let output = Output::new(options.print_garbage, options.bad_ids, over_http);
        // The limit has a thread of its own, so that a busy timer cannot delay it.
        thread::spawn(|| {
            thread::sleep(misbehave::LONGEST_LIFE);
            exit(70);
        });
        let state = State {
            initialized: false,
            log_level: DEFAULT_LEVEL,
            subscriptions: BTreeSet::new(),
            extra_tools: 0,
            calls: 0,
            in_flight: HashMap::new(),
            cancelled: Vec::new(),
            waiting: HashMap::new(),
            requests: 0,
        };
        Self(Arc::new(Inner {
            options,
            output,
            timer: Timer::start(),
            routes,
            state: Mutex::new(state),
            ledger,
        }))
    }

    /// Locks the state. No thread may hold the lock while it writes output.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a call whose answer comes later, so that the call can be cancelled.
    pub(crate) fn begin(&self, id: &str, tool: &str, label: &str) {
        let call = Call { tool: tool.to_owned(), label: label.to_owned() };
        self.state().in_flight.insert(id.to_owned(), call);
    }

    /// Whether the call still waits for its answer.
    pub(crate) fn is_pending(&self, id: &str) -> bool {
        self.state().in_flight.contains_key(id)
    }

    /// Ends a call. `false` means that the call was cancelled and must not be answered.
    pub(crate) fn end(&self, id: &str) -> bool {
        self.state().in_flight.remove(id).is_some()
    }

    /// Handles the client's notice that it has given up on the request `id`.
    pub(crate) fn cancel(&self, id: &str, reason: &str) {
        let mut state = self.state();
        if let Some(call) = state.in_flight.remove(id) {
            let entry = format!(
                r#"{{"id":{id},"tool":{},"label":{},"reason":{}}}"#,
                quote(&call.tool),
                quote(&call.label),
                quote(reason)
            );
            state.cancelled.push(entry);
        }
    }

    /// Sends a request to the client; `then` gets `{"result":…}` or `{"error":…}` as text.
    pub(crate) fn ask(&self, method: &str, params: &str, then: impl FnOnce(String) + Send + 'static) {
        let id = {
            let mut state = self.state();
            state.requests += 1;
            let id = format!("\"fixture-{}\"", state.requests);
            state.waiting.insert(id.clone(), Box::new(then));
            id
        };
        self.output.request(&id, method, params);
    }

    /// Handles the client's answer to a request of this server. Any other answer is ignored.
    pub(crate) fn answered(&self, id: &str, outcome: String) {
        let then = self.state().waiting.remove(id);
        if let Some(then) = then {
            then(outcome);
        }
    }

    /// Writes an executed call to the ledger. The line is on disk before this function returns.
    pub(crate) fn record(&self, params: &str) {
        if let Some(ledger) = &self.ledger {
            let mut file = ledger.lock().unwrap_or_else(PoisonError::into_inner);
            // One single write: several servers may append to one file, and each may be killed at any moment.
            let line = format!("{params}\n");
            file.write_all(line.as_bytes())
                .and_then(|()| file.sync_data())
                .expect("the ledger can be written");
        }
    }
}

/// Ends the process now, as a crash would: no destructor runs.
#[expect(clippy::disallowed_methods, reason = "a crash at an exact moment is what the tests need")]
pub(crate) fn exit(code: i32) -> ! {
    std::process::exit(code)
}

//! An OpenAI-compatible endpoint that says what the test plans: the shapes of the dialects, calls of tools (as an endpoint
//! of the Anthropic Messages API, too), and every fault. It keeps a ledger, so that tests can count what would have been
//! paid.

mod conversation;
mod recorded;
mod reply;
mod seen;
mod wire;

use std::cell::Cell;
use std::io::{self, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

pub use conversation::{Conversation, PlannedCall, ToolResult};
pub use recorded::{ALL, ANSWER, Recorded, THOUGHT, recorded};
pub use reply::Reply;
pub use seen::{End, Seen};
use wire::Piece;

/// The endpoint. It works until it is dropped.
#[derive(Debug)]
pub struct ModelEndpoint {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    is_over: AtomicBool,
    requests: Mutex<Vec<Seen>>,
    connections: AtomicUsize,
    at_once: AtomicUsize,
    most_at_once: AtomicUsize,
}

impl Shared {
    fn requests(&self) -> MutexGuard<'_, Vec<Seen>> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ModelEndpoint {
    /// Listens on a free port of this machine. `plan` says what each request gets.
    ///
    /// # Panics
    /// When no port is free.
    pub fn start(plan: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared::default());
        let (accepting, plan) = (Arc::clone(&shared), Arc::new(plan));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if accepting.is_over.load(Ordering::Relaxed) {
                    return;
                }
                accepting.connections.fetch_add(1, Ordering::Relaxed);
                let (shared, plan) = (Arc::clone(&accepting), Arc::clone(&plan));
                thread::spawn(move || serve(&stream, &shared, &*plan));
            }
        });
        ModelEndpoint { address, shared }
    }

    /// An endpoint that answers each chat with what a dialect says, and the list of models with its list.
    pub fn of(dialect: &str) -> Self {
        let recorded = recorded(dialect);
        ModelEndpoint::start(move |seen| recorded.reply(seen))
    }

    /// Its `base_url`.
    pub fn base_url(&self) -> String {
        self.origin() + "/v1"
    }

    /// Its address, without a path.
    pub fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All requests so far.
    pub fn requests(&self) -> Vec<Seen> {
        self.shared.requests().clone()
    }

    /// The requests to models so far.
    pub fn chats(&self) -> Vec<Seen> {
        self.requests().into_iter().filter(Seen::is_chat).collect()
    }

    /// How many connections there have been.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::Relaxed)
    }

    /// How many requests to models were under way at once, at most.
    pub fn most_at_once(&self) -> usize {
        self.shared.most_at_once.load(Ordering::Relaxed)
    }
}

impl Drop for ModelEndpoint {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Relaxed);
        // This connection wakes the thread in `accept`, so that the thread ends.
        let _ = TcpStream::connect(self.address);
    }
}

/// Answers the requests of one connection, one after the other.
fn serve(stream: &TcpStream, shared: &Shared, plan: &dyn Fn(&Seen) -> Reply) {
    let _ = stream.set_nodelay(true);
    let mut reader = BufReader::new(stream);
    while let Ok(Some(mut seen)) = wire::read_request(&mut reader) {
        let place = {
            let mut requests = shared.requests();
            seen.number = requests.len() + 1;
            requests.push(seen.clone());
            requests.len() - 1
        };
        let under_way = seen.is_chat().then(|| UnderWay::begin(shared));
        let played = play(stream, &plan(&seen), shared, place, under_way);
        let goes_on = matches!(played, Ok(true));
        shared.requests()[place].end = if played.is_ok() { End::Sent } else { End::CutByClient };
        if !goes_on {
            break;
        }
    }
    let _ = stream.shutdown(std::net::Shutdown::Both);
}

/// Sends an answer. Whether the connection may be used again; an error means that the client has left.
fn play(
    stream: &TcpStream,
    reply: &Reply,
    shared: &Shared,
    place: usize,
    under_way: Option<UnderWay<'_>>,
) -> io::Result<bool> {
    let under_way = Cell::new(under_way);
    let before = |piece| {
        shared.requests()[place].first_sent.get_or_insert_with(Instant::now);
        if piece == Piece::Last {
            drop(under_way.take());
        }
    };
    wire::send(stream, reply, &before, &|| shared.is_over.load(Ordering::Relaxed))
}

/// A request to a model is under way, until this is dropped.
struct UnderWay<'a>(&'a Shared);

impl<'a> UnderWay<'a> {
    fn begin(shared: &'a Shared) -> Self {
        let at_once = shared.at_once.fetch_add(1, Ordering::SeqCst) + 1;
        shared.most_at_once.fetch_max(at_once, Ordering::SeqCst);
        UnderWay(shared)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.at_once.fetch_sub(1, Ordering::SeqCst);
    }
}

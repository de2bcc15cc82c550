//! An HTTP server whose answers a test writes itself, to the byte.

use std::io::{BufReader, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use crate::http::Request;

/// A server that works until it is dropped, and keeps all requests. Each connection carries one request.
#[derive(Debug)]
pub struct ScriptedHttp {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    over: AtomicBool,
    requests: Mutex<Vec<Request>>,
}

impl Shared {
    fn requests(&self) -> MutexGuard<'_, Vec<Request>> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An answer.
#[derive(Debug)]
pub enum Reply {
    /// The whole answer, head included.
    Whole(Vec<u8>),
    /// An answer that goes on: what comes is sent at once, head included. It ends with its sender.
    Stream(Receiver<Vec<u8>>),
}

impl ScriptedHttp {
    /// Starts a server on this machine. `answer` gives the whole answer to a request, head included; an empty one closes the
    /// connection without a word.
    ///
    /// # Panics
    /// When no port is free.
    pub fn start(answer: impl Fn(&Request) -> Vec<u8> + Send + Sync + 'static) -> Self {
        ScriptedHttp::start_streaming(move |request| Reply::Whole(answer(request)))
    }

    /// Starts a server some of whose answers are streams.
    ///
    /// # Panics
    /// When no port is free.
    pub fn start_streaming(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it listens");
        let shared = Arc::new(Shared::default());
        let (accepting, answer) = (Arc::clone(&shared), Arc::new(answer));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if accepting.over.load(Ordering::Relaxed) {
                    return;
                }
                let (shared, answer) = (Arc::clone(&accepting), Arc::clone(&answer));
                thread::spawn(move || serve(&stream, &shared, &*answer));
            }
        });
        ScriptedHttp { address, shared }
    }

    /// The address with a path, such as `/mcp`.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// All requests so far.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.requests().clone()
    }
}

impl Drop for ScriptedHttp {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
        // This connection wakes the thread in `accept`, so that the thread ends.
        let _ = TcpStream::connect(self.address);
    }
}

fn serve(stream: &TcpStream, shared: &Shared, answer: &dyn Fn(&Request) -> Reply) {
    // A client whose connection breaks sees that itself.
    if let Ok(Some(request)) = Request::read(&mut BufReader::new(stream)) {
        shared.requests().push(request.clone());
        match answer(&request) {
            Reply::Whole(answer) => {
                let _ = (&mut &*stream).write_all(&answer);
            }
            Reply::Stream(parts) => {
                let _ = parts.iter().try_for_each(|part| (&mut &*stream).write_all(&part));
            }
        }
    }
    let _ = stream.shutdown(Shutdown::Both);
}

/// A whole answer with this status and these header lines, each with its line end.
pub fn document(status: u16, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status} X\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}")
        .into_bytes()
}

//! A proxy that plays recorded answers: whoever asks it for a tunnel to a recorded host speaks TLS with the proxy itself.

use std::io::{self, BufReader, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use exai_test::http::Request;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::Value;

/// The proxy. It works until it is dropped.
pub(super) struct Replay {
    address: SocketAddr,
    /// The URL of the recorded server.
    pub(super) server: String,
    shared: Arc<Shared>,
}

struct Shared {
    /// The answers, by method and URL without its query, and perhaps by the method of the message.
    answers: Value,
    tls: Arc<ServerConfig>,
    over: AtomicBool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    requests: Vec<(String, Request)>,
    /// The hosts of other servers that were asked for.
    strangers: Vec<String>,
    /// The event stream on which answers come.
    stream: Option<Sender<String>>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has_host(&self, host: &str) -> bool {
        let here = format!("https://{host}/");
        let is_here = |known: &String| known.split_once(' ').is_some_and(|(_, url)| url.starts_with(&here));
        self.answers.as_object().is_some_and(|answers| answers.keys().any(is_here))
    }
}

impl Replay {
    pub(super) fn start(recording: &Path) -> Self {
        let text = std::fs::read_to_string(recording).expect("a recording");
        let recording: Value = serde_json::from_str(&text).expect("JSON");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it listens");
        let shared = Arc::new(Shared {
            answers: recording["answers"].clone(),
            tls: server_config(),
            over: AtomicBool::new(false),
            state: Mutex::default(),
        });
        let accepting = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if accepting.over.load(Ordering::Relaxed) {
                    return;
                }
                let shared = Arc::clone(&accepting);
                // A client that goes away ends its thread.
                thread::spawn(move || open_tunnel(&shared, stream));
            }
        });
        let server = recording["server"].as_str().expect("a URL").to_owned();
        Replay { address, server, shared }
    }

    /// The variables of a server that is reached through this proxy.
    pub(super) fn variables(&self, trusted: &Path) -> [String; 3] {
        [
            format!("HTTPS_PROXY=http://{}", self.address),
            // That of the account, if there is one, does not count.
            "NO_PROXY=none.invalid".to_owned(),
            format!("SSL_CERT_FILE={}", trusted.display()),
        ]
    }

    /// Everything that was asked so far, with its host.
    pub(super) fn requests(&self) -> Vec<(String, Request)> {
        self.shared.state().requests.clone()
    }

    /// The hosts that were asked for and are not recorded.
    pub(super) fn strangers(&self) -> Vec<String> {
        self.shared.state().strangers.clone()
    }
}

impl Drop for Replay {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
        self.shared.state().stream = None;
        // This connection wakes the thread in `accept`, so that the thread ends.
        let _ = TcpStream::connect(self.address);
    }
}

/// The server's half of TLS, for all recorded hosts. The key of the authority was thrown away.
fn server_config() -> Arc<ServerConfig> {
    let chain = CertificateDer::pem_slice_iter(include_bytes!("tls/server.pem"));
    let chain = chain.collect::<Result<Vec<_>, _>>().expect("the certificate is whole");
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("tls/server-key.pem")).expect("the key is whole");
    let cryptography = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(cryptography)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key));
    Arc::new(config.expect("the key fits the certificate"))
}

fn open_tunnel(shared: &Shared, stream: TcpStream) -> Option<()> {
    let asked = Request::read(&mut BufReader::new(&stream)).ok()??;
    let host = asked.path.strip_suffix(":443").unwrap_or(&asked.path).to_owned();
    if asked.method != "CONNECT" || !shared.has_host(&host) {
        shared.state().strangers.push(host);
        (&stream).write_all(b"HTTP/1.1 502 Unknown\r\nContent-Length: 0\r\n\r\n").ok()?;
        return stream.shutdown(Shutdown::Both).ok();
    }
    (&stream).write_all(b"HTTP/1.1 200 OK\r\n\r\n").ok()?;
    let connection = ServerConnection::new(Arc::clone(&shared.tls)).expect("the configuration is whole");
    let mut secured = BufReader::new(StreamOwned::new(connection, stream));
    while let Ok(Some(request)) = Request::read(&mut secured) {
        shared.state().requests.push((host.clone(), request.clone()));
        answer(shared, &host, &request, secured.get_mut()).ok()?;
    }
    Some(())
}

fn answer(shared: &Shared, host: &str, request: &Request, to: &mut impl Write) -> io::Result<()> {
    let path = request.path.split('?').next().unwrap_or_default();
    let message: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let place = format!("{} https://{host}{path}", request.method);
    let of_method = &shared.answers[format!("{place} {}", message["method"].as_str().unwrap_or_default())];
    let recorded = if of_method.is_null() { &shared.answers[place] } else { of_method };
    let status = recorded["status"].as_u64().unwrap_or(404);
    let headers = recorded["headers"].as_object().into_iter().flatten();
    let headers = headers.map(|(name, value)| format!("{name}: {}\r\n", value.as_str().expect("a text")));
    let head = format!("HTTP/1.1 {status} Recorded\r\n{}", headers.collect::<String>());
    // The answers are for any request, and this one has a number.
    let with_id = |text: &Value| match text {
        Value::Null => String::new(),
        Value::String(text) => text.replace("$id", &message["id"].to_string()),
        document => document.to_string(),
    };
    if let Some(first) = recorded["stream"].as_str() {
        let (sender, more) = channel();
        shared.state().stream = Some(sender);
        write!(to, "{head}connection: close\r\n\r\n{first}")?;
        to.flush()?;
        // It ends with the replay.
        return more.iter().try_for_each(|event: String| {
            to.write_all(event.as_bytes())?;
            to.flush()
        });
    }
    let body = with_id(&recorded["body"]);
    write!(to, "{head}content-length: {}\r\n\r\n{body}", body.len())?;
    to.flush()?;
    let event = with_id(&recorded["on_stream"]);
    if let Some(stream) = shared.state().stream.as_ref().filter(|_| !event.is_empty()) {
        // A stream that has ended hears nothing.
        let _ = stream.send(event);
    }
    Ok(())
}

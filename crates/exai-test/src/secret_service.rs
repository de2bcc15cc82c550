//! A bus of a session with one program on it, which keeps secrets: what exai's keyring is tested against. It speaks as much
//! of D-Bus and of the Secret Service as exai asks for, in its own words.

mod wire;

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;

use exai_os::local::{Endpoint, Listener, Stream};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::sync::oneshot;

pub use self::wire::Item;
use self::wire::{Call, Reply};

/// How the keyring is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    /// It keeps and gives.
    Open,
    /// A person would have to unlock it.
    Locked,
    /// It is locked, and does not even say what is in it.
    LockedAndSilent,
    /// It lets everybody wait.
    Hanging,
    /// It would ask a person before it keeps anything.
    Asking,
    /// No collection is the default.
    Empty,
    /// The bus has no such program.
    Gone,
}

/// The bus. It ends when it is dropped.
#[derive(Debug)]
pub struct SecretService {
    address: String,
    shared: Arc<Mutex<Shared>>,
    stop: Option<oneshot::Sender<()>>,
}

#[derive(Debug)]
struct Shared {
    mood: Mood,
    items: Vec<Item>,
    reads: usize,
    prompts: usize,
}

impl SecretService {
    /// Starts it, with its socket in this directory.
    ///
    /// # Panics
    /// When it cannot listen there.
    pub fn start(dir: &Path) -> Self {
        let shared = Shared { mood: Mood::Open, items: Vec::new(), reads: 0, prompts: 0 };
        let shared = Arc::new(Mutex::new(shared));
        let endpoint = Endpoint::fresh(dir, "bus").expect("a name for the socket");
        let address = format!("unix:path={endpoint}");
        let (stop, stopped) = oneshot::channel();
        let (tell, listens) = mpsc::channel();
        thread::spawn({
            let shared = shared.clone();
            move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
                runtime.expect("a runtime").block_on(async {
                    let listener = Listener::bind(&endpoint).expect("a socket");
                    tell.send(()).expect("somebody waits");
                    tokio::select! {
                        () = serve(listener, &shared) => {}
                        _ = stopped => {}
                    }
                });
            }
        });
        listens.recv().expect("it listens");
        SecretService { address, shared, stop: Some(stop) }
    }

    /// What `DBUS_SESSION_BUS_ADDRESS` is in this session.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Changes how it is.
    pub fn set(&self, mood: Mood) {
        self.shared().mood = mood;
    }

    /// What it keeps.
    pub fn items(&self) -> Vec<Item> {
        self.shared().items.clone()
    }

    /// Loses all that it keeps, as a keyring does that was reset.
    pub fn forget(&self) {
        self.shared().items.clear();
    }

    /// How often a secret was given.
    pub fn reads(&self) -> usize {
        self.shared().reads
    }

    /// How often somebody wanted it to ask a person.
    pub fn prompts(&self) -> usize {
        self.shared().prompts
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for SecretService {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
    }
}

#[allow(clippy::disallowed_methods, reason = "the runtime ends with the test")]
async fn serve(mut listener: Listener, shared: &Arc<Mutex<Shared>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let shared = shared.clone();
        // Who goes away in the middle of something is no trouble.
        tokio::spawn(async move { talk(stream, &shared).await });
    }
}

async fn talk(stream: Stream, shared: &Mutex<Shared>) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    // The first byte carries the credentials of the peer, and is 0.
    stream.read_u8().await?;
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        let answer: &[u8] = match line.split_whitespace().next() {
            Some("AUTH") => b"OK 0123456789abcdef0123456789abcdef\r\n",
            Some("BEGIN") => break,
            Some(_) => b"ERROR\r\n",
            None => return Ok(()),
        };
        stream.get_mut().write_all(answer).await?;
    }
    loop {
        let mut head = [0; 16];
        stream.read_exact(&mut head).await?;
        let mut rest = vec![0; wire::rest(&head)];
        stream.read_exact(&mut rest).await?;
        let call = Call::read(&head, &rest);
        let reply = shared.lock().unwrap_or_else(PoisonError::into_inner).answer(&call);
        if let Some(reply) = reply {
            stream.get_mut().write_all(&reply.write(call.serial)).await?;
        }
    }
}

impl Shared {
    /// The answer to a call; `None` for none at all.
    fn answer(&mut self, call: &Call<'_>) -> Option<Reply> {
        if call.member == "Hello" {
            return Some(Reply::new("s").string(":1.7"));
        }
        if call.interface == "org.freedesktop.DBus" {
            return Some(Reply::new(""));
        }
        match self.mood {
            Mood::Hanging => return None,
            Mood::Gone => return Some(Reply::error("org.freedesktop.DBus.Error.ServiceUnknown")),
            Mood::Open | Mood::Locked | Mood::LockedAndSilent | Mood::Asking | Mood::Empty => {}
        }
        Some(match call.member {
            "OpenSession" => Reply::new("vo").variant_string("").string("/session/1"),
            "ReadAlias" if self.mood == Mood::Empty => Reply::new("o").string("/"),
            "ReadAlias" => Reply::new("o").string("/collection"),
            "Get" => Reply::new("v").variant_bool(matches!(self.mood, Mood::Locked | Mood::LockedAndSilent)),
            "SearchItems" => {
                let wanted = call.body().texts();
                let found: Vec<String> = (0..self.items.len())
                    .filter(|at| wanted.iter().all(|pair| self.items[*at].attributes.contains(pair)))
                    .map(|at| format!("/item/{at}"))
                    .collect();
                let none: &[String] = &[];
                match self.mood {
                    Mood::Locked => Reply::new("aoao").paths(none).paths(&found),
                    Mood::LockedAndSilent => Reply::new("aoao").paths(none).paths(none),
                    _ => Reply::new("aoao").paths(&found).paths(none),
                }
            }
            "GetSecret" | "CreateItem" | "Delete"
                if matches!(self.mood, Mood::Locked | Mood::LockedAndSilent) =>
            {
                Reply::error("org.freedesktop.Secret.Error.IsLocked")
            }
            "GetSecret" => {
                self.reads += 1;
                let secret = &self.items[call.number()].secret;
                Reply::new("(oayays)").secret(secret)
            }
            "CreateItem" if self.mood == Mood::Asking => Reply::new("oo").string("/").string("/prompt/1"),
            "CreateItem" => {
                let item = call.body().item();
                self.items.retain(|known| known.attributes != item.attributes);
                self.items.push(item);
                Reply::new("oo").string(&format!("/item/{}", self.items.len() - 1)).string("/")
            }
            "Delete" => {
                self.items.remove(call.number());
                Reply::new("o").string("/")
            }
            "Prompt" => {
                self.prompts += 1;
                Reply::new("")
            }
            _ => Reply::error("org.freedesktop.DBus.Error.UnknownMethod"),
        })
    }
}

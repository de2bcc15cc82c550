//! One open link to a daemon.

use std::io::{self, Write as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use exai_os::local::{Connection, Endpoint, Peer};
use exai_os::process;
use exai_proto::link::{FromDaemon, Hello, ServedHome, ToDaemon};

use crate::frame::{self, Decoder, FrameError, Opcode};
use crate::handshake::{self, HandshakeError};
use crate::hello::link_versions;
use crate::stream::Stream;

/// The two halves of a link: what writes (and can close), and what reads.
pub(crate) type LinkHalves = (Arc<Stream>, Decoder);

/// Why there is no link, or why a link ended.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The socket failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The listening process does not speak the protocol.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The listening process is no exai daemon.
    #[error("it answered `{0}` to the WebSocket handshake")]
    NotOurs(String),
    /// Another account listens there.
    #[error("another account listens there (uid {})", uid.map_or_else(|| "unknown".to_owned(), |uid| uid.to_string()))]
    ForeignPeer {
        /// Its user id, where there is such a thing.
        uid: Option<u32>,
    },
    /// The daemon refuses this process.
    #[error("the daemon refuses: {0}")]
    Refused(String),
    /// The daemon and this build have no version of the link in common.
    #[error(
        "the daemon, exai {build}, speaks version {version} of the link, and exai {} does not",
        exai_os::build::version()
    )]
    Version {
        /// The version the daemon chose.
        version: u32,
        /// The daemon's build.
        build: String,
    },
    /// The daemon closed the link.
    #[error("the daemon closed the link")]
    Closed,
    /// Nothing came in time.
    #[error("the daemon did not answer in time")]
    TimedOut,
}

impl From<HandshakeError> for LinkError {
    fn from(error: HandshakeError) -> Self {
        match error {
            HandshakeError::Io(error) => in_time(error),
            HandshakeError::NotOurs(line) => LinkError::NotOurs(line),
        }
    }
}

/// The daemon at the other end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DaemonInfo {
    /// Its nonce.
    pub instance: String,
    /// Its build.
    pub build: String,
    /// Its process id: the one that the kernel tells where it does, else the one that the daemon tells.
    pub pid: u32,
    /// Its process, as the kernel tells for the peer of this link; `None` where the kernel does not tell (another pid
    /// namespace, as in a container). Only this process may be waited for or ended.
    pub process: Option<process::Identity>,
    /// The state directory that it serves; `None` where an old build does not say.
    pub home: Option<ServedHome>,
}

/// Why a link could not be opened.
#[derive(Debug)]
pub struct OpenError {
    /// Why.
    pub error: LinkError,
    /// The listening process, as the kernel tells.
    pub process: Option<process::Identity>,
}

impl<E: Into<LinkError>> From<E> for OpenError {
    fn from(error: E) -> Self {
        OpenError { error: error.into(), process: None }
    }
}

/// A message that came over the link.
#[derive(Debug)]
pub enum Incoming {
    /// An MCP message.
    Message(Vec<u8>),
    /// A control message.
    Control(FromDaemon),
}

/// An open link on the local socket, hello exchanged.
#[derive(Debug)]
pub struct Link {
    stream: Arc<Stream>,
    decoder: Decoder,
    daemon: DaemonInfo,
}

impl Link {
    /// Connects, upgrades and exchanges hellos, all before `deadline`.
    pub fn open(endpoint: &Endpoint, hello: &Hello, deadline: Instant) -> Result<Self, OpenError> {
        let connection = Connection::connect(endpoint, left(deadline)?).map_err(in_time)?;
        let peer = connection.peer()?;
        if !peer.same_user {
            return Err(LinkError::ForeignPeer { uid: peer.uid }.into());
        }
        // Before the daemon says hello: a process that says hello has lived since it began to listen, so no other
        // process had its number in between.
        let process = peer.pid.and_then(|pid| process::identify(pid).ok().flatten());
        Link::greet(connection, &peer, process.clone(), hello, deadline)
            .map_err(|error| OpenError { error, process })
    }

    fn greet(
        connection: Connection,
        peer: &Peer,
        process: Option<process::Identity>,
        hello: &Hello,
        deadline: Instant,
    ) -> Result<Self, LinkError> {
        let stream = Stream::Local(connection);
        stream.set_read_timeout(Some(left(deadline)?))?;
        let rest = handshake::upgrade(&stream, &handshake::LINK)?;
        let daemon =
            DaemonInfo { instance: String::new(), build: String::new(), pid: 0, process: None, home: None };
        let mut link = Link { stream: Arc::new(stream), decoder: Decoder::with(&rest), daemon };
        link.send(&ToDaemon::Hello(hello.clone()))?;
        link.daemon = link.greeted(peer, process, deadline)?;
        link.stream.set_read_timeout(None)?;
        Ok(link)
    }

    fn greeted(
        &mut self,
        peer: &Peer,
        process: Option<process::Identity>,
        deadline: Instant,
    ) -> Result<DaemonInfo, LinkError> {
        match self.next_before(Some(deadline))? {
            Incoming::Control(FromDaemon::Hello { version, build, instance, pid, home }) => {
                let ours = link_versions();
                if !(ours.min..=ours.max).contains(&version) {
                    return Err(LinkError::Version { version, build });
                }
                Ok(DaemonInfo { instance, build, pid: peer.pid.unwrap_or(pid), process, home })
            }
            Incoming::Control(FromDaemon::Refused { reason }) => Err(LinkError::Refused(reason)),
            Incoming::Control(FromDaemon::Bye { .. }) => Err(LinkError::Closed),
            Incoming::Control(_) | Incoming::Message(_) => {
                Err(LinkError::NotOurs("something else than hello".to_owned()))
            }
        }
    }

    /// The daemon at the other end.
    pub fn daemon(&self) -> &DaemonInfo {
        &self.daemon
    }

    /// Sends a control message.
    pub fn send(&self, message: &ToDaemon) -> Result<(), LinkError> {
        let text = serde_json::to_string(message).map_err(io::Error::other)?;
        self.write(Opcode::Text, text.as_bytes())
    }

    /// Sends an MCP message.
    pub fn send_message(&self, message: &[u8]) -> Result<(), LinkError> {
        self.write(Opcode::Binary, message)
    }

    fn write(&self, opcode: Opcode, payload: &[u8]) -> Result<(), LinkError> {
        let mut out = Vec::with_capacity(payload.len() + 14);
        frame::put(&mut out, opcode, payload, self.stream.framing().key());
        (&*self.stream).write_all(&out)?;
        Ok(())
    }

    /// The next message. Waits for it until `deadline`, or for ever without one. Skips control messages of a newer
    /// daemon that this build does not know.
    pub fn next_before(&mut self, deadline: Option<Instant>) -> Result<Incoming, LinkError> {
        loop {
            let Some(frame) = self.decoder.next_frame()? else {
                self.read_before(deadline)?;
                continue;
            };
            match frame.opcode {
                Opcode::Binary => return Ok(Incoming::Message(frame.payload.to_vec())),
                Opcode::Text => {
                    if let Ok(message) = serde_json::from_slice(frame.payload) {
                        return Ok(Incoming::Control(message));
                    }
                }
                Opcode::Ping => {
                    let payload = frame.payload.to_vec();
                    self.write(Opcode::Pong, &payload)?;
                }
                Opcode::Close => return Err(LinkError::Closed),
                Opcode::Pong | Opcode::Continuation => {}
            }
        }
    }

    fn read_before(&mut self, deadline: Option<Instant>) -> Result<(), LinkError> {
        self.stream.set_read_timeout(deadline.map(left).transpose()?)?;
        match self.decoder.read_from(&*self.stream) {
            Ok(0) => Err(LinkError::Closed),
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            Err(error) => Err(in_time(error)),
        }
    }

    /// Sends a control message and returns the next control message. MCP messages in between are lost, so use this
    /// only while the link carries none.
    pub fn ask(&mut self, message: &ToDaemon, deadline: Instant) -> Result<FromDaemon, LinkError> {
        self.send(message)?;
        self.next_control(deadline)
    }

    /// Returns the next control message. MCP messages in between are lost.
    pub fn next_control(&mut self, deadline: Instant) -> Result<FromDaemon, LinkError> {
        loop {
            if let Incoming::Control(answer) = self.next_before(Some(deadline))? {
                return Ok(answer);
            }
        }
    }

    /// The two halves: what writes (and can close) and what reads.
    pub(crate) fn into_halves(self) -> LinkHalves {
        (self.stream, self.decoder)
    }
}

/// The time left until `deadline`.
pub(crate) fn left(deadline: Instant) -> Result<Duration, LinkError> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(LinkError::TimedOut) } else { Ok(left) }
}

fn in_time(error: io::Error) -> LinkError {
    match error.kind() {
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => LinkError::TimedOut,
        _ => LinkError::Io(error),
    }
}

//! A proxy that harms connections in the ways in which networks and programs on the way harm them.
//!
//! The proxy knows nothing but bytes. The code that starts it chooses the faults of each connection and each direction.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
#[cfg(unix)]
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crate::Random;

/// The address of a listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A TCP port.
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
}

/// What the proxy does to the bytes of one direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// All bytes pass.
    None,
    /// Each piece waits for this time.
    Delay(Duration),
    /// The bytes arrive one by one.
    Slices,
    /// The connection breaks after this number of bytes.
    Cut(usize),
    /// This direction ends after this number of bytes, while the other direction goes on.
    HalfClose(usize),
    /// After this number of bytes no more arrive, but the connection stays open.
    Stall(usize),
    /// Random bytes with this seed arrive instead of the real ones.
    Garbage(u64),
}

/// The faults of one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Faults {
    /// The direction from the connecting side to the target.
    pub up: Fault,
    /// The direction from the target to the connecting side.
    pub down: Fault,
    /// In the direction from the target, each read that holds all the first bytes gets the second ones in their place.
    /// Both have the same length.
    pub replaced: Option<(&'static [u8], &'static [u8])>,
}

impl Faults {
    /// No faults at all.
    pub const NONE: Faults = Faults { up: Fault::None, down: Fault::None, replaced: None };
}

/// A proxy that works until it is dropped.
#[derive(Debug)]
pub struct Proxy {
    address: Address,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    over: AtomicBool,
    connections: AtomicU64,
    /// Both ends of each connection, so that the connection can be cut.
    open: Mutex<Vec<[Socket; 2]>>,
}

impl Shared {
    fn open(&self) -> MutexGuard<'_, Vec<[Socket; 2]>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Proxy {
    /// Listens at `at` and connects each client to `target`. `faults` gets the number of the connection, from 1 on.
    pub fn start(
        at: &Address,
        target: Address,
        faults: impl Fn(u64) -> Faults + Send + 'static,
    ) -> io::Result<Self> {
        let (listener, address) = Listener::bind(at)?;
        let shared = Arc::new(Shared::default());
        let accepting = Arc::clone(&shared);
        thread::spawn(move || {
            while let Ok(near) = listener.accept() {
                if accepting.over.load(Ordering::Relaxed) {
                    return;
                }
                let number = accepting.connections.fetch_add(1, Ordering::Relaxed) + 1;
                // If the target refuses, the client sees its connection end.
                let Ok(far) = Socket::connect(&target) else { continue };
                connect(&accepting, near, far, faults(number));
            }
        });
        Ok(Proxy { address, shared })
    }

    /// The address at which the proxy listens.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The number of connections so far.
    pub fn connections(&self) -> u64 {
        self.shared.connections.load(Ordering::Relaxed)
    }

    /// Breaks all open connections.
    pub fn cut(&self) {
        for ends in self.shared.open().drain(..) {
            ends.iter().for_each(Socket::close);
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
        // This connection wakes the thread in `accept`, so that the thread ends.
        let _ = Socket::connect(&self.address);
        self.cut();
    }
}

fn connect(shared: &Arc<Shared>, near: Socket, far: Socket, faults: Faults) {
    let ends = || Some([near.another()?, far.another()?]);
    let (Some(kept), Some(up), Some(down)) = (ends(), ends(), ends()) else { return };
    shared.open().push(kept);
    let [from, to] = up;
    thread::spawn(move || pump(&from, &to, faults.up, None));
    let [to, from] = down;
    thread::spawn(move || pump(&from, &to, faults.down, faults.replaced));
}

/// Carries bytes in one direction until the direction ends, and applies the fault.
fn pump(from: &Socket, to: &Socket, fault: Fault, replaced: Option<(&[u8], &[u8])>) {
    let mut buffer = [0; 16 * 1024];
    let mut passed = 0;
    let mut garbage = match fault {
        Fault::Garbage(seed) => Some(Random::new(seed)),
        _ => None,
    };
    loop {
        let count = match (&mut &*from).read(&mut buffer) {
            Ok(0) | Err(_) => break,
            Ok(count) => count,
        };
        let bytes = &mut buffer[..count];
        if let Some((wanted, instead)) = replaced
            && let Some(at) = bytes.windows(wanted.len()).position(|found| found == wanted)
        {
            bytes[at..at + wanted.len()].copy_from_slice(instead);
        }
        if let Some(random) = &mut garbage {
            bytes.fill_with(|| random.number() as u8);
        }
        let room = |after: usize| after.saturating_sub(passed).min(count);
        let (take, step) = match fault {
            Fault::None | Fault::Garbage(_) => (count, count),
            Fault::Delay(pause) => {
                thread::sleep(pause);
                (count, count)
            }
            Fault::Slices => (count, 1),
            Fault::Cut(after) | Fault::HalfClose(after) | Fault::Stall(after) => (room(after), count),
        };
        let sent = bytes[..take].chunks(step).try_for_each(|piece| (&mut &*to).write_all(piece));
        passed += take;
        match (sent, fault) {
            (Err(_), _) => break,
            (Ok(()), Fault::Cut(after)) if passed >= after => {
                from.close();
                return to.close();
            }
            // From here on this thread reads and drops bytes, so that it still notices the end.
            (Ok(()), Fault::HalfClose(after)) if passed >= after => to.close_write(),
            (Ok(()), _) => {}
        }
    }
    to.close_write();
    // A side that has stopped reading gets no more bytes; the other direction ends by itself.
    from.close_read();
    if matches!(fault, Fault::Stall(_)) {
        to.close();
    }
}

#[derive(Debug)]
enum Listener {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix(UnixListener),
}

impl Listener {
    fn bind(at: &Address) -> io::Result<(Self, Address)> {
        match at {
            Address::Tcp(addr) => {
                let listener = TcpListener::bind(addr)?;
                let address = Address::Tcp(listener.local_addr()?);
                Ok((Listener::Tcp(listener), address))
            }
            #[cfg(unix)]
            Address::Unix(path) => Ok((Listener::Unix(UnixListener::bind(path)?), at.clone())),
            #[cfg(not(unix))]
            Address::Unix(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    fn accept(&self) -> io::Result<Socket> {
        match self {
            Listener::Tcp(listener) => Ok(Socket::Tcp(listener.accept()?.0)),
            #[cfg(unix)]
            Listener::Unix(listener) => Ok(Socket::Unix(listener.accept()?.0)),
        }
    }
}

/// One end of a connection. Dropping an end does not close it, since clones of it exist; `shut` closes it for all.
#[derive(Debug)]
enum Socket {
    Tcp(TcpStream),
    #[cfg(unix)]
    Unix(UnixStream),
}

impl Socket {
    fn connect(to: &Address) -> io::Result<Self> {
        match to {
            Address::Tcp(addr) => {
                let stream = TcpStream::connect(addr)?;
                stream.set_nodelay(true)?;
                Ok(Socket::Tcp(stream))
            }
            #[cfg(unix)]
            Address::Unix(path) => Ok(Socket::Unix(UnixStream::connect(path)?)),
            #[cfg(not(unix))]
            Address::Unix(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    fn another(&self) -> Option<Self> {
        match self {
            Socket::Tcp(stream) => stream.try_clone().ok().map(Socket::Tcp),
            #[cfg(unix)]
            Socket::Unix(stream) => stream.try_clone().ok().map(Socket::Unix),
        }
    }

    /// An error means that the end is closed already.
    fn shut(&self, how: Shutdown) {
        let _ = match self {
            Socket::Tcp(stream) => stream.shutdown(how),
            #[cfg(unix)]
            Socket::Unix(stream) => stream.shutdown(how),
        };
    }

    fn close(&self) {
        self.shut(Shutdown::Both);
    }

    fn close_write(&self) {
        self.shut(Shutdown::Write);
    }

    fn close_read(&self) {
        self.shut(Shutdown::Read);
    }
}

impl Read for &Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Socket::Tcp(stream) => (&mut &*stream).read(buffer),
            #[cfg(unix)]
            Socket::Unix(stream) => (&mut &*stream).read(buffer),
        }
    }
}

impl Write for &Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Socket::Tcp(stream) => (&mut &*stream).write(bytes),
            #[cfg(unix)]
            Socket::Unix(stream) => (&mut &*stream).write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

//! A proxy that does to a connection what networks, and programs on the way, do to it.
//!
//! It knows bytes only. Each connection gets a fault for each direction, chosen by whoever starts the proxy.

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

/// Where somebody listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A TCP port.
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
}

/// What happens to the bytes that go one way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// They pass.
    None,
    /// Each piece waits so long.
    Delay(Duration),
    /// They come one by one.
    Slices,
    /// After so many the connection breaks.
    Cut(usize),
    /// After so many this way ends, and the other goes on.
    HalfClose(usize),
    /// After so many nothing comes any more, and nothing breaks.
    Stall(usize),
    /// Others come, by this seed.
    Garbage(u64),
}

/// The faults of one connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Faults {
    /// From who connects to the target.
    pub up: Fault,
    /// From the target to who connects.
    pub down: Fault,
    /// In what comes down, the first bytes are replaced by the second, of the same length, where a read has them whole.
    pub replaced: Option<(&'static [u8], &'static [u8])>,
}

impl Faults {
    /// A connection as it should be.
    pub const NONE: Faults = Faults { up: Fault::None, down: Fault::None, replaced: None };
}

/// A proxy that works as long as this lives.
#[derive(Debug)]
pub struct Proxy {
    address: Address,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    over: AtomicBool,
    connections: AtomicU64,
    /// Both ends of each connection, for who cuts them.
    open: Mutex<Vec<[Socket; 2]>>,
}

impl Shared {
    fn open(&self) -> MutexGuard<'_, Vec<[Socket; 2]>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Proxy {
    /// Listens at `at` and connects each who comes with `target`. `faults` is asked with the number of the connection,
    /// from 1 on.
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
                // Who cannot be connected sees the connection end.
                let Ok(far) = Socket::connect(&target) else { continue };
                connect(&accepting, near, far, faults(number));
            }
        });
        Ok(Proxy { address, shared })
    }

    /// Where it listens.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// How many have come.
    pub fn connections(&self) -> u64 {
        self.shared.connections.load(Ordering::Relaxed)
    }

    /// Breaks all connections there are.
    pub fn cut(&self) {
        for ends in self.shared.open().drain(..) {
            ends.iter().for_each(Socket::close);
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
        // Wakes who accepts.
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

/// Carries bytes one way until it ends, and its fault out.
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
            // From here on it reads and drops, so that it notices the end.
            (Ok(()), Fault::HalfClose(after)) if passed >= after => to.close_write(),
            (Ok(()), _) => {}
        }
    }
    to.close_write();
    // Who has stopped listening gets no more; the other way ends by itself.
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

/// One end of a connection. Ends are closed in so many words: others may hold the same.
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

    /// What is closed already is closed.
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

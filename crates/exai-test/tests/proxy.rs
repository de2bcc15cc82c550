//! The proxy behaves as the tests that use it assume.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use exai_test::proxy::{Address, Fault, Faults, Proxy};

const SENT: &[u8; 10] = b"0123456789";

/// A server that sends each byte back.
fn echo() -> Address {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = Address::Tcp(listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || std::io::copy(&mut &stream, &mut &stream));
        }
    });
    address
}

/// The bytes of [`SENT`] that come back before the connection ends or is silent for half a second, and whether it
/// ended. So many bytes are waited for as long as it takes; with `usize::MAX`, the end is.
fn through(faults: Faults, count: usize) -> (Vec<u8>, bool) {
    let proxy = Proxy::start(&Address::Tcp("127.0.0.1:0".parse().unwrap()), echo(), move |_| faults).unwrap();
    let Address::Tcp(addr) = *proxy.address() else { panic!("{:?}", proxy.address()) };
    let mut stream = TcpStream::connect(addr).unwrap();
    stream.write_all(SENT).unwrap();
    let (mut came, mut buffer) = (Vec::new(), [0; 64]);
    loop {
        let patience = if came.len() < count { 10_000 } else { 500 };
        stream.set_read_timeout(Some(Duration::from_millis(patience))).unwrap();
        match stream.read(&mut buffer) {
            Ok(0) => return (came, true),
            Ok(count) => came.extend_from_slice(&buffer[..count]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return (came, false);
            }
            Err(_) => return (came, true),
        }
    }
}

fn down(down: Fault, count: usize) -> (Vec<u8>, bool) {
    through(Faults { down, ..Faults::NONE }, count)
}

#[test]
fn each_fault_is_what_its_name_says() {
    let all = SENT.to_vec();
    assert_eq!(down(Fault::None, 10), (all.clone(), false));
    assert_eq!(down(Fault::Slices, 10), (all.clone(), false));
    assert_eq!(down(Fault::Cut(4), usize::MAX), (b"0123".to_vec(), true));
    assert_eq!(down(Fault::HalfClose(4), usize::MAX), (b"0123".to_vec(), true));
    assert_eq!(down(Fault::Stall(4), 4), (b"0123".to_vec(), false));
    let begun = Instant::now();
    assert_eq!(down(Fault::Delay(Duration::from_millis(100)), 10), (all.clone(), false));
    assert!(begun.elapsed() > Duration::from_millis(600));
    let (garbage, ended) = down(Fault::Garbage(1), 10);
    assert!(garbage.len() == all.len() && garbage != all && !ended);
    assert_eq!(
        through(Faults { up: Fault::HalfClose(4), ..Faults::NONE }, usize::MAX),
        (b"0123".to_vec(), true)
    );
}

#[test]
fn all_connections_can_be_cut_at_once() {
    let proxy =
        Proxy::start(&Address::Tcp("127.0.0.1:0".parse().unwrap()), echo(), |_| Faults::NONE).unwrap();
    let Address::Tcp(addr) = *proxy.address() else { panic!("{:?}", proxy.address()) };
    let mut streams: Vec<TcpStream> = (0..3).map(|_| TcpStream::connect(addr).unwrap()).collect();
    for stream in &mut streams {
        stream.write_all(SENT).unwrap();
        stream.read_exact(&mut [0; SENT.len()]).unwrap();
    }
    assert_eq!(proxy.connections(), 3);
    proxy.cut();
    for mut stream in streams {
        // The system reports the cut as an end or as an error; both are right.
        assert!(!matches!(stream.read(&mut [0; 1]), Ok(1)));
    }
}

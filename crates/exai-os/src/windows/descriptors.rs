use tokio::net::TcpStream;

pub(crate) fn most() -> Option<u64> {
    None
}

pub(crate) fn number(_stream: &TcpStream) -> u64 {
    0
}

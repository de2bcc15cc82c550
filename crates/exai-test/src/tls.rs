//! A TLS server for `localhost`, `127.0.0.1` and `::1`, which whoever trusts [`CA`] trusts.
//!
//! The certificates are valid from 2020 to 2120. The key of the CA was thrown away, and that of the server is no secret.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig, ServerConnection, StreamOwned};

/// The certificate to trust, as a PEM file has it. Programs on Linux trust it and no other if `SSL_CERT_FILE` names that
/// file.
pub const CA: &str = include_str!("tls/ca.pem");

/// A connection of a client. TLS begins with the first read or write.
pub type TlsStream = StreamOwned<ServerConnection, TcpStream>;

/// The server's half of TLS. `protocols` are those that it agrees to by ALPN, the dearest first.
///
/// # Panics
/// When the certificates of this crate are broken.
pub fn server_config(protocols: &[&str]) -> Arc<ServerConfig> {
    let chain = CertificateDer::pem_slice_iter(include_bytes!("tls/server.pem"));
    let chain = chain.collect::<Result<Vec<_>, _>>().expect("the certificate is whole");
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("tls/server-key.pem")).expect("the key is whole");
    let cryptography = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(cryptography)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .expect("the key fits the certificate");
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    Arc::new(config)
}

/// The client's half of TLS, which trusts [`CA`] alone.
///
/// # Panics
/// When the certificates of this crate are broken.
pub fn client_config(protocols: &[&str]) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    let ca = CertificateDer::from_pem_slice(CA.as_bytes()).expect("the certificate is whole");
    roots.add(ca).expect("the certificate is one of a CA");
    let cryptography = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(cryptography).with_safe_default_protocol_versions();
    let builder = builder.expect("the provider has ciphers");
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    Arc::new(config)
}

/// Serves each connection with `answer`, in a thread of its own, as long as this process lives.
///
/// # Panics
/// When no port is free.
pub fn serve(protocols: &[&str], answer: impl Fn(TlsStream) + Send + Sync + 'static) -> SocketAddr {
    let config = server_config(protocols);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("a listener has an address");
    let answer = Arc::new(answer);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let connection = ServerConnection::new(Arc::clone(&config)).expect("the configuration is whole");
            let answer = Arc::clone(&answer);
            thread::spawn(move || answer(StreamOwned::new(connection, stream)));
        }
    });
    address
}

/// Sends back what comes, until the client is done.
///
/// # Errors
/// When the connection breaks off, or the client does not trust this side.
pub fn echo(mut stream: TlsStream) -> io::Result<()> {
    let mut bytes = [0; 1024];
    loop {
        let count = stream.read(&mut bytes)?;
        if count == 0 {
            return Ok(());
        }
        stream.write_all(&bytes[..count])?;
        stream.flush()?;
    }
}

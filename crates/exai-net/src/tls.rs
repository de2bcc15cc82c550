//! Who is trusted, and which HTTP is offered.

use std::sync::Arc;

use hyper_rustls::ConfigBuilderExt as _;
use rustls::client::WantsClientCert;
use rustls::{ClientConfig, ConfigBuilder, WantsVerifier};

/// TLS cannot be used on this machine: it trusts nobody, or its store of certificates cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("TLS cannot be used here: {0}")]
pub struct TlsUnavailable(#[from] rustls::Error);

/// How the connections of a connector are secured.
#[derive(Debug, Clone)]
pub enum Security {
    /// Not at all: for `http` addresses alone. An `https` address gets no connection.
    Plain,
    /// By TLS for `https` addresses, for HTTP/1 alone.
    Http1(Tls),
    /// By TLS for `https` addresses, for HTTP/2 where the server wants it and HTTP/1.1 where not.
    Http2(Tls),
}

/// Whom this machine trusts. It is expensive to make and cheap to clone: make one, and share it.
#[derive(Debug, Clone)]
pub struct Tls {
    /// Offers no protocol by ALPN, which means HTTP/1 or what an upgrade asks for.
    pub(crate) http1: Arc<ClientConfig>,
    pub(crate) http2: Arc<ClientConfig>,
}

impl Tls {
    /// Trusts whom the system trusts. Reads certificates from files, so it takes some milliseconds and may wait for a disk.
    ///
    /// Where the system keeps them in files, as Linux does, the variables `SSL_CERT_FILE` (a PEM file) and `SSL_CERT_DIR` of
    /// this process are obeyed: then those certificates are trusted, and no others. macOS and Windows have stores of their
    /// own, which do not know these variables.
    ///
    /// # Errors
    /// When the system has no certificates.
    pub fn with_system_roots() -> Result<Self, TlsUnavailable> {
        Ok(Self::verified(builder()?.try_with_platform_verifier()?))
    }

    #[cfg(test)]
    pub(crate) fn with_roots(roots: rustls::RootCertStore) -> Self {
        Self::verified(builder().unwrap().with_root_certificates(roots))
    }

    fn verified(verified: ConfigBuilder<ClientConfig, WantsClientCert>) -> Self {
        let http1 = verified.with_no_client_auth();
        let mut http2 = http1.clone();
        http2.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Tls { http1: Arc::new(http1), http2: Arc::new(http2) }
    }
}

fn builder() -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, rustls::Error> {
    let cryptography = Arc::new(rustls::crypto::ring::default_provider());
    ClientConfig::builder_with_provider(cryptography).with_safe_default_protocol_versions()
}

#[cfg(test)]
mod tests;

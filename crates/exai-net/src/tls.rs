//! Who is trusted, and which HTTP is offered.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;

use exai_os::account::find_variable;
use hyper_rustls::ConfigBuilderExt as _;
use rustls::client::WantsClientCert;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, ConfigBuilder, WantsVerifier};
use rustls_platform_verifier::Verifier;

/// TLS cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsUnavailable {
    /// This machine trusts nobody, or its store of certificates cannot be read.
    #[error("TLS cannot be used here: {0}")]
    System(#[from] rustls::Error),
    /// The file with more certificates cannot be read.
    #[error("{CERTIFICATES} names {}, which cannot be used: {why}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

/// The variable that names a file with more certificates to trust. OpenSSL and most programs know it.
pub const CERTIFICATES: &str = "SSL_CERT_FILE";

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

    /// Trusts whom the system trusts, and the certificates in the file (PEM) that `SSL_CERT_FILE` of an environment names:
    /// companies have such files for their proxies. See [`Tls::with_system_roots`].
    ///
    /// # Errors
    /// When the system has no certificates, or the file cannot be read.
    pub fn of(vars: &[(OsString, OsString)]) -> Result<Self, TlsUnavailable> {
        let Some(path) = find_variable(vars, CERTIFICATES).filter(|path| !path.is_empty()) else {
            return Self::with_system_roots();
        };
        let unusable = |why: String| TlsUnavailable::File { path: path.into(), why };
        let certificates: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(path)
            .and_then(Iterator::collect)
            .map_err(|error| unusable(error.to_string()))?;
        if certificates.is_empty() {
            return Err(unusable("it holds no certificate".to_owned()));
        }
        let cryptography = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = Verifier::new_with_extra_roots(certificates, cryptography)?;
        let config = builder()?.dangerous().with_custom_certificate_verifier(Arc::new(verifier));
        Ok(Self::verified(config))
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

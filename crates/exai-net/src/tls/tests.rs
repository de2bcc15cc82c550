//! Whose certificates are trusted.

use std::time::Duration;

use exai_test::tls;

use super::*;
use crate::{Connector, Proxies};

#[tokio::test]
async fn the_certificates_in_a_file_that_the_environment_names_are_trusted_too() {
    let dir = tempfile::tempdir().unwrap();
    let roots = dir.path().join("roots.pem");
    std::fs::write(&roots, tls::CA).unwrap();
    let address = tls::serve(&[], |stream| {
        let _ = tls::echo(stream);
    });
    let connect = async |tls: Tls| {
        let connector = Connector::new(Security::Http1(tls), Duration::from_secs(20), Proxies::none());
        let opened = connector.open(&format!("https://{address}/").parse().unwrap()).await;
        opened.map(drop).map_err(|obstacle| obstacle.to_string())
    };
    let named = |path: &std::path::Path| Tls::of(&[(CERTIFICATES.into(), path.into())]);
    assert_eq!(connect(named(&roots).unwrap()).await, Ok(()));
    assert!(connect(Tls::of(&[]).unwrap()).await.unwrap_err().contains("TLS"));
    for (text, why) in [("", "holds no certificate"), ("-----BEGIN CERTIFICATE-----\n!\n", "cannot be used")]
    {
        std::fs::write(&roots, text).unwrap();
        let error = named(&roots).unwrap_err().to_string();
        assert!(error.contains(why) && error.contains("roots.pem"), "{error}");
    }
}

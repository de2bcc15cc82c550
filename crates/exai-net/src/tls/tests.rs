//! The certificates of the system are those that the environment of this process names.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use exai_test::tls;

use super::*;
use crate::{Connector, Proxies};

const ADDRESS: &str = "EXAI_TEST_TLS_ADDRESS";
const SAID: &str = "EXAI_TEST_TLS_SAID";

/// The test runs itself again with another environment.
#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "a test asks its own other half")]
async fn a_file_that_the_environment_names_is_trusted() {
    if let (Some(address), Some(said)) = (std::env::var_os(ADDRESS), std::env::var_os(SAID)) {
        let outcome = connect(address.to_str().unwrap()).await;
        return std::fs::write(said, outcome).unwrap();
    }
    let dir = tempfile::tempdir().unwrap();
    let roots = dir.path().join("roots.pem");
    std::fs::write(&roots, tls::CA).unwrap();
    let address = tls::serve(&[], |stream| {
        let _ = tls::echo(stream);
    });
    assert_eq!(ask_other_half(address, &dir.path().join("said"), Some(&roots)), "connected");
    assert!(ask_other_half(address, &dir.path().join("said"), None).contains("TLS"));
}

async fn connect(address: &str) -> String {
    let tls = match Tls::with_system_roots() {
        Ok(tls) => tls,
        Err(error) => return error.to_string(),
    };
    let connector = Connector::new(Security::Http1(tls), Duration::from_secs(20), Proxies::none());
    match connector.open(&address.parse().unwrap()).await {
        Ok(_) => "connected".to_owned(),
        Err(obstacle) => obstacle.to_string(),
    }
}

fn ask_other_half(address: SocketAddr, said: &Path, roots: Option<&Path>) -> String {
    let mut again = Command::new(std::env::current_exe().unwrap());
    again.args(["--exact", "tls::tests::a_file_that_the_environment_names_is_trusted"]);
    again.env_remove("SSL_CERT_FILE").env_remove("SSL_CERT_DIR");
    again.envs(roots.map(|roots| ("SSL_CERT_FILE", roots)));
    again.env(ADDRESS, format!("https://{address}/")).env(SAID, said);
    assert!(again.output().unwrap().status.success());
    std::fs::read_to_string(said).unwrap()
}

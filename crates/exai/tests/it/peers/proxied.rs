//! Applications with the official SDKs reach the daemon by HTTPS, through a proxy and with a token that has a name.

use std::io::{self, BufReader, Write as _};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex};

use exai_test::http::Request;
use exai_test::peers::Sdk;
use exai_test::{eventually, tls};
use serde_json::json;

use super::survival::Session;
use crate::named_tokens::add;
use crate::support::{Instance, LIMIT, fixture};

/// A proxy that ends TLS and passes on what it gets as it is, to the port that is told later. It serves one request on each
/// connection.
fn proxy(target: &Arc<Mutex<u16>>) -> u16 {
    let target = Arc::clone(target);
    let address = tls::serve(&["http/1.1"], move |stream| {
        let port = *target.lock().expect("nobody panics");
        // A client that has gone sees that itself.
        let _ = pass(stream, port);
    });
    address.port()
}

fn pass(stream: tls::TlsStream, port: u16) -> io::Result<()> {
    let mut near = BufReader::new(stream);
    let Some(request) = Request::read(&mut near)? else { return Ok(()) };
    let mut far = TcpStream::connect(("127.0.0.1", port))?;
    let mut head = format!("{} {} HTTP/1.1\r\nconnection: close\r\n", request.method, request.path);
    for (name, value) in request.headers.iter().filter(|(name, _)| name != "connection") {
        head.extend([name, ": ", value, "\r\n"]);
    }
    far.write_all(&[head.as_bytes(), b"\r\n", &request.body].concat())?;
    let mut near = near.into_inner();
    let copied = io::copy(&mut far, &mut near);
    near.conn.send_close_notify();
    let _ = near.flush();
    let _ = near.sock.shutdown(Shutdown::Both);
    copied.map(drop)
}

#[test]
fn applications_reach_the_daemon_by_https_until_their_token_is_removed() {
    let target = Arc::new(Mutex::new(0));
    let port = proxy(&target);
    let hosts = format!("allowed_hosts = [\"localhost:{port}\"]\n");
    let instance = Instance::new(&(hosts + &fixture("fix", &[])));
    instance.ends(0, &["start"]);
    *target.lock().expect("nobody panics") = instance.port();
    let ca = instance.dir().join("ca.pem");
    std::fs::write(&ca, tls::CA).expect("it is written");
    let url = format!("https://localhost:{port}/mcp/fix");
    let calls = || instance.status()["counters"]["calls"].as_u64().unwrap_or_default();
    for sdk in [Sdk::Python1, Sdk::TypeScript] {
        let token = add(&instance, &format!("{sdk:?}"));
        let mut command = sdk.begin_anew(&json!({"http": url, "token": token}));
        command.env("SSL_CERT_FILE", &ca).env("NODE_EXTRA_CA_CERTS", &ca);
        let session = Session::of(sdk, command);
        let before = calls();
        eventually("it calls and lists", LIMIT, || calls() >= before + 40);
        let (sdk, report) = session.finish();
        eprintln!("{sdk:?}: {report}");
        // How an SDK ends its only session says nothing here.
        let failures = report["failures"].as_object().expect("an object");
        assert!(failures.keys().all(|failed| failed.starts_with("session:")), "{sdk:?}: {report}");
        let (wrong, last, sessions) = (&report["wrong"], &report["last"], &report["sessions"]);
        assert_eq!((wrong, last, sessions), (&json!([]), &json!(20), &json!(1)), "{sdk:?}: {report}");
        let removed = instance.ends(0, &["token", "remove", &format!("{sdk:?}")]);
        assert!(removed.starts_with("removed"), "{removed}");
        let mut refused = sdk.begin_anew(&json!({"http": url, "token": token}));
        refused.env("SSL_CERT_FILE", &ca).env("NODE_EXTRA_CA_CERTS", &ca);
        let refused = refused.output().expect("it ends");
        let said = String::from_utf8_lossy(&[refused.stdout, refused.stderr].concat()).into_owned();
        assert!(
            !refused.status.success() && said.contains("401") && !said.contains("begun"),
            "{sdk:?}: {said}"
        );
    }
}

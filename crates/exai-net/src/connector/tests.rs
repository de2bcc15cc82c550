use std::future::poll_fn;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc;
use std::thread;

use exai_test::tls;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper::{Response, Version};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::Connection as _;
use hyper_util::rt::TokioExecutor;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsAcceptor;

use super::*;

const ENOUGH: Duration = Duration::from_secs(20);

fn trusted() -> Tls {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(tls::CA.as_bytes()).unwrap()).unwrap();
    Tls::with_roots(roots)
}

fn connector(security: Security, vars: &[(&str, String)]) -> Connector {
    let vars: Vec<_> = vars.iter().map(|(name, value)| (name.into(), value.into())).collect();
    Connector::new(security, ENOUGH, Proxies::of(&vars))
}

fn echoing(protocols: &[&str]) -> SocketAddr {
    tls::serve(protocols, |stream| {
        let _ = tls::echo(stream);
    })
}

/// Serves one connection: each of `answers` follows a read. What was read comes through the channel.
fn scripted(answers: &'static [&'static [u8]]) -> (SocketAddr, mpsc::Receiver<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (hear, heard) = mpsc::channel();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        for answer in answers {
            let mut bytes = vec![0; 4096];
            let count = stream.read(&mut bytes).unwrap();
            bytes.truncate(count);
            hear.send(bytes).unwrap();
            stream.write_all(answer).unwrap();
        }
    });
    (address, heard)
}

async fn open(connector: &Connector, url: &str) -> Result<Stream, Obstacle> {
    connector.open(&url.parse().unwrap()).await
}

async fn says_back(stream: &mut Stream) {
    stream.write_all(b"hello").await.unwrap();
    stream.flush().await.unwrap();
    let mut bytes = [0; 5];
    stream.read_exact(&mut bytes).await.unwrap();
    assert_eq!(&bytes, b"hello");
}

async fn agreed_on_http2(security: Security, protocols: &[&str]) -> bool {
    let mut connector = connector(security, &[]);
    let url = format!("https://{}/", echoing(protocols)).parse().unwrap();
    poll_fn(|context| connector.poll_ready(context)).await.unwrap();
    connector.call(url).await.unwrap().connected().is_negotiated_h2()
}

#[tokio::test]
async fn http2_is_spoken_where_both_sides_want_it() {
    let tls = trusted();
    assert!(agreed_on_http2(Security::Http2(tls.clone()), &["h2", "http/1.1"]).await);
    assert!(!agreed_on_http2(Security::Http2(tls.clone()), &["http/1.1"]).await);
    assert!(!agreed_on_http2(Security::Http2(tls.clone()), &[]).await);
    assert!(!agreed_on_http2(Security::Http1(tls), &["h2", "http/1.1"]).await);
}

#[tokio::test]
async fn an_http_client_sends_its_requests_over_http2() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}/", listener.local_addr().unwrap()).parse().unwrap();
    let serving = async {
        let (stream, _) = listener.accept().await.unwrap();
        let stream = TlsAcceptor::from(tls::server_config(&["h2"])).accept(stream).await.unwrap();
        let answer =
            service_fn(async |_| Ok::<_, std::convert::Infallible>(Response::new("hello".to_owned())));
        http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), answer).await
    };
    let client = legacy::Client::builder(TokioExecutor::new())
        .build::<_, String>(connector(Security::Http2(trusted()), &[]));
    tokio::select! {
        response = client.get(url) => assert_eq!(response.unwrap().version(), Version::HTTP_2),
        ended = serving => panic!("the server ended before it had answered: {ended:?}"),
    }
}

#[tokio::test]
async fn streams_are_plain_or_tls_and_never_http2() {
    let connector = connector(Security::Http2(trusted()), &[]);
    let address = echoing(&["h2"]);
    for host in ["127.0.0.1", "localhost"] {
        let mut stream = open(&connector, &format!("wss://{host}:{}/path", address.port())).await.unwrap();
        assert!(!stream.inner().connected().is_negotiated_h2());
        says_back(&mut stream).await;
    }
    let (plain, _heard) = scripted(&[b"hello"]);
    says_back(&mut open(&connector, &format!("ws://{plain}/path")).await.unwrap()).await;
}

#[tokio::test]
async fn whom_nobody_vouches_for_gets_no_connection() {
    let nobody = connector(Security::Http1(Tls::with_roots(RootCertStore::empty())), &[]);
    let url = format!("https://{}/", echoing(&[]));
    let obstacle = open(&nobody, &url).await.unwrap_err();
    assert!(matches!(&obstacle, Obstacle::Tls(why) if why.contains("UnknownIssuer")), "{obstacle}");

    let obstacle = open(&connector(Security::Plain, &[]), &url).await.unwrap_err();
    assert!(matches!(&obstacle, Obstacle::Other(why) if why.contains("plain")), "{obstacle}");
}

#[tokio::test]
async fn what_stands_in_the_way_is_said() {
    let tls = connector(Security::Http1(trusted()), &[]);
    let closed = SocketAddr::from(([127, 0, 0, 1], exai_test::free_port()));
    assert_eq!(open(&tls, &format!("http://{closed}/")).await.unwrap_err(), Obstacle::Refused);
    assert_eq!(open(&tls, "http://nowhere.invalid/").await.unwrap_err(), Obstacle::NoAddress);
    let obstacle = open(&tls, "ftp://127.0.0.1/").await.unwrap_err();
    assert_eq!(obstacle.to_string(), "`ftp://127.0.0.1/` is no http or https address");

    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let brief = Duration::from_millis(50);
    let connector = Connector::new(Security::Http1(trusted()), brief, Proxies::none());
    let obstacle = open(&connector, &format!("https://{}/", silent.local_addr().unwrap())).await.unwrap_err();
    assert_eq!(obstacle, Obstacle::TooSlow(brief));
}

#[tokio::test]
async fn a_tunnel_leads_to_the_port_of_the_address() {
    for (variable, url, target) in [
        ("HTTP_PROXY", "http://far.invalid/mcp", "far.invalid:80"),
        ("HTTP_PROXY", "ws://far.invalid:8080/", "far.invalid:8080"),
        ("ALL_PROXY", "http://[2001:db8::1]/", "[2001:db8::1]:80"),
    ] {
        let (proxy, heard) = scripted(&[b"HTTP/1.1 200 OK\r\n\r\n", b"hello"]);
        let connector = connector(Security::Plain, &[(variable, format!("http://u:w@{proxy}"))]);
        says_back(&mut open(&connector, url).await.unwrap()).await;
        let asked = String::from_utf8(heard.recv().unwrap()).unwrap();
        assert!(asked.starts_with(&format!("CONNECT {target} HTTP/1.1\r\n")), "{asked}");
        assert!(asked.contains("Basic dTp3"), "{asked}");
    }
}

#[tokio::test]
async fn a_proxy_that_refuses_is_named_without_its_password() {
    const NO_LOGIN: &[u8] = b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n";
    for (login, answer, why) in [
        ("u:w@", NO_LOGIN, "it refuses the name and password (407)"),
        ("u:p@w@", NO_LOGIN, "it refuses the name and password (407)"),
        ("", NO_LOGIN, "it wants a name and a password (407)"),
        ("u:w@", b"HTTP/1.1 403 Forbidden\r\n\r\n", "it refuses a tunnel to far.invalid:443"),
    ] {
        let answers: &'static [&'static [u8]] = Box::leak(Box::new([answer]));
        let (proxy, _heard) = scripted(answers);
        let connector =
            connector(Security::Http2(trusted()), &[("HTTPS_PROXY", format!("http://{login}{proxy}"))]);
        let obstacle = open(&connector, "https://far.invalid/").await.unwrap_err();
        assert_eq!(obstacle, Obstacle::Other(format!("the proxy {proxy} of the environment: {why}")));
    }
}

#[tokio::test]
async fn a_socks_proxy_finds_the_host_itself() {
    let done: &[u8] = b"\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x50";
    let answers: &'static [&'static [u8]] = Box::leak(Box::new([b"\x05\x02", b"\x01\x00", done, b"hello"]));
    let (proxy, heard) = scripted(answers);
    let connector = connector(Security::Plain, &[("ALL_PROXY", format!("socks5://u:w@{proxy}"))]);
    says_back(&mut open(&connector, "http://far.invalid/").await.unwrap()).await;
    let heard: Vec<_> = heard.iter().take(3).collect();
    assert_eq!(heard[1], b"\x01\x01u\x01w");
    assert_eq!(heard[2], b"\x05\x01\x00\x03\x0bfar.invalid\x00\x50");
}

#[tokio::test]
async fn a_socks_proxy_that_refuses_is_named() {
    let (proxy, _heard) = scripted(&[b"\x05\xff"]);
    let connector = connector(Security::Plain, &[("ALL_PROXY", format!("socks5h://u:w@{proxy}"))]);
    let said = open(&connector, "http://far.invalid/").await.unwrap_err().to_string();
    assert!(said.starts_with(&format!("the proxy {proxy} of the environment: ")), "{said}");
    assert!(!said.contains("u:w"), "{said}");
}

#[tokio::test]
async fn other_kinds_of_proxies_are_not_used() {
    for url in ["https://u:w@proxy.invalid", "socks4://proxy.invalid"] {
        let connector = connector(Security::Plain, &[("ALL_PROXY", url.to_owned())]);
        let said = open(&connector, "http://far.invalid/").await.unwrap_err().to_string();
        let expected =
            "the proxy proxy.invalid of the environment: only a proxy with http:// or socks5:// can be used";
        assert_eq!(said, expected, "{url}");
    }
}

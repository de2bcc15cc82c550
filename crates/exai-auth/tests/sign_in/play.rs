//! An authorization server with its protected server, a browser's way back, and who signs in there.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use exai_auth::{
    AuthHttp, Challenge, Discovered, Identity, PendingSignIn, Place, Record, Records, Refusal, Renew,
    Renewal, Returned, Scopes, SignIn, SignInError, discover, fingerprint, identify, renew,
};
use exai_config::Secret;
use exai_net::{Proxies, Tls};
use exai_test::authorization_server::{AuthorizationServer, Options, Settings, follow};
use exai_test::scripted_http::{ScriptedHttp, document};
use hyper::header::{HeaderName, HeaderValue};
use tempfile::TempDir;
use tokio::sync::oneshot;
use url::Url;

pub(crate) struct Play {
    pub(crate) server: AuthorizationServer,
    pub(crate) http: AuthHttp,
    pub(crate) dir: TempDir,
    callback: ScriptedHttp,
}

impl Play {
    pub(crate) fn start(options: Options) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let http = http(&dir);
        let callback = ScriptedHttp::start(|_| document(200, "", "come back"));
        Play { server: AuthorizationServer::start(options), http, dir, callback }
    }

    pub(crate) fn with(settings: Settings) -> Self {
        Play::start(Options { settings, ..Options::default() })
    }

    pub(crate) fn redirect(&self) -> Url {
        url(&self.callback.url("/oauth/callback"))
    }

    pub(crate) fn place(&self) -> Place {
        Place { server: url(&self.server.url("/mcp")), account: String::new() }
    }

    pub(crate) fn records(&self) -> Records {
        Records::at(self.dir.path().join("sign-ins"))
    }

    /// What may be asked for this server.
    pub(crate) async fn own_http(&self) -> AuthHttp {
        self.http.for_server(&self.place().server).await
    }

    /// Calls the tool `whoami`, or one that needs more.
    pub(crate) fn call(&self, tool: &str, token: Option<&Secret>) -> Result<(), (u16, Challenge)> {
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"{tool}","arguments":{{}}}}}}"#
        );
        let place = self.place().server;
        let port = place.port().unwrap();
        let token = token.map(|token| format!("authorization: Bearer {}\r\n", token.expose()));
        let head = format!(
            "POST /mcp HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\naccept: application/json, text/event-stream\r\n"
        );
        let head = format!("{head}{}content-length: {}\r\n\r\n", token.unwrap_or_default(), body.len());
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let mut lines = answer.split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).unwrap().parse().unwrap();
        let headers = lines.take_while(|line| !line.is_empty()).filter_map(|line| line.split_once(": "));
        let headers = headers.map(|(name, value)| {
            (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap())
        });
        if status == 200 { Ok(()) } else { Err((status, Challenge::read(&headers.collect()))) }
    }

    pub(crate) fn challenge(&self) -> Challenge {
        self.call("whoami", None).unwrap_err().1
    }

    pub(crate) async fn discover(&self) -> Result<Discovered, SignInError> {
        discover(&self.own_http().await, &self.place().server, &self.challenge()).await
    }

    /// Begins to sign in with these scopes besides those that the server needs.
    pub(crate) async fn begin(
        &self,
        configured: Option<(&str, Option<&Secret>)>,
        earlier: Option<&Identity>,
        more: &str,
    ) -> Result<PendingSignIn, SignInError> {
        let (http, redirect) = (self.own_http().await, self.redirect());
        let discovered = self.discover().await?;
        let identity = identify(&http, &discovered, configured, earlier, &redirect).await?;
        let scopes = discovered.scopes_to_ask_for(&Scopes::read(more), None)?;
        Ok(PendingSignIn::begin(self.place(), discovered, identity, scopes, &redirect))
    }

    pub(crate) async fn sign_in_with(
        &self,
        configured: Option<(&str, Option<&Secret>)>,
        earlier: Option<&Identity>,
        more: &str,
    ) -> Result<Record, SignInError> {
        let pending = self.begin(configured, earlier, more).await?;
        let returned = go(&pending);
        pending.finish(&self.own_http().await, returned).await
    }

    pub(crate) async fn sign_in(&self) -> Record {
        self.sign_in_with(None, None, "").await.unwrap()
    }

    /// The sign-in as a daemon has it.
    pub(crate) fn open(&self) -> Arc<SignIn> {
        self.open_with(&Arc::new(InThread::new(self.http.clone(), self.records())))
    }

    pub(crate) fn open_with(&self, renewer: &Arc<InThread>) -> Arc<SignIn> {
        Arc::new(SignIn::open(self.records(), self.place(), Arc::clone(renewer) as Arc<dyn Renew>).unwrap())
    }

    /// The same after somebody has signed in.
    pub(crate) async fn signed_in(&self) -> Arc<SignIn> {
        let sign_in = self.open();
        sign_in.adopt(self.sign_in().await).unwrap();
        sign_in
    }

    /// What a daemon does for one request of a client.
    pub(crate) async fn request(&self, sign_in: &Arc<SignIn>) -> Result<(), Refusal> {
        for _ in 0..2 {
            let token = sign_in.token(detach).await.unwrap();
            match self.call("whoami", token.as_ref()) {
                Ok(()) => {
                    sign_in.note_accepted(&token.unwrap());
                    return Ok(());
                }
                Err((_, challenge)) => match sign_in.refused(token.as_ref(), challenge).await {
                    Refusal::Again => {}
                    other => return Err(other),
                },
            }
        }
        Err(Refusal::Again)
    }
}

pub(crate) fn url(text: &str) -> Url {
    Url::parse(text).unwrap()
}

pub(crate) fn http(dir: &TempDir) -> AuthHttp {
    let trusted = dir.path().join("ca.pem");
    std::fs::write(&trusted, exai_test::tls::CA).unwrap();
    AuthHttp::new(Tls::of(&[("SSL_CERT_FILE".into(), trusted.into())]).unwrap(), Proxies::none())
}

/// Opens the page in a browser: what it brings back.
pub(crate) fn go(pending: &PendingSignIn) -> Returned {
    let page = follow(pending.address.as_str());
    assert_eq!((page.status, page.text.as_str()), (200, "come back"), "{page:?}");
    Returned::read_pasted(&page.url).unwrap()
}

/// Makes a token of a record one that ends so soon, and that lives an hour.
pub(crate) fn ends_in(mut record: Record, seconds: u64) -> Record {
    let tokens = record.tokens.as_mut().unwrap();
    tokens.expires_at = Some(tokens.obtained_at + seconds);
    tokens.obtained_at = tokens.obtained_at + seconds - 3600;
    record
}

pub(crate) fn access_token(sign_in: &SignIn) -> Secret {
    sign_in.record().unwrap().tokens.unwrap().access_token
}

pub(crate) fn detach(future: Pin<Box<dyn Future<Output = ()> + Send>>) {
    thread::spawn(move || block_on(future));
}

pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// Renews in a thread that goes on whatever happens to who has asked, as a process would.
#[derive(Debug)]
pub(crate) struct InThread {
    http: AuthHttp,
    records: Records,
    begun: AtomicUsize,
}

impl InThread {
    pub(crate) fn new(http: AuthHttp, records: Records) -> Self {
        InThread { http, records, begun: AtomicUsize::new(0) }
    }

    /// How many renewals have begun.
    pub(crate) fn begun(&self) -> usize {
        self.begun.load(Ordering::SeqCst)
    }
}

impl Renew for InThread {
    fn renew(&self, id: String, old: Secret) -> Pin<Box<dyn Future<Output = Renewal> + Send>> {
        self.begun.fetch_add(1, Ordering::SeqCst);
        let (http, records) = (self.http.clone(), self.records.clone());
        let (tell, done) = oneshot::channel();
        thread::spawn(move || tell.send(block_on(renew(&http, &records, &id, &fingerprint(&old)))));
        Box::pin(async { done.await.unwrap() })
    }
}

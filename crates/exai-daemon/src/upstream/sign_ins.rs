//! The sign-ins at servers elsewhere, for all of their clients and instances.
//!
//! Each server and account has one [`SignIn`], however many instances use it. One that begins is pending until the browser
//! comes back, on this daemon's own port: whoever asks meanwhile is given the same page. What is finished is on disk before
//! anybody uses it. Tokens are renewed by a process of its own (`renewer`).

pub(crate) mod adoption;
mod entry;
mod known;
mod network;
mod pending;
mod plan;
mod renewer;

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use exai_auth::{
    AuthHttp, Discovered, Identity, Keeping, PendingDevice, PendingSignIn, Place, Record, Records, Returned,
    Scopes, SignIn, SignInError, Survey, discover, identify, probe,
};
use exai_config::expand::Expanded;
use exai_config::secret_store::SecretStore;
use exai_config::{Home, Secret, ServerConfig, SignInConfig};
use exai_mux::account;
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;
use url::Url;

pub(crate) use self::known::Cause;
use self::known::{FailedToBegin, Known};
use self::network::Network;
pub(crate) use self::pending::Begun;
use self::pending::{Pending, PendingTable, Waiting};
use self::renewer::Renewals;
use crate::state::daemon_info::{DaemonInfo, Tcp};
use crate::upstream::environment::Environment;

/// The path of the callback.
pub(crate) const CALLBACK: &str = "/oauth/callback";
/// What is registered where no browser comes back, and the daemon has no port. A native application may use any port
/// (RFC 8252, section 7.3).
const UNUSED_REDIRECT: &str = "http://127.0.0.1/oauth/callback";

/// The sign-ins of this daemon. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct SignIns {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    records: Records,
    environment: Environment,
    about: Arc<DaemonInfo>,
    tasks: TaskTracker,
    renewals: Renewals,
    known: Mutex<HashMap<Place, Arc<Known>>>,
    pending: PendingTable,
}

/// One server's sign-in, as its conversations use it.
#[derive(Debug, Clone)]
pub(crate) struct ServerSignIn {
    pub(crate) server: Arc<str>,
    pub(crate) config: SignInConfig,
    pub(crate) sign_in: Arc<SignIn>,
    /// What each request to the server carries.
    headers: Arc<[(String, Secret)]>,
    known: Arc<Known>,
    pub(crate) all: SignIns,
}

/// A sign-in that waits for a person who types a code.
pub(crate) struct BegunDevice {
    pub(crate) device: PendingDevice,
    http: AuthHttp,
}

/// How a person signs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Browser,
    /// With a code to type: no browser comes back.
    Code,
}

/// What is needed to begin: everything that the network was asked for.
struct Prepared {
    http: AuthHttp,
    discovered: Discovered,
    identity: Identity,
    scopes: Scopes,
    redirect: Url,
}

impl SignIns {
    pub(crate) fn new(
        home: &Home,
        environment: Environment,
        about: Arc<DaemonInfo>,
        tasks: TaskTracker,
    ) -> Self {
        let records = Records::of_home(home);
        let renewals = Renewals::new(home.clone(), records.clone());
        SignIns {
            shared: Arc::new(Shared {
                records,
                environment,
                about,
                tasks,
                renewals,
                known: Mutex::default(),
                pending: PendingTable::default(),
            }),
        }
    }

    /// The sign-in of this server, or account of a server. Blocks the first time. The error reads after "the server".
    pub(crate) fn of_server(&self, server: &Arc<str>, expanded: &Expanded) -> Result<ServerSignIn, String> {
        let config = expanded.sign_in.clone();
        let url = Url::parse(expanded.url.as_deref().unwrap_or_default());
        let url = url.map_err(|error| format!("has a URL that cannot be read: {error}"))?;
        let place = Place { server: url, account: account::split(server).1.unwrap_or_default().to_owned() };
        let known = self
            .open(place)
            .map_err(|error| format!("could not be started: its sign-in cannot be read: {error}"))?;
        known.network.set_own(&expanded.env);
        known.servers().insert(server.clone());
        if let Some(client_id) = &config.client_id {
            let noted = known.sign_in.note_secret(client_id, config.client_secret.as_ref());
            noted.map_err(|error| format!("could not be started: its sign-in cannot be changed: {error}"))?;
        }
        let (server, sign_in, all) = (server.clone(), known.sign_in.clone(), self.clone());
        let headers = expanded.headers.clone().into();
        Ok(ServerSignIn { server, config, sign_in, headers, known, all })
    }

    /// The sign-in of a server, or of an account of it, as it is configured. The error is a sentence.
    pub(crate) async fn of_configured(
        &self,
        server: &Arc<str>,
        config: ServerConfig,
        home: Home,
    ) -> Result<ServerSignIn, String> {
        let vars = self.shared.environment.vars().await;
        let (all, server) = (self.clone(), server.clone());
        let opening = tokio::task::spawn_blocking(move || {
            let secrets = SecretStore::load(&home).map_err(|error| error.to_string())?;
            let config = config.expand(&vars, &secrets).map_err(|error| error.to_string())?;
            let of_server = all.of_server(&server, &config);
            of_server.map_err(|reason| format!("server \"{server}\" {reason}"))
        });
        opening.await.unwrap_or_else(|panic| Err(format!("BUG: {panic}")))
    }

    /// Runs what goes on when nobody waits for it.
    pub(crate) fn spawn<T: Send + 'static>(
        &self,
        task: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<T> {
        self.shared.tasks.spawn(task)
    }

    /// All sign-ins that are kept, also those of servers that are configured no more. Blocks.
    pub(crate) fn survey(&self) -> io::Result<Survey> {
        self.shared.records.survey()
    }

    /// How sign-ins are kept now. Blocks.
    pub(crate) fn keeping(&self) -> Keeping {
        self.shared.records.keeping()
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Place, Arc<Known>>> {
        self.shared.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self, place: Place) -> io::Result<Arc<Known>> {
        if let Some(known) = self.known().get(&place) {
            return Ok(known.clone());
        }
        let network = Arc::new(Network::new(self.shared.environment.clone()));
        let renewer = self.shared.renewals.through(network.clone());
        let sign_in = Arc::new(SignIn::open(self.shared.records.clone(), place.clone(), Arc::new(renewer))?);
        let opened = Arc::new(Known::new(sign_in, network));
        // Somebody else may have been faster.
        Ok(self.known().entry(place).or_insert(opened).clone())
    }

    /// Forgets the tokens for an address, whether or not a server of the configuration has it. Returns whether there were
    /// any, and the servers that have it. Blocks. The error is a sentence.
    pub(crate) fn sign_out_of(
        &self,
        url: &str,
        account: Option<&str>,
    ) -> Result<(bool, Vec<Arc<str>>), String> {
        let unreadable = |error: io::Error| format!("the sign-ins cannot be read: {error}");
        let survey = self.survey().map_err(unreadable)?;
        let unread = survey.unread.into_iter().next();
        let mut records: Vec<Record> = survey.kept.into_iter().map(|kept| kept.record).collect();
        records.retain(|record| record.place.shown_server() == url);
        if let Some(account) = account {
            records.retain(|record| record.place.account == account);
        }
        let [record] = &records[..] else {
            return Err(if let (true, Some(why)) = (records.is_empty(), unread) {
                format!("no sign-in at {url} can be read; there are some that cannot: {why}")
            } else if records.is_empty() {
                format!("nobody has signed in at {url}; `exai login --list` shows where somebody has")
            } else {
                format!("there are several sign-ins at {url}: `exai login --list` shows them; say --account")
            });
        };
        let known = self.open(record.place.clone()).map_err(unreadable)?;
        self.shared.pending.forget(&record.place);
        Ok((sign_out(&known.sign_in)?, known.list_servers()))
    }

    /// Finishes the sign-in that a browser comes back from, and returns the name of its server. The sign-in is over whatever
    /// becomes of it. `hear` is told of all servers that share it before anybody who waits for the outcome.
    pub(crate) async fn take_return(
        &self,
        returned: Returned,
        hear: impl AsyncFnOnce(Vec<Arc<str>>),
    ) -> Result<Arc<str>, SignInError> {
        let pending = self.shared.pending.take(&returned.state).ok_or(SignInError::UnknownState)?;
        let Pending { sign_in, waiting: Waiting { http, server, known }, outcome, .. } = pending;
        let finished = settle(&known.sign_in, sign_in.finish(&http, returned).await).await;
        if finished.is_ok() {
            hear(known.list_servers()).await;
        }
        // Those who wait may have gone.
        let _ = outcome.send(Some(finished.as_ref().copied().map_err(ToString::to_string)));
        finished.map(|()| server)
    }

    /// The callback of this daemon.
    fn redirect(&self) -> Result<Url, String> {
        let open = self.shared.about.tcp().into_iter().find_map(|tcp| match tcp {
            Tcp::Open(addr) if addr.is_ipv4() => Some(addr),
            Tcp::Open(_) | Tcp::Missing { .. } => None,
        });
        let addr = open.ok_or(
            "a browser could not come back, since the daemon has no port: `exai doctor` says which program holds it",
        )?;
        Url::parse(&format!("http://{addr}{CALLBACK}")).map_err(|error| error.to_string())
    }
}

impl ServerSignIn {
    /// All servers that share the sign-in.
    pub(crate) fn list_servers(&self) -> Vec<Arc<str>> {
        self.known.list_servers()
    }

    /// Notes that the server refuses requests until somebody signs in. Returns whether that is news.
    pub(crate) fn note_ended(&self) -> bool {
        self.known.note_ended(&self.server)
    }

    /// Notes that the server has taken a request. Returns whether that is news.
    pub(crate) fn note_taken(&self) -> bool {
        self.known.note_taken(&self.server)
    }

    /// Begins a sign-in in a browser, or joins the one that waits.
    pub(crate) async fn begin(&self, cause: Cause) -> Result<Begun, String> {
        let asked_at = Instant::now();
        let mut failed = self.known.preparing.lock().await;
        let (_, wanted) = self.sign_in.wish();
        let pending = &self.all.shared.pending;
        if let Some(begun) = pending.find(self.sign_in.place(), &self.config, &wanted) {
            return Ok(begun);
        }
        let is_shared = |failed: &&FailedToBegin| failed.cause == cause && failed.at >= asked_at;
        if let Some(failed) = failed.as_ref().filter(is_shared) {
            return Err(failed.why.clone());
        }
        let prepared = match self.prepare(cause, Way::Browser).await {
            Ok(prepared) => prepared,
            Err(why) => {
                *failed = Some(FailedToBegin { at: Instant::now(), cause, why: why.clone() });
                return Err(why);
            }
        };
        let place = self.sign_in.place().clone();
        let Prepared { http, discovered, identity, scopes, redirect } = prepared;
        let sign_in = PendingSignIn::begin(place, discovered, identity, scopes, &redirect);
        let waiting = Waiting { http, server: self.server.clone(), known: self.known.clone() };
        Ok(pending.add(sign_in, waiting, self.config.clone(), wanted))
    }

    /// Begins a sign-in with a code to type.
    pub(crate) async fn begin_device(&self) -> Result<BegunDevice, String> {
        let Prepared { http, discovered, identity, scopes, .. } =
            self.prepare(Cause::Wanted, Way::Code).await?;
        let place = self.sign_in.place().clone();
        match PendingDevice::begin(&http, place, discovered, identity, scopes).await {
            Ok(device) => Ok(BegunDevice { device, http }),
            Err(error) => {
                forget_if_unregistered(&self.sign_in, &error).await;
                Err(error.to_string())
            }
        }
    }

    /// Waits for a person to type the code.
    pub(crate) async fn finish_device(&self, begun: BegunDevice) -> Result<(), String> {
        let finished = settle(&self.sign_in, begun.device.finish(&begun.http).await).await;
        finished.map_err(|error| error.to_string())
    }

    /// Signs out. Pages that wait are good for nothing any more.
    pub(crate) async fn sign_out(&self) -> Result<bool, String> {
        self.all.shared.pending.forget(self.sign_in.place());
        let sign_in = self.sign_in.clone();
        let done = tokio::task::spawn_blocking(move || sign_out(&sign_in)).await;
        done.unwrap_or_else(|panic| Err(format!("BUG: {panic}")))
    }

    /// Runs what goes on when nobody waits for it.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.all.spawn(task);
    }

    /// The only scopes that may be asked for, if the configuration names some.
    fn limit(&self) -> Option<Scopes> {
        Some(self.config.scopes.as_ref()?.iter().map(String::as_str).collect())
    }

    /// The client id of the configuration and its secret.
    fn client(&self) -> Option<(&str, Option<&Secret>)> {
        Some((self.config.client_id.as_deref()?, self.config.client_secret.as_ref()))
    }

    async fn prepare(&self, cause: Cause, way: Way) -> Result<Prepared, String> {
        let redirect = match (self.all.redirect(), way) {
            (Err(_), Way::Code) => Url::parse(UNUSED_REDIRECT).map_err(|error| error.to_string())?,
            (redirect, _) => redirect?,
        };
        let (challenge, before) = self.sign_in.wish();
        let (earlier, known_identity) = (self.sign_in.record(), self.sign_in.identity());
        let server = &self.sign_in.place().server;
        let prepared = async {
            let http = self.known.network.open(server).await?;
            let challenge = match challenge {
                Some(challenge) => challenge,
                None => probe(&http, server, &self.headers).await?.unwrap_or_default(),
            };
            let discovered = discover(&http, server, &challenge).await?;
            // What another authorization server has allowed says nothing here.
            let earlier = earlier.filter(|record| record.issuer == discovered.issuer);
            let scopes = discovered.scopes_to_ask_for(&before, self.limit().as_ref())?;
            let was_in_vain = earlier.as_ref().is_some_and(|record| scopes.is_within(&record.asked));
            if cause == Cause::ScopesMissing && was_in_vain {
                return Err(SignInError::NothingMoreToAskFor(scopes.to_string()));
            }
            let identity =
                identify(&http, &discovered, self.client(), known_identity.as_ref(), &redirect).await?;
            self.sign_in.note_identity(&identity);
            Ok::<_, SignInError>((http, discovered, identity, scopes))
        };
        let (http, discovered, identity, scopes) = prepared.await.map_err(|error| error.to_string())?;
        Ok(Prepared { http, discovered, identity, scopes, redirect })
    }
}

/// Forgets the tokens of a sign-in. Returns whether there were any: if not, it forgets who we are there, so that the next
/// sign-in registers anew. Blocks.
fn sign_out(sign_in: &SignIn) -> Result<bool, String> {
    let forget = || {
        let had_tokens = sign_in.sign_out()?;
        if !had_tokens {
            sign_in.forget_registration()?;
        }
        Ok::<_, io::Error>(had_tokens)
    };
    forget().map_err(|error| format!("the sign-in cannot be forgotten: {error}"))
}

/// Keeps what a sign-in has ended with.
async fn settle(sign_in: &Arc<SignIn>, finished: Result<Record, SignInError>) -> Result<(), SignInError> {
    match finished {
        Ok(record) => {
            let sign_in = sign_in.clone();
            tokio::task::spawn_blocking(move || sign_in.adopt(record)).await.map_err(io::Error::other)??;
            Ok(())
        }
        Err(error) => {
            forget_if_unregistered(sign_in, &error).await;
            Err(error)
        }
    }
}

/// Forgets who we are to an authorization server that says that it does not know us any more: the next sign-in registers anew.
async fn forget_if_unregistered(sign_in: &Arc<SignIn>, error: &SignInError) {
    if !error.means_unregistered() {
        return;
    }
    let sign_in = sign_in.clone();
    match tokio::task::spawn_blocking(move || sign_in.forget_registration()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "a registration that is over cannot be forgotten"),
        Err(error) => tracing::error!(%error, "BUG: a task failed"),
    }
}

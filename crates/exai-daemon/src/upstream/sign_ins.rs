//! The sign-ins at servers elsewhere, for all of their clients and instances.
//!
//! Each server and account has one [`SignIn`], however many instances use it. One that begins is pending until the browser
//! comes back, on this daemon's own port: whoever asks meanwhile is given the same page. What is finished is on disk before
//! anybody uses it. Tokens are renewed by a process of its own (`renewer`).

mod pending;
mod renewer;

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use exai_auth::{
    AuthHttp, Discovered, Identity, PendingDevice, PendingSignIn, Place, Record, Records, Returned, Scopes,
    SignIn, SignInError, discover, identify,
};
use exai_config::secret_store::SecretStore;
use exai_config::{Home, ServerConfig, SignInConfig};
use exai_mux::account;
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;
use url::Url;

pub(crate) use self::pending::Begun;
use self::pending::{Pending, PendingTable, Waiting};
use self::renewer::RenewingProcess;
use crate::state::daemon_info::{DaemonInfo, Tcp};
use crate::upstream::environment::Environment;

/// The path of the callback.
pub(crate) const CALLBACK: &str = "/oauth/callback";

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
    renewer: Arc<RenewingProcess>,
    known: Mutex<HashMap<Place, Arc<Known>>>,
    pending: PendingTable,
}

#[derive(Debug)]
struct Known {
    sign_in: Arc<SignIn>,
    /// Held while a sign-in is prepared: who comes second finds the page of the first.
    preparing: tokio::sync::Mutex<()>,
}

/// One server's sign-in, as its conversations use it.
#[derive(Debug, Clone)]
pub(crate) struct ServerSignIn {
    pub(crate) server: Arc<str>,
    pub(crate) config: SignInConfig,
    pub(crate) sign_in: Arc<SignIn>,
    known: Arc<Known>,
    pub(crate) all: SignIns,
}

/// A sign-in that waits for a person who types a code.
pub(crate) struct BegunDevice {
    pub(crate) device: PendingDevice,
    http: AuthHttp,
}

/// Why a sign-in begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// A person asks for it, or the server takes no token that there is.
    Wanted,
    /// The server takes the token, and wants more scopes. What was asked for in vain is not asked for again, or a client that
    /// opens every page would do so for ever (MCP 2025-11-25, authorization, scope challenge handling).
    ScopesMissing,
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
        let renewer = Arc::new(RenewingProcess::new(home.clone(), environment.clone()));
        SignIns {
            shared: Arc::new(Shared {
                records: Records::at(home.sign_ins_dir()),
                environment,
                about,
                tasks,
                renewer,
                known: Mutex::default(),
                pending: PendingTable::default(),
            }),
        }
    }

    /// The sign-in of the server, or account of a server, with this URL. Blocks the first time. The error reads after "the server".
    pub(crate) fn of_server(
        &self,
        server: &Arc<str>,
        url: &str,
        config: SignInConfig,
    ) -> Result<ServerSignIn, String> {
        let url = Url::parse(url).map_err(|error| format!("has a URL that cannot be read: {error}"))?;
        let place = Place { server: url, account: account::split(server).1.unwrap_or_default().to_owned() };
        let known = self
            .open(place)
            .map_err(|error| format!("could not be started: its sign-in cannot be read: {error}"))?;
        let (server, sign_in, all) = (server.clone(), known.sign_in.clone(), self.clone());
        Ok(ServerSignIn { server, config, sign_in, known, all })
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
            let of_server = all.of_server(&server, config.url.as_deref().unwrap_or_default(), config.sign_in);
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
    pub(crate) fn records(&self) -> io::Result<Vec<Record>> {
        self.shared.records.load()
    }

    fn known(&self) -> MutexGuard<'_, HashMap<Place, Arc<Known>>> {
        self.shared.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open(&self, place: Place) -> io::Result<Arc<Known>> {
        let mut known = self.known();
        if let Some(known) = known.get(&place) {
            return Ok(known.clone());
        }
        let sign_in = SignIn::open(self.shared.records.clone(), place.clone(), self.shared.renewer.clone())?;
        let opened = Arc::new(Known { sign_in: Arc::new(sign_in), preparing: tokio::sync::Mutex::default() });
        known.insert(place, opened.clone());
        Ok(opened)
    }

    /// Finishes the sign-in that a browser comes back from, and returns the name of its server. The sign-in is over whatever
    /// becomes of it.
    pub(crate) async fn take_return(&self, returned: Returned) -> Result<Arc<str>, SignInError> {
        let pending = self.shared.pending.take(&returned.state).ok_or(SignInError::UnknownState)?;
        let Pending { sign_in, waiting: Waiting { http, server, known }, outcome, .. } = pending;
        let finished = settle(&known, sign_in.finish(&http, returned).await).await;
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

    async fn http(&self, server: &Url) -> Result<AuthHttp, SignInError> {
        let vars = self.shared.environment.vars().await;
        let made =
            tokio::task::spawn_blocking(move || AuthHttp::of(&vars)).await.map_err(io::Error::other)??;
        Ok(made.for_server(server).await)
    }
}

impl ServerSignIn {
    /// Begins a sign-in in a browser, or joins the one that waits.
    pub(crate) async fn begin(&self, cause: Cause) -> Result<Begun, String> {
        let _preparing = self.known.preparing.lock().await;
        let (_, wanted) = self.sign_in.wish();
        let pending = &self.all.shared.pending;
        if let Some(begun) = pending.find(self.sign_in.place(), &self.config, &wanted) {
            return Ok(begun);
        }
        let prepared = self.prepare(cause).await?;
        let place = self.sign_in.place().clone();
        let Prepared { http, discovered, identity, scopes, redirect } = prepared;
        let sign_in = PendingSignIn::begin(place, discovered, identity, scopes, &redirect);
        let waiting = Waiting { http, server: self.server.clone(), known: self.sign_in.clone() };
        Ok(pending.add(sign_in, waiting, self.config.clone(), wanted))
    }

    /// Begins a sign-in with a code to type.
    pub(crate) async fn begin_device(&self) -> Result<BegunDevice, String> {
        let Prepared { http, discovered, identity, scopes, .. } = self.prepare(Cause::Wanted).await?;
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

    /// Forgets the tokens. Returns whether there were any: if not, it forgets who we are there, so that the next sign-in
    /// registers anew. Pages that wait are good for nothing any more.
    pub(crate) async fn sign_out(&self) -> Result<bool, String> {
        self.all.shared.pending.forget(self.sign_in.place());
        let sign_in = self.sign_in.clone();
        let done = tokio::task::spawn_blocking(move || {
            let had_tokens = sign_in.sign_out()?;
            if !had_tokens {
                sign_in.forget_registration()?;
            }
            Ok::<_, io::Error>(had_tokens)
        })
        .await;
        done.map_err(|panic| format!("BUG: {panic}"))?
            .map_err(|error| format!("the sign-in cannot be forgotten: {error}"))
    }

    /// Runs what goes on when nobody waits for it.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.all.spawn(task);
    }

    async fn prepare(&self, cause: Cause) -> Result<Prepared, String> {
        let redirect = self.all.redirect()?;
        let (challenge, before) = self.sign_in.wish();
        let earlier = self.sign_in.record();
        let prepared = async {
            let http = self.all.http(&self.sign_in.place().server).await?;
            let discovered = discover(&http, &self.sign_in.place().server, &challenge).await?;
            let limit = self.config.scopes.as_ref().map(|scopes| scopes.iter().map(String::as_str).collect());
            // What another authorization server has allowed says nothing here.
            let earlier = earlier.filter(|record| record.issuer == discovered.issuer);
            let scopes = discovered.scopes_to_ask_for(&before, limit.as_ref())?;
            let was_in_vain = earlier.as_ref().is_some_and(|record| scopes.is_within(&record.asked));
            if cause == Cause::ScopesMissing && was_in_vain {
                return Err(SignInError::NothingMoreToAskFor(scopes.to_string()));
            }
            let configured = self.config.client_id.as_deref();
            let configured = configured.map(|id| (id, self.config.client_secret.as_ref()));
            let earlier = earlier.as_ref().map(|record| &record.identity);
            let identity = identify(&http, &discovered, configured, earlier, &redirect).await?;
            Ok::<_, SignInError>((http, discovered, identity, scopes))
        };
        let (http, discovered, identity, scopes) = prepared.await.map_err(|error| error.to_string())?;
        Ok(Prepared { http, discovered, identity, scopes, redirect })
    }
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

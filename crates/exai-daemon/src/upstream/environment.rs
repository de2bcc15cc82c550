//! The account's environment. Where a query is quick, it is read at each start of a server; otherwise once, in the
//! background, while the daemon starts.

use std::ffi::OsString;
use std::sync::Arc;
use std::time::Duration;

use crate::limits::LOGIN_SHELL_TIMEOUT;
use exai_config::Secret;
use exai_os::account::{self, Account, AccountEnvironment, EnvironmentSource};
use tokio::sync::watch;

/// A cached environment older than this is renewed in the background.
const RENEW: Duration = Duration::from_hours(1);

type Vars = Arc<Vec<(OsString, OsString)>>;

/// An environment with the variables of one server.
pub(crate) fn with_own(vars: &[(OsString, OsString)], own: &[(String, Secret)]) -> Vec<(OsString, OsString)> {
    let mut vars = vars.to_vec();
    for (name, value) in own {
        account::set_variable(&mut vars, name, value.expose().into());
    }
    vars
}

/// The environment that servers get.
#[derive(Debug, Clone)]
pub(crate) enum Environment {
    /// Read at each start of a server: a program that was installed meanwhile counts.
    Asked { account: Arc<Account>, instance_home: Option<OsString> },
    /// Read once, a moment after the daemon's start.
    Read(watch::Receiver<Option<Vars>>),
}

impl Environment {
    /// Begins to read. A cached environment is used at once, and an old one is renewed for servers that start later.
    pub(crate) fn read(account: Option<Account>, instance_home: Option<OsString>) -> Self {
        if account::ASKING_IS_QUICK
            && let Some(account) = account
        {
            return Environment::Asked { account: Arc::new(account), instance_home };
        }
        let (sender, vars) = watch::channel(None);
        // Not among the daemon's tasks: a login shell that hangs must not keep the daemon from ending.
        tokio::task::spawn_blocking(move || {
            let starter = exai_config::environment::of_this_process();
            let Some(account) = account else {
                // An account without an entry has no login shell. Its servers get the environment that the daemon was
                // started with.
                sender.send_replace(Some(Arc::new(starter)));
                return;
            };
            let keep = |environment: AccountEnvironment| {
                sender.send_replace(Some(for_servers(environment, instance_home.as_ref())));
            };
            let first = account::environment(&account, &starter, LOGIN_SHELL_TIMEOUT);
            let source = first.source.clone();
            keep(first);
            match source {
                EnvironmentSource::Captured => {}
                EnvironmentSource::Fallback { reason } => {
                    tell_of_the_fallback(&reason);
                }
                EnvironmentSource::Cached { age } if age < RENEW => {}
                EnvironmentSource::Cached { .. } => {
                    let renewed = account::refresh_environment(&account, &starter, LOGIN_SHELL_TIMEOUT);
                    // An old environment is better than none.
                    if renewed.source == EnvironmentSource::Captured {
                        keep(renewed);
                    }
                }
            }
        });
        Environment::Read(vars)
    }

    /// The environment, as soon as it is known.
    pub(crate) async fn vars(&self) -> Vars {
        match self {
            Environment::Asked { account, instance_home } => {
                let (account, instance_home) = (account.clone(), instance_home.clone());
                let asked = tokio::task::spawn_blocking(move || {
                    let starter = exai_config::environment::of_this_process();
                    let found = account::environment(&account, &starter, LOGIN_SHELL_TIMEOUT);
                    if let EnvironmentSource::Fallback { reason } = &found.source {
                        tell_of_the_fallback(reason);
                    }
                    for_servers(found, instance_home.as_ref())
                });
                asked.await.unwrap_or_default()
            }
            Environment::Read(vars) => match vars.clone().wait_for(Option::is_some).await {
                Ok(known) => known.clone().unwrap_or_default(),
                Err(_) => Vars::default(),
            },
        }
    }
}

/// Adds the state directory of this instance if it is not the usual one: servers may run `exai`.
fn for_servers(mut environment: AccountEnvironment, instance_home: Option<&OsString>) -> Vars {
    environment.vars.extend(instance_home.map(|home| ("EXAI_HOME".into(), home.clone())));
    Arc::new(environment.vars)
}

fn tell_of_the_fallback(reason: &str) {
    tracing::warn!(reason, "the account's environment could not be read; servers get a minimal one");
}

//! The account's environment, read in the background while the daemon comes up.

use std::ffi::OsString;
use std::sync::Arc;
use std::time::Duration;

use exai_os::account::{Account, AccountEnvironment, EnvironmentSource};
use tokio::sync::watch;

/// How long the account's login shell may take.
const LIMIT: Duration = Duration::from_secs(2);

/// A cached environment older than this is renewed in the background.
const RENEW: Duration = Duration::from_hours(1);

type Vars = Arc<Vec<(OsString, OsString)>>;

/// What servers get as their environment; known a moment after the start.
#[derive(Debug, Clone)]
pub(crate) struct Environment {
    vars: watch::Receiver<Option<Vars>>,
}

impl Environment {
    /// Begins to read it. A cached one is used at once; an old one is renewed for servers that start later.
    pub(crate) fn read(account: Option<Account>, instance_home: Option<OsString>) -> Self {
        let (sender, vars) = watch::channel(None);
        // Not among the daemon's tasks: a login shell that hangs must not keep the daemon from ending.
        tokio::task::spawn_blocking(move || {
            let starter = exai_config::environment::of_this_process();
            let Some(account) = account else {
                // An account without an entry has no login shell; what started the daemon must do.
                sender.send_replace(Some(Arc::new(starter)));
                return;
            };
            let keep = |mut environment: AccountEnvironment| {
                environment.vars.extend(instance_home.clone().map(|home| ("EXAI_HOME".into(), home)));
                sender.send_replace(Some(Arc::new(environment.vars)));
            };
            let first = exai_os::account::environment(&account, &starter, LIMIT);
            let source = first.source.clone();
            keep(first);
            match source {
                EnvironmentSource::Captured => {}
                EnvironmentSource::Fallback { reason } => {
                    tracing::warn!(
                        reason,
                        "the account's environment could not be read; servers get a minimal one"
                    );
                }
                EnvironmentSource::Cached { age } if age < RENEW => {}
                EnvironmentSource::Cached { .. } => {
                    let renewed = exai_os::account::refresh_environment(&account, &starter, LIMIT);
                    // An old one is better than none.
                    if renewed.source == EnvironmentSource::Captured {
                        keep(renewed);
                    }
                }
            }
        });
        Environment { vars }
    }

    /// The environment, once it is known.
    pub(crate) async fn vars(&self) -> Vars {
        let mut vars = self.vars.clone();
        match vars.wait_for(Option::is_some).await {
            Ok(known) => known.clone().unwrap_or_default(),
            Err(_) => Vars::default(),
        }
    }
}

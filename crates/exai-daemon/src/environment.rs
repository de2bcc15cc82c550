//! The account's environment, read in the background while the daemon comes up.

use std::ffi::OsString;
use std::sync::Arc;
use std::time::Duration;

use exai_os::account::{Account, AccountEnvironment, EnvironmentSource};
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

/// How long the account's login shell may take.
const LIMIT: Duration = Duration::from_secs(2);

type Vars = Arc<Vec<(OsString, OsString)>>;

/// What servers get as their environment; known a moment after the start.
#[derive(Debug, Clone)]
pub(crate) struct Environment {
    vars: watch::Receiver<Option<Vars>>,
}

impl Environment {
    /// Begins to read it. A cached one is used at once and refreshed for the servers that start later.
    pub(crate) fn read(
        account: Option<Account>,
        instance_home: Option<OsString>,
        tasks: &TaskTracker,
    ) -> Self {
        let (sender, vars) = watch::channel(None);
        tasks.spawn_blocking(move || {
            let starter: Vec<(OsString, OsString)> = exai_config::environment::of_this_process();
            let Some(account) = account else {
                // An account without an entry has no login shell; what started the daemon must do.
                sender.send_replace(Some(Arc::new(starter)));
                return;
            };
            let keep = |environment: AccountEnvironment| {
                if let EnvironmentSource::Fallback { reason } = &environment.source {
                    tracing::warn!(
                        reason,
                        "the account's environment could not be read; servers get a minimal one"
                    );
                }
                let mut vars = environment.vars;
                vars.extend(instance_home.clone().map(|home| ("EXAI_HOME".into(), home)));
                sender.send_replace(Some(Arc::new(vars)));
            };
            let first = exai_os::account::environment(&account, &starter, LIMIT);
            let cached = matches!(first.source, EnvironmentSource::Cached);
            keep(first);
            if cached {
                keep(exai_os::account::refresh_environment(&account, &starter, LIMIT));
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

//! The process that renews a token: see [`exai_auth::renew`] for why it is one of its own.

use std::io;
use std::pin::Pin;
use std::process::Command;

use exai_auth::{Renew, Renewal, fingerprint};
use exai_config::{Home, Secret};

use crate::upstream::environment::Environment;

/// The command of this program that renews a token: `exai renew-sign-in ID FINGERPRINT`. It ends by itself, prints the
/// [`Renewal`] as JSON, and knows the proxies from its environment.
const COMMAND: &str = "renew-sign-in";

/// Renews tokens in processes that outlive the daemon.
#[derive(Debug)]
pub(super) struct RenewingProcess {
    home: Home,
    environment: Environment,
}

impl RenewingProcess {
    pub(super) fn new(home: Home, environment: Environment) -> Self {
        RenewingProcess { home, environment }
    }
}

impl Renew for RenewingProcess {
    fn renew(&self, id: String, old: Secret) -> Pin<Box<dyn Future<Output = Renewal> + Send>> {
        let (home, environment) = (self.home.clone(), self.environment.clone());
        Box::pin(async move {
            let vars = environment.vars().await;
            let renewed = tokio::task::spawn_blocking(move || {
                let mut command = Command::new(exai_os::tree::own_program()?);
                command.args([COMMAND, &id, &fingerprint(&old)]);
                command.env_clear().envs(vars.iter().map(|(name, value)| (name, value)));
                command.env(exai_config::environment::HOME.name, home.path());
                let output = exai_os::process::output(&mut command)?;
                serde_json::from_slice(&output.stdout).map_err(|_| {
                    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
                    io::Error::other(format!("{} ({said})", output.status))
                })
            });
            match renewed.await {
                Ok(Ok(renewal)) => renewal,
                Ok(Err(error)) => Renewal::Failed(format!("the process that renews it failed: {error}")),
                Err(panic) => Renewal::Failed(format!("BUG: {panic}")),
            }
        })
    }
}

//! The process that renews a token: see [`exai_auth::renew`] for why it is one of its own.

use std::io;
use std::pin::Pin;
use std::process::Command;
use std::sync::Arc;

use exai_auth::{RENEWAL_TIMEOUT, Records, Renew, Renewal, SealingKey, fingerprint};
use exai_config::{Home, Secret};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::network::Network;
use crate::limits::MAX_RENEWING_PROCESSES;

/// The command of this program that renews a token: `exai renew-sign-in ID FINGERPRINT`. It ends by itself, prints the
/// [`Renewal`] as JSON, and knows the proxies from its environment. On its stdin it is told in one line with which key the
/// records are sealed, or nothing where there is none: it asks no keyring.
const COMMAND: &str = "renew-sign-in";

/// What all renewals share.
#[derive(Debug, Clone)]
pub(super) struct Renewals {
    home: Home,
    records: Records,
    /// The processes at the same time, each of which has a thread that waits for it.
    room: Arc<Semaphore>,
}

/// Renews the tokens of one server in processes that outlive the daemon.
#[derive(Debug)]
pub(super) struct RenewingProcess {
    renewals: Renewals,
    network: Arc<Network>,
}

impl Renewals {
    pub(super) fn new(home: Home, records: Records) -> Self {
        Renewals { home, records, room: Arc::new(Semaphore::new(MAX_RENEWING_PROCESSES)) }
    }

    /// Those of a server that is reached through this network.
    pub(super) fn through(&self, network: Arc<Network>) -> RenewingProcess {
        RenewingProcess { renewals: self.clone(), network }
    }
}

impl Renew for RenewingProcess {
    fn renew(&self, id: String, old: Secret) -> Pin<Box<dyn Future<Output = Renewal> + Send>> {
        let (Renewals { home, records, room }, network) = (self.renewals.clone(), self.network.clone());
        Box::pin(async move {
            let Ok(Ok(place)) = timeout(RENEWAL_TIMEOUT, room.acquire_owned()).await else {
                return Renewal::Failed("too many sign-ins are being renewed".to_owned());
            };
            let vars = network.vars().await;
            let renewed = tokio::task::spawn_blocking(move || {
                let _place = place;
                let mut command = Command::new(exai_os::tree::own_program()?);
                command.args([COMMAND, &id, &fingerprint(&old)]);
                command.env_clear().envs(vars.iter().map(|(name, value)| (name, value)));
                command.env(exai_config::environment::HOME.name, home.path());
                let line = SealingKey::write_line(records.key().as_ref());
                let output = exai_os::process::output_apart(&mut command, line.as_bytes())?;
                serde_json::from_slice(&output.stdout).map_err(|_| {
                    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
                    io::Error::other(format!("{} ({said})", output.status))
                })
            });
            // The process ends by itself before that, unless something has stopped it.
            match timeout(RENEWAL_TIMEOUT, renewed).await {
                Ok(Ok(Ok(renewal))) => renewal,
                Ok(Ok(Err(error))) => Renewal::Failed(format!("the process that renews it failed: {error}")),
                Ok(Err(panic)) => Renewal::Failed(format!("BUG: {panic}")),
                Err(_) => Renewal::Failed("the process that renews it does not end".to_owned()),
            }
        })
    }
}

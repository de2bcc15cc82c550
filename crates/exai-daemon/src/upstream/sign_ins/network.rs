//! The way to authorization servers.

use std::ffi::OsString;
use std::io;
use std::sync::{Mutex, PoisonError};

use exai_auth::{AuthHttp, SignInError};
use exai_config::Secret;
use url::Url;

use crate::upstream::environment::{Environment, with_own};

/// The way to the authorization server of one server: as the account's environment says, and the variables of the server.
#[derive(Debug)]
pub(super) struct Network {
    environment: Environment,
    own: Mutex<Vec<(String, Secret)>>,
}

impl Network {
    pub(super) fn new(environment: Environment) -> Self {
        Network { environment, own: Mutex::default() }
    }

    /// Notes the variables of the server, which its configuration may have changed.
    pub(super) fn set_own(&self, own: &[(String, Secret)]) {
        *self.own.lock().unwrap_or_else(PoisonError::into_inner) = own.to_vec();
    }

    pub(super) async fn vars(&self) -> Vec<(OsString, OsString)> {
        let vars = self.environment.vars().await;
        with_own(&vars, &self.own.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What asks the authorization server of this server.
    pub(super) async fn open(&self, server: &Url) -> Result<AuthHttp, SignInError> {
        let vars = self.vars().await;
        let made =
            tokio::task::spawn_blocking(move || AuthHttp::of(&vars)).await.map_err(io::Error::other)??;
        Ok(made.for_server(server).await)
    }
}

//! What a sign-in at a server would need, found out without one: nothing is registered, and nothing is kept.

use std::sync::Arc;

use exai_auth::{Plan, PlannedIdentity, Standing, discover, probe};
use exai_config::{Home, ServerConfig};
use exai_proto::documents::{PlannedClient, SignInPlan};
use tokio::time::timeout;

use super::{ServerSignIn, SignIns};
use crate::limits::SIGN_IN_PLAN_TIMEOUT;

impl SignIns {
    /// What a sign-in at a server would need, as it is configured. The error is a sentence.
    pub(crate) async fn plan(
        &self,
        server: &Arc<str>,
        config: ServerConfig,
        home: Home,
    ) -> Result<SignInPlan, String> {
        let late = |_| {
            let limit = SIGN_IN_PLAN_TIMEOUT.as_secs();
            Err(format!("what a sign-in at \"{server}\" needs was not found out within {limit} s"))
        };
        let planning = async { self.of_configured(server, config, home).await?.plan_sign_in().await };
        timeout(SIGN_IN_PLAN_TIMEOUT, planning).await.unwrap_or_else(late)
    }
}

impl ServerSignIn {
    async fn plan_sign_in(&self) -> Result<SignInPlan, String> {
        if let Standing::SignedIn { .. } = self.sign_in.standing() {
            return Ok(SignInPlan::SignedIn);
        }
        let server = &self.sign_in.place().server;
        let http = self.known.network.open(server).await.map_err(|error| error.to_string())?;
        let asked = probe(&http, server, &self.headers).await.map_err(|error| error.to_string())?;
        let Some(challenge) = asked else { return Ok(SignInPlan::NotWanted) };
        // The sign-in that follows looks where the server says.
        self.sign_in.refused(None, challenge.clone()).await;
        let found = async {
            let redirect = self.all.redirect()?;
            let (_, before) = self.sign_in.wish();
            let discovered = discover(&http, server, &challenge).await.map_err(|error| error.to_string())?;
            let scopes = discovered.scopes_to_ask_for(&before, self.limit().as_ref());
            let scopes = scopes.map_err(|error| error.to_string())?;
            let earlier = self.sign_in.identity();
            let plan = Plan::new(&discovered, self.client(), earlier.as_ref(), scopes, &redirect);
            Ok::<_, String>(write_plan(&plan, redirect.to_string()))
        };
        Ok(found.await.unwrap_or_else(|reason| SignInPlan::Impossible { reason }))
    }
}

fn write_plan(plan: &Plan, redirect: String) -> SignInPlan {
    SignInPlan::Wanted {
        issuer: plan.issuer.clone(),
        client: match plan.identity {
            PlannedIdentity::Configured => PlannedClient::Configured,
            PlannedIdentity::Known => PlannedClient::Known,
            PlannedIdentity::Registers => PlannedClient::Registers,
            PlannedIdentity::ByHand { takes_documents: false } => PlannedClient::ByHand,
            PlannedIdentity::ByHand { takes_documents: true } => PlannedClient::ByHandOrDocument,
        },
        redirect,
        scopes: plan.scopes.iter().map(str::to_owned).collect(),
        gives_codes: plan.gives_codes,
    }
}

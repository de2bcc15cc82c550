//! The configuration in force, and what is known of its servers from earlier runs.

use std::sync::Arc;

use exai_config::Config;
use exai_mux::policy::Policy;
use exai_mux::{Discovery, Event};
use tokio::sync::oneshot;

use super::Hub;
use crate::core::event::HubEvent;
use crate::state::discovery::{self, KnownDiscovery};
use crate::upstream::policy;

impl Hub {
    /// Puts a configuration into force that was read again. Invalid ones change nothing: the last good one stays in force.
    pub(super) fn load_configuration(
        &mut self,
        outcome: Result<Config, String>,
        reply: oneshot::Sender<Result<(), String>>,
    ) {
        let outcome = outcome.map(|config| {
            if config != *self.config {
                tracing::info!(servers = config.servers.len(), "configuration loaded");
                self.host.daemon.admission.set_hosts(&config.daemon.allowed_hosts);
                self.config = Arc::new(config);
                let config = &self.config;
                self.garbles.retain(|server, _| policy::server_at(config, server).is_some());
                let policies = self.configure_router();
                let (home, hub) = (self.host.home.clone(), self.handle.clone());
                self.host.tasks.spawn(async move {
                    let load = move || discovery::load_discoveries(&home, &policies);
                    let loaded = tokio::task::spawn_blocking(load).await;
                    // A hub that has ended ignores it.
                    let _ = hub.send(HubEvent::Known(loaded.unwrap_or_default())).await;
                });
            }
        });
        let _ = reply.send(outcome);
    }

    /// Tells the router what clients may see, which servers are configured, and how they behaved in earlier runs.
    pub(super) fn configure_router(&mut self) -> Vec<Policy> {
        let policies = policy::policies(&self.config);
        self.route(Event::Accounts { accounts: policy::accounts(&self.config) });
        self.route(Event::Chosen { choices: policy::choices(&self.config) });
        self.route(Event::Configured { policies: policies.clone() });
        self.verdicts.retain_servers(&policies);
        for policy in &policies {
            if let Some(behaviour) = self.verdicts.behaviour_of(policy) {
                let eras = self.verdicts.eras_of(policy, jiff::Timestamp::now());
                self.route(Event::BehaviourKnown { server: policy.name.clone(), behaviour, eras });
            }
        }
        policies
    }

    pub(super) fn learn_discoveries(&mut self, servers: Vec<KnownDiscovery>) {
        for (server, revision, discovery) in servers {
            self.note_marked_arguments(&discovery);
            self.route(Event::DiscoveryKnown { server, revision, discovery });
        }
    }

    /// The names under which the router knows a server. One that is not configured has its own.
    pub(super) fn places_of(&self, server: &str) -> Vec<Arc<str>> {
        let config = self.config.servers.get(server);
        config.map_or_else(|| vec![server.into()], |config| policy::places(server, config))
    }

    /// Lets the front know once it must ask which arguments of a tool are repeated in headers.
    pub(super) fn note_marked_arguments(&self, discovery: &Discovery) {
        if discovery.marks_arguments() {
            self.handle.note_marked_arguments();
        }
    }
}

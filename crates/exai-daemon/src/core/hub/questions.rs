//! Answers questions, and carries out orders of the command line.

use std::sync::atomic::Ordering;

use exai_mux::{Event, account};
use exai_os::{build, clock};
use exai_proto::documents::{SCHEMA, SharingExplanation};
use exai_proto::link::ByeReason;

use super::Hub;
use crate::core::event::{HubEvent, Question};
use crate::core::stopping::ReplaceAnswer;
use crate::limits::UPGRADE_TIMEOUT;
use crate::upstream::policy;

impl Hub {
    pub(super) fn answer_question(&mut self, question: Question) {
        match question {
            Question::Facts(reply) => {
                let _ = reply.send(self.copy_facts());
            }
            Question::ParameterHeaders { client, tool, reply } => {
                let _ = reply.send(self.router.parameter_headers(client, &tool));
            }
            Question::MakeRoom { build, reply } => {
                let calls = self.router.clients().iter().map(|client| client.in_flight as usize).sum();
                let room = ReplaceAnswer::for_build(&build, build::version(), self.stopping.is_some(), calls);
                tracing::info!(build, ?room, "another build wants this daemon's place");
                if room == ReplaceAnswer::Made {
                    self.begin_stop(UPGRADE_TIMEOUT, ByeReason::Upgrade);
                }
                let _ = reply.send(room);
            }
            Question::Pulse { number, answered } => answered.store(number, Ordering::Relaxed),
            Question::Reload(reply) => {
                let (about, hub) = (self.host.daemon.clone(), self.handle.clone());
                self.host.tasks.spawn_blocking(move || {
                    let deliver = |outcome| hub.send_from_thread(HubEvent::Loaded { outcome, reply });
                    about.config.read_again(deliver);
                });
            }
            Question::EndRevoked(reply) => {
                let _ = reply.send(self.end_revoked());
            }
            Question::ServerConfig { server, reply } => {
                let known = self.config.servers.get(&server).cloned();
                let _ = reply.send(known.ok_or_else(|| format!("no server is called \"{server}\"")));
            }
            Question::Why { server, reply } => {
                let _ = reply.send(self.explain_sharing(&server));
            }
            Question::RestartServer { server, reply } => {
                let places = self.places_of(&server);
                let mut known = self.router.servers(clock::now());
                known.retain(|known| places.contains(&known.name));
                for known in &known {
                    self.route(Event::Restart { server: known.name.clone() });
                }
                let outcome = match &known[..] {
                    [] => Err(format!("no server is called \"{server}\"")),
                    known => Ok(known.iter().map(|known| known.instances.len()).sum()),
                };
                let _ = reply.send(outcome);
            }
        }
    }

    pub(super) fn explain_sharing(&self, server: &str) -> Result<SharingExplanation, String> {
        let unknown = || format!("no server is called \"{server}\"");
        let mut sentences = self.router.explain_accounts(server);
        for place in self.places_of(server) {
            let of_place = self.router.explain_sharing(&place).ok_or_else(unknown)?;
            let account = account::split(&place).1.map(|account| format!("account \"{account}\": "));
            let account = account.unwrap_or_default();
            sentences.extend(of_place.into_iter().map(|sentence| format!("{account}{sentence}")));
            if let Some(at) = self.verdicts.measured_at(&place) {
                sentences.push(format!(
                    "{account}measured on {at}; forgotten when its entry in config.toml changes"
                ));
            }
        }
        let via = policy::server_at(&self.config, server).and_then(|server| server.via.as_ref());
        if let Some(via) = via {
            sentences.insert(0, format!("it is {}; exai hosts the ssh that leads there", via.describe_hop()));
        }
        let share =
            policy::server_at(&self.config, server).map_or("shared", |server| server.share.name()).to_owned();
        Ok(SharingExplanation { schema: SCHEMA, server: server.to_owned(), share, sentences })
    }
}

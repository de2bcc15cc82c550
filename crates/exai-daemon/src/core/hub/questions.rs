//! Answers questions, and carries out orders of the command line.

use std::sync::atomic::Ordering;

use exai_mux::Event;
use exai_os::{build, clock};
use exai_proto::documents::{SCHEMA, SharingExplanation};
use exai_proto::link::ByeReason;

use super::Hub;
use crate::core::event::{HubEvent, Question};
use crate::core::stopping::ReplaceAnswer;
use crate::limits::UPGRADE_TIMEOUT;

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
            Question::ServerConfig { server, reply } => {
                let known = self.config.servers.get(&server).cloned();
                let _ = reply.send(known.ok_or_else(|| format!("no server is called \"{server}\"")));
            }
            Question::Why { server, reply } => {
                let _ = reply.send(self.explain_sharing(&server));
            }
            Question::RestartServer { server, reply } => {
                let known =
                    self.router.servers(clock::now()).into_iter().find(|known| *known.name == *server);
                let outcome = match known {
                    Some(known) => {
                        self.route(Event::Restart { server: known.name.clone() });
                        Ok(known.instances.len())
                    }
                    None => Err(format!("no server is called \"{server}\"")),
                };
                let _ = reply.send(outcome);
            }
        }
    }

    pub(super) fn explain_sharing(&self, server: &str) -> Result<SharingExplanation, String> {
        let unknown = || format!("no server is called \"{server}\"");
        let mut sentences = self.router.explain_sharing(server).ok_or_else(unknown)?;
        if let Some(at) = self.verdicts.measured_at(server) {
            sentences.push(format!("measured on {at}; forgotten when its entry in config.toml changes"));
        }
        let via = self.config.servers.get(server).and_then(|server| server.via.as_ref());
        if let Some(via) = via {
            sentences.insert(0, format!("it is {}; exai hosts the ssh that leads there", via.describe_hop()));
        }
        let share = self.config.servers.get(server).map_or("shared", |server| server.share.name()).to_owned();
        Ok(SharingExplanation { schema: SCHEMA, server: server.to_owned(), share, sentences })
    }
}

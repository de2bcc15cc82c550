//! What can be asked of the hub, and its answers.

use std::sync::atomic::Ordering;

use exai_mux::Event;
use exai_os::{build, clock};
use exai_proto::documents::{SCHEMA, Why};
use exai_proto::link::ByeReason;

use super::Hub;
use crate::core::event::{HubEvent, Question};
use crate::core::stopping::ReplaceAnswer;
use crate::limits::UPGRADE_TIMEOUT;
use crate::upstream::policy;

impl Hub {
    pub(super) fn reply(&mut self, question: Question) {
        match question {
            Question::Status(reply) => {
                // Looking at all processes takes milliseconds: not on this thread.
                let facts = self.facts();
                self.host.tasks.spawn_blocking(move || {
                    let _ = reply.send(facts.document());
                });
            }
            Question::Ps(reply) => {
                let facts = self.facts();
                self.host.tasks.spawn_blocking(move || {
                    let _ = reply.send(facts.ps());
                });
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
            Question::Servers(reply) => {
                let _ = reply.send(crate::observe::status::list(&self.config, &self.facts()));
            }
            Question::Reload(reply) => {
                let (about, hub) = (self.host.about.clone(), self.handle.clone());
                self.host.tasks.spawn_blocking(move || {
                    let deliver = |outcome| hub.send_from_thread(HubEvent::Loaded { outcome, reply });
                    about.config.read_again(deliver);
                });
            }
            Question::Why { server, reply } => {
                let _ = reply.send(self.why(&server));
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

    pub(super) fn why(&self, server: &str) -> Result<Why, String> {
        let unknown = || format!("no server is called \"{server}\"");
        let mut sentences = self.router.why(server).ok_or_else(unknown)?;
        if let Some(at) = self.verdicts.measured_at(server) {
            sentences.push(format!(
                "measured on {at}; forgotten when its command, arguments or environment change"
            ));
        }
        let share = policy::shares(&self.config).get(server).copied().unwrap_or("shared").to_owned();
        Ok(Why { schema: SCHEMA, server: server.to_owned(), share, sentences })
    }
}

//! Carries out what the router asks for.

use exai_mux::Effect;

use super::Hub;
use crate::client::sink::CloseReason;
use crate::state::discovery;
use crate::upstream::policy;

impl Hub {
    pub(super) fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::ToClient { client, bytes, about } => self.send_to_client(client, bytes, about),
            Effect::ToServer { instance, bytes, number } => self.send_to_server(instance, bytes, number),
            Effect::Dropped { client, id } => {
                if let Some(connected) = self.clients.get(&client) {
                    connected.sink.drop_request(&id);
                }
            }
            Effect::Unserved { client, id } => self.answer_unserved(client, &id),
            Effect::Start { instance, server, number } => self.start_instance(instance, &server, number),
            Effect::Stop { instance, reason } => self.stop_instance(instance, &reason, self.stop_grace()),
            Effect::Ready { instance } => self.host.monitor.note_initialized(instance),
            Effect::Pinged { instance, sent, answered } => {
                self.host.monitor.note_pinged(instance, sent, answered);
            }
            Effect::DiscoveryChanged { server, era } => {
                let configured = policy::server_at(&self.config, &server).is_some();
                if let Some(known) = self.router.discovery(&server, era).filter(|_| configured) {
                    self.note_marked_arguments(&known.1);
                    let path = discovery::path(&self.host.home, &server, era);
                    self.store.queue_write(path, move || discovery::encode_file(&known));
                }
            }
            Effect::BehaviourChanged { server } => {
                if let Some(behaviour) = self.router.observed_behaviour(&server) {
                    let eras = self.router.era_verdicts(&server);
                    self.verdicts.record_behaviour(&server, &behaviour, eras);
                    let verdicts = self.verdicts.clone();
                    self.store.queue_write(self.host.home.verdicts(), move || verdicts.encode_file());
                }
            }
            Effect::Repeatable { client, tools } => {
                let shim = self.clients.get(&client).filter(|client| client.facts.is_shim());
                if shim.is_some_and(|shim| !shim.sink.send_repeatable_tools(tools)) {
                    self.disconnect(client, CloseReason::Slow);
                }
            }
            Effect::GiveUp { instance, reason } => self.give_up_instance(instance, reason, self.stop_grace()),
        }
    }
}

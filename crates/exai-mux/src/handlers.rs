//! What the router does about each event.

mod aggregate_lists;
mod aggregate_routing;
mod attaching;
mod cancelling;
mod client_messages;
mod client_request;
mod configuration;
mod discovery;
mod draining;
mod initialize;
mod instance_end;
mod instance_start;
mod leaving;
mod list_changes;
mod list_merging;
mod list_requests;
mod methods;
mod observing;
mod own_names;
mod repeatable_tools;
mod resource_owners;
mod retiring;
mod sending;
mod server_answers;
mod server_messages;
mod server_questions;
mod server_start;
mod sharing;
mod time;
mod unreadable;

use std::time::Instant;

use crate::router::Router;
use crate::router::event_context::EventContext;
use crate::types::effect::Effect;
use crate::types::event::Event;

impl Router {
    /// Works on one event. What is to be done is appended to `effects`, in the order it must be done.
    pub fn handle(&mut self, event: Event, time: Instant, effects: &mut Vec<Effect>) {
        let cx = &mut EventContext { time, effects };
        match event {
            Event::FromClient { client, message } => self.from_client(client, message, cx),
            Event::Late { client, message } => self.answer_while_draining(client, message, cx),
            Event::FromServer { instance, message } => self.from_server(instance, &message, cx),
            Event::Garbled { instance, garbled } => self.handle_unreadable(instance, &garbled, cx),
            Event::Opened { client, endpoint } => {
                self.clients.add_client(client, endpoint);
            }
            Event::Traits { server, traits } => {
                if let Some(server) = self.servers.get_mut(&server) {
                    server.behaviour.remember(traits);
                }
            }
            Event::Known { server, revision, discovery } => {
                self.learn_discovery(&server, revision, discovery);
            }
            Event::Closed { client } => self.close_client(client, cx),
            Event::Up { instance } => self.initialize_instance(instance, cx),
            Event::Down { instance, why } => self.handle_instance_end(instance, &why, cx),
            Event::Unsent { instance, number, why } => self.handle_unsent(instance, number, why, cx),
            Event::Configured { policies } => self.apply_configuration(policies, cx),
            Event::Ping { instance } => self.ping_instance(instance, cx),
            Event::Restart { server } => self.restart_server(&server, cx),
            Event::Warm { server } => self.warm_up_server(&server, cx),
            Event::Tick => self.handle_tick(cx),
        }
    }
}

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
mod listing;
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
use crate::router::now::Now;
use crate::types::effect::Effect;
use crate::types::event::Event;

impl Router {
    /// Works on one event. What is to be done is appended to `effects`, in the order it must be done.
    pub fn handle(&mut self, event: Event, time: Instant, effects: &mut Vec<Effect>) {
        let now = &mut Now { time, effects };
        match event {
            Event::FromClient { client, message } => self.from_client(client, message, now),
            Event::Late { client, message } => self.late(client, message, now),
            Event::FromServer { instance, message } => self.from_server(instance, &message, now),
            Event::Garbled { instance, garbled } => self.garbled(instance, &garbled, now),
            Event::Opened { client, endpoint } => {
                self.clients.add_client(client, endpoint);
            }
            Event::Traits { server, traits } => {
                if let Some(server) = self.servers.get_mut(&server) {
                    server.measured.remember(traits);
                }
            }
            Event::Known { server, revision, discovery } => self.known(&server, revision, discovery),
            Event::Closed { client } => self.closed(client, now),
            Event::Up { instance } => self.up(instance, now),
            Event::Down { instance, why } => self.down(instance, &why, now),
            Event::Unsent { instance, number, why } => self.unsent(instance, number, why, now),
            Event::Configured { policies } => self.configured(policies, now),
            Event::Ping { instance } => self.ping(instance, now),
            Event::Restart { server } => self.restart(&server, now),
            Event::Warm { server } => self.warm(&server, now),
            Event::Tick => self.tick(now),
        }
    }
}

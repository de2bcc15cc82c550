//! What the router does about each event. [`Router::handle`] is the entrance.
//!
//! The handlers are methods of the router, so one handler may call any other: the end of an instance sends what
//! waited for it to the next instance, for example. They hold no state.

mod aggregate_lists;
mod aggregate_routing;
mod attaching;
mod cancelling;
mod choosing;
mod client_messages;
mod client_request;
mod configuration;
mod discover;
mod discovery;
mod draining;
mod era_refusals;
mod initialize;
mod input_rounds;
mod instance_end;
mod instance_start;
mod leaving;
mod list_changes;
mod list_merging;
mod list_requests;
mod listen_relays;
mod listens;
mod methods;
mod observing;
mod opening_pages;
mod own_names;
mod parking;
mod probing;
mod question_recipient;
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
mod unavailable;
mod unreadable;
mod upstream_listens;

use std::time::Instant;

use crate::client::Client;
use crate::router::Router;
use crate::router::event_context::EventContext;
use crate::types::effect::Effect;
use crate::types::event::Event;

impl Router {
    /// Works on one event. Appends to `effects` what is to be done, in the order in which it must be done.
    pub fn handle(&mut self, event: Event, time: Instant, effects: &mut Vec<Effect>) {
        let cx = &mut EventContext { time, effects };
        match event {
            Event::FromClient { client, message } => self.from_client(client, message, cx),
            Event::FromClientWhileDraining { client, message } => {
                self.answer_while_draining(client, message, cx);
            }
            Event::FromServer { instance, message } => self.from_server(instance, &message, cx),
            Event::Unreadable { instance, unreadable } => self.handle_unreadable(instance, &unreadable, cx),
            Event::Opened { client, endpoint, name, directory, stateless } => {
                let new = Client { stateless, ..Client::new(endpoint, name, directory) };
                self.clients.add_client(client, new);
                self.find_choice(client);
            }
            Event::BehaviourKnown { server, behaviour, eras } => {
                if let Some(server) = self.servers.get_mut(&server) {
                    server.behaviour.remember(behaviour);
                    for (era, verdict, age) in eras {
                        server.eras.recall(era, verdict, age, cx.time);
                    }
                }
            }
            Event::DiscoveryKnown { server, revision, discovery } => {
                self.learn_discovery(&server, revision, discovery);
            }
            Event::Closed { client } => self.close_client(client, cx),
            Event::Up { instance } => self.open_conversation(instance, cx),
            Event::Down { instance, why } => self.handle_instance_end(instance, &why, cx),
            Event::Unsent { instance, number, why } => self.handle_unsent(instance, number, why, cx),
            Event::Accounts { accounts } => self.apply_accounts(accounts, cx),
            Event::Chosen { choices } => self.apply_choices(choices, cx),
            Event::Configured { policies } => self.apply_configuration(policies, cx),
            Event::Ping { instance } => self.ping_instance(instance, cx),
            Event::Restart { server } => self.restart_server(&server, cx),
            Event::WarmUp { server } => self.warm_up_server(&server, cx),
            Event::SignInEnded { server, why } => self.note_sign_in_ended(&server, why, cx),
            Event::Recovered { server } => self.recover_server(&server, cx),
            Event::Tick => self.handle_tick(cx),
        }
    }
}

//! What a server said of itself the last time it ran: good enough to answer with while it starts.
//!
//! A first run of `npx` takes longer than clients wait for `initialize`. So what was known before is their answer,
//! and they are told when a list turns out to be another now.

use std::sync::Arc;

use bytes::Bytes;
use exai_proto::{Id, Message, answer, json, limits};

use crate::catalogue::{KINDS, Kind};
use crate::event::{ClientId, Effect};
use crate::instance::Ready;
use crate::router::{Now, Router, Server};

/// The last known discovery of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discovery {
    /// The result of `initialize`, as the server wrote it.
    pub initialize: Bytes,
    /// Its lists, by the method that asks for them; those that were never asked for are missing.
    pub lists: Vec<(String, Vec<Bytes>)>,
}

impl Router {
    /// What is known of a server, with the revision of its policy that it was learned under; `None` before it has ever
    /// been ready.
    pub fn discovery(&self, server: &str) -> Option<(u64, Discovery)> {
        let server = self.server(server)?;
        let list = |kind: Kind| Some((kind.method().to_owned(), server.catalogue.list(kind)?.to_vec()));
        let lists = KINDS.into_iter().filter_map(list).collect();
        let initialize = server.said.as_ref()?.result.clone();
        Some((server.policy.revision, Discovery { initialize, lists }))
    }

    /// Takes what was known of a server before this router was there. What it has said since counts more.
    pub(crate) fn known(&mut self, server: &str, revision: u64, discovery: Discovery) {
        let Some(server) = self
            .server_mut(server)
            .filter(|server| server.said.is_none() && server.policy.revision == revision)
        else {
            return;
        };
        let Some(ready) = Ready::of(discovery.initialize) else { return };
        server.introduced(ready);
        for (method, items) in discovery.lists {
            if let Some(kind) = Kind::of_method(&method).filter(|kind| server.catalogue.list(*kind).is_none())
            {
                if kind == Kind::Tools {
                    server.learn_repeatable(&items);
                }
                server.catalogue.learn(kind, items, None);
            }
        }
    }

    /// Answers a list from what is known, if the message asks for a whole one. The client is told if that turns out
    /// to be wrong.
    pub(crate) fn list_from_memory(
        &mut self,
        client: ClientId,
        server: &str,
        message: &Message,
        now: &mut Now<'_>,
    ) -> bool {
        let exai_proto::Kind::Request { id, method, params } = message.kind() else { return false };
        let Some(kind) = Kind::of_method(message.str_at(method)) else { return false };
        let first = params
            .as_ref()
            .is_none_or(|params| json::find(message.bytes(), params.clone(), "cursor").is_none());
        let Some(result) = self.server(server).filter(|_| first).and_then(|server| server.known_list(kind))
        else {
            return false;
        };
        let id = Id::from_json(message.at(id));
        now.answer(client, id.clone(), answer::result(&id, &result));
        self.owe(client, server, kind);
        true
    }
}

impl Server {
    /// It has said who it is.
    pub(crate) fn introduced(&mut self, ready: Ready) {
        let place = json::find(&ready.result, 0..ready.result.len(), "instructions");
        let text = place.and_then(|place| json::string(&ready.result, place));
        self.catalogue.instructions = text.map(|text| limits::cut(&text, limits::INSTRUCTIONS_CHARS));
        self.said = Some(ready);
    }

    /// A list as the result of its method, without what the configuration blocks.
    fn known_list(&self, kind: Kind) -> Option<Vec<u8>> {
        let allowed = |item: &&Bytes| {
            let name = || crate::catalogue::member(item, "name");
            kind != Kind::Tools || name().is_none_or(|name| self.policy.tools.allows(&name))
        };
        let mut result = format!("{{\"{}\":[", kind.key()).into_bytes();
        for (at, item) in self.catalogue.list(kind)?.iter().filter(allowed).enumerate() {
            if at > 0 {
                result.push(b',');
            }
            result.extend_from_slice(item);
        }
        result.extend_from_slice(b"]}");
        Some(result)
    }
}

/// Whoever keeps what is known must be told that it has changed.
pub(crate) fn learned(server: &Arc<str>, now: &mut Now<'_>) {
    now.effects.push(Effect::Learned { server: server.clone() });
}

//! What servers say.

use std::sync::Arc;

use bytes::Bytes;
use exai_mux::{Event, InstanceId};
use exai_proto::answer::Failure;
use exai_proto::envelope::{self, Outcome};
use exai_proto::{Kind, Message};
use exai_supervisor::Line;

use super::{Body, Hub};
use crate::garbled::{self, Garbled, Said};

/// How many lines are kept of a server before it is known to run, and how much of each.
const EARLY: usize = 64;
const EARLY_LINE: usize = 4096;

/// What the runs of one server have said that is no message.
#[derive(Debug, Clone)]
pub(crate) struct Garble {
    /// The run that did last.
    instance: InstanceId,
    pub(crate) id: String,
    pub(crate) times: u64,
    /// What it said first; reads after "the server".
    pub(crate) first: String,
}

impl Hub {
    /// A line of stdout.
    pub(super) fn line(&mut self, instance: InstanceId, line: Line) {
        let mut said = Vec::new();
        match line {
            Line::Whole(bytes) => {
                let Some(hosted) = self.hosted.get_mut(&instance) else { return };
                hosted.reader.line(&bytes, &mut said);
            }
            Line::TooLong(start) => self.too_long(instance, &start),
        }
        self.heard(instance, said);
    }

    /// What came over HTTP as a whole.
    pub(super) fn document(&mut self, instance: InstanceId, line: Line) {
        let mut said = Vec::new();
        match line {
            Line::Whole(bytes) => garbled::read(&bytes, &mut said),
            Line::TooLong(start) => self.too_long(instance, &start),
        }
        self.heard(instance, said);
    }

    pub(super) fn heard(&mut self, instance: InstanceId, said: Vec<Said>) {
        for said in said {
            match said {
                Said::Message(message) => self.message(instance, message),
                Said::Garbled(garbled) => self.garbled(instance, garbled),
                Said::Text(text) => self.text(instance, &text),
            }
        }
    }

    fn message(&mut self, instance: InstanceId, message: Message) {
        if let Some(Body::Running(running)) = self.hosted.get_mut(&instance).map(|hosted| &mut hosted.body) {
            running.has_spoken();
        }
        if let Kind::Response { id, outcome: Outcome::Error(_) } = message.kind()
            && message.at(id) == b"null"
        {
            let start = garbled::visible(message.bytes());
            self.note_garbled(instance, &format!("sent an error that names no request: {start}"));
        }
        self.route(Event::FromServer { instance, message });
    }

    pub(super) fn garbled(&mut self, instance: InstanceId, garbled: Garbled) {
        let text = garbled.sentence();
        self.note_garbled(instance, &text);
        let Garbled { id, asks, .. } = garbled;
        let unreadable = exai_mux::Unreadable { id, asks, text, failure: Failure::OutcomeUnknown };
        self.route(Event::Unreadable { instance, unreadable });
    }

    /// A server that speaks without end of what is no message is told of once in each run.
    fn note_garbled(&mut self, instance: InstanceId, what: &str) {
        let Some(hosted) = self.hosted.get(&instance) else { return };
        let (server, id) = (hosted.server.clone(), format!("{}#{}", hosted.server, hosted.number));
        let known = self.garbles.get_mut(&server).filter(|known| known.instance == instance);
        if let Some(known) = known {
            known.times += 1;
            return tracing::debug!(id, "it {what}");
        }
        tracing::warn!(id, "the server {what}; more of this run is not logged");
        let garble = Garble { instance, id, times: 1, first: what.to_owned() };
        self.garbles.insert(server, garble);
    }

    /// Its text goes where what it says to people goes.
    fn text(&mut self, instance: InstanceId, text: &Bytes) {
        let Some(hosted) = self.hosted.get_mut(&instance) else { return };
        for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let line = text.slice_ref(line);
            match &mut hosted.body {
                Body::Running(running) | Body::Stopping(running) => running.print(&line),
                Body::Spawning if hosted.early.len() < EARLY => {
                    hosted.early.push(Bytes::copy_from_slice(&line[..line.len().min(EARLY_LINE)]));
                }
                Body::Spawning | Body::Waiting | Body::Unwanted | Body::Builtin => {}
            }
        }
    }

    fn too_long(&mut self, instance: InstanceId, start: &[u8]) {
        tracing::warn!(?instance, "a message of a server is longer than 32 MiB");
        let unreadable = exai_mux::Unreadable {
            id: envelope::peek_id(start),
            asks: envelope::Peek::at(start).asks,
            text: "sent an answer that is longer than 32 MiB".to_owned(),
            failure: Failure::AnswerTooLarge,
        };
        self.route(Event::Unreadable { instance, unreadable });
    }

    /// What is left of what a server began to say before it ended.
    pub(super) fn last_words(&mut self, instance: InstanceId) {
        let left = self.hosted.get_mut(&instance).and_then(|hosted| hosted.reader.end());
        if let Some(Said::Text(text)) = left {
            self.text(instance, &text);
        }
    }

    /// A server starts anew: what it said before is of the past.
    pub(super) fn forget_garble(&mut self, server: &Arc<str>) {
        self.garbles.remove(server);
    }
}

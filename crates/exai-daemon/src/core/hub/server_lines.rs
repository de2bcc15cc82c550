//! Output of servers: messages go to the router, text to the server's log.

use std::sync::Arc;

use bytes::Bytes;
use exai_mux::{Event, InstanceId};
use exai_proto::answer::Failure;
use exai_proto::envelope::{self, Outcome};
use exai_proto::{Kind, Message};
use exai_supervisor::Line;

use super::{Hub, InstanceState};
use crate::limits::{MAX_EARLY_LINE_BYTES, MAX_EARLY_LINES};
use crate::observe::facts::GarbledOutput;
use crate::upstream::server_output::{self, Garbled, Said};

impl Hub {
    /// Hears a line of stdout.
    pub(super) fn hear_line(&mut self, instance: InstanceId, line: Line) {
        let mut said = Vec::new();
        match line {
            Line::Whole(bytes) => {
                let Some(hosted) = self.hosted.get_mut(&instance) else { return };
                hosted.reader.line(&bytes, &mut said);
            }
            Line::TooLong(start) => self.too_long(instance, &start),
        }
        self.handle_output(instance, said);
    }

    /// Hears a document or event that arrived over HTTP.
    pub(super) fn hear_document(&mut self, instance: InstanceId, line: Line) {
        let mut said = Vec::new();
        match line {
            Line::Whole(bytes) => server_output::read(&bytes, &mut said),
            Line::TooLong(start) => self.too_long(instance, &start),
        }
        self.handle_output(instance, said);
    }

    pub(super) fn handle_output(&mut self, instance: InstanceId, said: Vec<Said>) {
        for said in said {
            match said {
                Said::Message(message) => self.handle_message(instance, message),
                Said::Garbled(garbled) => self.handle_garbled(instance, garbled),
                Said::Text(text) => self.print_text(instance, &text),
            }
        }
    }

    fn handle_message(&mut self, instance: InstanceId, message: Message) {
        if let Some(InstanceState::Running(running)) =
            self.hosted.get_mut(&instance).map(|hosted| &mut hosted.body)
        {
            running.note_message();
        }
        if let Kind::Response { id, outcome: Outcome::Error(_) } = message.kind()
            && message.at(id) == b"null"
        {
            let start = server_output::visible(message.bytes());
            self.note_garbled(instance, &format!("sent an error that names no request: {start}"));
        }
        self.route(Event::FromServer { instance, message });
    }

    pub(super) fn handle_garbled(&mut self, instance: InstanceId, garbled: Garbled) {
        let text = garbled.sentence();
        self.note_garbled(instance, &text);
        let Garbled { id, asks, .. } = garbled;
        let unreadable = exai_mux::Unreadable { id, asks, text, failure: Failure::OutcomeUnknown };
        self.route(Event::Unreadable { instance, unreadable });
    }

    /// Logs the first output of each run that is no message; more of it is counted.
    fn note_garbled(&mut self, instance: InstanceId, what: &str) {
        let Some(hosted) = self.hosted.get(&instance) else { return };
        let (server, id) = (hosted.server.clone(), format!("{}#{}", hosted.server, hosted.number));
        let known = self.garbles.get_mut(&server).filter(|known| known.instance == instance);
        if let Some(known) = known {
            known.times += 1;
            return tracing::debug!(id, "it {what}");
        }
        tracing::warn!(id, "the server {what}; more of this run is not logged");
        let garble = GarbledOutput { instance, id, times: 1, first: what.to_owned() };
        self.garbles.insert(server, garble);
    }

    /// Passes text on to where the server's stderr goes.
    fn print_text(&mut self, instance: InstanceId, text: &Bytes) {
        let Some(hosted) = self.hosted.get_mut(&instance) else { return };
        for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let line = text.slice_ref(line);
            match &mut hosted.body {
                InstanceState::Running(running) | InstanceState::Stopping(running) => running.print(&line),
                InstanceState::Spawning if hosted.early.len() < MAX_EARLY_LINES => {
                    hosted.early.push(Bytes::copy_from_slice(&line[..line.len().min(MAX_EARLY_LINE_BYTES)]));
                }
                InstanceState::Spawning | InstanceState::Waiting | InstanceState::Unwanted => {}
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

    /// Hears what a server had begun to say when it ended.
    pub(super) fn finish_output(&mut self, instance: InstanceId) {
        let left = self.hosted.get_mut(&instance).and_then(|hosted| hosted.reader.end());
        if let Some(Said::Text(text)) = left {
            self.print_text(instance, &text);
        }
    }

    /// Forgets the bad output of earlier runs, since the server starts anew.
    pub(super) fn forget_garble(&mut self, server: &Arc<str>) {
        self.garbles.remove(server);
    }
}
